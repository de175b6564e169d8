package trafficmanager

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

// refuse has a gateway tell that it refused so many calls since t0, by key, d after t0.
func (w *world) refuse(gateway uint64, d time.Duration, keys ...event.RefusedKey) {
	c := &event.RefusedCalls{Keys: keys}
	for i := range keys {
		if keys[i].Since.IsZero() {
			keys[i].Since = t0
		}
		c.Levels[keys[i].Level] += keys[i].Calls
	}
	w.send(d, &event.Header{Node: fmt.Sprint("gw-", gateway), Incarnation: gateway, Sent: t0.Add(d), Refused: c})
}

// about reports whether two rates are the same, but for a twentieth.
func about(a, b float64) bool { return math.Abs(a-b) <= 0.05*max(a, b) }

var (
	goldRefused  = event.RefusedKey{Key: 7, Text: goldKey, Level: weir.LevelSubscription, Policy: "Gold", Group: -1}
	burstRefused = event.RefusedKey{Key: 8, Text: goldKey, Level: weir.LevelSubscriptionBurst, Policy: "Gold", Group: -1}
	denyRefused  = event.RefusedKey{Text: "192.0.2.1", Level: weir.LevelDeny, Policy: "d1", Group: -1}
)

func times(k event.RefusedKey, calls uint64) event.RefusedKey { k.Calls = calls; return k }

// TestRefused adds up what two gateways tell, and knows how much it is a second.
func TestRefused(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	for second := range uint64(20) {
		d := time.Duration(second+1) * time.Second
		w.refuse(1, d, times(goldRefused, 100*(second+1)), times(denyRefused, 7))
		w.refuse(2, d, times(goldRefused, 50*(second+1)))
	}
	now := t0.Add(20 * time.Second)
	got := w.Refused(now)
	if len(got) != 2 || got[0].Key != 7 || got[0].Text != goldKey || got[0].Calls != 3000 || !about(got[0].Rate, 150) {
		t.Errorf("got %+v, want 3000 calls, 150 a second", got)
	}
	if len(got) == 2 && (got[1].Level != weir.LevelDeny || got[1].Calls != 7 || got[1].Rate > 0.1) {
		t.Errorf("got %+v, want 7 calls, and hardly any a second any more", got[1])
	}
	for _, n := range w.Stats(now).Nodes {
		want := map[string]uint64{"gw-1": 2000, "gw-2": 1000}[n.Name]
		if n.Refused[weir.LevelSubscription] != want || !about(n.RefusedRate, float64(want)/20) {
			t.Errorf("%s: %+v, want %d refused", n.Name, n, want)
		}
	}
	// A gateway that falls silent is said to refuse less and less, and then nothing.
	for silence, want := range map[time.Duration]float64{2 * time.Second: 150, 5 * time.Second: 150 / math.E, time.Minute: 0} {
		rate := 0.0
		for _, r := range w.Refused(now.Add(silence)) {
			rate += r.Rate
		}
		if !about(rate, want) {
			t.Errorf("%v later: %v a second, want %v", silence, rate, want)
		}
	}
	if got := w.Refused(now.Add(2 * time.Minute)); len(got) != 0 {
		t.Errorf("two minutes later there are %+v", got)
	}
}

// What comes twice, late, or of a gateway that was restarted, is not counted again.
func TestRefusedIsState(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	w.refuse(1, 10*time.Second, times(goldRefused, 100))
	w.refuse(1, 11*time.Second, times(goldRefused, 110))
	w.refuse(1, 11*time.Second, times(goldRefused, 110))
	w.refuse(1, 10*time.Second, times(goldRefused, 100))
	if got := w.Refused(t0.Add(11 * time.Second)); got[0].Calls != 110 || !about(got[0].Rate, 10) {
		t.Errorf("got %+v, want 110 calls, 10 a second", got)
	}
	again := times(goldRefused, 4)
	again.Since = t0.Add(11 * time.Second)
	w.refuse(1, 12*time.Second, again)
	if got := w.Refused(t0.Add(12 * time.Second)); got[0].Calls != 4 || !about(got[0].Rate, 4) {
		t.Errorf("begun again: %+v, want 4 calls, 4 a second", got)
	}
	// A clock that is set back by far is believed.
	w.refuse(1, -time.Hour, times(goldRefused, 5))
	if got := w.Refused(t0.Add(-time.Hour)); got[0].Calls != 5 {
		t.Errorf("after the clock was set back: %+v", got)
	}
}

// TestTopRefused shows what is refused beside what is used: also keys that are used
// little, that each gateway counts for itself, and that nobody counts.
func TestTopRefused(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	b := w.Begin(t0, nil)
	for i := range 5 {
		e := of(fmt.Sprint("app", i), 0, int64(10-i))
		_ = b.Count(&e)
	}
	b.End(nil)
	keys := map[string]limiter.Key{}
	for _, u := range w.Top(t0, 10) {
		keys[u.Text] = u.Key
	}
	first, last := goldRefused, goldRefused
	first.Text, last.Text = "app0:/pizza/1:1:Gold", "app4:/pizza/1:1:Gold"
	first.Key, last.Key = keys[first.Text], keys[last.Text]
	w.refuse(1, time.Second, times(first, 40), times(last, 30), times(burstRefused, 20), times(denyRefused, 10))
	got := w.Top(t0.Add(time.Second), 3)
	if len(got) != 6 {
		t.Fatalf("got %d keys, want 3 of most use and 3 that are refused: %+v", len(got), got)
	}
	if u := got[0]; u.Text != first.Text || u.Used != 10 || u.Refused != 40 || !about(u.Rate, 40) || u.Local {
		t.Errorf("first is %+v", u)
	}
	if got[1].Refused+got[2].Refused != 0 {
		t.Errorf("refused: %+v", got[1:3])
	}
	if u := got[3]; u.Text != last.Text || u.Used != 6 || u.Share != 0.6 || u.Refused != 30 || u.Local || u.Ends.IsZero() {
		t.Errorf("used little: %+v", u)
	}
	if u := got[4]; u.Level != weir.LevelSubscriptionBurst || !u.Local || u.Used != 0 || u.Refused != 20 || u.Limit != (limiter.Limit{}) {
		t.Errorf("counted by each gateway for itself: %+v", u)
	}
	if u := got[5]; u.Level != weir.LevelDeny || !u.Local || u.Refused != 10 || u.Text != "192.0.2.1" {
		t.Errorf("denied: %+v", u)
	}
	if got = w.Top(t0.Add(time.Second), 1); len(got) != 2 {
		t.Errorf("got %d, want one of most use and one refused: %+v", len(got), got)
	}
}

// Of a gateway of the same process no ledger is kept, but it is shown like others.
func TestLocalGateway(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	h := &event.Header{Node: "here", Incarnation: 5, Sent: t0}
	for range 3 {
		e := call(0, 2)
		b := w.BeginLocal(t0.Add(time.Millisecond), h)
		if err := b.Count(&e); err != nil {
			t.Fatal(err)
		}
		b.End(nil)
	}
	h.Sent, h.Refused = t0.Add(time.Second), &event.RefusedCalls{Keys: []event.RefusedKey{times(goldRefused, 9)}}
	w.HearLocal(t0.Add(time.Second), h)
	s := w.Stats(t0.Add(time.Second))
	if len(s.Nodes) != 1 || s.Nodes[0].Name != "here" || s.Nodes[0].Events != 3 || s.Nodes[0].Batches != 3 || !s.Nodes[0].Known || s.Batches != 3 {
		t.Errorf("got %+v", s)
	}
	if top := w.Top(t0.Add(time.Second), 10); top[0].Used != 6 {
		t.Errorf("used: %+v, want each event counted once", top)
	}
	if r := w.Refused(t0.Add(time.Second)); len(r) != 1 || r[0].Calls != 9 {
		t.Errorf("refused: %+v", r)
	}
	none, err := New(Options{Limiter: limiter.New(limiter.Options{}), Issuer: "tm", ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := none.BeginLocal(t0, h)
	e := call(0, 1)
	_ = b.Count(&e)
	b.End(nil)
	if s := none.Stats(t0); s.Counted != 0 {
		t.Errorf("counted without policies: %+v", s)
	}
	none.HearLocal(t0, h)
}

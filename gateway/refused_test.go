package gateway

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// refusedKey returns what is told of the keys of a level.
func (w *world) refusedKey(t testing.TB, l weir.Level) event.RefusedKey {
	t.Helper()
	var found []event.RefusedKey
	for _, k := range w.Refused(t0).Keys {
		if k.Level == l {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d keys of level %s, want 1: %+v", len(found), l, found)
	}
	return found[0]
}

// TestRefused tells of each level that refuses: how often, which key, and by what name
// people know it.
func TestRefused(t *testing.T) {
	w, _ := newTelling(t)
	k, text := w.keyOf(t, call("GET", "/pizza/1/menu", "ApiKey", w.production), weir.LevelApplication)
	for i := range 17 {
		x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
		x.Time = t0.Add(time.Duration(i) * time.Millisecond)
		w.status(x)
	}
	for range 3 {
		w.status(callFrom("192.0.2.66", "GET", "/pizza/1/open"))
	}
	all := w.Refused(t0)
	if all.Levels[weir.LevelApplication] != 7 || all.Levels[weir.LevelDeny] != 3 || len(all.Keys) != 2 {
		t.Fatalf("got %+v, want 7 for the application and 3 denied", all)
	}
	want := event.RefusedKey{Key: k, Text: text, Level: weir.LevelApplication, Policy: "Ten", Group: -1, Calls: 7, Since: t0.Add(10 * time.Millisecond)}
	if got := w.refusedKey(t, weir.LevelApplication); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want = event.RefusedKey{Text: "192.0.2.66", Level: weir.LevelDeny, Policy: "d1", Group: -1, Calls: 3, Since: t0}
	if got := w.refusedKey(t, weir.LevelDeny); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := w.Refused(t0.Add(2 * time.Minute)); len(got.Keys) != 0 || got.Levels != all.Levels {
		t.Errorf("two minutes later: %+v, want the sums alone", got)
	}
}

// A key that a traffic manager alone counts is told as the fleet knows it.
func TestRefusedByTemplate(t *testing.T) {
	w, _ := newTelling(t)
	d := decisionOn(77, 1)
	d.Level, d.Policy, d.Text = weir.LevelCustom, "theirs", "alice@carbon.super:/pizza/1"
	w.meet("tm")
	w.Decide(t0, &d, 0)
	if err := w.SetKeyTemplates([]string{"$userId:$apiContext"}); err != nil {
		t.Fatal(err)
	}
	w.status(call("GET", "/pizza/1/menu", "ApiKey", w.production))
	want := event.RefusedKey{Key: 77, Text: d.Text, Level: weir.LevelCustom, Policy: "theirs", Group: -1, Calls: 1, Since: t0}
	if got := w.refusedKey(t, weir.LevelCustom); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Messages on a stream are refused as well, by limits and by deny policies that came
// while it was open.
func TestRefusedMessages(t *testing.T) {
	w, _ := newTelling(t)
	p := perMinute(2)
	p.Cost = limiter.Events
	w.definition.Policies.Policies = policy.Merge(w.definition.Policies.Policies, []policy.Policy{{Kind: policy.Advanced, Name: "Two", Limit: p}})
	if err := w.Apply(w.definition); err != nil {
		t.Fatal(err)
	}
	x := call("POST", "/pizza/1/orders/1", "ApiKey", w.production)
	x.Upgrade = true
	if a := w.Admit(x); a != nil {
		t.Fatalf("the stream is refused: %s", a.Body)
	}
	for range 5 {
		w.Event(x, t0)
	}
	if got := w.refusedKey(t, weir.LevelResource); got.Calls != 3 || got.Policy != "Two" {
		t.Errorf("got %+v, want 3 messages", got)
	}
	if err := w.SetDenies([]policy.Deny{{ID: "9", Kind: policy.DenyUser, Value: x.Request.User}}); err != nil {
		t.Fatal(err)
	}
	w.Event(x, t0)
	if got := w.refusedKey(t, weir.LevelDeny); got.Calls != 1 || got.Text != x.Request.User {
		t.Errorf("got %+v, want a message denied", got)
	}
}

// Who is refused most is told, however many others are refused as well; and what is
// told is bounded.
func TestRefusedMost(t *testing.T) {
	r := newRefusals()
	add := func(id limiter.Key, at time.Time) {
		b := r.bucket(1+uint32(id+limiter.Key(at.UnixNano()))%stripes, id)
		b.mu.Lock()
		defer b.mu.Unlock()
		if e := b.add(id, at); e != nil {
			e.say(id, weir.LevelAPI, "P", -1, append(e.text[:0], fmt.Sprint(id)...))
		}
	}
	seed := limiter.NewSeed()
	heavy := seed.Hash().Add("heavy").Key()
	for i := range 200_000 {
		at := t0.Add(time.Duration(i) * time.Microsecond)
		add(seed.Hash().AddUint64(uint64(i)).Key(), at)
		if i%10 == 0 {
			add(heavy, at)
		}
		if i%100_000 == 50_000 {
			r.most(at) // which lets weights fade
		}
	}
	keys := r.most(t0.Add(time.Second))
	if len(keys) != event.MaxRefusedKeys {
		t.Errorf("%d keys, want %d", len(keys), event.MaxRefusedKeys)
	}
	if keys[0].Key != heavy || keys[0].Text != fmt.Sprint(heavy) || keys[0].Calls < 18_000 || keys[0].Calls > 20_000 {
		t.Errorf("first is %+v, want %d with close to 20000", keys[0], heavy)
	}
}

// However long a key is, no more of it is kept than is told.
func TestRefusedLongTexts(t *testing.T) {
	var e refusedEntry
	e.say(1, weir.LevelCustom, "long", -1, []byte(strings.Repeat("é", 4000)))
	if e.size != event.MaxRefusedText {
		t.Errorf("%d bytes are kept", e.size)
	}
}

// Counting while somebody collects loses nothing.
func TestRefusedAlongside(t *testing.T) {
	w, _ := newTelling(t)
	var calls sync.WaitGroup
	const each = 500
	for range 4 {
		calls.Go(func() {
			x := call("POST", "/pizza/1/orders/2", "ApiKey", w.production)
			for range each {
				x.again()
				w.status(x)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			w.Refused(t0.Add(time.Duration(i) * time.Second / 4))
		}
	}()
	calls.Wait()
	<-done
	all := w.Refused(t0)
	var sum uint64
	for _, k := range all.Keys {
		sum += k.Calls
	}
	if want := uint64(4*each - 2); all.Levels[weir.LevelResource] != want || sum != want {
		t.Errorf("%d refused, %d by key, want %d", all.Levels[weir.LevelResource], sum, want)
	}
}

// A refusal allocates nothing when somebody is told of it, either.
func TestRefusedAllocs(t *testing.T) {
	w, _ := newTelling(t)
	for name, x := range map[string]*Exchange{
		"limit": call("POST", "/pizza/1/orders/2", "ApiKey", w.production),
		"deny":  callFrom("192.0.2.66", "GET", "/pizza/1/open"),
	} {
		if n := testing.AllocsPerRun(100, func() {
			x.again()
			w.Admit(x)
			w.Finish(x, Outcome{Status: 200, Forwarded: true})
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// BenchmarkRefused compares refusals of which nobody is told with those of which
// traffic managers are.
func BenchmarkRefused(b *testing.B) {
	for _, name := range []string{"alone", "told"} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			if name == "told" {
				w, _ = newTelling(b)
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				x := call("POST", "/pizza/1/orders/2", "ApiKey", w.production)
				for pb.Next() {
					x.again()
					w.Admit(x)
					w.Finish(x, Outcome{Status: 200, Forwarded: true})
				}
			})
		})
	}
}

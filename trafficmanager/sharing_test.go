package trafficmanager

import (
	"testing"
	"time"

	"github.com/weir-project/weir/event"
)

// How a gateway shares counters is as it said last, of each run, until it falls silent.
func TestSharing(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	say := func(arrives, sent time.Duration, s *event.Sharing) {
		w.send(arrives, &event.Header{Node: "gw", Incarnation: 1, Sent: t0.Add(sent), Sharing: s})
	}
	at := func(d time.Duration) uint64 {
		s := w.Stats(t0.Add(d)).Nodes[0].Sharing
		if s == nil {
			return 0
		}
		return s.Calls
	}
	say(0, 0, nil)
	if got := at(0); got != 0 {
		t.Errorf("it said nothing: got %d", got)
	}
	const second = time.Second
	say(3*second, 2*second, &event.Sharing{Calls: 20})
	say(4*second, second, &event.Sharing{Calls: 10}) // was overtaken
	say(5*second, 5*second, nil)                     // a call that does not say it
	for after, want := range map[time.Duration]uint64{5 * second: 20, 13 * second: 20, 14 * second: 0} {
		if got := at(after); got != want {
			t.Errorf("%v later: got %d, want %d", after, got, want)
		}
	}
	w.HearLocal(t0.Add(20*second), &event.Header{Incarnation: 1, Sent: t0.Add(20 * second), Sharing: &event.Sharing{Calls: 30}})
	if got := at(20 * second); got != 30 {
		t.Errorf("of the same process: got %d", got)
	}
	say(time.Minute, -time.Hour, &event.Sharing{Calls: 40}) // its clock was set back
	if got := at(time.Minute); got != 40 {
		t.Errorf("after the clock was set back: got %d", got)
	}
}

// Requests are counted apart from events, which are many requests each.
func TestRequestsCounted(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	b := w.Begin(t0, nil)
	for _, n := range []int64{4, 3, -1} {
		e := call(0, n)
		if err := b.Count(&e); err != nil {
			t.Fatal(err)
		}
	}
	b.End(nil)
	if s := w.Stats(t0); s.Counted != 3 || s.Requests != 7 {
		t.Errorf("%d events, %d requests; want 3 and 7", s.Counted, s.Requests)
	}
}

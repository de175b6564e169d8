package trafficmanager

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// TestTop finds the keys of most use among thirty thousand, with what the
// counters say of them.
func TestTop(t *testing.T) {
	w := newWorld(t, gold(perMinute(1000)))
	b := w.Begin(t0, nil)
	for i := range 30_000 {
		e := of(fmt.Sprint(i), 0, int64(1+i%3))
		_ = b.Count(&e)
		if i%3000 == 0 {
			for n := range 100 {
				e := of(fmt.Sprint("hot", i/3000), 0, int64(1+i/3000))
				e.Request.Time = t0.Add(time.Duration(n) * time.Millisecond)
				_ = b.Count(&e)
			}
		}
	}
	b.End(nil)
	top := w.Top(t0.Add(time.Second), 10)
	if len(top) != 10 {
		t.Fatalf("%d keys", len(top))
	}
	limit := *perMinute(1000)
	limit.OnStoreLoss = limiter.Local // as a compiled set has it
	for i, u := range top {
		hot := 9 - i
		want := Use{
			Key: u.Key, Text: fmt.Sprintf("hot%d:/pizza/1:1:Gold", hot), Level: weir.LevelSubscription, Policy: "Gold", Group: -1,
			Limit: limit, Used: int64(100 * (1 + hot)), Share: float64(1+hot) / 10, Ends: t0.Add(time.Minute), Throttled: hot == 9,
		}
		if u != want {
			t.Errorf("%d is\n%+v, want\n%+v", i, u, want)
		}
	}
	if top = w.Top(t0.Add(time.Minute), 10); len(top) != 0 {
		t.Errorf("in the next window there are %+v", top)
	}
}

// TestTopNextWindow lets small keys lead where those of the window before were
// large.
func TestTopNextWindow(t *testing.T) {
	w := newWorld(t, gold(perMinute(1<<30)))
	for minute := range time.Duration(3) {
		at := minute * time.Minute
		b := w.Begin(t0.Add(at), nil)
		for i := range 5000 {
			e := of(fmt.Sprint(i), at, int64(100-30*minute))
			_ = b.Count(&e)
		}
		e := of("hot", at, int64(110-30*minute))
		_ = b.Count(&e)
		b.End(nil)
		top := w.Top(t0.Add(at), 1)
		if len(top) != 1 || !strings.HasPrefix(top[0].Text, "hot:") {
			t.Errorf("in minute %d the first is %+v", minute, top)
		}
		if n := len(w.Top(t0.Add(at), 1<<20)); n < leaderShards*leadersInShard/2 {
			t.Errorf("in minute %d there are %d", minute, n)
		}
	}
}

// TestTopKinds is limits of every kind.
func TestTopKinds(t *testing.T) {
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		l := perMinute(10)
		l.Algorithm, l.Shadow = a, true
		w := newWorld(t, gold(l))
		w.send(0, nil, call(0, 4))
		w.send(0, nil, call(0, 11))
		top := w.Top(t0, 5)
		if len(top) != 1 || top[0].Used != 15 || top[0].Share != 1.5 || top[0].Throttled || !top[0].Ends.After(t0) {
			t.Errorf("%v: %+v", a, top)
		}
	}
}

// TestStats counts events by what becomes of them.
func TestStats(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	unknown := call(0, 1)
	unknown.Request.SubscriptionTier = "Platinum"
	w.send(0, nil, unknown)
	b := w.Begin(t0, nil)
	b.Refuse(3)
	b.End(nil)
	s := w.Stats(t0)
	if s.UnknownTiers != 1 || s.Counted != 1 || s.Refused != 3 || s.Batches != 2 || s.Keys != 0 {
		t.Errorf("stats are %+v", s)
	}
}

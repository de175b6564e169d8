package trafficmanager

import (
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

// TestConcurrent has many gateways tell at once, each batch twice: the sum is
// right, and the limit is decided on once.
func TestConcurrent(t *testing.T) {
	const gateways, batches, events = 8, 50, 20
	w := newWorld(t, gold(perMinute(gateways*batches*events)))
	var wg sync.WaitGroup
	for g := range gateways {
		for range 2 {
			wg.Go(func() {
				w.send(0, &event.Header{Incarnation: uint64(g + 1), Seq: 1, First: true, Restates: true})
				for i := range batches {
					var all []weir.Event
					for range events {
						all = append(all, call(0, 1))
					}
					w.send(0, &event.Header{Incarnation: uint64(g + 1), Seq: uint64(i + 2)}, all...)
					w.Top(t0, 3)
					w.Decisions(t0, 77, 0)
					w.Stats(t0)
				}
			})
		}
	}
	wg.Wait()
	w.wantUsed(0, gateways*batches*events)
	w.wantSaid(goldKey + " throttled until 1m0s")
	if s := w.Stats(t0); s.Batches+s.Repeated != 2*gateways*(batches+1) || s.Batches != gateways*(batches+1) {
		t.Errorf("stats are %+v", s)
	}
}

// TestBackAndForth spends and takes back at once: whatever came in between, what
// was said last is what the counter says.
func TestBackAndForth(t *testing.T) {
	for range 20 {
		w := newWorld(t, gold(perMinute(100)))
		w.send(0, nil, call(0, 99))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 100 {
					w.send(0, nil, call(0, 1))
					w.send(0, nil, call(0, -1))
				}
			})
		}
		for i := range 20 {
			w.Apply(t0, compile(t, gold(perMinute(100+int64(i%2)))))
		}
		w.Apply(t0, compile(t, gold(perMinute(100))))
		wg.Wait()
		if n := w.Stats(t0).InForce; n != 0 {
			t.Fatalf("%d keys are throttled, used is %d", n, w.used(0, call(0, 0)))
		}
		w.send(0, nil, call(0, 1))
		if n := w.Stats(t0).InForce; n != 1 {
			t.Fatalf("%d keys are throttled, used is %d", n, w.used(0, call(0, 0)))
		}
		last := map[bool]uint64{}
		for _, d := range w.topic.said {
			last[d.Throttled] = max(last[d.Throttled], d.Seq)
		}
		if last[true] <= last[false] {
			t.Fatalf("throttled by %d, let go by %d", last[true], last[false])
		}
	}
}

// TestMemoryAllocs shows that memory is per key, not per event (W23): a million events
// of a key, and those of one that is spent, allocate nothing.
func TestMemoryAllocs(t *testing.T) {
	if underRace {
		t.Skip("the race detector makes pools forget; make allocs runs it without")
	}
	w := newWorld(t, gold(perMinute(1<<40)))
	spent := newWorld(t, gold(perMinute(5)))
	limit := perMinute(5)
	limit.Shadow = true
	shadow := newWorld(t, gold(limit))
	e := call(0, 1)
	seq := uint64(1)
	h := &event.Header{Incarnation: 1, Seq: 1, First: true, Restates: true, Sent: t0}
	w.send(0, h)
	spent.send(0, h)
	shadow.send(0, h)
	var r event.Reply
	for name, w := range map[string]*world{"a key": w, "a key that is spent": spent, "a shadow that is spent": shadow} {
		batch := func() {
			seq++
			*h = event.Header{Incarnation: 1, Seq: seq, Sent: t0, Manager: 77, Version: 1}
			b := w.Begin(t0.Add(time.Millisecond), h)
			for range 100 {
				_ = b.Count(&e)
			}
			b.End(&r)
		}
		batch()
		if n := testing.AllocsPerRun(100, batch); n > 0 {
			t.Errorf("%s: a batch of 100 events allocates %v times", name, n)
		}
	}
}

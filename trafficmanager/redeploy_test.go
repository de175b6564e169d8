package trafficmanager

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/policy"
)

// TestAppliedOften makes policies anew, hundreds of times, while events come: nothing of
// the sets before stays (W25), neither counters nor memory.
func TestAppliedOften(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	at := time.Duration(0)
	redeploy := func(n int) {
		for i := range n {
			at += 10 * time.Second
			p := gold(perMinute(int64(1000 + i%7)))
			p.Policies = append(p.Policies, policy.Policy{Kind: policy.Application, Name: fmt.Sprint("Tier", i), Limit: perMinute(500)})
			w.Apply(t0.Add(at), compile(t, p))
			var events []weir.Event
			for app := range 20 {
				e := of(fmt.Sprint("app", app), at, 3)
				e.Request.Application.Tier = fmt.Sprint("Tier", i)
				events = append(events, e)
			}
			w.send(at, nil, events...)
			w.Sweep(t0.Add(at))
			w.limiter.Sweep(t0.Add(at))
			w.topic.take()
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	redeploy(50)
	before, held := heap(), w.limiter.Len()
	redeploy(300)
	if after := heap(); after > before+256<<10 {
		t.Errorf("after 300 more sets %d KiB more are in use", (after-before)>>10)
	}
	if n := w.limiter.Len(); n > held+20 {
		t.Errorf("%d counters are held, before it were %d", n, held)
	}
	at += 10 * time.Minute
	w.Sweep(t0.Add(at))
	w.limiter.Sweep(t0.Add(at))
	if n := w.limiter.Len(); n != 0 {
		t.Errorf("%d counters are held of windows that are over", n)
	}
}

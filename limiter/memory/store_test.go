package memory_test

import (
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/limitertest"
	"github.com/weir-project/weir/limiter/memory"
)

func TestSuite(t *testing.T) {
	limitertest.Run(t, func(*testing.T) limitertest.Backend {
		var clock atomic.Int64
		clock.Store(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixNano())
		s := memory.New(memory.Options{Now: func() time.Time { return time.Unix(0, clock.Load()) }})
		id := uint64(1)
		return limitertest.Backend{
			Store:   s,
			Advance: func(by time.Duration) { clock.Add(int64(by)) },
			Flush:   func(testing.TB) { s.Clear() },
			NewEpoch: func(testing.TB) {
				id++
				s.NewEpoch(id)
			},
			Eternal: func(testing.TB) []string {
				s.Sweep(math.MaxInt64)
				if n := s.Len(); n > 0 {
					return make([]string, n)
				}
				return nil
			},
		}
	})
}

// TestRunningClock runs the suite as it runs with stores elsewhere, whose clock cannot be
// set, but for a clock that is faster.
func TestRunningClock(t *testing.T) {
	began := time.Now()
	clock := func() time.Time { return began.Add(20 * time.Since(began)) }
	limitertest.Run(t, func(*testing.T) limitertest.Backend {
		s := memory.New(memory.Options{Now: clock})
		return limitertest.Backend{Store: s, Flush: func(testing.TB) { s.Clear() }}
	})
}

package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
)

// A takeCase is a limit, shared or not.
type takeCase struct {
	name     string
	sharing  limiter.Sharing
	accuracy limiter.Accuracy
}

var takeCases = []takeCase{
	{"alone", limiter.Alone, limiter.Eventual},
	{"unshared", limiter.Checks, limiter.Eventual}, // beside others that are
	{"bounded", limiter.Checks, limiter.Bounded},
	{"exact", limiter.Checks, limiter.Exact},
}

var algorithms = []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket}

// grantingStore returns a store in memory whose epoch is not new.
func grantingStore() *memory.Store {
	s := memory.New(memory.Options{})
	s.Apply(time.Now().Add(-time.Minute).UnixNano(), &limiter.Batch{Node: 1})
	return s
}

// share starts a sharer of l, if it shares anything, and returns its clock and what stops it.
func share(b *testing.B, l *limiter.Limiter, c takeCase) func(time.Time) time.Time {
	b.Helper()
	if c.sharing == limiter.Alone {
		return func(now time.Time) time.Time { return now }
	}
	sharer := limiter.NewSharer(l, grantingStore(), limiter.SharerOptions{Node: 2})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = sharer.Run(ctx, time.Now) })
	b.Cleanup(func() {
		cancel()
		running.Wait()
	})
	for sharer.Stats().Calls == 0 {
		time.Sleep(time.Millisecond)
	}
	return sharer.Time
}

// BenchmarkTake takes from one key under a limit that is shared through a store in memory,
// beside the same limit unshared. In the background the sharer does its work, and its
// allocations count: what they come to is less than one in a thousand operations.
func BenchmarkTake(b *testing.B) {
	for _, algorithm := range algorithms {
		for _, c := range takeCases {
			b.Run(fmt.Sprintf("%s/%s", algorithm, c.name), func(b *testing.B) {
				l := limiter.New(limiter.Options{MaxKeys: 1 << 16, Sharing: c.sharing})
				clock := share(b, l, c)
				limit := perHour(algorithm, c.accuracy)
				checks := []limiter.Check{{Limit: limit, Key: 7, N: 1}}
				for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); { // rights come
					l.Take(clock(time.Now()), checks)
				}
				var now time.Time
				passed, n := 0, 0
				b.ReportAllocs()
				for b.Loop() {
					if n&1023 == 0 { // a gateway reads the clock once a request: it is not measured here
						now = clock(time.Now())
					}
					n++
					if _, ok := l.Take(now, checks); ok {
						passed++
					}
				}
				b.ReportMetric(100*float64(passed)/float64(n), "%passed")
			})
		}
	}
}

// BenchmarkTime finds out what time it is for the store, as for each request.
func BenchmarkTime(b *testing.B) {
	clock := share(b, limiter.New(limiter.Options{Sharing: limiter.Checks}), takeCase{sharing: limiter.Checks})
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		clock(now)
	}
}

// TestAllocTake: what is shared costs no allocation on the way of a request, whether it
// passes or not.
func TestAllocTake(t *testing.T) {
	for _, algorithm := range algorithms {
		for _, c := range takeCases {
			t.Run(fmt.Sprintf("%s/%s", algorithm, c.name), func(t *testing.T) {
				l := limiter.New(limiter.Options{MaxKeys: 1 << 16, Sharing: c.sharing})
				now := time.Now()
				tell := func() {}
				if c.sharing != limiter.Alone {
					store := grantingStore()
					sharer := limiter.NewSharer(l, store, limiter.SharerOptions{Node: 2, Interval: 1})
					tell = func() {
						now = sharer.Time(time.Now())
						for lane := range sharer.Lanes() {
							for batch := sharer.Next(lane, time.Now()); batch != nil; batch = sharer.Next(lane, time.Now()) {
								sharer.Done(lane, time.Now(), batch, store.Share(t.Context(), batch))
							}
						}
					}
				}
				checks := []limiter.Check{{Limit: perHour(algorithm, c.accuracy), Key: 7, N: 1}}
				for range 100 {
					l.Take(now, checks)
					tell()
				}
				passed := 0
				n := testing.AllocsPerRun(500, func() {
					if _, ok := l.Take(now, checks); ok {
						passed++
					}
				})
				if n != 0 || passed == 0 {
					t.Errorf("%v allocations, %d passed; want 0 and some", n, passed)
				}
			})
		}
	}
}

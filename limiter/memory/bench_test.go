package memory_test

import (
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
)

// BenchmarkApply has ten nodes assert each of a thousand counters in turn.
func BenchmarkApply(b *testing.B) {
	for _, bench := range []struct {
		name string
		a    limiter.Assertion
	}{
		{"window", limiter.Assertion{Limit: 1e9, Keep: int64(time.Minute), End: 1}},
		{"sliding", limiter.Assertion{Limit: 1e9, Keep: int64(time.Minute), End: 1, Before: 31, AskPast: true}},
		{"bucket", limiter.Assertion{Limit: 1e9, Rate: 1000, Period: int64(time.Second), Lease: int64(time.Second)}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := memory.New(memory.Options{ID: 1})
			batch := limiter.Batch{Assertions: []limiter.Assertion{bench.a}}
			a := &batch.Assertions[0]
			now := int64(1e18)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now += 1000
				batch.Node = uint64(i%10) + 1
				a.Counter[0], a.Counter[1] = byte(i%1000), byte(i%1000>>8)
				a.Seq++
				a.Register, a.Want = int64(i/10000), 10
				if bench.a.End > 0 {
					a.Begin = now - now%int64(time.Second)
					a.End = a.Begin + int64(time.Second)
				}
				s.Apply(now, &batch)
			}
			if a.Status != limiter.Applied {
				b.Fatalf("answered %+v", *a)
			}
		})
	}
}

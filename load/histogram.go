package load

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A Histogram counts durations in buckets that are at most 1.6 % wide, in 19 KB
// whatever their number. Those beyond an hour count as an hour. The zero
// Histogram is empty; it is safe for concurrent use, and must not be copied.
type Histogram struct {
	buckets [buckets]atomic.Int64
	count   atomic.Int64
	sum     atomic.Int64 // nanoseconds
	max     atomic.Int64 // nanoseconds
}

// A bucket holds the durations that agree in their first seven bits: below 128 ns
// each has its own, above that there are 64 to each power of two.
const (
	fineBits = 6
	longest  = int64(time.Hour)
	buckets  = 2345 // one more than the index of that which holds the longest
)

// Record counts d. A negative d counts as zero.
func (h *Histogram) Record(d time.Duration) {
	n := min(max(int64(d), 0), longest)
	h.buckets[bucketOf(n)].Add(1)
	h.count.Add(1)
	h.sum.Add(n)
	for was := h.max.Load(); n > was && !h.max.CompareAndSwap(was, n); was = h.max.Load() {
	}
}

// Add counts all that o has counted.
func (h *Histogram) Add(o *Histogram) {
	for i := range o.buckets {
		if n := o.buckets[i].Load(); n != 0 {
			h.buckets[i].Add(n)
		}
	}
	h.count.Add(o.count.Load())
	h.sum.Add(o.sum.Load())
	n := o.max.Load()
	for was := h.max.Load(); n > was && !h.max.CompareAndSwap(was, n); was = h.max.Load() {
	}
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() int64 { return h.count.Load() }

// Max returns the longest duration recorded, exactly; zero if there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Mean returns the mean of the durations, exactly; zero if there is none.
func (h *Histogram) Mean() time.Duration {
	n := h.count.Load()
	if n == 0 {
		return 0
	}
	return time.Duration(h.sum.Load() / n)
}

// Quantile returns a duration that the part q, from 0 to 1, of those recorded do
// not exceed; zero if there is none. It is never too short, and at most 1.6 %
// too long.
func (h *Histogram) Quantile(q float64) time.Duration {
	count := h.count.Load()
	rank := max(int64(math.Ceil(q*float64(count))), 1)
	for i := range h.buckets {
		if rank -= h.buckets[i].Load(); rank <= 0 {
			return min(time.Duration(bucketEnd(i)), h.Max())
		}
	}
	return h.Max()
}

// bucketOf returns the index of the bucket that holds n nanoseconds.
func bucketOf(n int64) int {
	shift := max(bits.Len64(uint64(n))-fineBits-1, 0)
	return shift<<fineBits + int(n>>shift)
}

// bucketEnd returns the longest duration that bucket i holds, in nanoseconds.
func bucketEnd(i int) int64 {
	shift := max(i>>fineBits-1, 0)
	return int64(i-shift<<fineBits+1)<<shift - 1
}

package limiter

import (
	"math/bits"
	"time"
)

// ringSize is the number of sub-buckets in which a sliding window counts. The
// oldest still counts whole, so ringSize-1 of them are as long as the window.
const ringSize = 32

// A ring is the side record of a sliding window: what was spent in each of the
// last sub-buckets. Bucket i holds the time from i*width on and stands at
// i modulo ringSize; head is the newest.
type ring struct {
	head, width int64
	filled      uint32 // bit i: buckets[i] is not zero
	buckets     [ringSize]int64
}

// ringWidth returns the length of a sub-bucket of l: whole microseconds, in which
// stores count time.
func ringWidth(l *Limit) int64 {
	const whole = int64(time.Microsecond)
	return ((int64(l.Window.Length)-1)/((ringSize-1)*whole) + 1) * whole
}

// start makes r a ring that holds nothing but spent, spent just now.
func (r *ring) start(ns, width, spent int64) {
	*r = ring{head: floorDiv(ns, width), width: width}
	r.add(spent)
}

// advance forgets what no longer counts at ns and reports whether that was
// anything. A clock that steps back stays in the bucket it was in.
func (r *ring) advance(ns int64) bool {
	now := floorDiv(ns, r.width)
	if now <= r.head {
		return false
	}
	before := r.filled
	for i := range min(now-r.head, ringSize) {
		j := (r.head + 1 + i) & (ringSize - 1)
		r.buckets[j] = 0
		r.filled &^= 1 << j
	}
	r.head = now
	return r.filled != before
}

// sum returns what counts.
func (r *ring) sum() int64 {
	var sum int64
	for set := r.filled; set != 0; set &= set - 1 {
		sum = addSat(sum, r.buckets[bits.TrailingZeros32(set)])
	}
	return sum
}

// add charges n to the newest bucket.
func (r *ring) add(n int64) {
	i := r.head & (ringSize - 1)
	r.buckets[i] = addSat(r.buckets[i], n)
	if r.buckets[i] != 0 {
		r.filled |= 1 << i
	}
}

// refund takes up to n back from a bucket, and nothing if that no longer counts.
func (r *ring) refund(bucket, n int64) {
	if bucket > r.head || bucket <= r.head-ringSize {
		return
	}
	i := bucket & (ringSize - 1)
	if r.buckets[i] -= min(n, r.buckets[i]); r.buckets[i] == 0 {
		r.filled &^= 1 << i
	}
}

// ends returns when nothing that was spent counts any more, if nothing is added.
func (r *ring) ends() int64 { return mulEnd(r.head+ringSize, r.width) }

// freed returns when at least n of what was spent no longer counts, n > 0; if
// that is more than there is, when nothing counts any more.
func (r *ring) freed(n int64) int64 {
	oldest := r.head + 1
	// Bit i of order is the bucket i places after the oldest.
	order := bits.RotateLeft32(r.filled, -int(oldest&(ringSize-1)))
	for order != 0 {
		i := int64(bits.TrailingZeros32(order))
		order &= order - 1
		bucket := oldest + i
		if n -= r.buckets[bucket&(ringSize-1)]; n <= 0 {
			return mulEnd(bucket, r.width)
		}
	}
	return r.ends()
}

// mulEnd returns i*width, or the farthest time there is.
func mulEnd(i, width int64) int64 {
	if i < 0 {
		return i * width
	}
	return mulSat(i, width)
}

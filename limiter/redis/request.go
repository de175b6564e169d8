package redis

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/weir-project/weir/limiter"
)

const (
	// batchSize is how many assertions one run of the script carries out: so long
	// nobody else is served.
	batchSize = 256
	// most is the largest number of units, and of assertions: what Lua's numbers still tell
	// from their neighbours.
	most = 1 << 53
	// mostBefore is how many windows before one can count as well.
	mostBefore = 4096
	// longest is the last millisecond that records are kept until: in the year 2286.
	longest = 9_999_999_999_999
)

// A request is a run of the script on its way: its second argument. All numbers are
// little-endian, but those that are part of keys:
//
//	node 8, epoch that a new one would be 8, beat 1, fence 8, life 8,
//	number of shapes 2, windows 2, flows 2, buckets 2
//	shapes:  earliest 8, close 8, late 8, expires 6, before 2, number 7,
//	         asks for the past 1, limit 7, width 8, end 8
//	flows:   limit 7, rate 7, period 8
//	windows: counter 16, shape 2, seq 7, register 7, want 7
//	buckets: counter 16, flow 2, seq 7, register 7, want 7, held 7, lease 7, missing 7
//
// Times are microseconds of the clock, leases too, periods nanoseconds.
// What windows of one limit have in common is told once, as a shape, and what buckets
// have in common as a flow.
type request struct {
	text            []byte
	shapes, windows []byte
	flows, buckets  []byte
	known           []shape
	poured          []flow
	order           []int // of the answers: the assertion's place in the batch
	behind          []int // the buckets' part of order
	wants           bool  // something is to be granted
}

// A shape is what tells the windows of a limit from others.
type shape struct {
	begin, end, keep int64
	before           int
	asks             bool
	limit            int64
}

// A flow is what tells the buckets of a limit from others.
type flow struct {
	limit, rate, period int64
}

// write makes r the request that carries out some assertions of b, from the first
// on. epoch is what a new epoch would be called.
func (r *request) write(b *limiter.Batch, first int, epoch uint64) {
	r.shapes, r.windows, r.flows, r.buckets = r.shapes[:0], r.windows[:0], r.flows[:0], r.buckets[:0]
	r.known, r.poured = r.known[:0], r.poured[:0]
	r.order, r.behind, r.wants = r.order[:0], r.behind[:0], false
	some := b.Assertions[first:min(first+batchSize, len(b.Assertions))]
	for i := range some {
		a := &some[i]
		r.wants = r.wants || a.Want > 0
		if isBucket(a) {
			r.behind = append(r.behind, first+i)
			r.bucket(a)
		} else {
			r.order = append(r.order, first+i)
			r.window(a)
		}
	}
	t := binary.LittleEndian.AppendUint64(r.text[:0], b.Node)
	t = binary.LittleEndian.AppendUint64(t, epoch)
	t = append(t, 0)
	if b.Beat && first == 0 {
		t[16] = 1
	}
	t = binary.LittleEndian.AppendUint64(t, uint64(limiter.Fence/time.Microsecond))
	t = binary.LittleEndian.AppendUint64(t, uint64(limiter.NodeLife/time.Microsecond))
	t = binary.LittleEndian.AppendUint16(t, uint16(len(r.known)))
	t = binary.LittleEndian.AppendUint16(t, uint16(len(r.order)))
	t = binary.LittleEndian.AppendUint16(t, uint16(len(r.poured)))
	t = binary.LittleEndian.AppendUint16(t, uint16(len(r.behind)))
	r.text = append(append(append(append(t, r.shapes...), r.flows...), r.windows...), r.buckets...)
	r.order = append(r.order, r.behind...)
}

func (r *request) window(a *limiter.Assertion) {
	t := append(r.windows, a.Counter[:]...)
	t = binary.LittleEndian.AppendUint16(t, r.shape(a))
	t = appendLow(t, a.Seq, 7)
	t = appendUnits(t, a.Register)
	r.windows = appendUnits(t, a.Want)
}

// shape returns the number of a window's shape, counted from one.
func (r *request) shape(a *limiter.Assertion) uint16 {
	s := shape{a.Begin, a.End, max(a.Keep, 0), max(a.Before, 0), asksPast(a), a.Limit}
	for i, known := range slices.Backward(r.known) {
		if known == s {
			return uint16(i + 1)
		}
	}
	r.known = append(r.known, s)
	width := s.end - s.begin
	over := s.end + s.keep
	if over < s.end {
		over = 1<<63 - 1
	}
	t := binary.LittleEndian.AppendUint64(r.shapes, uint64(micros(s.begin-width)))
	t = binary.LittleEndian.AppendUint64(t, uint64(micros(s.end)))
	t = binary.LittleEndian.AppendUint64(t, uint64(micros(over)))
	t = appendLow(t, uint64(min((over-1)/int64(time.Millisecond)+1, longest)), 6)
	t = binary.LittleEndian.AppendUint16(t, uint16(s.before))
	t = appendUnits(t, s.end/width) // numbers those of one width
	t = append(t, 0)
	if s.asks {
		t[len(t)-1] = 1
	}
	t = appendUnits(t, s.limit)
	t = binary.BigEndian.AppendUint64(t, uint64(width))
	r.shapes = binary.BigEndian.AppendUint64(t, uint64(s.end))
	return uint16(len(r.known))
}

func (r *request) bucket(a *limiter.Assertion) {
	t := append(r.buckets, a.Counter[:]...)
	t = binary.LittleEndian.AppendUint16(t, r.flow(a))
	t = appendLow(t, a.Seq, 7)
	t = appendUnits(t, a.Register)
	t = appendUnits(t, a.Want)
	t = appendUnits(t, min(a.Held, max(a.Register, 0)))
	t = appendUnits(t, micros(max(a.Lease, 0)))
	r.buckets = appendUnits(t, a.Missing)
}

// flow returns the number of a bucket's flow, counted from one.
func (r *request) flow(a *limiter.Assertion) uint16 {
	f := flow{a.Limit, a.Rate, a.Period}
	for i, known := range slices.Backward(r.poured) {
		if known == f {
			return uint16(i + 1)
		}
	}
	r.poured = append(r.poured, f)
	rate, period := ratio(uint64(min(a.Rate, most)), uint64(a.Period))
	t := appendUnits(r.flows, a.Limit)
	t = appendUnits(t, int64(rate))
	r.flows = binary.LittleEndian.AppendUint64(t, period)
	return uint16(len(r.poured))
}

// ratio returns a rate that is the same, in the smallest numbers.
func ratio(rate, period uint64) (uint64, uint64) {
	a, b := rate, period
	for b != 0 {
		a, b = b, a%b
	}
	return rate / a, period / a
}

// micros returns the first microsecond that is not before a time in nanoseconds.
func micros(ns int64) int64 {
	q := ns / int64(time.Microsecond)
	if ns > q*int64(time.Microsecond) {
		q++
	}
	return q
}

// appendUnits appends n, or the nearest number of units that there is.
func appendUnits(t []byte, n int64) []byte { return appendLow(t, uint64(min(max(n, 0), most)), 7) }

// appendLow appends the low bytes of n.
func appendLow(t []byte, n uint64, bytes int) []byte {
	return binary.LittleEndian.AppendUint64(t, n)[:len(t)+bytes]
}

// asksPast reports whether a window's past is to be told.
func asksPast(a *limiter.Assertion) bool {
	return !isBucket(a) && a.Before > 0 && (a.AskPast || a.Want > 0)
}

func isBucket(a *limiter.Assertion) bool { return a.Begin == 0 && a.End == 0 }

// check returns an error if nothing can be made of a batch.
func check(b *limiter.Batch) error {
	if b.Node == 0 {
		return fmt.Errorf("the node is zero")
	}
	for i := range b.Assertions {
		a := &b.Assertions[i]
		switch {
		case a.Seq > limiter.MaxSeq:
			return fmt.Errorf("assertion %d: its number is %d, want at most %d", i, a.Seq, uint64(limiter.MaxSeq))
		case isBucket(a):
			if a.Rate < 1 || a.Period < 1 {
				return fmt.Errorf("assertion %d: nothing flows into the bucket", i)
			}
		case a.Begin < 0 || a.End <= a.Begin:
			return fmt.Errorf("assertion %d: the window does not end after it begins", i)
		case a.Before > mostBefore:
			return fmt.Errorf("assertion %d: %d windows before count, want at most %d", i, a.Before, mostBefore)
		}
	}
	return nil
}

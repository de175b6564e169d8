package limiter

import (
	"math/bits"
	"time"
)

// A portion is a part of a limit, in 65535ths.
type portion uint16

const whole = 1<<16 - 1

// portionOf returns what part of size is spent, rounded up.
func portionOf(spent, size int64) portion {
	if spent >= size {
		return whole
	}
	return portion(mulDivUp(spent, whole, size))
}

// of returns that part of size: at least what portionOf was given, if size is
// the same.
func (p portion) of(size int64) int64 {
	if p == 0 {
		return 0
	}
	return mulDiv(int64(p), size, whole)
}

// An overflow remembers what evicted keys had spent. It holds cells, each for
// all keys whose hash leads to it: a cell has the largest part that any of
// them had spent of its limit and the latest end of it. A key that comes back
// begins with what its cell says, which is at least what it had spent: so no key
// gets past its limit by being evicted, while one that was never here may begin
// with a part spent.
//
// Keys with windows of very different lengths have cells of their own, so that
// nothing is remembered for a day that was spent in a second. Cells exist from
// the first eviction until the last of what they remember has ended.
type overflow struct {
	size    int // cells of each class
	classes [5]cells
}

type cells struct {
	portions []portion
	ends     []int64
	last     int64 // the latest of ends
}

// class returns which cells are for a slot with this meta.
func class(meta uint64) int {
	bounds := [...]time.Duration{30 * time.Second, 30 * time.Minute, 12 * time.Hour, 14 * 24 * time.Hour}
	length := time.Duration(span(meta))
	n := 0
	for n < len(bounds) && length > bounds[n] {
		n++
	}
	return n
}

// cell returns the place of h. The bits of h that choose it are not those that
// choose a shard or a slot.
func (o *overflow) cell(h uint64) int {
	i, _ := bits.Mul64(bits.RotateLeft64(h, 24), uint64(o.size))
	return int(i)
}

// put remembers what part of its limit a key had spent until end.
func (o *overflow) put(h, meta uint64, p portion, end, ns int64) {
	c := &o.classes[class(meta)]
	if c.ends == nil {
		c.portions, c.ends = make([]portion, o.size), make([]int64, o.size)
	}
	c.last = max(c.last, end)
	i := o.cell(h)
	if c.ends[i] <= ns {
		c.portions[i], c.ends[i] = p, end
		return
	}
	c.portions[i], c.ends[i] = max(c.portions[i], p), max(c.ends[i], end)
}

// get returns what part of its limit a key may have spent before it was
// evicted, if its window now ends at end.
func (o *overflow) get(h, meta uint64, end, ns int64) portion {
	c := &o.classes[class(meta)]
	if c.ends == nil {
		return 0
	}
	i := o.cell(h)
	if c.ends[i] <= ns || kind(meta) == FixedWindow && c.ends[i] < end {
		return 0
	}
	return c.portions[i]
}

// sweep gives back the cells that remember nothing any more.
func (o *overflow) sweep(ns int64) {
	for i := range o.classes {
		if c := &o.classes[i]; c.last <= ns {
			*c = cells{}
		}
	}
}

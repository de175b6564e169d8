package limiter

import (
	"sync"
	"sync/atomic"
	"time"
)

// drift is how long it takes two clocks at most to go apart by one unit of time, in
// such units: 400 millionths, twice what is usual for one of them.
const drift = 2500

// A storeClock tells the time of a store's clock from this node's monotonic one: never
// before the store's own, as long as that does not step. Each answer bounds it from
// both sides: the store read its clock after the call was sent and before the
// answer came.
type storeClock struct {
	origin atomic.Pointer[time.Time] // of local times
	bound  atomic.Pointer[bound]     // nil: not known
	set    atomic.Int64              // the time that at told when it last went ahead at once

	mu sync.Mutex // for those who learn
}

// A bound says that the store's clock was not ahead of the local one by more than
// offset, at a local time.
type bound struct{ offset, at int64 }

// over returns the most by which the store's clock may be ahead at a local time. As
// long as nothing is known, it is taken to be the same.
func (b *bound) over(local int64) int64 {
	if b == nil {
		return 0
	}
	return b.offset + max(local-b.at, 0)/drift
}

// local returns now in nanoseconds of a clock that does not step: only the
// monotonic reading of now counts, where there is one.
func (c *storeClock) local(now time.Time) int64 {
	o := c.origin.Load()
	if o == nil {
		o = c.begin(now)
	}
	return nanos(*o) + int64(now.Sub(*o))
}

// begin makes now the origin, unless there is one.
func (c *storeClock) begin(now time.Time) *time.Time {
	c.origin.CompareAndSwap(nil, &now)
	return c.origin.Load()
}

// at returns the store's time at a local time.
func (c *storeClock) at(local int64) int64 { return local + c.bound.Load().over(local) }

// resolution is that of the times that stores tell.
const resolution = int64(time.Microsecond)

// leap is by how much the time goes ahead at once when it has turned out to be another:
// answers that differ in how long they took don't come to so much.
const leap = int64(time.Second)

// learn takes an answer: the store's clock was at store between the local times sent
// and came. It returns by how much the store may now be behind what at says.
func (c *storeClock) learn(store, sent, came int64) (slack int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	most, least := store+resolution-sent+max(came-sent, 0)/drift, store-came
	was := c.bound.Load()
	offset := was.over(came)
	if was == nil || offset > most || offset < least { // or the store's clock has been set
		offset = most
	}
	if offset-was.over(came) >= leap {
		c.set.Store(came + offset) // before anybody reads that time
	}
	c.bound.Store(&bound{offset, came})
	return offset - least
}

// offset returns by how much the store's clock is ahead of the local one.
func (c *storeClock) offset() int64 {
	if b := c.bound.Load(); b != nil {
		return b.offset
	}
	return 0
}

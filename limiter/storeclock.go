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
	offset atomic.Int64              // from local times to the store's

	mu    sync.Mutex
	known bool
	last  int64 // local time of the last answer
}

// local returns now in nanoseconds of a clock that does not step: only the
// monotonic reading of now counts, where there is one.
func (c *storeClock) local(now time.Time) int64 {
	o := c.origin.Load()
	if o == nil {
		c.origin.CompareAndSwap(nil, &now)
		o = c.origin.Load()
	}
	return nanos(*o) + int64(now.Sub(*o))
}

// at returns the store's time at a local time.
func (c *storeClock) at(local int64) int64 { return local + c.offset.Load() }

// resolution is that of the times that stores tell.
const resolution = int64(time.Microsecond)

// learn takes an answer: the store's clock was at store between the local times sent
// and came. It returns by how much the store may now be behind what at says.
func (c *storeClock) learn(store, sent, came int64) (slack int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	most, least := store+resolution-sent, store-came
	offset := c.offset.Load()
	if !c.known {
		offset, c.known = most, true
	} else {
		offset = min(offset+(came-c.last)/drift, most)
	}
	if offset < least { // the store's clock has been set
		offset = most
	}
	c.last = max(c.last, came)
	c.offset.Store(offset)
	return offset - least
}

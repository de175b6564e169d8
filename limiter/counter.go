package limiter

import (
	"math"
	"time"
)

// A counter is a locked slot on its way through one operation. Its methods need
// the lock; none reads the clock or waits.
type counter struct {
	slot  *slot
	table *table // of the slot, for side records
	meta  uint64 // to be stored when the slot is given up
	alone bool   // the store is not to be waited for
	again bool   // the slot is that of an earlier counter, which holds the lock
	news  uint8  // what the sharer must be told, once the slot has been given up
	share *share // nil: it is not shared
}

// release gives the slot up.
func (c *counter) release() {
	if !c.again {
		c.slot.unlock(c.meta)
	}
}

// roll moves the counter to ns under l: it forgets what no longer counts, and
// takes l on if it is not the limit that was last held against it.
//
// A clock that steps back stays in the window it was in. A limit whose window
// has changed takes what was spent in the window that still runs along into
// its own, and forgets it when that one ends.
func (c *counter) roll(l *Limit, ns int64) {
	s, want := c.slot, shape(l)
	before := s.spent
	switch l.Algorithm {
	case FixedWindow:
		if ns >= s.window {
			s.spent = 0
			_, s.window = l.Window.bounds(ns)
		} else if (c.meta^want)&spanMask != 0 {
			_, s.window = l.Window.bounds(ns)
		}
	case SlidingWindow:
		r := c.ring()
		if r.advance(ns) {
			s.spent = r.sum()
		}
		if width := ringWidth(l); width != r.width {
			r.start(ns, width, s.spent)
		}
		s.window = r.ends()
	case TokenBucket:
		s.refill(l, ns)
		if (c.meta^want)&(sizeMask|spanMask) != 0 {
			s.spent = min(s.spent, l.depth())
		}
	}
	if c.share != nil {
		if (c.meta^want)&spanMask != 0 { // rights to come are to another limit's window
			c.share.nextWindow, c.share.later = 0, 0
		}
		c.turn(l, ns, before)
	}
	c.meta = c.meta&^shapeMask | want
}

func (c *counter) ring() *ring { return &c.table.rings[side(c.meta)-1] }

// ringOrNil returns the ring of a sliding window, nil of others.
func (c *counter) ringOrNil() *ring {
	if kind(c.meta) != SlidingWindow {
		return nil
	}
	return c.ring()
}

// sideShare returns the share that the slot has, be its limit shared now or not; nil
// if it has none.
func (c *counter) sideShare() *share {
	n := side(c.meta)
	if n != 0 && kind(c.meta) == SlidingWindow {
		n = c.table.links[n-1].Load()
	}
	if n == 0 {
		return nil
	}
	return &c.table.shares[n-1]
}

// left returns what l leaves to be spent; below zero if more than that was.
func (c *counter) left(l *Limit, ns int64) int64 {
	switch {
	case c.share != nil:
		return c.leftShared(l, ns)
	case l.Algorithm == TokenBucket:
		return l.depth() - c.slot.spent
	}
	return l.Count - c.slot.spent
}

// over reports whether l does not allow n more where left are left.
func over(l *Limit, n, left int64) bool {
	if l.Count == 0 {
		return true
	}
	if l.Cost == Bytes {
		return left <= 0
	}
	return n > left
}

// charge spends n, whatever is left, and returns what a refund has to know of
// when that was.
func (c *counter) charge(l *Limit, ns, n int64) (when int64) {
	s := c.slot
	if c.share != nil {
		n = c.chargeShared(l, n)
	}
	s.spent = addSat(s.spent, n)
	switch l.Algorithm {
	case SlidingWindow:
		r := c.ring()
		r.add(n)
		return r.head
	case TokenBucket:
		return max(ns, s.window)
	}
	return s.window
}

// refund gives back n that were spent under l. It gives back less if some of it
// has stopped to count already.
func (c *counter) refund(l *Limit, ns, when, n int64) {
	s := c.slot
	if (c.meta^shape(l))&(kindMask|spanMask) != 0 {
		return
	}
	c.roll(l, ns)
	switch l.Algorithm {
	case FixedWindow:
		if s.window != when {
			return
		}
	case SlidingWindow:
		r := c.ring()
		r.refund(when, n)
		s.spent = r.sum()
		if c.share != nil && when < r.head {
			c.share.state |= again
		}
		return
	case TokenBucket:
		// What has been refilled since was not missing any longer.
		if l.Count > 0 && ns > when {
			n -= min(n, mulDivUp(ns-when, l.Count, l.rateTime()))
		}
	}
	n = min(n, s.spent)
	s.spent -= n
	if c.share != nil {
		c.share.own -= min(n, c.share.own)
	}
}

// report fills in what a check tells its caller, left being what is left now.
func (c *counter) report(k *Check, left, ns int64) {
	k.Remaining, k.Short = max(left, 0), false
	if c.share != nil {
		k.Short = c.wantsRights(k, ns)
		if !k.Over { // rights are no more than the part of it that can be spent at once
			k.Remaining = max(min(c.known(k.Limit), k.Limit.depth()), k.Remaining)
		}
	}
	if k.Blocked > 0 {
		k.Remaining, k.Reset = 0, k.Blocked
		return
	}
	if k.Limit.Algorithm == FixedWindow {
		k.Reset = until(c.slot.window, ns)
		return
	}
	need := int64(1)
	if k.Over && k.Limit.Cost != Bytes {
		need = max(k.N-k.Remaining, 0)
	}
	need = max(addSat(max(-left, 0), need), 1)
	k.Reset = until(c.regained(k.Limit, need, ns), ns)
}

// until returns the time from ns to t, or the longest there is; none if t is past.
func until(t, ns int64) time.Duration {
	if t <= ns {
		return 0
	}
	if d := t - ns; d > 0 {
		return time.Duration(d)
	}
	return math.MaxInt64
}

// regained returns when need more than now will be left, if nothing is spent
// until then: at the latest when everything is.
func (c *counter) regained(l *Limit, need, ns int64) int64 {
	s := c.slot
	switch {
	case l.Count == 0:
		return addSat(ns, l.rateTime())
	case s.spent == 0:
		return ns
	case l.Algorithm == SlidingWindow:
		return c.ring().freed(need)
	default:
		return addSat(s.window, mulDivUp(min(need, s.spent), l.rateTime(), l.Count))
	}
}

// refill adds to a bucket what has flowed into it by ns. It counts whole units
// and keeps the time of what is left of one, so that nothing is lost and never
// more than the rate flows in.
func (s *slot) refill(l *Limit, ns int64) {
	if ns <= s.window {
		return
	}
	if s.spent == 0 {
		s.window = ns
		return
	}
	length := l.rateTime()
	n := mulDiv(ns-s.window, l.Count, length)
	switch {
	case n >= s.spent:
		s.spent = 0
		s.window = ns
	case n > 0:
		s.spent -= n
		s.window += mulDivUp(n, length, l.Count)
	}
}

// depth returns what may be spent at once: what a TokenBucket holds when it is full.
func (l *Limit) depth() int64 {
	if l.Burst > 0 && l.Algorithm == TokenBucket {
		return l.Burst
	}
	return l.Count
}

// rateTime returns the time in which Count are regained.
func (l *Limit) rateTime() int64 { return int64(l.Window.Length) }

// fillTime returns the time in which an empty bucket of a depth fills; at least
// half a millisecond, which tells it from the spans of the calendar.
func (l *Limit) fillTime(depth int64) int64 {
	t := l.rateTime()
	if depth != l.Count && l.Count > 0 {
		t = mulDivUp(depth, t, l.Count)
	}
	return max(t, 1<<19)
}

// ends returns when the counter will be as good as new.
func (s *slot) ends(meta uint64) int64 {
	if kind(meta) != TokenBucket {
		return s.window
	}
	t := span(meta)
	if size := max(capacity(meta), 1); s.spent > size {
		t = mulDivUp(s.spent, t, size)
	}
	return addSat(s.window, t)
}

// untold is for how long what the store was not told of is kept: it has no use later.
const untold = int64(30e9)

// idle reports whether nothing would be lost if the slot were forgotten at ns.
func (c *counter) idle(ns int64) bool {
	sh := c.sideShare()
	if sh == nil {
		return c.slot.spent == 0 || c.slot.ends(c.meta) <= ns
	}
	// What has not been told stays for a while, however far the time goes ahead at once.
	return c.isTold(sh) && (c.slot.spent == 0 && sh.others == 0 && sh.rights == 0 || c.slot.ends(c.meta) <= ns) ||
		addSat(max(c.slot.ends(c.meta), c.table.fleet.set()), untold) <= ns
}

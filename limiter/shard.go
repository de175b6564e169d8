package limiter

import (
	"sync"
	"sync/atomic"
)

// A shard is a part of a limiter's keys. Its mutex guards what changes which
// keys are held; what they spent is guarded slot by slot.
//
// Whoever has the mutex may wait for the lock of a slot. Whoever has the lock
// of a slot waits for nothing.
type shard struct {
	table *atomic.Pointer[table] // written with the mutex held
	live  atomic.Int64           // keys; likewise
	mu    sync.Mutex
	limit int // most keys
	over  overflow
	fleet *fleet
}

// ensure returns the slot of h with room for what l needs, having made it if
// need be, for which keys other than those of keep may be evicted. The caller
// has the mutex and no slot's lock; h is one of keep.
func (sh *shard) ensure(h uint64, l *Limit, ns int64, keep []Check) *slot {
	t := sh.table.Load()
	s := t.find(h)
	if s != nil && t.fits(s.meta.Load(), l) {
		return s
	}
	more := sh.needs(l)
	if more.rings > len(t.freeRings) || more.shares > len(t.freeShares) {
		t = sh.rebuild(ns, more, keep)
		s = t.find(h)
	}
	if s != nil {
		if m := s.meta.Load(); kind(m) == l.Algorithm {
			t.addShare(s)
			return s
		}
		return sh.convert(t, s, l, ns)
	}
	if int(sh.live.Load()) >= sh.limit {
		sh.evict(h, ns, keep)
	}
	if s = t.vacant(h); s.hash.Load() == free && t.used >= t.room() {
		t = sh.rebuild(ns, more, keep)
		s = t.vacant(h)
	}
	t.fill(s, h)
	sh.live.Add(1)
	c := counter{slot: s, table: t}
	sh.begin(&c, l, ns, 0)
	return s
}

// convert makes s of t, the counter of a key whose limit has got another algorithm,
// one of l. What was spent and still counts is spent in the window that begins.
func (sh *shard) convert(t *table, s *slot, l *Limit, ns int64) *slot {
	c := counter{slot: s, table: t, meta: s.lock()}
	var carried int64
	if s.ends(c.meta) > ns {
		carried = s.spent
		if kind(c.meta) == SlidingWindow && c.ring().advance(ns) {
			carried = c.ring().sum()
		}
	}
	if l.Algorithm == TokenBucket {
		carried = min(carried, l.depth())
	}
	t.freeSide(c.meta)
	sh.begin(&c, l, ns, carried)
	return s
}

// begin makes a locked counter without a side record one of l, in which only
// carried is spent, or what the overflow remembers of the key; and unlocks it.
func (sh *shard) begin(c *counter, l *Limit, ns, carried int64) {
	if c.meta = shape(l); sh.needs(l) != (sides{}) {
		c.meta = c.table.newSide(c.meta, sh.fleet.shares(l))
	}
	if c.table.fleet.shares(l) {
		c.share = c.sideShare()
	}
	c.slot.window, c.slot.spent = ns, 0
	switch l.Algorithm {
	case FixedWindow:
		_, c.slot.window = l.Window.bounds(ns)
	case SlidingWindow:
		c.ring().start(ns, ringWidth(l), 0)
		c.slot.window = c.ring().ends()
	}
	size := l.Count
	if l.Algorithm == TokenBucket {
		size = l.depth()
	}
	evicted := sh.over.get(c.slot.hash.Load(), c.meta, c.slot.window, ns).of(size)
	if n := max(carried, evicted); n > 0 {
		c.charge(l, ns, n)
		if c.share != nil {
			c.share.state |= known
		}
	}
	c.release()
}

// evict forgets one key to make room for h: one that is idle, or else the one
// with the least to lose of a few about h's place. What that spent is kept, as
// a part of its limit, where the next key that stands for the same will find it.
func (sh *shard) evict(h uint64, ns int64, keep []Check) {
	t := sh.table.Load()
	var few [8]counter
	sample := t.sample(few[:0], h, keep)
	if len(sample) == 0 {
		return // all are in use at this moment: one more, for once
	}
	victim, least := 0, sample[0].loss(ns)
	for i := 1; i < len(sample); i++ {
		if loss := sample[i].loss(ns); loss.less(least) {
			victim, least = i, loss
		}
	}
	for i := range sample {
		if i != victim {
			if least.use > 0 { // even the least used is: let them show it again
				sample[i].meta = aged(sample[i].meta)
			}
			sample[i].release()
		}
	}
	s, meta := sample[victim].slot, sample[victim].meta
	if least.spent > 0 {
		sh.over.put(s.hash.Load(), meta, portionOf(s.spent, capacity(meta)), s.ends(meta), ns)
	}
	t.forget(s, meta)
	sh.live.Add(-1)
}

// sample locks slots about the place of h, as many as fit into some, but none
// of keep.
func (t *table) sample(some []counter, h uint64, keep []Check) []counter {
	i := t.home(h)
	for n := 0; n < len(t.slots) && len(some) < cap(some); n++ {
		s := &t.slots[i]
		if i++; i == len(t.slots) {
			i = 0
		}
		if v := s.hash.Load(); v <= dead || holds(keep, v) {
			continue
		}
		if meta, ok := s.tryLock(); ok {
			some = append(some, counter{slot: s, table: t, meta: meta})
		}
	}
	return some
}

// A loss tells how bad it would be to forget a counter: first how much it is in
// use, then the part that is spent times how long it will stay so. Nothing is
// lost with one that is idle.
type loss struct{ use, spent uint64 }

func (a loss) less(b loss) bool {
	return a.use < b.use || a.use == b.use && a.spent < b.spent
}

func (c *counter) loss(ns int64) loss {
	if c.idle(ns) {
		return loss{}
	}
	l := loss{use: c.meta & useMask}
	if sh := c.sideShare(); sh != nil && (sh.others > 0 || sh.rights > 0 || !c.isTold(sh)) {
		l.use = useMask
	}
	l.spent = uint64(portionOf(c.slot.spent, capacity(c.meta)))*uint64((c.slot.ends(c.meta)-ns)>>16) + 1
	return l
}

// holds reports whether h is the hash of a key of checks.
func holds(checks []Check, h uint64) bool {
	for i := range checks {
		if checks[i].Key.hash() == h {
			return true
		}
	}
	return false
}

// sides are numbers of side records.
type sides struct{ rings, shares int }

// needs returns what side records a counter under l needs.
func (sh *shard) needs(l *Limit) sides {
	var n sides
	if l.Algorithm == SlidingWindow {
		n.rings = 1
	}
	if sh.fleet.shares(l) {
		n.shares = 1
	}
	return n
}

// fits reports whether a slot with this meta has all that l needs. The caller has
// the mutex.
func (t *table) fits(meta uint64, l *Limit) bool {
	if kind(meta) != l.Algorithm {
		return false
	}
	_, share := t.sidesOf(meta)
	return share != 0 || !t.fleet.shares(l)
}

// addShare gives a slot, which has none, a share, of which one is free.
func (t *table) addShare(s *slot) {
	meta := s.lock()
	n := pop(&t.freeShares)
	t.shares[n-1] = share{state: fresh, fair: -1, early: 1}
	if kind(meta) == SlidingWindow {
		t.links[side(meta)-1].Store(n)
	} else {
		meta = withSide(meta, n)
	}
	s.unlock(meta)
}

// rebuild replaces the table by one without what is idle at ns, keep excepted,
// with room for more keys and side records, and returns it. The caller has the
// mutex and no slot's lock.
func (sh *shard) rebuild(ns int64, more sides, keep []Check) *table {
	old := sh.table.Load()
	var live int
	for i := range old.slots {
		s := &old.slots[i]
		c := counter{slot: s, table: old, meta: s.lock()}
		if s.hash.Load() <= dead {
			continue
		}
		if c.idle(ns) && !holds(keep, s.hash.Load()) {
			s.hash.Store(dead)
			continue
		}
		live++
		ring, share := old.sidesOf(c.meta)
		more.rings += int(min(ring, 1))
		more.shares += int(min(share, 1))
	}
	t := newTable(spare(live+1), sides{spare(more.rings), spare(more.shares)}, sh.fleet)
	for i := range old.slots {
		if s := &old.slots[i]; s.hash.Load() > dead {
			t.adopt(old, s, s.meta.Load()&^lockBit)
		}
	}
	sh.live.Store(int64(live))
	sh.table.Store(t)
	for i := range old.slots {
		old.slots[i].unlock(movedBit)
	}
	return t
}

// spare returns n and an eighth: the more, the more seldom tables are replaced,
// and the emptier they are.
func spare(n int) int { return n + (n+7)/8 }

// sweep forgets what is idle at ns and gives memory back if there is much to give.
func (sh *shard) sweep(ns int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.over.sweep(ns)
	t := sh.table.Load()
	if t.used == 0 && len(t.slots) == smallest {
		return
	}
	for i := range t.slots {
		s := &t.slots[i]
		if s.hash.Load() <= dead {
			continue
		}
		c := counter{slot: s, table: t, meta: s.lock()}
		if !c.idle(ns) {
			c.release()
			continue
		}
		t.forget(s, c.meta)
		sh.live.Add(-1)
	}
	live := int(sh.live.Load())
	if len(t.slots) > smallest && 2*spare(live) < t.room() || t.wasteful() {
		sh.rebuild(ns, sides{}, nil)
	}
}

package limiter

import "sync/atomic"

// A share is the side record of a counter that other nodes take part in. It
// belongs to whoever holds the slot's lock. Times are of the store's clock, as
// far as the node knows it: see [Sharer.Time].
//
// Mine is what this node has spent of what its register is about: of a fixed
// window, in it; of a sliding one, in its newest sub-bucket; of a bucket, since
// the share was made.
type share struct {
	window int64 // the end of what the register is about; zero for a bucket
	own    int64 // mine of a bucket
	told   int64 // of mine, what the store has been told
	seen   int64 // when the store last answered
	others int64 // what the others have that counts; zero for a bucket
	from   int64 // the newest sub-bucket when others was told

	// Of an Exact limit: mine may grow up to rights, from begins to until.
	rights, begins, until int64
	// Rights in the window that comes after this one, and from when they may be used.
	next, nextWindow, nextFrom int64
	later                      int64 // of these, what was spent before the clock was set back

	fair  int64 // up to which mine may grow while the store is away; below zero: not told
	early int64 // tell at once when mine has grown by so much
	low   int64 // ask for more when no more rights than that are left
	dry   int64 // until then there is no use in asking for more
	asked int64 // what was asked for since the sharer last looked
	short int64 // what of it lacked rights
	since int64 // when it became dirty; zero: it isn't

	closed, closedWindow int64 // what was mine when the window before this one ended

	state uint8
}

// The bits of a share's state.
const (
	dirty  = 1 << iota // it is in its lane's queue
	urgent             // and should not wait there
	fresh              // it has just been made: the sharer has not seen it
	again              // what had been told before has changed, as by a refund
	stale              // what others have should be asked, though nothing was spent
	known              // fresh, but what had been spent before is remembered
)

// A fleet is what the counters of a limiter know of the nodes with whom they are
// shared.
type fleet struct {
	sharing Sharing
	sharer  atomic.Pointer[Sharer]
	lost    atomic.Bool  // the store is away
	nodes   atomic.Int64 // how many nodes live; zero: not known
}

// still returns what f says now, for copies of counters.
func (f *fleet) still() *fleet {
	if f == nil {
		return nil
	}
	c := &fleet{sharing: f.sharing}
	c.lost.Store(f.lost.Load())
	c.nodes.Store(f.nodes.Load())
	return c
}

// shares reports whether the counters of l are shared.
func (f *fleet) shares(l *Limit) bool {
	return f != nil && (f.sharing == Records || l.Accuracy != Eventual)
}

// leases reports whether only what was granted may be spent under l, which is shared.
func (f *fleet) leases(l *Limit) bool { return f.sharing == Checks && l.Accuracy == Exact }

// among returns this node's part of n, rounded up.
func (f *fleet) among(n int64) int64 {
	nodes := max(f.nodes.Load(), 1)
	return (n-1)/nodes + 1
}

// part returns what one node may keep of free.
func (f *fleet) part(free int64) int64 { return max(free, 0) / (2 * max(f.nodes.Load(), 1)) }

// early returns how much of free a node may spend and not tell at once.
func (f *fleet) early(free int64) int64 {
	return max(free/(earlyPart*max(f.nodes.Load(), 1)), 1)
}

// earlyPart: what a node has not told is told at once when it comes to this part of
// its share of what is free.
const earlyPart = 20

// set returns when the time that counters are used at last went ahead at once.
func (f *fleet) set() int64 {
	if s := f.sharer.Load(); s != nil {
		return s.clock.set.Load()
	}
	return 0
}

// push tells the sharer that key is dirty.
func (f *fleet) push(key Key, l *Limit, urgent bool) {
	if s := f.sharer.Load(); s != nil {
		s.lane(key).push(key, l, urgent)
	}
}

// mine returns what this node has spent of what its register is about.
func (c *counter) mine() int64 { return c.mineOf(c.share) }

func (c *counter) mineOf(sh *share) int64 {
	switch kind(c.meta) {
	case SlidingWindow:
		r := c.ring()
		return r.buckets[r.head&(ringSize-1)]
	case TokenBucket:
		return sh.own
	}
	return c.slot.spent
}

// isTold reports whether the store knows all that was spent, as far as it is to.
func (c *counter) isTold(sh *share) bool {
	return sh.state&dirty == 0 && sh.closedWindow == 0 && sh.told == c.mineOf(sh)
}

// turn makes the share one of the window that holds now, where that has changed;
// spent is what was spent in the one before.
func (c *counter) turn(l *Limit, ns, spent int64) {
	sh := c.share
	var window int64
	switch l.Algorithm {
	case FixedWindow:
		window = c.slot.window
	case SlidingWindow:
		r := c.ring()
		window = mulEnd(r.head+1, r.width)
	case TokenBucket:
		return
	}
	if window == sh.window {
		return
	}
	if l.Algorithm == FixedWindow {
		if sh.window != 0 && ns >= sh.window {
			sh.closed, sh.closedWindow = spent, sh.window
		}
		sh.others = 0
	}
	sh.window, sh.told = window, 0
	sh.rights, sh.begins, sh.until = 0, 0, 0
	sh.fair, sh.early, sh.low, sh.dry = -1, c.table.fleet.early(l.Count), 0, 0
	if sh.nextWindow == window {
		sh.rights, sh.begins, sh.until = sh.next, sh.nextFrom, window
		sh.low = sh.next / lowPart
		if sh.later > 0 {
			c.slot.spent, sh.later = addSat(c.slot.spent, sh.later), 0
		}
	}
}

// known returns what l leaves, as far as it is known what the others have.
func (c *counter) known(l *Limit) int64 {
	sh := c.share
	switch l.Algorithm {
	case TokenBucket:
		return l.depth() - c.slot.spent
	case SlidingWindow:
		if c.ring().head >= sh.from+ringSize-1 {
			return l.Count - c.slot.spent // what was told no longer counts
		}
	}
	return l.Count - addSat(c.slot.spent, sh.others)
}

// granted returns what is left of the rights that were granted, under l: that may have
// become less since.
func (c *counter) granted(ns int64, l *Limit) int64 {
	sh := c.share
	if ns < sh.begins || ns >= sh.until {
		return 0
	}
	rights := sh.rights - c.mine()
	if l.Algorithm == SlidingWindow { // rights may be in a bucket that does not count with all that is known
		return min(rights, l.Count-c.slot.spent)
	}
	return min(rights, c.known(l))
}

// leftShared is left of a counter that is shared.
func (c *counter) leftShared(l *Limit, ns int64) int64 {
	f := c.table.fleet
	switch {
	case c.alone || f.lost.Load():
		return c.leftAlone(l, ns)
	case f.leases(l):
		return c.granted(ns, l)
	}
	return c.known(l)
}

// leftAlone is leftShared while the store is away.
func (c *counter) leftAlone(l *Limit, ns int64) int64 {
	f := c.table.fleet
	var rights int64
	if f.leases(l) {
		rights = c.granted(ns, l)
	}
	switch l.StoreLoss() {
	case Open:
		return l.depth() // whatever was spent
	case Closed:
		if f.sharing == Checks { // what is recorded has happened
			return rights
		}
	}
	return max(rights, c.fairShare(l))
}

// fairShare returns what is left of this node's part of what l leaves: of what was left
// when the store was last heard of, or else of the whole.
func (c *counter) fairShare(l *Limit) int64 {
	f, sh := c.table.fleet, c.share
	switch {
	case l.Algorithm == TokenBucket:
		// The others are taken to spend as this node does: see charge.
		return f.among(max(c.known(l), 0))
	case sh.fair >= 0:
		return min(c.known(l), sh.fair-c.mine())
	}
	return min(c.known(l), f.among(l.Count)-c.slot.spent)
}

// chargeShared is charge of a counter that is shared: it returns what n comes to
// in the slot.
func (c *counter) chargeShared(l *Limit, n int64) int64 {
	f := c.table.fleet
	if l.Algorithm != TokenBucket {
		return n
	}
	c.share.own = addSat(c.share.own, n)
	if f.lost.Load() && l.StoreLoss() == Local {
		return mulSat(n, max(f.nodes.Load(), 1))
	}
	return n
}

// refresh is for how long a node that refuses because of others takes for true what it
// was told of them.
const refresh = int64(500e6)

// noteAll notes what has become of a Take. Rights to pass one limit are of no use to who
// cannot pass another: then they are not asked for.
func noteAll(checks []Check, counters []counter, ns int64, charged bool) (news bool) {
	stop := 0 // checks that refuse, whatever rights the node has
	for i := range checks {
		if checks[i].stops() {
			stop++
		}
	}
	for i := range counters {
		k, c := &checks[i], &counters[i]
		if c.share == nil {
			continue
		}
		if others := stop > 1 || stop == 1 && !k.stops(); others && c.table.fleet.leases(k.Limit) {
			continue
		}
		c.note(k, ns, k.N, charged)
		news = news || c.news != 0
	}
	return news
}

func (k *Check) stops() bool { return k.Over && !k.Short && !k.Limit.Shadow }

// note takes down for the sharer what has become of a check that asked for n: c must be told
// to the store, or more rights be asked for.
func (c *counter) note(k *Check, ns, n int64, charged bool) {
	sh, f := c.share, c.table.fleet
	var news uint8
	switch {
	case f.leases(k.Limit):
		if charged || k.Over { // and not what other limits refuse
			sh.asked = addSat(sh.asked, max(n, 0))
		}
		switch {
		case k.Over && ns >= sh.dry:
			sh.short = addSat(sh.short, k.lacks())
			news = dirty
			if k.Short {
				news |= urgent
			}
		case charged && ns >= sh.dry && c.granted(ns, k.Limit) <= sh.low:
			news = dirty | urgent
		case charged && c.mine() > sh.rights: // more than was granted, as while the store is away
			news = dirty
		}
	case charged:
		news = dirty
		if n := c.mine() - sh.told; n >= sh.early {
			news |= urgent
		}
	case k.Over && ns-sh.seen >= refresh:
		news = dirty | stale
	}
	if news&^sh.state != 0 {
		if sh.since == 0 {
			sh.since = ns
		}
		sh.state |= news
		c.news = news
	}
}

// leave gives the slot up after n was charged for k, or given back, or neither.
func (c *counter) leave(k *Check, ns, n int64) {
	if c.share != nil {
		c.note(k, ns, n, n != 0)
	}
	c.release()
	if c.news != 0 {
		c.tell(k)
	}
}

// tell tells the sharer what was noted of k. The slot has been given up.
func (c *counter) tell(k *Check) {
	if c.news != 0 {
		c.table.fleet.push(k.Key, k.Limit, c.news&urgent != 0)
	}
}

// lacks returns what rights to ask for, for a check that has none. How many bytes
// there will be is not known before.
func (k *Check) lacks() int64 {
	const some = 64 << 10
	if k.Limit.Cost == Bytes {
		return max(k.N, min(some, k.Limit.Count/8), 1)
	}
	return max(k.N, 1)
}

// wantsRights reports whether a check was refused for want of rights that may still
// be had.
func (c *counter) wantsRights(k *Check, ns int64) bool {
	f := c.table.fleet
	if !k.Over || k.Blocked > 0 || !f.leases(k.Limit) || f.lost.Load() || k.Alone || ns < c.share.dry {
		return false
	}
	return k.Limit.Algorithm == SlidingWindow || !over(k.Limit, k.N, c.known(k.Limit))
}

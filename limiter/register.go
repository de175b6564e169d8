package limiter

import "time"

// A Register is one node's part of a counter. The counter is what its limit is
// held against: the sum of the registers of all nodes that share the key.
//
// A node alone has all of a counter in its register. Where nodes share, each
// writes only its own and is told of the others: that is state, which may be
// told late, twice or not at all, and is right again with the next telling. What
// a limit leaves, Count - Spent - Others, is what a node holds the right to: it
// spends that without asking anybody.
type Register struct {
	// Spent is what this node has spent in the window.
	Spent int64
	// Others is what it was told that all others have: what they spent, and
	// what they have been granted and not spent yet.
	Others int64
	// Ends is when the window ends; the zero time if nothing is spent.
	Ends time.Time
}

// Register returns this node's part of the counter that key has under limit.
func (l *Limiter) Register(now time.Time, limit *Limit, key Key) Register {
	ns := nanos(now)
	checks := [1]Check{{Limit: limit, Key: key}}
	var one [1]counter
	l.acquire(ns, checks[:], one[:])
	c := &one[0]
	defer c.release()
	c.roll(limit, ns)
	r := Register{Spent: c.slot.spent, Others: c.others()}
	if r.Spent > 0 || r.Others > 0 {
		r.Ends = time.Unix(0, c.slot.ends(c.meta))
	}
	return r
}

// SetOthers takes note of what all other nodes have of the window of key that
// ends at ends, in place of what was noted before. It applies from the next Take
// on, until the window ends. It reports false, and does nothing, if the window
// that holds now ends at another time or limit is not a FixedWindow: only those
// are the same on all nodes.
func (l *Limiter) SetOthers(now time.Time, limit *Limit, key Key, ends time.Time, others int64) bool {
	ns := nanos(now)
	if limit.Algorithm != FixedWindow {
		return false
	}
	checks := [1]Check{{Limit: limit, Key: key}}
	h := key.hash()
	sh := l.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.ensure(h, limit, ns, checks[:])
	t := sh.table.Load()
	if side(s.meta.Load()) == 0 && len(t.freeShares) == 0 {
		t = sh.rebuild(ns, sides{shares: 1}, checks[:])
		s = t.find(h)
	}
	c := counter{slot: s, table: t, meta: s.lock()}
	defer c.release()
	c.roll(limit, ns)
	if s.window != nanos(ends) {
		return false
	}
	if side(c.meta) == 0 {
		c.meta = t.newSide(c.meta)
	}
	t.shares[side(c.meta)-1].others = max(others, 0)
	return true
}

package limiter

import "time"

// A Register is one node's part of a counter. The counter is what its limit is
// held against: the sum of the registers of all nodes that share the key.
//
// A node alone has all of a counter in its register. Where nodes share, each
// writes only its own and is told of the others: that is state, which may be
// told late, twice or not at all, and is right again with the next telling.
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
	r := Register{Spent: c.slot.spent}
	if c.share != nil {
		r.Others = c.share.others
	}
	if r.Spent > 0 || r.Others > 0 {
		r.Ends = time.Unix(0, c.slot.ends(c.meta))
	}
	return r
}

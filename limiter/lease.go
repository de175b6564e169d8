package limiter

import (
	"math"
	"time"
)

// A lease is what a lane knows of the rights that a node holds under an Exact limit.
//
// A node holds what it is likely to spend in a while: a twentieth of the window or
// so, and no larger part of what is left than the store grants at a time. It asks for more
// before that is spent, and gives back what it doesn't need, so that towards the end of a
// limit, where there is no more to be had, rights go to those who spend them: it
// learns that the end is near as a node does that shares without rights, see pace.
type lease struct {
	rate   float64 // what is asked for in a second, of late
	looked int64   // when that was last found out; zero: never
	asked  bool    // somebody may wait for an answer
	dry    int64   // for how long nothing was asked for after the last refusal
	has    int64   // rights that the node had left when the store last answered
	coming int64   // the window for which rights were asked for before it began
	ask    int64   // local time at which to ask what is left, while rights are held; zero: none

	due    int64 // local time at which it is looked at again
	placed int64 // when it is among the lane's holders for, not after due; zero: it is not
}

const (
	// leaseTime is for how long a store keeps rights to a token bucket that it does
	// not hear of.
	leaseTime = int64(2 * time.Second)
	// memory is the time over which the rate is averaged.
	memory = float64(500 * time.Millisecond)
	// lowPart is the part of what was granted at which a node asks for more.
	lowPart = 4

	leastDry = int64(5 * time.Millisecond)
	mostDry  = int64(500 * time.Millisecond)
	fenceDry = int64(50 * time.Millisecond)
)

// wait is for how long at most nothing is asked for after the store had nothing: until
// some may have come.
func wait(l *Limit) int64 {
	t := l.Window.usual() / 8
	switch l.Algorithm {
	case SlidingWindow:
		t = ringWidth(l)
	case TokenBucket:
		t = l.rateTime() / max(l.Count, 1)
	}
	return min(max(t, leastDry), mostDry)
}

// ahead is the time for which rights are held.
func ahead(l *Limit) int64 {
	const least, longest = int64(50 * time.Millisecond), int64(5 * time.Second)
	t := min(max(l.Window.usual()/20, least), longest)
	switch l.Algorithm {
	case SlidingWindow:
		t = min(t, ringWidth(l))
	case TokenBucket:
		t = min(t, leaseTime/2)
	}
	return t
}

// size decides what rights to keep, mine included, and how many more to want, where
// held are left and free are nobody's. It has the entry looked at again in a while.
func (ln *lane) size(e *entry, c *counter, mine, held, free, local, now int64) (rights, want int64) {
	sh, l := c.share, e.limit
	short := sh.short
	e.lease.look(sh, now)
	span := ahead(l)
	if l.Algorithm != TokenBucket {
		span = max(min(span, sh.window-now), 0) // no longer than they can be spent
	}
	need := short
	if expected := e.lease.rate * float64(span) / 1e9; expected > least {
		need = max(int64(math.Ceil(expected)), short)
	}
	need = min(need, max(ln.reserve(e, c, free), short), l.depth())
	if ln.sharer.closing.Load() {
		need = 0
	}
	rights = mine + held
	switch {
	case held > 2*need:
		rights = mine + need
	case held-short < need-need/lowPart && now >= sh.dry:
		want = need - held
	}
	want = max(want, 0)
	switch {
	case rights > mine && free <= 0:
		ln.holders.place(e, local+int64(ln.sharer.o.Interval))
	case rights > mine || want > 0 || e.isWanted():
		ln.holders.place(e, local+min(max(span/2, int64(25*time.Millisecond)), int64(500*time.Millisecond)))
		if e.lease.ask > local {
			ln.holdUntil(e, e.lease.ask)
		}
	}
	return rights, want
}

// reserve is how much a node may keep where free are left: others may lack what it
// does not spend while it could ask for it.
func (ln *lane) reserve(e *entry, c *counter, free int64) int64 {
	trip := ln.sharer.trip.Load()
	n := max(c.table.fleet.part(free), int64(e.lease.rate*2*float64(trip)/1e9))
	if n == 0 && free > 0 && trip > patience {
		return 1
	}
	return n
}

// patience is how long the store may take to answer for a node to rely on it at the edge
// of a limit: less than requests wait.
const patience = int64(2 * time.Millisecond)

// least is the demand below which nothing is held: one unit in a hundred times the time
// for which rights are.
const least = 0.01

// isWanted reports whether so much is asked for that rights are kept ready, and asked for
// before a window begins: half a unit in the time for which they are held.
func (e *entry) isWanted() bool { return e.lease.rate*float64(ahead(e.limit)) > 0.5e9 }

// look finds out what is asked for of late.
func (le *lease) look(sh *share, now int64) {
	asked := sh.asked
	sh.asked, sh.short = 0, 0
	if le.looked == 0 {
		le.looked = now
		le.rate = float64(asked) / (memory / 1e9)
		return
	}
	dt := float64(now - le.looked)
	if dt <= 0 {
		sh.asked = asked
		return
	}
	le.looked = now
	le.rate += (float64(asked)/dt*1e9 - le.rate) * dt / (dt + memory)
}

// assertComing asks for rights in the next window or sub-bucket, shortly before it
// begins: so the requests that come then do not all wait for the store at once.
func (ln *lane) assertComing(e *entry, c *counter, all bool, free, local, now int64) {
	l, sh := e.limit, c.share
	a := Assertion{Limit: l.Count, Begin: sh.window, Keep: keep(l), Before: countBefore(l)}
	if l.Algorithm == SlidingWindow {
		a.End = sh.window + c.ring().width
	} else {
		_, a.End = l.Window.bounds(sh.window)
	}
	end := a.End
	if sh.nextWindow == end { // they have been granted
		if all {
			a.Register = sh.next
			ln.tell(e, coming, 0, a)
		}
		return
	}
	need := min(int64(math.Ceil(e.lease.rate*float64(ahead(l))/1e9)), l.Count)
	if l.Algorithm == SlidingWindow { // what is in the next sub-bucket is of what is left
		need = min(need, c.table.fleet.part(free))
	}
	if need <= 0 || !e.isWanted() || ln.sharer.closing.Load() {
		return
	}
	// Not all nodes at the same time.
	lead := min(max((end-sh.window)/10, int64(20*time.Millisecond)), int64(500*time.Millisecond), (end-sh.window)/2)
	lead = lead/2 + lead/2*int64((e.key.hash()^ln.sharer.o.Node)%64)/64
	if now < sh.window-lead {
		ln.holdUntil(e, local+sh.window-lead-now)
		return
	}
	if e.lease.coming != end {
		e.lease.coming = end
		a.Want = need
		ln.tell(e, coming, 0, a)
	}
}

// holdUntil has an entry looked at again at a local time, if not before.
func (ln *lane) holdUntil(e *entry, due int64) {
	if due > 0 && (e.lease.placed == 0 || due < e.lease.due) {
		ln.holders.place(e, due)
	}
}

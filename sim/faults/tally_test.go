package faults

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/weir-project/weir/limiter"
)

// A tally is what the oracle knows of one counter: a subject under limits of one shape.
type tally struct {
	subject   int
	limit     int // of the plan
	algorithm limiter.Algorithm
	length    int64 // of a window; of the time in which a bucket's count flows in
	exact     bool
	bytes     bool
	shape     limiter.Limit
	cells     []*cell
	reshaped  int64 // when a node's limit got other windows, last; zero: none did
	changed   bool  // the subject has been under another shape as well

	counter limiter.Counter
	named   bool // counter is known
	spends  []spend
	fresh   int64 // the earliest that slide has not looked at; zero: there is none
}

// A spend is what was spent from a bucket, for the sweep at the end, or of a sliding window.
type spend struct {
	at, n int64
	limit *limiter.Limit
}

// A cell is one window, one sub-bucket of a sliding window, or a bucket.
type cell struct {
	begin, end int64 // zero for a bucket
	limit      int64 // the highest in force in it
	sum        int64 // what was spent and not given back
	dead       int64 // of that, or of rights, what runs that are over had
	lostUntold int64 // what died with runs that had not told it
	excuse     int64 // what nobody could know after the store's data was lost
	late       int64 // what nodes spent that did not know yet that nothing was left
	refunded   int64 // what was given back: who does so may not know what others spent since
	spentAt    int64 // since when the limit is spent; zero: it isn't
	lax        bool  // nodes were on their own, or what counts is known too late
	episodes   int64 // of nodes that lost the store
	wanted     int64 // what was refused in the last tenth of it
	faulty     bool  // something was wrong while it was spent
	judged     bool  // what was left of it has been looked at
	stakes     []*stake
}

// A stake is what one run has of a cell.
type stake struct {
	run    *run
	spent  int64  // net
	last   int64  // when it spent something last
	rights int64  // up to which it may spend
	told   int64  // of spent, what it asserted last
	until  int64  // the true time at which rights to a bucket lapse
	epoch  uint64 // in which the store last carried out an assertion of it
	seq    uint64 // its number
	atLoss bool   // the store has lost its register, and not heard of it since
	lost   bool   // its store was away, as it was last seen
	// Since when it spends of what is spent already; zero: it doesn't.
	overSince, overLast int64
	moved               bool  // the clock was set back into it, or out of it
	denied, deniedLast  int64 // since when it is refused all the time, and last; zero: it isn't
	asserted            bool  // it was told to the store, or is on its way
}

// stake returns what a run has of c.
func (c *cell) stake(r *run) *stake {
	for _, s := range c.stakes {
		if s.run == r {
			return s
		}
	}
	s := &stake{run: r}
	c.stakes = append(c.stakes, s)
	return s
}

// cell returns the window of t that ends at end.
func (t *tally) cell(begin, end int64) *cell {
	i := len(t.cells)
	for i > 0 && t.cells[i-1].end > end {
		i--
	}
	if i > 0 && t.cells[i-1].end == end {
		return t.cells[i-1]
	}
	c := &cell{begin: begin, end: end}
	t.cells = append(t.cells, nil)
	copy(t.cells[i+1:], t.cells[i:])
	t.cells[i] = c
	return c
}

// width returns the length of a cell.
func (t *tally) width() int64 {
	if t.algorithm == limiter.SlidingWindow {
		return ((t.length-1)/(31*microsecond) + 1) * microsecond
	}
	return t.length
}

// at returns the cell of a time.
func (t *tally) at(ns int64) *cell {
	if t.algorithm == limiter.TokenBucket {
		return t.cell(0, 0)
	}
	w := t.width()
	begin := ns / w * w
	return t.cell(begin, begin+w)
}

// tallyOf returns the tally of a subject under a limit.
func (o *oracle) tallyOf(subject int, l *limiter.Limit) *tally {
	for _, t := range o.tallies[subject] {
		if t.algorithm == l.Algorithm && t.length == int64(l.Window.Length) {
			return t
		}
	}
	t := &tally{
		subject: subject, limit: o.world.plan.limitOf(subject),
		algorithm: l.Algorithm, length: int64(l.Window.Length), shape: *l,
		exact: l.Accuracy == limiter.Exact && o.world.plan.sharing == limiter.Checks,
		bytes: l.Cost == limiter.Bytes,
	}
	o.tallies[subject] = append(o.tallies[subject], t)
	for _, t := range o.tallies[subject] {
		t.changed = len(o.tallies[subject]) > 1 || t.changed
	}
	return t
}

// tallyNamed returns the tally of an assertion.
func (o *oracle) tallyNamed(a *limiter.Assertion) *tally {
	if t := o.named[a.Counter]; t != nil {
		return t
	}
	subject := int(binary.BigEndian.Uint64(a.Counter[:8])) - 1000
	for _, t := range o.tallies[subject] {
		if !t.named && t.suits(a) {
			t.counter, t.named = a.Counter, true
			o.named[a.Counter] = t
			return t
		}
	}
	o.fail("I6", "something is asserted of subject %d in a window from %s to %s, which no limit has", subject, o.world.show(a.Begin), o.world.show(a.End))
	return nil
}

// suits reports whether an assertion may be about t.
func (t *tally) suits(a *limiter.Assertion) bool {
	if a.End == 0 {
		return t.algorithm == limiter.TokenBucket && a.Period == t.length
	}
	return t.algorithm != limiter.TokenBucket && a.End-a.Begin == t.width()
}

// told returns an assertion in words.
func (o *oracle) told(t *tally, a *limiter.Assertion) string {
	if t == nil {
		return "something"
	}
	return fmt.Sprintf("seq=%d of %d end=%s register=%d want=%d held=%d limit=%d", a.Seq, t.subject, o.world.show(a.End), a.Register, a.Want, a.Held, a.Limit)
}

// String returns what runs have of c: what each spent, and up to what it may.
func (c *cell) String() string {
	var b strings.Builder
	for i, s := range c.stakes {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "run %d: %d/%d", s.run.index, s.spent, s.rights)
	}
	return b.String()
}

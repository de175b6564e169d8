package faults

import (
	"time"

	"github.com/weir-project/weir/limiter"
)

// recorded takes note of an event.
func (o *oracle) recorded(op *op, i int, late bool) {
	w := o.world
	w.history.add(w.now, int64(op.run.index), op.id)
	k := &op.checks[i]
	if w.history.wanted() {
		w.history.printf(w.now, "run %d records %d of subject %d at %s, late=%v reset=%v", op.run.index, k.N, op.subjects[i], w.show(op.at.UnixNano()), late, k.Reset)
	}
	if late {
		return
	}
	t, c := o.place(op, i)
	s := c.stake(op.run)
	c.limit = max(c.limit, k.Limit.Count)
	o.spend(t, c, s, k.N)
	if t.algorithm == limiter.FixedWindow && !t.changed && c.end != t.at(op.at.UnixNano()).end {
		o.fail("I6", "an event of %s was counted in the window that ends at %s", w.show(op.at.UnixNano()), w.show(c.end))
	}
}

// change does what changes what a request has spent, and finds out by how much.
func (o *oracle) change(op *op, now time.Time, do func()) {
	w := o.world
	type part struct {
		t      *tally
		before int64
	}
	var parts [8]part
	for i := range op.checks {
		k := &op.checks[i]
		parts[i] = part{o.tallyOf(op.subjects[i], k.Limit), op.run.limiter.Register(now, k.Limit, k.Key).Spent}
	}
	do()
	for i := range op.checks {
		k := &op.checks[i]
		if k.Limit.Accuracy == limiter.Eventual && w.plan.sharing == limiter.Checks {
			continue
		}
		r := op.run.limiter.Register(now, k.Limit, k.Key)
		n := r.Spent - parts[i].before
		if n == 0 {
			continue
		}
		t := parts[i].t
		c := t.at(now.UnixNano())
		if t.algorithm == limiter.FixedWindow && !r.Ends.IsZero() {
			c = t.at(r.Ends.UnixNano() - 1)
		}
		if t.algorithm != limiter.FixedWindow {
			t.changed = true // where it was given back is not known here
		}
		o.spend(t, c, c.stake(op.run), n)
		if n < 0 {
			c.refunded -= n
		}
		if n > 0 {
			s := c.stake(op.run)
			s.rights = max(s.rights, s.spent)
		}
	}
}

package faults

import (
	"slices"

	"github.com/weir-project/weir/limiter"
)

// asserted looks at what a node is about to tell: never less than it has spent, nor more
// than it has rights to. What it doesn't assert it gives back.
func (o *oracle) asserted(r *run, b *limiter.Batch) {
	w := o.world
	for i := range b.Assertions {
		a := &b.Assertions[i]
		w.history.add(int64(a.Seq), a.Register, a.Want)
		t := o.tallyNamed(a)
		if w.history.wanted() {
			w.history.printf(w.now, "run %d asserts %s", r.index, o.told(t, a))
		}
		if t == nil || a.Seq == 0 {
			continue
		}
		c := t.cell(a.Begin, a.End)
		c.limit = max(c.limit, a.Limit)
		s := c.stake(r)
		if !t.changed && !s.moved && t.algorithm != limiter.SlidingWindow {
			o.assertedRight(t, c, s, a)
		}
		s.asserted = true
		s.rights = a.Register
		if a.End == 0 {
			s.rights = s.spent + a.Held
		}
	}
}

func (o *oracle) assertedRight(t *tally, c *cell, s *stake, a *limiter.Assertion) {
	end := o.world.show(c.end)
	switch {
	case a.End == 0 && !s.asserted && a.Register == 0:
		// What was spent before anything was known of the others comes with the next.
	case a.Register < s.spent:
		o.fail("I5", "run %d asserts %d of subject %d in the window that ends at %s, and has spent %d", s.run.index, a.Register, t.subject, end, s.spent)
	case !t.exact && a.End != 0 && a.Register != s.spent:
		o.fail("I6", "run %d asserts %d of subject %d in the window that ends at %s, where it has spent %d", s.run.index, a.Register, t.subject, end, s.spent)
	case t.exact && a.End != 0 && !t.bytes && a.Register > max(s.rights, s.spent):
		o.fail("I2", "run %d asserts %d of subject %d in the window that ends at %s, and has rights to %d", s.run.index, a.Register, t.subject, end, s.rights)
	}
}

// answered takes note of what a node is told.
func (o *oracle) answered(r *run, b *limiter.Batch, err error) {
	w := o.world
	if err != nil {
		w.history.printf(w.now, "run %d: %v", r.index, err)
		return
	}
	r.synced = true
	for i := range b.Assertions {
		a := &b.Assertions[i]
		w.history.add(int64(a.Status), a.Sum, a.Granted)
		t := o.tallyNamed(a)
		if w.history.wanted() {
			w.history.printf(w.now, "run %d is answered %s: status=%d sum=%d past=%d granted=%d fenced=%v durable=%v store=%s",
				r.index, o.told(t, a), a.Status, a.Sum, a.Past, a.Granted, b.Fenced, b.Durable, w.show(b.Now))
		}
		if t != nil && a.Status == limiter.Early && t.algorithm == limiter.FixedWindow {
			// What is spent there counts in the window that holds, since the clock was set back.
			t.at(b.Now).stake(r).moved = true
			t.at(r.sharer.Time(r.now()).UnixNano()).stake(r).moved = true
		}
		if t == nil || a.Status != limiter.Applied {
			continue
		}
		s := t.cell(a.Begin, a.End).stake(r)
		s.told = a.Register
		if a.Granted > 0 && b.Durable && !b.Fenced {
			s.rights += a.Granted
		}
		if a.End == 0 {
			s.until = b.Now + a.Lease
		}
	}
}

// applied looks at what a server has carried out.
func (o *oracle) applied(s *server, r *run, b *limiter.Batch) {
	w := o.world
	if s.id != w.primary {
		o.split(r, b)
		return
	}
	if b.Epoch != o.epoch {
		o.epoch, o.began = b.Epoch, w.now
		w.history.printf(w.now, "epoch %x begins", b.Epoch)
	} else if o.lost && !b.Fenced && w.now-o.since > int64(limiter.Fence)/2 {
		o.settle()
	}
	for i := range b.Assertions {
		a := &b.Assertions[i]
		t := o.tallyNamed(a)
		if t == nil || a.Status != limiter.Applied {
			continue
		}
		c := t.cell(a.Begin, a.End)
		k := c.stake(r)
		if k.epoch == b.Epoch && a.Seq <= k.seq {
			o.fail("I5", "the store carried out assertion %d of run %d, subject %d, after %d", a.Seq, r.index, t.subject, k.seq)
		}
		k.epoch, k.seq = b.Epoch, a.Seq
		if k.atLoss && a.Register >= k.rights {
			k.atLoss = false
		}
		if t.exact && a.End != 0 && a.Granted > 0 && a.Sum+a.Past > a.Limit {
			o.fail("I2", "the store granted %d of subject %d with %d of %d given", a.Granted, t.subject, a.Sum+a.Past, a.Limit)
		}
	}
}

// split excuses what a primary granted that has been replaced, in an epoch that never
// had a replica: nobody can tell it from one that is alone.
func (o *oracle) split(r *run, b *limiter.Batch) {
	if !b.Durable {
		return
	}
	for i := range b.Assertions {
		a := &b.Assertions[i]
		if t := o.tallyNamed(a); t != nil && a.Granted > 0 {
			t.cell(a.Begin, a.End).excuse += a.Granted
			o.world.history.printf(o.world.now, "run %d is granted %d by a primary that is replaced", r.index, a.Granted)
		}
	}
}

// dataLost notes that registers may be gone: for nodes that can't assert them again in
// time nobody can know what they have.
func (o *oracle) dataLost(why string) {
	o.lost, o.since = true, o.world.now
	o.losses = append(o.losses, o.world.now)
	o.world.history.printf(o.world.now, "data is lost: %s", why)
	o.each(func(_ *tally, c *cell) {
		for _, s := range c.stakes {
			s.atLoss = s.rights > 0 || s.spent > 0
		}
	})
}

// epochBegins notes that the store will begin a new epoch.
func (o *oracle) epochBegins() { o.shifts = append(o.shifts, o.world.now) }

// settle finds out, once the fence is over, which registers were not asserted again.
func (o *oracle) settle() {
	w := o.world
	o.lost = false
	o.each(func(t *tally, c *cell) {
		for _, s := range c.stakes {
			if !s.atLoss {
				continue
			}
			s.atLoss = false
			clean := !s.run.over && s.run.node.troubled < o.since && w.noisy < o.since && s.run.synced
			if clean && !t.changed && !s.moved && t.algorithm == limiter.FixedWindow && c.end > w.now+second && c.begin < o.since-second {
				o.fail("I5", "run %d has not asserted its %d of subject %d again, in the window that ends at %s",
					s.run.index, s.rights, t.subject, w.show(c.end))
			}
			c.excuse += max(s.rights, s.spent)
		}
	})
}

// look checks, once a second, what is not checked with each request.
func (o *oracle) look() {
	o.herd()
	for _, ts := range o.tallies {
		for _, t := range ts {
			o.leftOver(t)
			if t.algorithm == limiter.SlidingWindow && t.exact && !t.changed && !t.bytes {
				o.slide(t)
			}
		}
	}
}

// herd checks that the store is not asked more often while it recovers than it is
// otherwise: each lane every ten milliseconds, and once for a request that lacks rights.
func (o *oracle) herd() {
	w := o.world
	calls, asked := w.calls-o.calls, w.opIDs-o.asked
	o.calls, o.asked = w.calls, w.opIDs
	steady := 100*int64(w.plan.nodes*w.plan.lanes) + asked
	if calls > 2*steady {
		o.fail("I15", "%d calls of the store in a second, where %d are steady", calls, steady)
	}
}

// leftOver measures what was left of windows that are over, though it was asked for until
// the end.
func (o *oracle) leftOver(t *tally) {
	if !t.exact || t.bytes || t.changed || t.algorithm != limiter.FixedWindow || !o.healthy(2*second) {
		return
	}
	w := o.world
	for i := len(t.cells) - 1; i >= 0 && t.cells[i].end > w.now-2*second; i-- {
		c := t.cells[i]
		if c.judged || c.end > w.now-500*millisecond || c.begin < max(w.healed, w.start)+3*second || c.lax || c.excuse > 0 ||
			c.wanted == 0 || c.limit*60*second/t.length < 1000 {
			continue
		}
		c.judged = true
		o.offered += c.limit
		o.unused += min(max(c.limit-c.sum-c.dead-c.lostUntold, 0), c.wanted)
	}
}

// end checks what must hold when all has been told.
func (o *oracle) end() {
	if o.wrong != nil {
		return
	}
	w := o.world
	for _, ts := range o.tallies {
		for _, t := range ts {
			if t.algorithm == limiter.TokenBucket && t.exact && !t.changed && !t.bytes {
				o.pour(t)
			}
			if w.now >= w.noisy && o.healthy(5*second) {
				o.conserved(t)
			}
		}
	}
	p := w.servers[w.primary].data.Clone()
	p.Sweep(w.now + 240*second)
	if n := p.Len(); n > 0 && !w.plan.overdrawn() {
		o.fail("I7", "%d records of the store are there four minutes later", n)
	}
}

// conserved checks that the store has what nodes have spent, no more and no less.
func (o *oracle) conserved(t *tally) {
	w := o.world
	if t.changed || !t.named || t.algorithm == limiter.SlidingWindow {
		return
	}
	for _, c := range t.cells {
		if c.end != 0 && (c.begin < max(w.healed, w.noisy)+second || c.end < w.now-1800*millisecond) {
			continue
		}
		p := w.servers[w.primary].data
		_, registers, _ := p.Window(t.counter, c.end)
		if c.end == 0 {
			_, registers, _ = p.Bucket(t.counter)
		}
		for _, s := range c.stakes {
			got := registers[s.run.id]
			bad := got != s.spent
			if s.run.over {
				bad = c.end != 0 && got > max(s.spent, s.rights)
			} else if t.exact || c.end == 0 {
				bad = got < s.spent
			}
			if c.end == 0 && got == 0 && s.last < w.now-60*second {
				continue // the bucket was full for so long that the store has forgotten it
			}
			if bad && !s.moved {
				o.fail("I5", "the store has %d of run %d, subject %d, in the window that ends at %s; it has spent %d", got, s.run.index, t.subject, w.show(c.end), s.spent)
			}
		}
	}
}

// pour holds what was spent from a bucket against one that all have in common.
func (o *oracle) pour(t *tally) {
	l := &o.world.plan.limits[t.limit]
	var count, depth int64
	for _, v := range l.versions {
		count = max(count, v.Count)
		depth = max(depth, v.Burst)
	}
	rate := float64(count) / float64(t.length)
	slices.SortStableFunc(t.spends, func(a, b spend) int { return int(a.at - b.at) })
	breaks := slices.Clone(o.losses)
	if o.world.plan.has(timeshift) {
		breaks = append(breaks, o.shifts...)
	}
	var missing float64
	at := int64(0)
	for _, s := range t.spends {
		missing = max(missing-float64(s.at-at)*rate*(1+1e-3), 0)
		for _, b := range breaks {
			// What was known is known no more, for the time of a lease.
			if s.at >= b && s.at < b+12*second {
				missing = 0
			}
		}
		at = s.at
		missing += float64(s.n)
		if missing > float64(depth)+2 && !t.cell(0, 0).lax {
			o.world.now = s.at
			o.fail("I1", "subject %d: %.1f are missing at %s in a bucket of %d", t.subject, missing, o.world.show(s.at), depth)
			return
		}
	}
}

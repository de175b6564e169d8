package faults

import (
	"fmt"
	"slices"

	"github.com/weir-project/weir/limiter"
)

// An oracle knows all that happens in a world and says if something is wrong: it holds
// what nodes let pass against what they may, by the invariants of docs/simulation.md.
type oracle struct {
	world   *world
	tallies [][]*tally // by subject
	named   map[limiter.Counter]*tally
	runs    []*run
	wrong   *violation

	epoch  uint64  // of the primary's data, as it last told
	began  int64   // when that began
	lost   bool    // the store's data was lost, and the fence of the new epoch is not over
	since  int64   // when
	losses []int64 // all such times
	shifts []int64 // when a server with another clock has become the primary

	// Of windows of exact limits of at least 1000 a minute, in good health, of which more
	// was asked for than there was: how much that was, and what was left unused.
	offered, unused int64

	calls, asked int64 // of the store, and requests, when it was last looked at
}

// A violation is an invariant that does not hold.
type violation struct {
	invariant string
	at        int64
	text      string
}

func (v *violation) Error() string { return v.invariant + ": " + v.text }

func newOracle(w *world) *oracle {
	return &oracle{world: w, tallies: make([][]*tally, w.plan.subjects()), named: map[limiter.Counter]*tally{}}
}

// fail notes the first violation.
func (o *oracle) fail(invariant, format string, args ...any) {
	if o.wrong != nil {
		return
	}
	o.wrong = &violation{invariant: invariant, at: o.world.now, text: fmt.Sprintf(format, args...)}
	o.world.history.printf(o.world.now, "VIOLATION %v", o.wrong)
}

// quiet returns when the last request comes: the end is for telling what is left.
func (o *oracle) quiet() int64 {
	return o.world.start + o.world.plan.active + o.world.plan.calm - second
}

func (o *oracle) runBegins(r *run) {
	r.index = len(o.runs)
	o.runs = append(o.runs, r)
}

// runEnds takes note of what dies with a run.
func (o *oracle) runEnds(r *run) {
	o.each(func(_ *tally, c *cell) {
		for _, s := range c.stakes {
			if s.run == r {
				c.dead += max(s.rights, s.told, s.spent) - s.spent
				c.lostUntold += max(s.spent-s.told, 0)
			}
		}
	})
}

// each calls f for all cells that are not long over.
func (o *oracle) each(f func(t *tally, c *cell)) {
	for _, ts := range o.tallies {
		for _, t := range ts {
			for _, c := range slices.Backward(t.cells) {
				if c.end != 0 && c.end+70*second < o.world.now {
					break
				}
				f(t, c)
			}
		}
	}
}

// reshaped notes that a limit has got other windows.
func (o *oracle) reshaped(limit int) {
	l := &o.world.plan.limits[limit]
	for s := l.first; s < l.first+l.keys; s++ {
		for _, t := range o.tallies[s] {
			t.changed, t.reshaped = true, o.world.now
		}
	}
}

// place returns the cell in which a check was charged: for a fixed window that is what the
// limiter says.
func (o *oracle) place(op *op, i int) (*tally, *cell) {
	k := &op.checks[i]
	t := o.tallyOf(op.subjects[i], k.Limit)
	here := t.at(op.at.UnixNano())
	if t.algorithm != limiter.FixedWindow || k.Reset <= 0 {
		return t, here
	}
	c := t.at(op.at.UnixNano() + int64(k.Reset) - 1)
	if c.begin > here.begin {
		// The clock was set back since the counter was in its window, which may be
		// taken back as well.
		c.stake(op.run).moved, here.stake(op.run).moved = true, true
	}
	return t, c
}

// admitted takes note of a request that was let pass.
func (o *oracle) admitted(op *op, lost bool) {
	w := o.world
	w.history.add(w.now, int64(op.run.index), op.id)
	if w.history.wanted() {
		w.history.printf(w.now, "run %d passes request %d of %v lost=%v %s", op.run.index, op.id, op.subjects, lost, describe(op))
	}
	for i := range op.checks {
		k := &op.checks[i]
		if k.Limit.Accuracy == limiter.Eventual {
			continue
		}
		t, c := o.place(op, i)
		s := c.stake(op.run)
		c.limit = max(c.limit, k.Limit.Count)
		o.spend(t, c, s, k.N)
		s.denied = 0
		o.loses(t, c, s, lost)
		o.time(op, t, c)
		if t.algorithm == limiter.SlidingWindow {
			c.lax = c.lax || op.stamp != w.now // it was stopped: in which sub-bucket it was charged is not known here
			if t.exact {
				t.slid(op.at.UnixNano(), k.N, k.Limit)
			}
		}
		if t.exact {
			o.right(op, t, c, s, k, lost)
		}
		o.within(op, t, c, s, k)
		if t.algorithm == limiter.TokenBucket && k.N > 0 && op.stamp == w.now {
			t.spends = append(t.spends, spend{w.now, k.N, k.Limit})
		}
	}
}

func describe(op *op) string {
	s := ""
	for i := range op.checks {
		k := &op.checks[i]
		s += fmt.Sprintf("[%v over=%v short=%v left=%d reset=%v]", k.N, k.Over, k.Short, k.Remaining, k.Reset)
	}
	return s
}

// spend changes what was spent.
func (o *oracle) spend(t *tally, c *cell, s *stake, n int64) {
	s.spent, s.last = s.spent+n, o.world.now
	c.sum += n
	c.faulty = c.faulty || o.world.faulty > 0
	switch {
	case t.algorithm != limiter.FixedWindow:
	case c.sum < c.limit+c.lostUntold:
		c.spentAt = 0
	case c.spentAt == 0:
		c.spentAt = o.world.now
	}
}

// loses takes note of whether a run is on its own.
func (o *oracle) loses(t *tally, c *cell, s *stake, lost bool) {
	if lost && !s.lost {
		c.episodes++
	}
	s.lost = lost
	if lost && (!t.exact || policyOf(&t.shape) != limiter.Closed) {
		c.lax = true
	}
}

// policyOf returns what a limit does while the store is away.
func policyOf(l *limiter.Limit) limiter.OnStoreLoss {
	switch {
	case l.OnStoreLoss != limiter.ByAccuracy:
		return l.OnStoreLoss
	case l.Accuracy == limiter.Exact:
		return limiter.Closed
	}
	return limiter.Local
}

// time checks the clock that a request was taken by: never before the store's, and the
// window is one that holds between the reading of the clock and the taking.
func (o *oracle) time(op *op, t *tally, c *cell) {
	w := o.world
	if w.plan.has(timeshift) || !op.synced {
		return
	}
	if ns := op.at.UnixNano(); ns < op.stamp {
		o.fail("I1", "run %d took the time for %d ns before the store's", op.run.index, op.stamp-ns)
	}
	if t.exact && !c.lax && t.algorithm == limiter.FixedWindow && (c.end <= op.stamp || c.begin > w.now) {
		o.fail("I6", "run %d spent of %v-%v, which holds neither %v nor %v", op.run.index,
			w.show(c.begin), w.show(c.end), w.show(op.stamp), w.show(w.now))
	}
}

// show returns a time as the history shows it.
func (w *world) show(at int64) string { return showSince(w.start, at) }

func showSince(start, at int64) string { return fmt.Sprintf("%.6f", float64(at-start)/1e9) }

// right checks that a node spends only rights that it has.
func (o *oracle) right(op *op, t *tally, c *cell, s *stake, k *limiter.Check, lost bool) {
	if t.changed || t.bytes || t.algorithm == limiter.SlidingWindow {
		return // in which sub-bucket it was spent is not known here
	}
	if lost && policyOf(k.Limit) != limiter.Closed {
		s.rights = max(s.rights, s.spent)
		return
	}
	if s.spent > s.rights && !c.lax {
		o.fail("I2", "run %d spent %d of subject %d in the window that ends at %s, and has rights to %d",
			op.run.index, s.spent, t.subject, o.world.show(c.end), s.rights)
	}
	if c.end == 0 && op.stamp >= s.until && k.N > 0 && !o.world.plan.has(timeshift) && !c.lax {
		o.fail("I2", "run %d spent rights to a bucket, subject %d, that lapsed at %s", op.run.index, t.subject, o.world.show(s.until))
	}
}

// within checks that a window's limit holds.
func (o *oracle) within(op *op, t *tally, c *cell, s *stake, k *limiter.Check) {
	if t.algorithm != limiter.FixedWindow || t.bytes {
		return
	}
	w := o.world
	switch {
	case t.exact && !c.lax && (c.begin > t.reshaped || t.reshaped == 0):
		// What was spent before a limit had other windows for a while is forgotten.
		if c.sum > c.limit+c.excuse {
			o.fail("I1", "subject %d: %d of %d in the window that ends at %s (excused %d)", t.subject, c.sum, c.limit, w.show(c.end), c.excuse)
		}
	case t.changed:
	case c.spentAt == 0 || c.lax || c.sum <= c.limit+c.lostUntold+c.excuse+c.refunded || !o.healthy(2*second):
		s.overSince = 0
	case s.overSince == 0 || w.now-s.overLast > o.late():
		s.overSince, s.overLast = w.now, w.now
	case w.now-s.overSince > o.late():
		o.fail("I3", "run %d has spent of subject %d for %d ms with %d of %d spent in the window that ends at %s",
			op.run.index, t.subject, (w.now-s.overSince)/millisecond, c.sum, c.limit, w.show(c.end))
	}
	s.overLast = w.now
	if !s.lost && c.spentAt != 0 {
		c.late += k.N // the others' last may not be known yet
	}
	if policyOf(k.Limit) != limiter.Open && !t.changed {
		o.alone(t, c)
	}
}

// late returns for how long a spent limit may be unknown to a node in good health.
func (o *oracle) late() int64 {
	return 20*millisecond + 12*o.world.net.usual + 20*millisecond
}

// healthy reports whether nothing has been wrong for some time.
func (o *oracle) healthy(d int64) bool {
	w := o.world
	if w.faulty > 0 || w.now-w.healed < d || w.now < w.noisy || w.now-w.start < d+3*second || o.lost ||
		w.now-o.began < d+int64(limiter.Fence) {
		return false
	}
	for _, n := range w.nodes {
		if w.now-n.stalled < d {
			return false
		}
	}
	return true
}

// alone checks what nodes let pass that lost the store: each time no more than their
// share of the limit.
func (o *oracle) alone(t *tally, c *cell) {
	w := o.world
	if !c.lax || t.exact && policyOf(&t.shape) == limiter.Open {
		return
	}
	n := int64(w.plan.nodes)
	share := (c.limit + n - 1) / n
	most := c.limit + c.episodes*share + c.late + c.refunded + c.lostUntold + c.excuse
	if c.sum > most && w.net.loss+w.net.slow+w.net.mute == 0 && w.now > w.noisy {
		o.fail("I4", "subject %d: %d of %d in the window that ends at %s, where nodes were on their own %d times",
			t.subject, c.sum, c.limit, w.show(c.end), c.episodes)
	}
}

// refused takes note of a request that was not let pass.
func (o *oracle) refused(op *op, lost bool) {
	w := o.world
	w.history.add(w.now, int64(op.run.index), -op.id)
	if w.history.wanted() {
		w.history.printf(w.now, "run %d refuses request %d of %v lost=%v %s", op.run.index, op.id, op.subjects, lost, describe(op))
	}
	i := op.ticket.Refused()
	k := &op.checks[i]
	if k.Limit.Accuracy == limiter.Eventual {
		return
	}
	t, c := o.place(op, i)
	s := c.stake(op.run)
	o.loses(t, c, s, lost)
	if k.N == 1 && !op.refund && c.end-op.at.UnixNano() < t.length/10 {
		c.wanted++
	}
	for j := range op.checks {
		if j != i && op.checks[j].Over {
			s.denied = 0
			return // another limit refuses it as well
		}
	}
	o.blocked(op, t, c, s, k)
}

// patienceOf returns for how long a limit may refuse though it leaves something: others may
// hold rights for a while that they have no more use for.
func patienceOf(t *tally) int64 { return min(t.length/10+400*millisecond, 2*second) }

// blocked checks that nobody is refused for long who is within the limit.
func (o *oracle) blocked(op *op, t *tally, c *cell, s *stake, k *limiter.Check) {
	w := o.world
	if t.algorithm != limiter.FixedWindow || t.bytes || t.changed || k.Limit.Count == 0 ||
		!o.healthy(2*second) || c.begin < w.healed || c.sum+c.dead+c.excuse+c.lostUntold+k.N+o.spare(k.Limit) > k.Limit.Count || c.lax {
		s.denied = 0
		return
	}
	if s.denied == 0 || w.now-s.deniedLast > 200*millisecond {
		s.denied = w.now
	}
	s.deniedLast = w.now
	if d := w.now - s.denied; d > patienceOf(t) && k.N == 1 {
		o.fail("I7", "run %d has refused subject %d for %d ms, with %d of %d spent in the window that ends at %s (%v)",
			op.run.index, t.subject, d/millisecond, c.sum, k.Limit.Count, w.show(c.end), c)
	}
}

// clockSet takes note of a clock that was set back, into an earlier window: what was spent
// in the later one counts in that now, as far as the limiter takes it along.
func (o *oracle) clockSet(r *run, was, is int64) {
	if is >= was {
		return
	}
	for _, ts := range o.tallies {
		for _, t := range ts {
			if t.algorithm == limiter.FixedWindow && was/t.length != is/t.length {
				here := t.at(is)
				here.stake(r).moved = true
				for i := len(t.cells) - 1; t.cells[i].end > here.end; i-- {
					t.cells[i].stake(r).moved = true
				}
			}
		}
	}
}

// spare returns what may be left of a limit though somebody wants it: each node may
// hold a little.
func (o *oracle) spare(l *limiter.Limit) int64 { return int64(o.world.plan.nodes) + l.Count/100 }

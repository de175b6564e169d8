package limiter

import "time"

// take takes the answer to one assertion, at now for the store, whose clock may be
// behind by slack.
func (ln *lane) take(p *part, b *Batch, a *Assertion, now, slack int64) {
	e := p.entry
	switch {
	case a.Counter != e.counter: // the key is under another limit now
		return
	case a.Status == Stale: // it was carried out before, and that answer was lost
		ln.again(e)
		return
	case p.about == ended:
		return
	case a.Status != Applied: // by the store's clock, there is no such window now
		if p.about == current {
			ln.rewind(e, a, now)
		}
		return
	case p.about == current && e.limit.Algorithm != TokenBucket && a.Begin-now > mostAhead:
		ln.rewind(e, a, now)
		return
	}
	granted := a.Granted
	if !b.Durable {
		granted = 0
	}
	if granted < a.Granted { // given back by the next assertion
		ln.again(e)
	}
	if p.about == current {
		e.register = a.Register + granted
		if b.Now >= a.Begin {
			e.sure = a.End
		}
	}
	var c counter
	if !ln.sharer.limiter.locate(e, &c) {
		return
	}
	c.roll(e.limit, now)
	ln.takeInto(p, b, a, &c, granted, now, slack)
	if ln.sharer.o.Answered != nil && p.about == current {
		ln.answers = append(ln.answers, answer{mark{e.key, e.limit}, c.known(e.limit)})
	}
	c.release()
}

// takeInto takes what was answered into a counter.
func (ln *lane) takeInto(p *part, b *Batch, a *Assertion, c *counter, granted, now, slack int64) {
	switch {
	case p.about == coming:
		c.takeComing(b, a, granted, slack)
	case p.entry.limit.Algorithm == TokenBucket:
		ln.takeBucket(p, b, a, c, granted, now)
	case c.share.window == a.End:
		ln.takeWindow(p, b, a, c, granted, now)
		if b.Now < a.Begin { // the store's clock is not there yet
			c.share.begins = usable(b, a, slack)
		}
	}
}

// usable returns from when rights in a window may be spent that were granted before it
// began: when the store's clock, which may be behind by slack, is there for sure.
func usable(b *Batch, a *Assertion, slack int64) int64 {
	return a.Begin + slack + max(a.Begin-b.Now, 0)/drift
}

// mostAhead is by how much a counter may be in a window before that begins: clocks are
// known no better.
const mostAhead = int64(10 * time.Millisecond)

// rewind takes a counter back, whose window begins long after now, to the one that holds
// now: the store's clock has turned out to be behind, or has been set back. If the store was
// in that window before, what was spent there stays spent there, for when it comes again;
// else it is spent in the window that holds. If it has ended instead, nothing is done.
func (ln *lane) rewind(e *entry, a *Assertion, now int64) {
	ln.again(e)
	var c counter
	if !ln.sharer.limiter.locate(e, &c) {
		return
	}
	s, sh := c.slot, c.share
	if e.limit.Algorithm == FixedWindow && sh.window == a.End && a.Begin-now > mostAhead {
		if e.sure == a.End {
			sh.next, sh.nextWindow, sh.nextFrom, sh.later = sh.rights, a.End, a.Begin, s.spent
			s.spent = 0
		}
		_, s.window = e.limit.Window.bounds(now)
		// What was spent there before it seemed to be over counts too.
		if sh.closedWindow == s.window {
			s.spent = addSat(s.spent, sh.closed)
			sh.closedWindow = 0
		} else {
			s.spent = addSat(s.spent, e.spentIn(s.window))
		}
	} else if r := c.ringOrNil(); r != nil && (r.head-1)*r.width > now {
		r.start(now, r.width, s.spent)
		s.window = r.ends()
	}
	c.roll(e.limit, now)
	c.release()
}

// again has an entry told once more.
func (ln *lane) again(e *entry) {
	e.again = true
	ln.add(e)
}

// takeWindow takes the answer about the current window.
func (ln *lane) takeWindow(p *part, b *Batch, a *Assertion, c *counter, granted, now int64) {
	e, sh, l := p.entry, c.share, p.entry.limit
	others := max(a.Sum-a.Granted-a.Register, 0)
	free := l.Count - a.Sum
	if l.Algorithm == SlidingWindow {
		if a.AskPast || a.Want > 0 {
			e.past.window, e.past.others = a.End, max(a.Past-p.past, 0)
		}
		others = addSat(others, e.past.others)
		free -= addSat(e.past.others, p.past)
		sh.from = c.ring().head
	}
	sh.others, sh.told, sh.seen = others, p.mine, now
	over := max(-free, 0)
	if c.table.fleet.leases(l) {
		sh.begins, sh.until = 0, a.End
		sh.rights = max(sh.rights, a.Register) + granted
		e.pace.window(a, now)
		ln.takeGrant(e, b, a, c, granted, free, now)
		ln.limits.answered(e, now, over, max(c.granted(now, l), 0), p.lag(now))
		return
	}
	ln.limits.answered(e, now, over, 0, p.lag(now))
	nodes := max(c.table.fleet.nodes.Load(), 1)
	free = max(free, 0)
	sh.fair = addSat(p.mine, (free+nodes-1)/nodes)
	sh.early = c.table.fleet.early(free)
	e.pace.window(a, now)
	ln.askAgain(e, free, now)
}

// lag returns how long what was told at now had waited.
func (p *part) lag(now int64) int64 {
	if p.since == 0 {
		return 0
	}
	return max(now-p.since, 0)
}

// takeBucket takes the answer about a bucket.
func (ln *lane) takeBucket(p *part, b *Batch, a *Assertion, c *counter, granted, now int64) {
	e, sh, l := p.entry, c.share, p.entry.limit
	missing := addSat(max(a.Sum, 0), max(sh.own-p.mine, 0))
	if c.table.fleet.leases(l) {
		missing = a.Sum // what is held is missing already
	}
	c.slot.window, c.slot.spent = b.Now, missing
	sh.told, sh.seen = p.mine, now
	sh.early = c.table.fleet.early(l.depth() - missing)
	if c.table.fleet.leases(l) {
		sh.begins, sh.until = 0, addSat(b.Now, leaseTime)
		sh.rights += granted
		e.pace.bucket(a, now)
		ln.takeGrant(e, b, a, c, granted, l.depth()-a.Sum, now)
		ln.limits.answered(e, now, 0, max(c.granted(now, l), 0), p.lag(now))
		return
	}
	ln.limits.answered(e, now, 0, 0, p.lag(now))
	e.pace.bucket(a, now)
	ln.askAgain(e, max(l.depth()-a.Sum, 0), now)
}

// takeGrant takes note of what was granted, where free are left.
func (ln *lane) takeGrant(e *entry, b *Batch, a *Assertion, c *counter, granted, free, now int64) {
	sh := c.share
	held := max(c.granted(now, e.limit), 0)
	e.lease.ask = 0
	if held > 0 {
		ln.askLeft(e, free, now)
	}
	sh.low = held / lowPart
	if free <= 0 {
		sh.low = -1 // there is nothing to be had before others give it back
	}
	switch {
	case a.Want == 0:
	case granted > 0:
		e.lease.dry, sh.dry = 0, 0
		if e.limit.Algorithm == TokenBucket && granted < a.Want {
			sh.dry = now + leastDry // let some flow in
		}
	default:
		e.lease.dry = min(max(2*e.lease.dry, leastDry), wait(e.limit))
		if b.Fenced {
			e.lease.dry = fenceDry
		}
		sh.dry = now + e.lease.dry
	}
}

// takeComing takes what was granted in the next window, which is not to be spent before
// the store's clock is there.
func (c *counter) takeComing(b *Batch, a *Assertion, granted, slack int64) {
	sh := c.share
	if granted == 0 && a.Register == 0 {
		return
	}
	rights, from := a.Register+granted, usable(b, a, slack)
	switch {
	case sh.window == a.End: // it has begun meanwhile
		if sh.rights == 0 {
			sh.rights, sh.begins, sh.until = rights, from, a.End
			sh.low = rights / lowPart
		}
	case sh.window < a.End:
		sh.next, sh.nextWindow, sh.nextFrom = rights, a.End, from
	}
}

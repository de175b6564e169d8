package uplink

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-project/weir/event"
)

// answered takes the answer to the call, and returns how long to wait before the
// next call.
func (l *link) answered(now time.Time, x *exchange) time.Duration {
	r, c := &x.reply, &l.call
	l.failures = 0
	l.note(now, x)
	l.heed(r)
	l.retireFormer(now)
	changed, moved := r.Manager != l.manager, r.Shares != l.shares
	l.manager, l.version, l.shares = r.Manager, r.Version, r.Shares
	if changed {
		l.callSize = callSize
	}
	// Another run that counted the call nevertheless knows this gateway already:
	// another way led there. What it knows of the calls before is not known; a
	// store would tell it.
	strange := changed && !c.first && r.Shares == ""
	if r.Restate || l.phase == asking || moved || strange {
		return l.join(now, r)
	}
	l.acknowledge(now, r)
	return 0
}

// note takes what an answer shows of the manager's health.
func (l *link) note(now time.Time, x *exchange) {
	ahead := l.noted(now, x)
	l.say.answered(now)
	l.say.skew(now, ahead)
}

// noted is note but for the log. It returns by how much the manager's clock is ahead.
func (l *link) noted(now time.Time, x *exchange) time.Duration {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	was := l.clock.best
	if !x.reply.Now.IsZero() {
		l.clock.read(x.reply.Now, x.sent, x.answered)
	}
	s := &l.stats
	if s.State != Up {
		s.State, s.Since = Up, now
	}
	l.succeed(now, s.Issuer, x.reply.Issuer, was)
	s.Issuer, s.Shares = x.reply.Issuer, x.reply.Shares
	l.retired = false
	if !l.up {
		l.up = true
		l.uplink.ups.Add(1)
		l.group.settle(l.seat)
	}
	ahead, _ := l.clock.ahead(l.options.Now())
	return ahead
}

// heed hands on the decisions of an answer.
func (l *link) heed(r *event.Reply) {
	l.group.mu.Lock()
	l.stats.Decisions += uint64(len(r.Decisions))
	ahead, _ := l.clock.ahead(l.options.Now())
	l.group.mu.Unlock()
	if r.All {
		l.uplink.handing.Lock()
		defer l.uplink.handing.Unlock()
		l.options.DecideAll(r.Issuer, r.Version, r.Decisions, ahead)
		return
	}
	for i := range r.Decisions {
		d, skew := &r.Decisions[i], ahead
		if d.Issuer != r.Issuer {
			if other, ok := l.uplink.Skew(d.Issuer); ok {
				skew = other
			}
		}
		l.options.Decide(d, skew)
	}
}

// join begins to tell a run of a manager: in a restatement, what was counted until
// now; or nothing of that, if others of its seat were told. It returns how long to
// wait before that.
func (l *link) join(now time.Time, r *event.Reply) time.Duration {
	had := l.seat == r.Shares // only this goroutine changes it
	others := l.group.sit(l, r.Shares)
	l.group.warn(l.options.Log)
	l.uplink.warn(l, r.Shares)
	known := l.phase == joined && !r.Restate
	if r.Shares == "" || l.owes || !had && !others && !known {
		l.restate(now)
		return l.restated.next(now)
	}
	l.group.mu.Lock()
	if r.Restate && had {
		l.queue.back(l.call.entries) // it counted nothing of them, and nobody else has them
	}
	l.forget()
	l.group.mu.Unlock()
	if r.Restate || others && known {
		l.phase, l.untold, l.began = telling, nil, false
		return l.restated.next(now)
	}
	l.phase = joined
	return 0
}

// restate makes a restatement what is to be sent first.
func (l *link) restate(now time.Time) {
	l.group.mu.Lock()
	l.forget()
	l.lost = false // what is dropped from here on may be missing
	l.group.mu.Unlock()
	n, bodies := l.options.Restate(now)
	l.phase, l.untold, l.began, l.owes = telling, bodies, false, true
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	for _, o := range l.group.links {
		if o == l || l.seat != "" && o.seat == l.seat {
			o.upTo = max(o.upTo, n)
			o.queue.forget(n)
		}
	}
}

// acknowledge takes that the manager has counted the call.
func (l *link) acknowledge(now time.Time, r *event.Reply) {
	c := &l.call
	l.group.mu.Lock()
	s := &l.stats
	s.Acknowledged += uint64(eventsIn(c.entries))
	s.Refused += uint64(len(r.Refused))
	s.Late += uint64(max(r.Late, 0))
	restates := c.restates
	l.forget()
	if restates && len(l.untold) == 0 {
		s.Restatements++
	}
	l.group.mu.Unlock()
	if len(r.Refused) > 0 {
		l.say.refused(now, len(r.Refused), r.Refused[0].Reason)
	}
	if restates {
		l.began = true
		if len(l.untold) == 0 {
			l.phase, l.untold, l.owes = joined, nil, false
		}
	}
}

// failed takes that the call failed, and returns how long to wait before the next.
func (l *link) failed(now time.Time, f *fault) time.Duration {
	c := &l.call
	c.unsure = c.unsure || c.pending() && !f.certain()
	if f.kind == malformed && (len(c.entries) == 0 || c.restates) {
		f.kind = refusing // it isn't about these events
	}
	if f.kind == tooLarge && len(c.bodies) == 0 {
		f.kind = refusing
	}
	switch f.kind {
	case tooLarge:
		l.split(now, f)
		return 0
	case malformed:
		if c.malformed++; c.malformed >= lastTry {
			l.giveUpOn(now, f)
		}
		return backoff(c.malformed)
	}
	l.failures++
	l.down(now, f)
	l.say.failed(now, f)
	if l.phase == telling && l.failures > giveUp {
		l.ask() // rather than keep all that is to be told
	}
	if f.kind == refusing {
		if errors.Is(f.err, errTwin) {
			l.ask()
			l.group.retire(l)
		}
		return slowBackoff + rand.N(slowBackoff)
	}
	return backoff(l.failures) + f.after
}

// ask begins again with a call without events.
func (l *link) ask() {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	l.phase, l.untold = asking, nil
	l.forget()
}

// down notes that the manager does not answer, and leaves to others of its seat
// what it cannot have counted, or probably never will.
func (l *link) down(now time.Time, f *fault) {
	l.uplink.release(l)
	g, c := l.group, &l.call
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.up {
		l.uplink.ups.Add(-1)
	}
	l.up = false
	s := &l.stats
	state := Down
	if f.kind == refusing {
		state = Refusing
	}
	if s.State != state && (s.State != Connecting || state == Refusing) {
		s.State, s.Since = state, now
	}
	s.LastError, s.LastErrorAt = f.Error(), now
	if l.seat == "" {
		return
	}
	if len(c.entries) > 0 && (!c.unsure || l.failures >= giveUp) && g.other(l) {
		l.queue.back(c.entries)
		l.forget()
	}
	g.settle(l.seat)
}

// split sends less at once from now on, or drops what cannot be less.
func (l *link) split(now time.Time, f *fault) {
	c := &l.call
	if len(c.bodies) == 1 {
		l.giveUpOn(now, f)
		return
	}
	size := 0
	for _, b := range c.bodies {
		size += len(b)
	}
	l.callSize = size / 2
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	switch {
	case c.restates:
		l.untold = append(slices.Clone(c.bodies), l.untold...)
	case c.unsure && l.seat == "":
		l.lost = true // a restatement leaves no doubt
	default:
		l.queue.back(c.entries)
	}
	l.forget()
}

// giveUpOn drops events that the manager will never take.
func (l *link) giveUpOn(now time.Time, f *fault) {
	c := &l.call
	events := eventsIn(c.entries)
	if c.restates {
		for _, b := range c.bodies {
			events += count(b)
		}
	}
	l.say.refused(now, events, f.Error())
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	l.stats.Refused += uint64(events)
	l.stats.LastError, l.stats.LastErrorAt = f.Error(), now
	l.forget()
}

// A backstop keeps what happens again and again from happening too often.
type backstop struct {
	last time.Time
	n    int
}

// next returns how long to wait before the next time: nothing after ten quiet
// seconds, otherwise at random up to a bound that doubles.
func (b *backstop) next(now time.Time) time.Duration {
	quiet := b.last.IsZero() || now.Sub(b.last) > 10*time.Second
	b.last = now
	if quiet {
		b.n = 0
		return 0
	}
	b.n++
	return jittered(b.n, 5*time.Second)
}

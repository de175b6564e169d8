package faults

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/weir-project/weir"
	events "github.com/weir-project/weir/event"
)

// A link is a gateway's way to one traffic manager: what package uplink does, without its
// goroutines and connections. It sends what waits, one call at a time, each again
// and again until it is answered, and hands on the decisions of the answers.
type link struct {
	gate  *gate
	to    *managerNode
	queue []parcel
	upTo  uint64 // number of the last parcel that need not be told

	seq, manager, version uint64
	issuer                string
	former                []former
	skew                  skew
	phase                 phase
	untold                []events.Body // of the restatement
	began                 bool          // the restatement's first call has been answered
	lost                  bool          // something was dropped that must be told in a restatement
	restated              int64

	pending  pendingCall
	calls    int   // names the attempt that is waited for
	busy     bool  // there is one
	sent     int64 // true time of it
	sentAt   time.Time
	failures int
	turn     int // names the next look for something to send
}

// A parcel is events that wait.
type parcel struct {
	n    uint64
	at   int64 // since when
	body events.Body
}

// A phase is how far a link is with a manager's run.
type phase uint8

const (
	asking phase = iota
	telling
	joined
)

// A pendingCall has a number, and is made until it is answered; without a number there is none.
type pendingCall struct {
	seq             uint64
	at              int64 // when the first of what it tells came
	bodies          []events.Body
	restates, first bool
}

// A former is a run of a manager that another has taken the place of.
type former struct {
	issuer string
	since  int64
	skew   skew // of its clock, as it was known then
}

const (
	callTimeout = 2 * second
	outlive     = 10 * second // as the uplink has it
	queueAge    = 3 * second  // how long events wait: far less than in life, so that they are dropped
)

// push has a parcel wait.
func (l *link) push(p parcel) {
	if p.n > l.upTo {
		l.queue = append(l.queue, p)
		l.wake(0)
	}
}

// wake has the link look for something to send in a while, and not at another time.
func (l *link) wake(d int64) {
	l.turn++
	turn := l.turn
	l.gate.after(d, func() {
		if turn == l.turn {
			l.next()
		}
	})
}

// next makes the call that is to be made now: the one that was not answered, what is to be
// told, or one that only hears.
func (l *link) next() {
	if l.busy {
		return
	}
	l.expire()
	if c := &l.pending; c.seq == 0 {
		switch {
		case l.phase == telling:
			*c = pendingCall{bodies: l.untold, restates: true, first: !l.began}
			l.untold = nil
		case l.phase == joined && len(l.queue) > 0:
			for _, p := range l.queue {
				c.bodies = append(c.bodies, p.body)
			}
			c.at = l.queue[0].at
			l.queue = nil
		}
		if l.phase == telling || len(c.bodies) > 0 {
			l.seq++
			c.seq = l.seq
		}
	}
	l.send()
}

// expire drops what has waited for too long. What the manager then lacks it is told in a
// restatement.
func (l *link) expire() {
	long := l.gate.node.fleet.now - queueAge
	all := len(l.queue)
	l.queue = slices.DeleteFunc(l.queue, func(p parcel) bool { return p.at < long })
	c := &l.pending
	l.lost = l.lost || len(l.queue) < all || c.seq != 0 && !c.restates && c.at < long
	if l.lost && l.phase == joined {
		l.phase, l.pending = asking, pendingCall{}
	}
}

func (l *link) send() {
	g, f, c := l.gate.node, l.gate.node.fleet, &l.pending
	l.busy, l.sent, l.sentAt = true, f.now, g.read()
	l.calls++
	attempt := l.calls
	batch := events.AppendHeader(nil, &events.Header{
		Node: "g", Incarnation: l.gate.id, Seq: c.seq, Sent: l.sentAt.Round(0), Restates: c.restates, First: c.first,
		Manager: l.manager, Version: l.version, Skew: l.skew.ahead(l.sentAt),
	})
	for _, b := range c.bodies {
		batch = append(batch, b...)
	}
	l.gate.after(callTimeout, func() { l.answered(attempt, nil) })
	m := l.to
	f.copies(func(delay int64) {
		if f.net.there[g.id][m.id] {
			return
		}
		m.after(delay, func() { l.reach(attempt, batch) })
	})
}

// reach is a call at the traffic manager.
func (l *link) reach(attempt int, batch []byte) {
	g, f := l.gate.node, l.gate.node.fleet
	answer := l.to.receive(batch)
	if answer == nil || f.net.back[g.id][l.to.id] || f.chance.of(f.net.loss) || f.chance.of(f.net.mute) {
		return
	}
	l.gate.after(f.net.delay(f.chance), func() { l.answered(attempt, answer) })
}

// answered takes an answer, or that there was none in time.
func (l *link) answered(attempt int, answer []byte) {
	if !l.busy || attempt != l.calls {
		return
	}
	f := l.gate.node.fleet
	l.busy = false
	if answer == nil {
		l.failures++
		if l.phase == telling && l.failures > 2 {
			l.phase, l.untold, l.pending = asking, nil, pendingCall{}
		}
		most := min(50*millisecond<<min(l.failures, 10), 2*second)
		l.wake(f.chance.between(25*millisecond, most))
		return
	}
	r, err := events.ParseReply(answer)
	if err != nil {
		f.judge.fail("I10", "an answer of %s cannot be read: %v", l.to.issuer, err)
		return
	}
	l.failures = 0
	l.take(&r)
}

// take takes an answer.
func (l *link) take(r *events.Reply) {
	f, c := l.gate.node.fleet, &l.pending
	if l.issuer != "" && l.issuer != r.Issuer {
		l.former = append(l.former, former{l.issuer, f.now, l.skew})
	}
	l.skew.read(r.Now, l.sentAt, l.gate.node.read(), l.sent)
	l.issuer = r.Issuer
	l.heed(r)
	f.judge.told(l, r)
	l.retire()
	strange := r.Manager != l.manager && !c.first
	l.manager, l.version = r.Manager, r.Version
	switch {
	case r.Restate || l.phase == asking || strange:
		l.restate()
		return
	case c.restates:
		l.began = true
		l.phase = joined
	}
	l.pending = pendingCall{}
	if len(l.queue) > 0 {
		l.wake(0)
	} else {
		l.wake(f.chance.between(800*millisecond, 1200*millisecond))
	}
}

// heed hands on the decisions of an answer.
func (l *link) heed(r *events.Reply) {
	for i := range r.Decisions {
		if !l.gate.node.fleet.judge.genuine(&r.Decisions[i]) {
			return
		}
	}
	if r.All {
		l.gate.decideAll(r.Issuer, r.Decisions, r.Version, &l.skew)
		return
	}
	for i := range r.Decisions {
		l.gate.decide(&r.Decisions[i], &l.skew)
	}
}

// retire ends the decisions of runs that were succeeded long enough ago.
func (l *link) retire() {
	for len(l.former) > 0 && l.gate.node.fleet.now-l.former[0].since >= outlive && l.phase == joined {
		l.gate.decideAll(l.former[0].issuer, nil, math.MaxUint64, new(skew))
		l.former = l.former[1:]
	}
}

// restate has everything that counts told again, not too often.
func (l *link) restate() {
	f := l.gate.node.fleet
	n, bodies := l.gate.gateway.Restate(l.gate.node.read())
	for i := range bodies {
		bodies[i] = sorted(bodies[i])
	}
	l.pending = pendingCall{}
	l.phase, l.untold, l.began, l.lost = telling, bodies, false, false
	l.upTo = max(l.upTo, n)
	l.queue = slices.DeleteFunc(l.queue, func(p parcel) bool { return p.n <= n })
	wait := int64(0)
	if l.restated != 0 && f.now-l.restated < 10*second {
		wait = f.chance.between(25*millisecond, second)
	}
	l.restated = f.now
	l.wake(wait)
}

// sorted returns a body with its events in an order that is the same in every run: that of
// a gateway's ledger is not.
func sorted(body events.Body) events.Body {
	var all []weir.Event
	var d events.Decoder
	var h events.Header
	batch := events.AppendHeader(nil, &events.Header{Incarnation: 1, Seq: 1, Sent: time.Unix(1, 0), Restates: true})
	_, err := d.Decode(append(batch, body...), &h, func(_ int, e *weir.Event) error {
		one := *e
		one.Open = slices.Clone(e.Open)
		all = append(all, one)
		return nil
	})
	if err != nil {
		panic(err)
	}
	if len(all) == 1 {
		return body
	}
	slices.SortStableFunc(all, func(a, b weir.Event) int {
		return cmp.Or(cmp.Compare(a.Request.Application.ID, b.Request.Application.ID),
			a.Request.Time.Compare(b.Request.Time), cmp.Compare(a.Spent.Requests, b.Spent.Requests))
	})
	var enc events.Encoder
	for i := range all {
		n := enc.Request(&weir.Fields{}, &all[i].Request)
		enc.Spend(n, all[i].Spent)
		for _, w := range all[i].Open {
			enc.Open(n, w)
		}
	}
	return enc.Body()
}

// A skew is by how much a traffic manager's clock is ahead of a gateway's, found as the
// uplink does.
type skew struct {
	known bool
	sent  time.Time // by the gateway's clocks
	shown time.Time // by the traffic manager's then, if it answered half-way
	rtt   time.Duration
	at    int64 // true time of the call that showed it
	all   []skew
}

// clock returns what the other clock shows when the gateway's show now.
func (s *skew) clock(now time.Time) time.Time { return s.shown.Add(now.Sub(s.sent)) }

// ahead returns by how much it is ahead of the gateway's wall clock.
func (s *skew) ahead(now time.Time) time.Duration {
	if !s.known {
		return 0
	}
	return s.clock(now).Sub(now.Round(0))
}

// read takes an answer that was made when the other clock showed now.
func (s *skew) read(now, sent, answered time.Time, at int64) {
	rtt := max(answered.Sub(sent), 0)
	one := skew{known: true, sent: sent, shown: now.Round(0).Add(-rtt / 2), rtt: rtt, at: at}
	if s.known && one.shown.Sub(s.clock(sent)).Abs() > (one.rtt+s.rtt)/2+10*time.Millisecond {
		*s = skew{}
	}
	if s.all = append(s.all, one); len(s.all) > 64 {
		s.all = s.all[1:]
	}
	best := one
	for _, o := range s.all {
		if o.rtt < best.rtt {
			best = o
		}
	}
	best.all = s.all
	*s = best
}

package trafficmanager

import (
	"errors"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A Batch is what one call of a gateway tells, on its way to be counted. It is for
// one goroutine, from [Manager.Begin] to End.
type Batch struct {
	manager     *Manager
	set         *policy.Set
	verdict     verdict
	restates    bool
	incarnation uint64 // zero: the gateway has none
	told        [2]uint64
	now         time.Time
	shift       time.Duration // what is added to the gateway's times
	latest      time.Time     // no event is taken to be later
	oldest      time.Time     // of the events, zero if there are none
	match       policy.Match
	text        []byte
	tally
}

// Begin begins to count what arrived under h at now. For events of a gateway that
// numbers nothing, which are counted as they are, h is nil or has no Incarnation.
//
// It decides once whether the batch counts at all, and takes note of its number:
// from here on the batch is never counted again.
func (m *Manager) Begin(now time.Time, h *event.Header) *Batch {
	b := m.batches.Get().(*Batch)
	b.now = now.Round(0)
	b.set = m.set.Load()
	b.verdict, b.restates, b.incarnation, b.told, b.shift = count, false, 0, [2]uint64{}, 0
	b.latest, b.oldest, b.tally = b.now, time.Time{}, tally{}
	switch {
	case b.set == nil:
		b.verdict = ask
	case h != nil && h.Incarnation != 0:
		b.incarnation = h.Incarnation
		b.verdict, b.shift = m.nodes.admit(b.now, h, m.id)
	}
	b.tally.take(b.verdict, h != nil && h.First)
	if h != nil {
		b.restates, b.told = h.Restates, [2]uint64{h.Manager, h.Version}
	}
	if b.shift == 0 {
		// Clocks that differ by so little are taken at their word: what a gateway
		// had in its next window is not counted in this one.
		b.latest = b.now.Add(skewFree)
	}
	return b
}

var errOpen = errors.New("there are open windows outside of a restatement")

// Counts reports whether events of the batch are counted. If not, Count only
// counts how many there were, and they need not be decoded.
func (b *Batch) Counts() bool { return b.verdict == count }

// Count counts an event and decides on what it spent. It keeps nothing of e. A
// time that is zero is now. An error says why the event is refused: that it is
// wrong, not that it is late; see Refuse.
func (b *Batch) Count(e *weir.Event) error {
	switch {
	case b.verdict != count:
		b.uncounted++
		return nil
	case e.Open != nil && !b.restates:
		return errOpen
	}
	at := b.moment(e)
	if e.Open == nil && b.now.Sub(at) > b.manager.grace {
		b.late++
		return nil
	}
	b.record(at, e)
	return nil
}

// record counts an event that was at a time.
func (b *Batch) record(at time.Time, e *weir.Event) {
	b.set.MatchEvent(&b.match, e)
	checks := b.match.Checks
	b.ruleErrors += uint64(b.match.RuleErrors)
	if b.match.Unknown != "" {
		b.unknown++
	}
	dropped := 0
	if e.Open != nil {
		dropped = b.dropPast(at)
		checks = b.match.Checks
	}
	late := b.manager.limiter.Record(at, checks)
	for i := range checks {
		b.look(i, at, &e.Request)
	}
	if late == len(checks) && late+dropped > 0 {
		b.past++
		return
	}
	b.counted++
}

// moment returns when an event was, by the manager's clock.
func (b *Batch) moment(e *weir.Event) time.Time {
	at := e.Request.Time
	if at.IsZero() {
		return b.now
	}
	if b.shift != 0 {
		at = at.Add(b.shift)
	}
	if at.After(b.latest) {
		at = b.latest
	}
	if b.oldest.IsZero() || at.Before(b.oldest) {
		b.oldest = at
	}
	return at
}

// dropPast leaves out the checks of a restatement whose windows are over, and
// returns how many that were. Without it they would make counters anew.
func (b *Batch) dropPast(at time.Time) int {
	m, kept := &b.match, 0
	for i := range m.Checks {
		l := m.Checks[i].Limit
		end := at.Add(l.Window.Length)
		if l.Algorithm == limiter.FixedWindow {
			_, end = l.Window.Bounds(at)
		}
		if end.After(b.now) {
			m.Checks[kept], m.Sources[kept] = m.Checks[i], m.Sources[i]
			kept++
		}
	}
	past := len(m.Checks) - kept
	m.Checks, m.Sources = m.Checks[:kept], m.Sources[:kept]
	return past
}

// look decides on the key of a check that was recorded.
func (b *Batch) look(i int, at time.Time, req *weir.Request) {
	c, src := &b.match.Checks[i], b.match.Sources[i]
	if !c.Over && c.Remaining == 0 {
		return // its window is over: nothing was recorded
	}
	b.lead(i, at, req)
	if c.Limit.Shadow && !src.Soft {
		return
	}
	force := &b.manager.force
	switch {
	case c.Over:
		if force.has(c.Key, src, b.now, at.Add(c.Reset), c.Limit.Algorithm) {
			return
		}
	case c.N < 0:
		if !force.throttles(c.Key, b.now) {
			return
		}
	default:
		return
	}
	b.text = b.set.AppendKey(b.text[:0], &b.match, i, req)
	b.manager.settle(b.now, at, &Subject{
		Key: c.Key, Level: src.Level, Policy: src.Policy, Group: src.Group, Soft: src.Soft, raw: b.text,
	})
}

// Refuse takes note of n events that were refused, by Count or before.
func (b *Batch) Refuse(n int) {
	if b.verdict == count {
		b.refused += uint64(n)
	}
}

// End ends the batch and fills in the answer, but for what was Refused; r is nil
// if nobody is answered. The batch must not be used any longer.
func (b *Batch) End(r *event.Reply) {
	m := b.manager
	m.stats.add(&b.tally)
	if b.incarnation != 0 && b.verdict == count {
		lag := time.Duration(-1)
		if !b.oldest.IsZero() {
			lag = b.now.Sub(b.oldest)
		}
		m.nodes.counted(b.incarnation, b.counted, lag)
	}
	if r != nil {
		r.Manager, r.Issuer, r.Now, r.Shares = m.id, m.issuer, b.now, m.shares
		r.Restate, r.Late = b.verdict == ask, int(b.late)
		r.Decisions, r.All, r.Version = m.Decisions(b.now, b.told[0], b.told[1])
	}
	b.set = nil
	m.batches.Put(b)
}

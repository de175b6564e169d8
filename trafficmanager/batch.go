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
	manager  *Manager
	set      *policy.Set
	verdict  verdict
	node     *node // nil: the gateway numbers nothing
	local    bool  // it is of the same process
	restates bool
	// What the gateway knows: a run of a manager, and the version of its decisions.
	knows, version uint64
	now            time.Time
	shift          time.Duration // what is added to the gateway's times
	latest         time.Time     // no event is taken to be later
	oldest         time.Time     // of the events, zero if there are none
	match          policy.Match
	bounds         [bounds]span // by the index of a check
	text           []byte
	tally
}

// Begin begins to count what arrived under h at now. For events of a gateway that
// numbers nothing, which are counted as they are, h is nil or has no Incarnation.
//
// It decides once whether the batch counts at all, and takes note of its number:
// from here on the batch is never counted again.
func (m *Manager) Begin(now time.Time, h *event.Header) *Batch {
	b := m.begin(now)
	if h != nil {
		b.restates, b.knows, b.version = h.Restates, h.Manager, h.Version
	}
	switch {
	case b.set == nil:
		b.verdict = ask
	case h != nil && h.Incarnation != 0:
		b.node, b.verdict, b.shift = m.nodes.admit(b.now, h, m.id)
	}
	b.tally.take(b.verdict, h != nil && h.First)
	if b.shift == 0 {
		// Clocks that differ by so little are taken at their word: what a gateway
		// had in its next window is not counted in this one.
		b.latest = b.now.Add(skewFree)
	}
	return b
}

// BeginLocal begins to count what a gateway of the same process told: nothing of that
// is lost or comes twice, so no ledger is kept of it. Of h, Node, Incarnation, Sent,
// Refused and Sharing are read.
func (m *Manager) BeginLocal(now time.Time, h *event.Header) *Batch {
	b := m.begin(now)
	b.local = true
	b.latest = b.now.Add(skewFree)
	if b.set == nil {
		b.verdict = ask
	} else {
		b.node = m.nodes.local(b.now, h, true)
	}
	b.tally.take(b.verdict, false)
	return b
}

// HearLocal takes note of what a gateway of the same process says of itself.
func (m *Manager) HearLocal(now time.Time, h *event.Header) { m.nodes.local(now.Round(0), h, false) }

// begin returns a batch that counts what it is given.
func (m *Manager) begin(now time.Time) *Batch {
	b := m.batches.Get().(*Batch)
	b.now = now.Round(0)
	b.set = m.set.Load()
	b.verdict, b.node, b.local, b.shift = count, nil, false, 0
	b.restates, b.knows, b.version = false, 0, 0
	b.latest, b.oldest, b.tally = b.now, time.Time{}, tally{}
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
	b.ruleErrors += uint64(b.match.RuleErrors)
	if b.match.Unknown != "" {
		b.unknown++
	}
	all := len(b.match.Checks)
	if e.Open != nil {
		b.dropPast(at)
	}
	open := len(b.match.Checks)
	if b.node != nil && !b.local {
		b.note(e)
	}
	checks := b.match.Checks
	late := b.manager.limiter.Record(at, checks)
	for i := range checks {
		b.look(i, at, &e.Request)
	}
	switch {
	case all == 0 || late < len(checks):
		b.counted++
		b.requests += uint64(max(e.Spent.Requests, 0))
	case open == 0 || late > 0:
		b.past++
	default: // a restatement, of which nothing is missing
		b.uncounted++
	}
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

// keep keeps those of the checks whose index may stay.
func (b *Batch) keep(stays func(i int, c *limiter.Check) bool) {
	m, n := &b.match, 0
	for i := range m.Checks {
		if stays(i, &m.Checks[i]) {
			m.Checks[n], m.Sources[n] = m.Checks[i], m.Sources[i]
			n++
		}
	}
	m.Checks, m.Sources = m.Checks[:n], m.Sources[:n]
}

// dropPast leaves out the checks of a restatement whose windows are over. They
// would make counters anew.
func (b *Batch) dropPast(at time.Time) {
	b.keep(func(_ int, c *limiter.Check) bool {
		l := c.Limit
		end := at.Add(l.Window.Length)
		if l.Algorithm == limiter.FixedWindow {
			_, end = l.Window.Bounds(at)
		}
		return end.After(b.now)
	})
}

// note writes an event into the ledger of its gateway, by the gateway's own time.
// Of a restatement it leaves what is missing.
func (b *Batch) note(e *weir.Event) {
	at := e.Request.Time
	if at.IsZero() {
		at = b.now
	}
	now, told := at.UnixNano(), &b.node.told
	told.mu.Lock()
	defer told.mu.Unlock()
	if e.Open == nil {
		for i := range b.match.Checks {
			c := &b.match.Checks[i]
			told.add(c.Key, b.endOf(i, c.Limit, at, now), c.N, now)
		}
		return
	}
	b.keep(func(i int, c *limiter.Check) bool {
		c.N = told.restate(c.Key, b.endOf(i, c.Limit, at, now), c.N, now)
		return c.N > 0
	})
}

// A span is a window of a limit: from begin up to end, in nanoseconds since the
// epoch.
type span struct {
	limit      *limiter.Limit
	begin, end int64
}

// bounds is for how many limits the last window is remembered.
const bounds = 8

// endOf returns the end of the window of a limit that holds at, which is ns. It is
// that of as many limits as events of a batch are likely to have in turn.
func (b *Batch) endOf(i int, l *limiter.Limit, at time.Time, ns int64) int64 {
	s := &b.bounds[i%bounds]
	if s.limit != l || ns < s.begin || ns >= s.end {
		begin, end := l.Window.Bounds(at)
		*s = span{l, begin.UnixNano(), end.UnixNano()}
	}
	return s.end
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
	if b.manager.shares != "" {
		b.remember(i, req)
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

// Late returns how many events were too old to be counted, so far.
func (b *Batch) Late() int { return int(b.late) }

// End ends the batch and fills in the answer, but for what was Refused; r is nil
// if nobody is answered. The batch must not be used any longer.
func (b *Batch) End(r *event.Reply) {
	m := b.manager
	if b.restates && b.verdict == count && b.uncounted > 0 && b.counted == 0 {
		b.verdicts[count], b.needless = 0, 1
	}
	m.stats.add(&b.tally)
	if b.node != nil && !b.oldest.IsZero() {
		m.nodes.counted(b.node, b.counted, b.now.Sub(b.oldest))
	}
	if r != nil {
		r.Manager, r.Issuer, r.Now, r.Shares = m.id, m.issuer, b.now, m.shares
		r.Restate, r.Late = b.verdict == ask, b.Late()
		r.Decisions, r.All, r.Version = m.Decisions(b.now, b.knows, b.version)
	}
	b.set, b.node = nil, nil
	m.batches.Put(b)
}

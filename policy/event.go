package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// A Reader is an Expression that knows what it reads of a request.
type Reader interface {
	Expression
	// Fields returns what it reads that not every event has, and whether that
	// is all: an expression of which it isn't can be decided only where the
	// request is.
	Fields() (f weir.Fields, all bool)
}

// MatchEvent makes m what s counts of an event: the checks of Match, of calls that
// are known to be accepted. N is what was spent of what each limit counts, which
// may be negative; checks of which nothing was spent are left out. In a restatement
// it is what was spent in the window of the limit's own length.
//
// It leaves out what every node counts for itself: bursts, backend limits, and
// custom rules whose condition needs more than events carry.
func (s *Set) MatchEvent(m *Match, e *weir.Event) {
	m.Denied, m.Unknown, m.UnknownLevel, m.RuleErrors = nil, "", 0, 0
	m.Checks, m.Sources = m.Checks[:0], m.Sources[:0]
	m.charge = toldEvent
	req := &e.Request
	m.amounts = [3]int64{limiter.Requests: e.Spent.Requests, limiter.Bytes: e.Spent.Bytes, limiter.Events: e.Spent.Events}
	m.open = e.Open
	s.matchAdvanced(m, req)
	s.matchSubscription(m, req)
	s.matchApplication(m, req)
	if len(s.rules) > 0 {
		s.matchRules(m, req)
	}
	m.open = nil
}

// spent returns what m asks of a limit.
func (m *Match) spent(l *limiter.Limit) int64 {
	if m.open == nil {
		return m.amounts[l.Cost]
	}
	for i := range m.open {
		if o := &m.open[i]; o.Window.Equal(l.Window) {
			return o.Spent.Of(l.Cost)
		}
	}
	return 0
}

// isTold reports whether traffic managers count what is spent at a level.
func isTold(l weir.Level) bool {
	switch l {
	case weir.LevelAPI, weir.LevelResource, weir.LevelSubscription, weir.LevelApplication, weir.LevelCustom:
		return true
	}
	return false
}

// Told reports whether traffic managers count what the check is about, and so
// may decide on its key.
func (s *Source) Told() bool { return s.told }

// Eventual reports whether the gateways of a fleet hold the limit together by what
// traffic managers decide, so that its OnStoreLoss is about them.
func (s *Source) Eventual() bool { return s.told && s.Limit.Accuracy == limiter.Eventual }

// Open returns the limit to count by, and not to refuse by, while traffic managers
// are away; nil unless it is Eventual and its OnStoreLoss is Open.
func (s *Source) Open() *limiter.Limit { return s.open }

// Lossy reports whether any limit that is [Source.Eventual] has another OnStoreLoss than
// Local.
func (s *Set) Lossy() bool { return s.lossy }

// Fields returns what events must carry for MatchEvent to find what Match found.
func (s *Set) Fields() weir.Fields { return s.fields }

// Windows returns the windows of all limits that MatchEvent may ask for, each once.
func (s *Set) Windows() []limiter.Window { return s.windows }

// An Interval is a time within which every limit's window stays the same.
type Interval struct {
	Begin, End time.Time   // End is not in it
	Ends       []time.Time // of each of Windows
}

// Interval returns the interval that holds t. What is admitted within it is in the
// same window of every limit.
func (s *Set) Interval(t time.Time) *Interval {
	const most = 24 * time.Hour
	in := &Interval{Begin: t.Add(-most), End: t.Add(most), Ends: make([]time.Time, len(s.windows))}
	for i := range s.windows {
		begin, end := s.windows[i].Bounds(t)
		in.Ends[i] = end
		if begin.After(in.Begin) {
			in.Begin = begin
		}
		if end.Before(in.End) {
			in.End = end
		}
	}
	return in
}

// Holds reports whether t is in the interval.
func (in *Interval) Holds(t time.Time) bool { return !t.Before(in.Begin) && t.Before(in.End) }

// Limit returns the limit of which a traffic manager may have decided: that of a
// policy or custom rule at a level, in a group of conditions or, for -1, outside of
// them. Nil if there is none.
func (s *Set) Limit(level weir.Level, policy string, group int) *limiter.Limit {
	if b := s.told[toldKey{level, policy, group}]; b != nil {
		return &b.limit
	}
	return nil
}

type toldKey struct {
	level  weir.Level
	policy string
	group  int
}

// tell notes a limit that traffic managers count.
func (s *Set) tell(b *bound) {
	if b == nil || !isTold(b.source.Level) {
		return
	}
	b.source.told = true
	if b.source.Eventual() {
		s.lossy = s.lossy || b.limit.OnStoreLoss > limiter.Local
	}
	if b.source.Eventual() && b.limit.OnStoreLoss == limiter.Open {
		open := b.limit
		open.Shadow = true
		b.source.open = &open
	}
	s.told[toldKey{b.source.Level, b.source.Policy, b.source.Group}] = b
	if !slices.ContainsFunc(s.windows, b.limit.Window.Equal) {
		s.windows = append(s.windows, b.limit.Window)
	}
}

// carry notes what events must carry.
func (s *Set) carry(f weir.Fields) {
	add := func(list *[]string, names []string) {
		for _, n := range names {
			if !slices.Contains(*list, n) {
				*list = append(*list, n)
			}
		}
	}
	for _, h := range f.Headers {
		add(&s.fields.Headers, []string{strings.ToLower(h)})
	}
	add(&s.fields.Query, f.Query)
	add(&s.fields.Claims, f.Claims)
	s.fields.ClientIP = s.fields.ClientIP || f.ClientIP
	s.fields.Token = s.fields.Token || f.Token
}

// fields returns what a condition looks at.
func (c *Condition) fields() weir.Fields {
	f := weir.Fields{ClientIP: c.IP != nil}
	if c.Header != nil {
		f.Headers = []string{c.Header.Name}
	}
	if c.Query != nil {
		f.Query = []string{c.Query.Name}
	}
	if c.Claim != nil {
		f.Claims = []string{c.Claim.Name}
	}
	return f
}

// fields returns what a key is made of.
func (t *template) fields() weir.Fields {
	var f weir.Fields
	if t == nil {
		return f
	}
	for i := range t.parts {
		switch p := &t.parts[i]; p.variable {
		case varClientIP:
			f.ClientIP = true
		case varHeader:
			f.Headers = append(f.Headers, p.text)
		case varQuery:
			f.Query = append(f.Query, p.text)
		case varClaim:
			f.Claims = append(f.Claims, p.text)
		}
	}
	return f
}

package policy

import (
	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// A Source says where a check comes from.
type Source struct {
	Level  weir.Level
	Policy string // name of the policy or the custom rule; for backends PRODUCTION or SANDBOX
	Group  int    // index of the condition group, -1 for the default limit
	// Soft tells that the policy lets requests past (PassOnQuotaReach).
	Soft  bool
	Limit *limiter.Limit
	// Name names the limit in fields of answers, quoted: "level:policy". Item is
	// the limit under this name in the RateLimit-Policy field. Both are the same
	// for every request, and so are made once.
	Name, Item string

	form form
	told bool // traffic managers count it
	open *limiter.Limit
}

// A Match is what a Set asks of one request. The zero value is ready; it is
// meant to be used again and again: Set.Match overwrites it and, once it has
// grown, allocates nothing.
type Match struct {
	// Denied is the deny policy that refuses the request, or nil. If there is
	// one, there are no checks.
	Denied *Deny
	// Checks stand in the order in which they are to be passed.
	Checks []limiter.Check
	// Sources says of each check where it comes from.
	Sources []*Source
	// Unknown is the name of a tier that the request has and the Set lacks, or
	// empty. Such a request must be refused: it would go unlimited.
	Unknown string
	// UnknownLevel is the level of Unknown, where that is not empty.
	UnknownLevel weir.Level
	// RuleErrors counts custom rules whose expression failed on this request.
	RuleErrors int

	charge  charge
	amounts [3]int64 // by limiter.Cost
	open    []weir.OpenWindow
}

// A charge is what of a request a match asks for.
type charge uint8

const (
	wholeCall   charge = iota // all limits; the call is one event
	openStream                // all limits but those on events
	streamEvent               // limits on events only
	toldEvent                 // limits that traffic managers count
)

// Match makes m what s asks of req, in the order in which it is to be passed:
// deny policies, the API's own policy or else the resource's, subscription quota
// and burst, application quota and burst, custom rules, the backend's maximum.
//
// The API's policy stands in for the resource's unless it is empty or Unlimited.
// A limit on requests is asked for the request's weight, one on bytes for what is
// known of its size, and one on events for 1: a plain call is one event. Calls
// that open a stream take [Set.MatchOpen] instead.
func (s *Set) Match(m *Match, req *weir.Request) { s.match(m, req, wholeCall, 1) }

// MatchOpen is Match for a call that opens a stream (a WebSocket, server-sent
// events). It leaves out the limits on events: the stream's messages are held to
// them one by one, see [Set.MatchEvents].
func (s *Set) MatchOpen(m *Match, req *weir.Request) { s.match(m, req, openStream, 0) }

// MatchEvents makes m what s asks of n messages on a stream that req opened: deny
// policies, and of the checks of Match those that count events.
func (s *Set) MatchEvents(m *Match, req *weir.Request, n int64) {
	s.match(m, req, streamEvent, max(0, n))
}

func (s *Set) match(m *Match, req *weir.Request, c charge, events int64) {
	m.Denied, m.Unknown, m.UnknownLevel, m.RuleErrors = nil, "", 0, 0
	m.Checks, m.Sources = m.Checks[:0], m.Sources[:0]
	m.charge = c
	m.amounts = amounts(req, events)
	if m.Denied = s.denies.of(req); m.Denied != nil {
		return
	}
	s.matchAdvanced(m, req)
	s.matchSubscription(m, req)
	s.matchApplication(m, req)
	if len(s.rules) > 0 {
		s.matchRules(m, req)
	}
	if len(s.backends) > 0 {
		if b := s.backends[api{req.Context, req.Version}]; b != nil && req.KeyType <= weir.Sandbox {
			if h := b[req.KeyType]; h != nil && m.wants(h) {
				m.add(h, h.head)
			}
		}
	}
}

// amounts returns what req asks for, by limiter.Cost.
func amounts(req *weir.Request, events int64) [3]int64 {
	return [3]int64{
		limiter.Requests: max(1, req.Weight),
		limiter.Bytes:    max(0, req.Bytes),
		limiter.Events:   events,
	}
}

// wants reports whether the limit of h is one that m charges; h may be nil.
func (m *Match) wants(h *bound) bool {
	switch {
	case h == nil:
		return false
	case m.charge == wholeCall:
		return true
	case m.charge == toldEvent:
		return h.source.told && m.spent(&h.limit) != 0
	}
	return (h.limit.Cost == limiter.Events) == (m.charge == streamEvent)
}

// add adds the check of h under a key.
func (m *Match) add(h *bound, key limiter.Hash) {
	n := m.amounts[h.limit.Cost]
	if m.open != nil {
		n = m.spent(&h.limit)
	}
	m.Checks = append(m.Checks, limiter.Check{Limit: &h.limit, Key: key.Key(), N: n})
	m.Sources = append(m.Sources, &h.source)
}

// unknown records the first tier that s does not have.
func (m *Match) unknown(l weir.Level, tier string) {
	if m.Unknown == "" {
		m.Unknown, m.UnknownLevel = tier, l
	}
}

// isLimited reports whether a tier asks for a policy.
func isLimited(tier string) bool { return tier != "" && tier != weir.Unlimited }

func (s *Set) matchAdvanced(m *Match, req *weir.Request) {
	level, tier := weir.LevelAPI, req.APITier
	if !isLimited(tier) {
		if level, tier = weir.LevelResource, req.ResourceTier; !isLimited(tier) {
			return
		}
	}
	a := s.advanced[tier]
	if a == nil {
		m.unknown(level, tier)
		return
	}
	e := a.match(req)
	h := e.api
	if level == weir.LevelResource {
		h = e.resource
	}
	if !m.wants(h) {
		return
	}
	key := h.head.Add(req.Context).Add(req.Version)
	if level == weir.LevelResource {
		key = key.Add(req.Resource).Add(req.Verb)
	}
	if e.perUser {
		key = key.Add(req.User)
	}
	m.add(h, key)
}

// match returns what holds for req: the first group all of whose conditions do.
func (a *advanced) match(req *weir.Request) *either {
	for i := range a.groups {
		if g := &a.groups[i]; g.holds(req) {
			return &g.either
		}
	}
	return &a.otherwise
}

func (g *group) holds(req *weir.Request) bool {
	for i := range g.conditions {
		if !g.conditions[i].holds(req) {
			return false
		}
	}
	return true
}

func (s *Set) matchSubscription(m *Match, req *weir.Request) {
	if !isLimited(req.SubscriptionTier) {
		return
	}
	p := s.subscriptions[req.SubscriptionTier]
	if p == nil {
		m.unknown(weir.LevelSubscription, req.SubscriptionTier)
		return
	}
	for _, h := range [...]*bound{p.quota, p.burst} {
		if m.wants(h) {
			m.add(h, s.addApplication(h.head, req).Add(req.Context).Add(req.Version))
		}
	}
}

func (s *Set) matchApplication(m *Match, req *weir.Request) {
	if !isLimited(req.Application.Tier) {
		return
	}
	p := s.applications[req.Application.Tier]
	if p == nil {
		m.unknown(weir.LevelApplication, req.Application.Tier)
		return
	}
	for _, h := range [...]*bound{p.quota, p.burst} {
		if !m.wants(h) {
			continue
		}
		key := s.addApplication(h.head, req)
		switch p.per {
		case PerUser:
			key = key.Add(req.User)
		case PerToken:
			key = key.Add(req.Token)
		}
		m.add(h, key)
	}
}

func (s *Set) matchRules(m *Match, req *weir.Request) {
	for i := range s.rules {
		r := &s.rules[i]
		if !m.wants(r.bound) {
			continue
		}
		if r.when != nil {
			holds, err := r.when.Holds(req)
			if err != nil {
				m.RuleErrors++
				continue
			}
			if !holds {
				continue
			}
		}
		m.add(r.bound, r.key.hash(r.head, s, req))
	}
}

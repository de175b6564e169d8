package gateway

import (
	"net/http"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/policy"
)

// An Explanation is what the gateway would do with a call, and why.
type Explanation struct {
	// Status and Code are those of the answer; Status is 0 and Code empty if
	// the call would be forwarded.
	Status  int
	Code    string
	Reason  string // the answer's description
	Level   string // that refuses, or empty
	Policy  string // that refuses, or empty
	Request weir.Request
	Denied  *policy.Deny
	Checks  []ExplainedCheck
	// Forward are the URLs of the backends in question, ForwardPath what they
	// would be asked for.
	Forward     []string
	ForwardPath string
}

// An ExplainedCheck is one check in the order in which it would be made.
type ExplainedCheck struct {
	Level  string
	Policy string
	Group  int    // index of the group of conditions whose limit holds, -1 for the policy's own
	Key    string // what is counted, in WSO2's form
	Limit  string
	Shadow bool // counted, never refuses
	// Accuracy is how closely a fleet is held to the limit, OnStoreLoss what it does while
	// those through whom it is shared are away: eventual, and local.
	Accuracy, OnStoreLoss string
	// Uses is what the call would be charged, Remaining what would be left
	// after it, in the limit's units.
	Uses, Remaining int64
	Reset           time.Duration
	Refuses         bool
}

// Explain tells what Admit would do with x at x.Time, and charges nothing. It
// resets nothing: x is as Admit would leave it, but must not be forwarded. It is
// no part of the hot path and allocates.
func (g *Gateway) Explain(x *Exchange) Explanation {
	var e Explanation
	x.begin()
	x.snapshot = g.snapshot.Load()
	if x.snapshot == nil {
		return e.because(&notReady)
	}
	why := g.identify(x)
	e.Request = x.Request
	if why != nil {
		return e.because(why)
	}
	m := &x.Match
	x.match()
	e.Denied = m.Denied
	switch {
	case m.Denied != nil:
		e.Level, e.Policy = weir.LevelDeny.String(), m.Denied.ID
		return e.because(&limitReasons[weir.LevelDeny])
	case m.Unknown != "":
		return e.because(&notSubscribed)
	}
	g.block(m, x.snapshot, &x.Request, x.Time)
	passes := g.limiter.Peek(g.clock(x.Time), m.Checks)
	for i := range m.Checks {
		c, s := &m.Checks[i], m.Sources[i]
		refuses := c.Over && !c.Limit.Shadow
		left := c.Remaining
		if passes {
			left = max(0, left-c.N)
		}
		e.Checks = append(e.Checks, ExplainedCheck{
			Level: s.Level.String(), Policy: s.Policy, Group: s.Group,
			Key:   string(x.snapshot.set.AppendKey(nil, m, i, &x.Request)),
			Limit: s.Limit.String(), Shadow: s.Limit.Shadow,
			Accuracy: s.Limit.Accuracy.String(), OnStoreLoss: s.Limit.OnStoreLoss.String(),
			Uses: c.N, Remaining: left, Reset: c.Reset, Refuses: refuses,
		})
		if refuses && !passes && e.Level == "" {
			e.Level, e.Policy = s.Level.String(), s.Policy
			e = e.because(&limitReasons[s.Level])
		}
	}
	if x.resource == nil && e.Level == "" {
		e.Status, e.Reason = http.StatusNoContent, "The gateway answers the preflight itself"
	}
	if x.Upstream != nil {
		for _, t := range x.Upstream.Targets() {
			e.Forward = append(e.Forward, t.Scheme+"://"+t.Host+t.Path)
		}
		e.ForwardPath = x.ForwardPath
	}
	return e
}

func (e Explanation) because(r *reason) Explanation {
	e.Status, e.Code, e.Reason = r.status, r.code, r.description
	return e
}

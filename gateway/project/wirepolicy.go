package project

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

type wirePolicySet struct {
	Policies []wirePolicy  `json:"policies,omitempty"`
	Rules    []wireRule    `json:"rules,omitempty"`
	Denies   []wireDeny    `json:"denies,omitempty"`
	Backends []wireBackend `json:"backends,omitempty"`
}

type wirePolicy struct {
	Kind             string      `json:"kind"`
	Name             string      `json:"name"`
	Description      string      `json:"description,omitempty"`
	Limit            *wireLimit  `json:"limit,omitempty"`
	Burst            *wireLimit  `json:"burst,omitempty"`
	PassOnQuotaReach bool        `json:"pass_on_quota_reach,omitempty"`
	Per              string      `json:"per"`
	Groups           []wireGroup `json:"groups,omitempty"`
}

type wireLimit struct {
	Count       int64         `json:"count"`
	LengthNS    time.Duration `json:"length_ns,omitempty"`
	Calendar    string        `json:"calendar,omitempty"`
	Every       int           `json:"every,omitempty"`
	TimeZone    string        `json:"time_zone,omitempty"`
	Cost        string        `json:"cost"`
	Algorithm   string        `json:"algorithm"`
	Burst       int64         `json:"burst,omitempty"`
	Accuracy    string        `json:"accuracy,omitempty"` // empty: by its level
	OnStoreLoss string        `json:"on_store_loss,omitempty"`
	Shadow      bool          `json:"shadow,omitempty"`
}

type wireGroup struct {
	Description string          `json:"description,omitempty"`
	Conditions  []wireCondition `json:"conditions"`
	Limit       *wireLimit      `json:"limit,omitempty"`
}

type wireCondition struct {
	IP     *wireIP    `json:"ip,omitempty"`
	Header *wireMatch `json:"header,omitempty"`
	Query  *wireMatch `json:"query,omitempty"`
	Claim  *wireMatch `json:"claim,omitempty"`
	Invert bool       `json:"invert,omitempty"`
}

// wireIP is a network, or the addresses from From to To.
type wireIP struct {
	Prefix string `json:"prefix,omitempty"`
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
}

type wireMatch struct {
	Name    string `json:"name"`
	Pattern string `json:"pattern,omitempty"`
}

type wireRule struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	When        string    `json:"when,omitempty"`
	Key         string    `json:"key"`
	Limit       wireLimit `json:"limit"`
}

type wireDeny struct {
	ID     string  `json:"id,omitempty"`
	Kind   string  `json:"kind"`
	Value  string  `json:"value,omitempty"`
	IP     *wireIP `json:"ip,omitempty"`
	Invert bool    `json:"invert,omitempty"`
	Off    bool    `json:"off,omitempty"`
}

type wireBackend struct {
	Context    string     `json:"context"`
	Version    string     `json:"version"`
	Production *wireLimit `json:"production,omitempty"`
	Sandbox    *wireLimit `json:"sandbox,omitempty"`
}

// The names of what the domain counts, in its order.
var (
	wireKinds     = []string{"advanced", "subscription", "application"}
	wirePers      = []string{"default", "user", "application", "token"}
	wireCosts     = []string{"requests", "bytes", "events"}
	wireDenyKinds = []string{"api", "application", "user", "ip", "ip-range"}
)

func wirePolicies(d *policy.Definition) (*wirePolicySet, error) {
	w := &wireWriter{}
	out := &wirePolicySet{
		Policies: each(d.Policies, func(p policy.Policy) wirePolicy {
			return wirePolicy{
				w.name(wireKinds, int(p.Kind)), p.Name, p.Description, w.limit(p.Limit), w.limit(p.Burst),
				p.PassOnQuotaReach, w.name(wirePers, int(p.Per)), each(p.Groups, w.group),
			}
		}),
		Rules: each(d.Rules, func(r policy.CustomRule) wireRule {
			return wireRule{r.Name, r.Description, r.When, r.Key, *w.limit(&r.Limit)}
		}),
		Denies: each(d.Denies, func(d policy.Deny) wireDeny {
			return wireDeny{d.ID, w.name(wireDenyKinds, int(d.Kind)), d.Value, toWireIP(&d.IP), d.Invert, d.Off}
		}),
		Backends: each(d.Backends, func(b policy.Backend) wireBackend {
			return wireBackend{b.Context, b.Version, w.limit(b.Production), w.limit(b.Sandbox)}
		}),
	}
	return out, w.err
}

// A wireWriter turns policies into what an artifact holds. It keeps the first
// value that has no name.
type wireWriter struct{ err error }

func (w *wireWriter) name(names []string, i int) string {
	if i >= len(names) {
		if w.err == nil {
			w.err = fmt.Errorf("value %d is none of %v", i, names)
		}
		return ""
	}
	return names[i]
}

func (w *wireWriter) limit(l *limiter.Limit) *wireLimit {
	if l == nil {
		return nil
	}
	out := &wireLimit{
		Count: l.Count, Cost: w.name(wireCosts, int(l.Cost)), Algorithm: w.name(algorithms, int(l.Algorithm)), Burst: l.Burst,
		Shadow: l.Shadow,
	}
	if l.Accuracy != policy.ByLevel {
		out.Accuracy = w.name(accuracies, int(l.Accuracy))
	}
	if l.OnStoreLoss != limiter.ByAccuracy {
		out.OnStoreLoss = w.name(losses, max(slices.Index(lossValues, l.OnStoreLoss), 0))
	}
	if l.Window.Calendar == limiter.NoCalendar {
		out.LengthNS = l.Window.Length
		return out
	}
	out.Calendar, out.Every = w.name(calendarUnits, int(l.Window.Calendar)), l.Window.Every
	if l.Window.Location != nil {
		out.TimeZone = l.Window.Location.String()
	}
	return out
}

func (w *wireWriter) group(g policy.Group) wireGroup {
	return wireGroup{g.Description, each(g.Conditions, func(c policy.Condition) wireCondition {
		return wireCondition{toWireIP(c.IP), (*wireMatch)(c.Header), (*wireMatch)(c.Query), (*wireMatch)(c.Claim), c.Invert}
	}), w.limit(g.Limit)}
}

// toWireIP returns nil for no addresses.
func toWireIP(c *policy.IPCondition) *wireIP {
	switch {
	case c == nil:
		return nil
	case c.Prefix.IsValid():
		return &wireIP{Prefix: c.Prefix.String()}
	case c.From.IsValid():
		return &wireIP{From: c.From.String(), To: c.To.String()}
	}
	return nil
}

// definition returns the policies of an artifact.
func (s *wirePolicySet) definition() (policy.Definition, error) {
	n := &names{}
	d := policy.Definition{
		Policies: each(s.Policies, func(p wirePolicy) policy.Policy {
			return policy.Policy{
				Kind: policy.Kind(n.index(p.Kind, wireKinds...)), Name: p.Name, Description: p.Description,
				Limit: n.limit(p.Limit), Burst: n.limit(p.Burst), PassOnQuotaReach: p.PassOnQuotaReach,
				Per: policy.Per(n.index(p.Per, wirePers...)), Groups: each(p.Groups, n.group),
			}
		}),
		Rules: each(s.Rules, func(r wireRule) policy.CustomRule {
			return policy.CustomRule{Name: r.Name, Description: r.Description, When: r.When, Key: r.Key, Limit: *n.limit(&r.Limit)}
		}),
		Denies: each(s.Denies, func(d wireDeny) policy.Deny {
			out := policy.Deny{
				ID: d.ID, Kind: policy.DenyKind(n.index(d.Kind, wireDenyKinds...)), Value: d.Value, Invert: d.Invert, Off: d.Off,
			}
			if ip := n.ip(d.IP); ip != nil {
				out.IP = *ip
			}
			return out
		}),
		Backends: each(s.Backends, func(b wireBackend) policy.Backend {
			return policy.Backend{Context: b.Context, Version: b.Version, Production: n.limit(b.Production), Sandbox: n.limit(b.Sandbox)}
		}),
	}
	return d, n.err
}

func (n *names) limit(w *wireLimit) *limiter.Limit {
	if w == nil {
		return nil
	}
	l := &limiter.Limit{
		Count: w.Count, Cost: limiter.Cost(n.index(w.Cost, wireCosts...)),
		Algorithm: limiter.Algorithm(n.index(w.Algorithm, algorithms...)), Burst: w.Burst,
		Accuracy: policy.ByLevel, Shadow: w.Shadow,
		Window: limiter.Window{Length: w.LengthNS, Calendar: limiter.Calendar(n.index(w.Calendar, calendarUnits...)), Every: w.Every},
	}
	if w.Accuracy != "" {
		l.Accuracy = limiter.Accuracy(n.index(w.Accuracy, accuracies...))
	}
	if w.OnStoreLoss != "" {
		l.OnStoreLoss = lossValues[n.index(w.OnStoreLoss, losses...)]
	}
	location, err := loadLocation(w.TimeZone)
	if err != nil && n.err == nil {
		n.err = fmt.Errorf("time zone %s: %w", quoted(w.TimeZone), err)
	}
	l.Window.Location = location
	return l
}

func (n *names) group(g wireGroup) policy.Group {
	return policy.Group{Description: g.Description, Limit: n.limit(g.Limit), Conditions: each(g.Conditions, func(c wireCondition) policy.Condition {
		return policy.Condition{
			IP: n.ip(c.IP), Header: (*policy.ValueCondition)(c.Header), Query: (*policy.ValueCondition)(c.Query),
			Claim: (*policy.ValueCondition)(c.Claim), Invert: c.Invert,
		}
	})}
}

func (n *names) ip(w *wireIP) *policy.IPCondition {
	if w == nil {
		return nil
	}
	var c policy.IPCondition
	var errs [3]error
	if w.Prefix != "" {
		c.Prefix, errs[0] = netip.ParsePrefix(w.Prefix)
	} else {
		c.From, errs[1] = netip.ParseAddr(w.From)
		c.To, errs[2] = netip.ParseAddr(w.To)
	}
	for _, err := range errs {
		if err != nil && n.err == nil {
			n.err = err
		}
	}
	return &c
}

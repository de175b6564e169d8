package policy

import (
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"strings"
)

// Conditions returns the conditions of the groups of an advanced policy as WSO2's
// gateways want them told with a decision: base64 of a JSON array with an object
// for each group, by kind of condition (reference: ThrottleConditionEvaluator of
// carbon-apimgt). Empty if the policy has no groups, or is none.
//
// What that form cannot say, a prefix among addresses, is a range there.
func (s *Set) Conditions(policy string) string {
	if a := s.advanced[policy]; a != nil {
		return a.told
	}
	return ""
}

// toldValues are conditions on values, of one kind: WSO2 has one invert for all.
type toldValues struct {
	Values map[string]string `json:"values"`
	Invert bool              `json:"invert"`
}

// toldGroup is a group in WSO2's form.
type toldGroup struct {
	IP      map[string]any `json:"ipspecific,omitempty"`
	IPRange map[string]any `json:"iprange,omitempty"`
	Header  *toldValues    `json:"header,omitempty"`
	Query   *toldValues    `json:"queryparametertype,omitempty"`
	Claims  *toldValues    `json:"jwtclaims,omitempty"`
}

// tellGroups returns groups in WSO2's form; their conditions are valid.
func tellGroups(groups []Group) string {
	if len(groups) == 0 {
		return ""
	}
	list := make([]toldGroup, len(groups))
	for i := range groups {
		for j := range groups[i].Conditions {
			list[i].add(&groups[i].Conditions[j])
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "" // texts and numbers cannot fail
	}
	return base64.StdEncoding.EncodeToString(text)
}

func (g *toldGroup) add(c *Condition) {
	if c.IP != nil {
		r, err := addresses(c.IP)
		if err != nil {
			return
		}
		if r.from == r.to {
			g.IP = map[string]any{"specificIp": number(r.from), "invert": c.Invert}
		} else {
			g.IPRange = map[string]any{"startingIp": number(r.from), "endingIp": number(r.to), "invert": c.Invert}
		}
		return
	}
	for _, v := range []struct {
		in  *ValueCondition
		out **toldValues
	}{{c.Header, &g.Header}, {c.Query, &g.Query}, {c.Claim, &g.Claims}} {
		if v.in == nil {
			continue
		}
		if *v.out == nil {
			*v.out = &toldValues{Values: map[string]string{}, Invert: c.Invert}
		}
		name := v.in.Name
		if v.in == c.Header {
			name = strings.ToLower(name)
		}
		(*v.out).Values[name] = v.in.Pattern
	}
}

// number returns an address as the decimal number that WSO2 makes of it.
func number(a netip.Addr) json.Number {
	f := form{ipv6Bits: 128}
	return json.Number(f.appendNumber(nil, a))
}

package project

import (
	"net/netip"
	"strings"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// conditionKinds are the keys of which a condition has exactly one.
var conditionKinds = []string{"ip", "ipRange", "cidr", "header", "queryParameter", "jwtClaim"}

// readGroup reads a group of conditions, and returns the places of them.
func readGroup(v value) (g policy.Group, conditions []value) {
	o, ok := v.object(append([]string{"description", "conditions", "limit"}, limitKeys...)...)
	if !ok {
		return g, nil
	}
	g.Description = o.prose("description")
	g.Limit = o.groupLimit()
	list, ok := o.get("conditions")
	if !ok {
		o.fault("conditions is missing: when the group's limit holds")
		return g, nil
	}
	for _, item := range list.list() {
		g.Conditions = append(g.Conditions, readCondition(item))
		conditions = append(conditions, item)
	}
	return g, conditions
}

// groupLimit returns the limit of a group, which stands beside the conditions, as
// in a policy, or in a mapping of its own, as in a custom rule. It is nil for
// "unlimited: true", or if there is a fault.
func (o object) groupLimit() *limiter.Limit {
	at, nested := o.get("limit")
	if !nested {
		l, _ := o.limit()
		return l
	}
	for _, k := range limitKeys {
		if v, ok := o.get(k); ok {
			v.fault("%s stands beside limit; put it into it", k)
			return nil
		}
	}
	of, ok := at.object(limitKeys...)
	if !ok {
		return nil
	}
	l, _ := of.limit()
	return l
}

// readCondition reads one condition.
func readCondition(v value) (c policy.Condition) {
	o, ok := v.object(append([]string{"invert"}, conditionKinds...)...)
	if !ok {
		return c
	}
	c.Invert = o.boolean("invert", false)
	var kinds []string
	for _, k := range conditionKinds {
		if _, ok := o.get(k); ok {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) != 1 {
		v.fault("a condition has exactly one of %s", strings.Join(conditionKinds, ", "))
		return c
	}
	of := o.fields[kinds[0]]
	switch kinds[0] {
	case "ip":
		if addr, ok := of.address(); ok {
			c.IP = &policy.IPCondition{Prefix: netip.PrefixFrom(addr, addr.BitLen())}
		}
	case "cidr":
		if prefix, ok := of.prefix(); ok {
			c.IP = &policy.IPCondition{Prefix: prefix}
		}
	case "ipRange":
		if r, ok := of.object("from", "to"); ok {
			c.IP = r.addressRange()
		}
	case "header":
		c.Header = of.pattern()
	case "queryParameter":
		c.Query = of.pattern()
	case "jwtClaim":
		c.Claim = of.pattern()
	}
	return c
}

// address returns the IP address that v is.
func (v value) address() (netip.Addr, bool) {
	s, ok := v.text()
	if !ok {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		v.fault("%s must be an IP address, not %s", v.name(), quoted(s))
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// prefix returns the network that v is; bits beyond its length are not allowed,
// as they show that another network was meant.
func (v value) prefix() (netip.Prefix, bool) {
	s, ok := v.text()
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		v.fault("%s must be a network like 10.0.0.0/8, not %s", v.name(), quoted(s))
		return netip.Prefix{}, false
	}
	if p != p.Masked() {
		v.fault("%s %s has bits beyond its length; the network is %s", v.name(), s, p.Masked())
		return netip.Prefix{}, false
	}
	return p, true
}

// addressRange returns the addresses from "from" to "to", nil if one is missing
// or wrong.
func (o object) addressRange() *policy.IPCondition {
	var ends [2]netip.Addr
	for i, key := range []string{"from", "to"} {
		v, ok := o.get(key)
		if !ok {
			o.fault("%s is missing: a range has a first and a last address", key)
			return nil
		}
		if ends[i], ok = v.address(); !ok {
			return nil
		}
	}
	switch from, to := ends[0], ends[1]; {
	case from.BitLen() != to.BitLen():
		o.fault("from is IPv%d and to is not: a range is of one kind", map[int]int{32: 4, 128: 6}[from.BitLen()])
	case to.Less(from):
		o.fault("the range ends at %s, before it begins at %s", to, from)
	default:
		return &policy.IPCondition{From: from, To: to}
	}
	return nil
}

// pattern returns the condition on a named value: {name: X-Tier, pattern: ^gold$}.
func (v value) pattern() *policy.ValueCondition {
	o, ok := v.object("name", "pattern")
	if !ok {
		return nil
	}
	name, ok := o.required("name", "whose value the condition is about")
	if !ok {
		return nil
	}
	return &policy.ValueCondition{Name: name, Pattern: o.text("pattern")}
}

// denyKinds are the types of deny policies.
var denyKinds = map[string]policy.DenyKind{
	"API": policy.DenyAPI, "APPLICATION": policy.DenyApplication, "USER": policy.DenyUser,
	"IP": policy.DenyIP, "IPRANGE": policy.DenyIPRange,
}

// deny reads one deny policy.
func (f *policyFile) deny(item value) {
	o, ok := item.object("id", "type", "value", "from", "to", "invert", "enabled")
	if !ok {
		return
	}
	t, ok := o.get("type")
	if !ok {
		o.fault("type is missing: API, APPLICATION, USER, IP or IPRANGE")
		return
	}
	name, ok := t.oneOf("API", "APPLICATION", "USER", "IP", "IPRANGE")
	if !ok {
		return
	}
	d := policy.Deny{
		ID: o.text("id"), Kind: denyKinds[name], Invert: o.boolean("invert", false), Off: !o.boolean("enabled", true),
	}
	wrong := []string{"from", "to"}
	if d.Kind == policy.DenyIPRange {
		wrong = []string{"value"}
	}
	for _, k := range wrong {
		if v, ok := o.get(k); ok {
			v.fault("%s does not belong to type %s", k, name)
			return
		}
	}
	switch d.Kind {
	case policy.DenyIPRange:
		r := o.addressRange()
		if r == nil {
			return
		}
		d.IP = *r
	case policy.DenyIP:
		if d.IP, ok = o.denied(); !ok {
			return
		}
	default:
		if d.Value, ok = o.required("value", "what is denied"); !ok {
			return
		}
	}
	f.definition.Denies = append(f.definition.Denies, d)
	f.denies = append(f.denies, item)
}

// denied returns the address or network in value.
func (o object) denied() (policy.IPCondition, bool) {
	text, ok := o.required("value", "the address or network that is denied")
	if !ok {
		return policy.IPCondition{}, false
	}
	v := o.fields["value"]
	if strings.Contains(text, "/") {
		p, ok := v.prefix()
		return policy.IPCondition{Prefix: p}, ok
	}
	addr, ok := v.address()
	return policy.IPCondition{Prefix: netip.PrefixFrom(addr, max(addr.BitLen(), 0))}, ok
}

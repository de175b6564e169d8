package policy

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/weir-project/weir"
)

// A subject is what a condition looks at.
type subject uint8

const (
	subjectAddress subject = iota
	subjectHeader
	subjectQuery
	subjectClaim
)

// A condition is a compiled [Condition].
type condition struct {
	subject subject
	invert  bool
	name    string
	pattern pattern
	within  addressRange
}

// holds reports whether c is true of req.
func (c *condition) holds(req *weir.Request) bool {
	var values weir.Values
	switch c.subject {
	case subjectAddress:
		return c.within.contains(plain(req.ClientIP)) != c.invert
	case subjectHeader:
		values = req.Headers
	case subjectQuery:
		values = req.Query
	case subjectClaim:
		values = req.Claims
	}
	v, ok := lookup(values, c.name)
	return (ok && c.pattern.match(v)) != c.invert
}

// An addressRange is the addresses from one to another of a family, both included.
type addressRange struct{ from, to netip.Addr }

// contains reports whether a is in r; an address that is not known is in none.
func (r *addressRange) contains(a netip.Addr) bool {
	return a.IsValid() && a.Is4() == r.from.Is4() && r.from.Compare(a) <= 0 && a.Compare(r.to) <= 0
}

// compileCondition compiles c and records its faults in at.
func compileCondition(c *Condition, at scope) condition {
	out := condition{invert: c.Invert}
	set := 0
	if c.IP != nil {
		set++
		var err error
		out.within, err = addresses(c.IP)
		at.add("ip", err)
	}
	for _, v := range []struct {
		subject subject
		name    string
		value   *ValueCondition
	}{{subjectHeader, "header", c.Header}, {subjectQuery, "query", c.Query}, {subjectClaim, "claim", c.Claim}} {
		if v.value == nil {
			continue
		}
		set++
		out.subject, out.name = v.subject, v.value.Name
		if v.value.Name == "" {
			at.say(v.name, "name is empty")
		}
		p, err := compilePattern(v.value.Pattern)
		if err != nil {
			at.add(v.name, fmt.Errorf("pattern %s: %w", quoted(v.value.Pattern), err))
		}
		out.pattern = p
	}
	switch {
	case set == 0:
		at.say("", "says nothing; it needs an ip, header, query or claim")
	case set > 1:
		at.say("", "says more than one thing; each needs a condition of its own")
	}
	return out
}

// addresses returns the range of c.
func addresses(c *IPCondition) (addressRange, error) {
	none := addressRange{}
	if c.Prefix.IsValid() {
		if c.From.IsValid() || c.To.IsValid() {
			return none, errors.New("has a prefix and a range; it can have one")
		}
		p := plainPrefix(c.Prefix)
		return addressRange{p.Addr(), lastAddress(p)}, nil
	}
	switch {
	case !c.From.IsValid() && !c.To.IsValid():
		return none, errors.New("has no valid address, prefix or range")
	case !c.From.IsValid():
		return none, errors.New("range has no valid first address")
	case !c.To.IsValid():
		return none, errors.New("range has no valid last address")
	case c.From.Zone() != "" || c.To.Zone() != "":
		return none, errors.New("range has an address with a zone")
	}
	r := addressRange{plain(c.From), plain(c.To)}
	switch {
	case r.from.Is4() != r.to.Is4():
		return none, fmt.Errorf("range from %s to %s mixes IPv4 and IPv6", r.from, r.to)
	case r.to.Less(r.from):
		return none, fmt.Errorf("range from %s to %s ends before it begins", r.from, r.to)
	}
	return r, nil
}

// plainPrefix returns p masked and, if it is of IPv4 addresses in IPv6 form, as
// a prefix of IPv4.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// lastAddress returns the last address of p.
func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

package identity

import (
	"net/netip"
	"strings"
)

// permits restrict where a token may be used from: the claims permittedIP and
// permittedReferer of WSO2's API keys.
type permits struct {
	addresses []netip.Prefix // empty: any
	referrers []string       // with "*" for any text; empty: any
}

var errTokenPermits = invalid("token has permittedIP or permittedReferer in a form that is not understood")

// newPermits returns the restrictions in a token's claims, nil if there are
// none. What it can't read it refuses: a restriction must not get lost.
func newPermits(set map[string]any) (*permits, *Error) {
	ips, ok := permitList(set["permittedIP"])
	if !ok {
		return nil, errTokenPermits
	}
	referrers, ok := permitList(set["permittedReferer"])
	if !ok {
		return nil, errTokenPermits
	}
	if len(ips) == 0 && len(referrers) == 0 {
		return nil, nil
	}
	p := &permits{referrers: referrers}
	for _, text := range ips {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil || addr.Zone() != "" {
				return nil, errTokenPermits
			}
			addr = addr.Unmap()
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		p.addresses = append(p.addresses, prefix)
	}
	return p, nil
}

// permitList returns the entries of a claim that is a list, or text with commas.
func permitList(value any) (entries []string, ok bool) {
	switch v := value.(type) {
	case nil:
		return nil, true
	case string, []any:
		text, _ := claimText(v)
		for entry := range strings.SplitSeq(text, ",") {
			if entry = strings.TrimSpace(entry); entry != "" {
				entries = append(entries, entry)
			}
		}
		return entries, true
	}
	return nil, false
}

// allow reports whether the token may be used from there.
func (p *permits) allow(client netip.Addr, referer string) bool {
	return p.allowAddress(client.Unmap().WithZone("")) && p.allowReferer(referer)
}

func (p *permits) allowAddress(client netip.Addr) bool {
	for _, prefix := range p.addresses {
		if prefix.Contains(client) {
			return true
		}
	}
	return len(p.addresses) == 0
}

func (p *permits) allowReferer(referer string) bool {
	for _, pattern := range p.referrers {
		if matchesGlob(referer, pattern) {
			return true
		}
	}
	return len(p.referrers) == 0
}

// matchesGlob reports whether all of text fits pattern, in which "*" is any
// text. It takes time in proportion to the product of their lengths at most.
func matchesGlob(text, pattern string) bool {
	first, pattern, starred := strings.Cut(pattern, "*")
	if !starred {
		return text == first
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	for {
		part, rest, more := strings.Cut(pattern, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, pattern = text[i+len(part):], rest
	}
}

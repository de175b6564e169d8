package identity

import (
	"net/netip"
	"slices"
)

// A prefixSet is a set of addresses, made of prefixes. A look-up takes a few
// comparisons however many there are. The zero value is empty.
type prefixSet struct {
	ranges []addrRange // sorted, apart from each other
}

// An addrRange is the addresses from the one to the other, both included.
type addrRange struct{ from, to netip.Addr }

// newPrefixSet returns the set of the addresses in valid prefixes.
func newPrefixSet(prefixes []netip.Prefix) prefixSet {
	ranges := make([]addrRange, len(prefixes))
	for i, p := range prefixes {
		ranges[i] = addrRange{p.Masked().Addr(), lastAddr(p)}
	}
	slices.SortFunc(ranges, func(a, b addrRange) int {
		if c := a.from.Compare(b.from); c != 0 {
			return c
		}
		return b.to.Compare(a.to) // the larger first
	})
	var apart []addrRange
	for _, r := range ranges {
		// Prefixes lie within each other or apart, never across.
		if n := len(apart); n > 0 && r.from.Compare(apart[n-1].to) <= 0 {
			continue
		}
		apart = append(apart, r)
	}
	return prefixSet{apart}
}

// contains reports whether addr, without a zone, is in the set. IPv4 addresses
// in IPv6 form are not IPv4.
func (s prefixSet) contains(addr netip.Addr) bool {
	i, exact := slices.BinarySearchFunc(s.ranges, addr, func(r addrRange, addr netip.Addr) int {
		return r.from.Compare(addr)
	})
	return exact || (i > 0 && addr.Compare(s.ranges[i-1].to) <= 0)
}

// lastAddr returns the last address in a prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := range b {
		switch from := bits - 8*i; {
		case from <= 0:
			b[i] = 0xff
		case from < 8:
			b[i] |= 0xff >> from
		}
	}
	last := netip.AddrFrom16(b)
	if p.Addr().Is4() {
		last = last.Unmap()
	}
	return last
}

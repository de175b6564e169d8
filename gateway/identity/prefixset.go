package identity

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// A prefixSet is a set of addresses, made of prefixes. A look-up takes a few
// comparisons however many there are. The zero value is empty.
type prefixSet struct {
	ranges []addrRange // sorted, apart from each other
}

// An addrRange is the addresses from the one to the other, both included.
type addrRange struct{ from, to addrNumber }

// An addrNumber is an address as a number, IPv4 in its IPv6 form.
type addrNumber struct{ high, low uint64 }

func numberOf(addr netip.Addr) addrNumber {
	b := addr.As16()
	return addrNumber{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (n addrNumber) less(m addrNumber) bool {
	return n.high < m.high || (n.high == m.high && n.low < m.low)
}

// newPrefixSet returns the set of the addresses in valid prefixes.
func newPrefixSet(prefixes []netip.Prefix) prefixSet {
	ranges := make([]addrRange, len(prefixes))
	for i, p := range prefixes {
		ranges[i] = rangeOf(p)
	}
	slices.SortFunc(ranges, func(a, b addrRange) int {
		switch {
		case a.from.less(b.from), a.from == b.from && b.to.less(a.to): // the larger first
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	var apart []addrRange
	for _, r := range ranges {
		// Prefixes lie within each other or apart, never across.
		if n := len(apart); n > 0 && !apart[n-1].to.less(r.from) {
			continue
		}
		apart = append(apart, r)
	}
	return prefixSet{apart}
}

// rangeOf returns the addresses in p.
func rangeOf(p netip.Prefix) addrRange {
	from := numberOf(p.Masked().Addr())
	host := 128 - p.Bits() // bits that are free
	if p.Addr().Is4() {
		host = 32 - p.Bits()
	}
	to := from
	if host > 64 {
		to.high |= 1<<(host-64) - 1
		host = 64
	}
	to.low |= 1<<host - 1
	return addrRange{from, to}
}

// contains reports whether addr, which is valid, is in the set. IPv4 addresses
// are the same in both their forms.
func (s prefixSet) contains(addr netip.Addr) bool {
	n := numberOf(addr)
	low, high := 0, len(s.ranges) // the last range that begins at or before n is before high
	for low < high {
		middle := int(uint(low+high) / 2)
		if n.less(s.ranges[middle].from) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low > 0 && !s.ranges[low-1].to.less(n)
}

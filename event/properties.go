package event

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"strconv"
)

const (
	maxProperties = 200
	maxProperty   = 64 << 10 // bytes of a value
)

// names is a set of names that may say yes to one that is not in it.
type names [4]uint64

// add adds a name, and reports whether it may have been there.
func (n *names) add(name string) bool {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	word, bit := &n[h>>30], uint64(1)<<(h>>24&63)
	was := *word&bit != 0
	*word |= bit
	return was
}

// readProperties reads what the attribute properties has: JSON in a text, or the
// object itself.
func (d *WSO2Decoder) readProperties(t token) {
	var s scanner
	var all string
	switch {
	case t.kind == 0 || t.kind == 'n' || t.kind == '"' && t.from == t.to:
		return
	case t.kind != '"' && t.kind != '{':
		d.refuse(errNoProperties)
		return
	case t.escaped:
		d.inner = unescape(d.inner[:0], d.p[t.from:t.to])
		s.p, all = d.inner, d.keep(d.inner)
	default:
		s.p, all = d.p[t.from:t.to], d.batch[t.from:t.to]
	}
	if s.space() != '{' {
		d.refuse(errNoProperties)
		return
	}
	s.i++
	for first := true; s.next(first, '}'); first = false {
		name := d.textOf(s.key(), s.p, all)
		switch v := s.value(1); v.kind {
		case 'n', 0: // null is none; and so is what is wrong
			d.property(name, "", false)
		case '"':
			d.property(name, d.textOf(v, s.p, all), true)
		default:
			d.property(name, all[v.from:v.to], true)
		}
	}
	if s.space(); s.i < len(s.p) || s.fault != "" {
		d.refuse(errNoProperties)
	}
}

// property notes a property, if there is one.
func (d *WSO2Decoder) property(name, value string, there bool) {
	if d.names.add(name) && d.hasProperty(name) {
		d.refuse(fmt.Errorf("property %s is there twice", quote(name)))
		return
	}
	if !there || d.reserved(name, value) || len(d.headers.pairs) == maxProperties {
		return
	}
	d.headers.add(name, cut(value, maxProperty))
}

// hasProperty reports whether a property was noted.
func (d *WSO2Decoder) hasProperty(name string) bool {
	if name == propertyIP && d.hasV4 || name == propertyIPv6 && d.hasV6 || name == propertySize && d.hasSize {
		return true
	}
	for i := range d.headers.pairs {
		if d.headers.pairs[i].name == name {
			return true
		}
	}
	return false
}

// reserved takes a property that has a meaning, if it makes sense.
func (d *WSO2Decoder) reserved(name, value string) bool {
	switch name {
	case propertyIP:
		d.v4, d.hasV4 = addressOf(value, false)
		return d.hasV4
	case propertyIPv6:
		d.v6, d.hasV6 = addressOf(value, true)
		return d.hasV6
	case propertySize:
		n, err := strconv.ParseInt(value, 10, 64)
		if d.hasSize = err == nil && 0 <= n && n <= maxSpent; d.hasSize {
			d.size = n
		}
		return d.hasSize
	}
	return false
}

// addressOf returns the address that s is, in figures or as text; of 0 it is none.
func addressOf(s string, v6 bool) (netip.Addr, bool) {
	hi, lo, ok := parseUint128(s)
	switch {
	case !ok:
		a, err := netip.ParseAddr(s)
		return a.WithZone(""), err == nil
	case hi == 0 && lo == 0:
		return netip.Addr{}, true
	case v6:
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], hi)
		binary.BigEndian.PutUint64(b[8:], lo)
		return netip.AddrFrom16(b), true
	}
	if hi != 0 || lo > math.MaxUint32 {
		return netip.Addr{}, false
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(lo))
	return netip.AddrFrom4(b), true
}

// parseUint128 returns the number hi<<64 + lo of its decimal digits.
func parseUint128(s string) (hi, lo uint64, ok bool) {
	if s == "" || len(s) > 39 {
		return 0, 0, false
	}
	for i := range len(s) {
		digit := uint64(s[i] - '0')
		if digit > 9 {
			return 0, 0, false
		}
		over, high := bits.Mul64(hi, 10)
		carry, low := bits.Mul64(lo, 10)
		low, c := bits.Add64(low, digit, 0)
		high, c = bits.Add64(high, carry, c)
		if over != 0 || c != 0 {
			return 0, 0, false
		}
		hi, lo = high, low
	}
	return hi, lo, true
}

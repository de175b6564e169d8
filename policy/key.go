package policy

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// What is counted apart is a tuple. Its head is the same for every request and
// is hashed when a Set is compiled; what follows comes from the request:
//
//	level                head                                     request
//	api                  level, algorithm, cost, group            context, version
//	api, per user        the same, of users                       context, version, user
//	resource             level, algorithm, cost, group            context, version, template, method
//	resource, per user   the same, of users                       context, version, template, method, user
//	subscription         level, algorithm, cost, tier             application, context, version
//	subscription burst   the same, of bursts                      application, context, version
//	application          level, algorithm, cost, scope            application, and the user or the token by scope
//	application burst    the same, of bursts                      the same
//	custom               level, algorithm, cost, rule, template   a part or parts for each variable
//	backend              level, algorithm, cost, context, version, key type
//
// The head names neither the Set nor, but for subscriptions, the policy: counters
// outlive a new Set, and an application that moves to another tier takes along
// what it has spent. It names the algorithm and the cost, since what one counted
// means nothing to the other. Whether a limit is a shadow is no part of it: no
// request is held to both, and a limit that is first tried as a shadow knows what
// was spent on the day it becomes real.
//
// Parts are hashed with their lengths, so that no two tuples make one key,
// whatever stands in names. Where an address is a part, IPv6 counts by network.

// head returns the beginning of the keys of l.
func head(seed limiter.Seed, level weir.Level, per Per, group int, l *limiter.Limit, names ...string) limiter.Hash {
	h := seed.Hash().AddUint64(uint64(level) | uint64(per)<<8 | uint64(l.Algorithm)<<16 |
		uint64(l.Cost)<<24 | uint64(uint32(group))<<32)
	for _, n := range names {
		h = h.Add(n)
	}
	return h
}

// anonymous is the end user of calls without credentials.
const anonymous = "anonymous"

// IsAnonymous reports whether req came without credentials, so that its client's
// address is counted in place of an application.
func IsAnonymous(req *weir.Request) bool {
	a := &req.Application
	return a.Name == "" && a.Owner == "" && req.User == anonymous && req.ClientIP.IsValid()
}

// addApplication continues h by the application of req.
func (s *Set) addApplication(h limiter.Hash, req *weir.Request) limiter.Hash {
	if IsAnonymous(req) {
		return addAddress(h, s.network(req.ClientIP))
	}
	return h.Add(req.Application.ID)
}

// network returns a as it is counted: an IPv4 address itself, of an IPv6
// address its network.
func (s *Set) network(a netip.Addr) netip.Addr {
	a = plain(a)
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(s.ipv6Bits)
	if err != nil {
		return a
	}
	return p.Addr()
}

// plain returns a without a zone and, if it is an IPv4 address in IPv6 form, as
// the IPv4 address.
func plain(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	return a.Unmap().WithZone("")
}

func addAddress(h limiter.Hash, a netip.Addr) limiter.Hash {
	b := a.As16()
	return h.AddUint64(binary.BigEndian.Uint64(b[:8])).AddUint64(binary.BigEndian.Uint64(b[8:]))
}

// A form is how the text of a check's key is made.
type form struct {
	per      Per
	ipv6Bits int
	template *template // of a custom rule
	tail     string    // of a backend: the whole key
}

// AppendKey appends the text of the key of m.Checks[i] to dst, in WSO2's form.
// It is for people and for messages to other programs: unlike the key itself, the
// text may be the same for two different tuples. m must have been filled for req;
// the Set that did may have been replaced since.
func (s *Set) AppendKey(dst []byte, m *Match, i int, req *weir.Request) []byte {
	src := m.Sources[i]
	f := &src.form
	switch src.Level {
	case weir.LevelAPI:
		return appendGroup(appendUserOf(appendAPIKey(dst, req), f.per, req), src.Group)
	case weir.LevelResource:
		return appendGroup(appendUserOf(appendResourceKey(dst, req), f.per, req), src.Group)
	case weir.LevelSubscription, weir.LevelSubscriptionBurst:
		dst = append(f.appendApplication(dst, req), ':')
		dst = append(appendAPIKey(dst, req), ':')
		return append(dst, src.Policy...)
	case weir.LevelApplication, weir.LevelApplicationBurst:
		dst = f.appendApplication(dst, req)
		switch f.per {
		case PerUser:
			return appendUser(append(dst, ':'), req)
		case PerToken:
			return append(append(dst, ':'), req.Token...)
		}
		return dst
	case weir.LevelCustom:
		return f.template.append(dst, f, req)
	}
	return append(dst, f.tail...)
}

// tenant is the one tenant that there is: WSO2's name for the first.
const tenant = "carbon.super"

// appendUser appends the end user with the tenant, as WSO2 does: unless the
// name already contains the tenant's.
func appendUser(dst []byte, req *weir.Request) []byte {
	dst = append(dst, req.User...)
	if !strings.Contains(req.User, tenant) && req.User != anonymous {
		dst = append(append(dst, '@'), tenant...)
	}
	return dst
}

func appendUserOf(dst []byte, per Per, req *weir.Request) []byte {
	if per != PerUser {
		return dst
	}
	return appendUser(append(dst, '_'), req)
}

func appendAPIKey(dst []byte, req *weir.Request) []byte {
	dst = append(dst, req.Context...)
	dst = append(dst, ':')
	return append(dst, req.Version...)
}

func appendResourceKey(dst []byte, req *weir.Request) []byte {
	dst = append(dst, req.Context...)
	dst = append(dst, '/')
	dst = append(dst, req.Version...)
	dst = append(dst, req.Resource...)
	dst = append(dst, ':')
	return append(dst, req.Verb...)
}

func appendGroup(dst []byte, group int) []byte {
	if group < 0 {
		return append(dst, "_default"...)
	}
	return strconv.AppendInt(append(dst, "_condition_"...), int64(group), 10)
}

// appendApplication appends the application's ID: for anonymous calls the
// address, of IPv6 the network with its length.
func (f *form) appendApplication(dst []byte, req *weir.Request) []byte {
	if !IsAnonymous(req) {
		return append(dst, req.Application.ID...)
	}
	a := plain(req.ClientIP)
	if !a.Is6() {
		return a.AppendTo(dst)
	}
	p, err := a.Prefix(f.ipv6Bits)
	if err != nil {
		return a.AppendTo(dst)
	}
	return p.AppendTo(dst)
}

// appendNumber appends an address as a decimal number, WSO2's form of $clientIp.
// Of IPv6 it is that of the network.
func (f *form) appendNumber(dst []byte, a netip.Addr) []byte {
	a = plain(a)
	if !a.IsValid() {
		return dst
	}
	if a.Is4() {
		b := a.As4()
		return strconv.AppendUint(dst, uint64(binary.BigEndian.Uint32(b[:])), 10)
	}
	if p, err := a.Prefix(f.ipv6Bits); err == nil {
		a = p.Addr()
	}
	b := a.As16()
	return appendUint128(dst, binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]))
}

// appendUint128 appends hi<<64 + lo in decimal.
func appendUint128(dst []byte, hi, lo uint64) []byte {
	if hi == 0 {
		return strconv.AppendUint(dst, lo, 10)
	}
	const ten19 = 1e19 // the largest power of ten in 64 bits
	q1, r := bits.Div64(0, hi, ten19)
	q0, rest := bits.Div64(r, lo, ten19)
	dst = appendUint128(dst, q1, q0)
	digits := strconv.AppendUint(nil, rest, 10)
	for range 19 - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

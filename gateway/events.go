package gateway

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// Told is told what the gateway counted, so that traffic managers may know.
type Told interface {
	// Events takes the events of accepted calls since the last time, encoded; n
	// is one more with each. It is called by one goroutine, must not wait, and
	// may keep body.
	Events(n uint64, body event.Body)
}

// EventOptions say how the gateway tells traffic managers of accepted calls.
type EventOptions struct {
	// To is told; nil: nobody, and calls pay nothing for it.
	To Told
	// Away reports whether all whom To tells are away; nil: never. While they are,
	// limits that are shared through them do as their OnStoreLoss says. It is asked
	// with every call that has such a limit, and must be cheap.
	Away func() bool
	// Flush is how long events are collected before they are told; zero: 10 ms.
	Flush time.Duration
	// MaxEvents is how many different events are collected at most before they
	// are told; zero: 512.
	MaxEvents int
	// Ledger bounds the memory for what may have to be told again, in bytes;
	// zero: 32 MiB. Beyond it, what has been told longest ago cannot be.
	Ledger int
}

const (
	defaultFlush     = 10 * time.Millisecond
	defaultMaxEvents = 512
	defaultLedger    = 32 << 20
)

// Restate returns what the gateway has told in windows that are still open at
// now, as restatements (see package event), and the number of the last Events that
// are in it. It is for a traffic manager that has just begun to listen.
func (g *Gateway) Restate(now time.Time) (n uint64, bodies []event.Body) {
	if g.events == nil {
		return 0, nil
	}
	return g.events.restate(now)
}

// tell notes that x spent s at a time.
func (g *Gateway) tell(x *Exchange, at time.Time, s weir.Spent) {
	if g.events == nil || s == (weir.Spent{}) {
		return
	}
	g.events.add(x, at, s)
}

// tellAdmitted tells of x, which has just been admitted and charged.
func (g *Gateway) tellAdmitted(x *Exchange) {
	if g.events == nil {
		return
	}
	s := weir.Spent{Requests: max(1, x.Request.Weight), Bytes: x.toldBytes(min(max(0, x.ContentLength), maxReserve))}
	if !x.Upgrade {
		s.Events = 1
	}
	x.told = s
	g.events.add(x, x.Time, s)
}

// takeBack tells that x cost nothing, as no backend was asked.
func (g *Gateway) takeBack(x *Exchange) {
	s := x.told
	x.told = weir.Spent{}
	g.tell(x, x.Time, weir.Spent{Requests: -s.Requests, Bytes: -s.Bytes, Events: -s.Events})
}

// tellBytes tells that n bytes of x were transferred until a time.
func (g *Gateway) tellBytes(x *Exchange, at time.Time, n int64) {
	if g.events != nil {
		g.tell(x, at, weir.Spent{Bytes: x.toldBytes(n)})
	}
}

// toldBytes returns n if any traffic manager counts the bytes of x.
func (x *Exchange) toldBytes(n int64) int64 {
	for i := range x.Match.Checks {
		if x.Match.Checks[i].Limit.Cost == limiter.Bytes && x.Match.Sources[i].Told() {
			return n
		}
	}
	return 0
}

// An interval is the last that a call was in.
type interval struct {
	set  *policy.Set
	last atomic.Pointer[policy.Interval]
}

// of returns the interval that holds t.
func (i *interval) of(t time.Time) *policy.Interval {
	in := i.last.Load()
	if in == nil || !in.Holds(t) {
		in = i.set.Interval(t)
		i.last.Store(in)
	}
	return in
}

// identity returns a hash of all that an event says of x.
func (s *snapshot) identity(x *Exchange) uint64 {
	r, f := &x.Request, &s.fields
	a := &r.Application
	h := s.seed.Hash().AddUint64(uint64(r.KeyType)).Add(r.Context).Add(r.Version).Add(r.Resource).Add(r.Verb).
		Add(a.ID).Add(a.Name).Add(a.Owner).Add(a.Tier).Add(r.SubscriptionTier).Add(r.User)
	if f.Token {
		h = h.Add(r.Token)
	}
	if f.ClientIP || policy.IsAnonymous(r) {
		p := r.ClientIP.As16()
		h = h.AddUint64(binary.BigEndian.Uint64(p[:8])).AddUint64(binary.BigEndian.Uint64(p[8:]))
	}
	h = addValues(h, r.Headers, f.Headers)
	h = addValues(h, r.Query, f.Query)
	return uint64(addValues(h, r.Claims, f.Claims).Key())
}

// addValues continues h by the values of names; what is absent is not what is empty.
func addValues(h limiter.Hash, v weir.Values, names []string) limiter.Hash {
	for _, name := range names {
		text, ok := "", false
		if v != nil {
			text, ok = v.Value(name)
		}
		if !ok {
			h = h.AddUint64(0)
			continue
		}
		h = h.AddUint64(1).Add(text)
	}
	return h
}

package gateway

import (
	"sync/atomic"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

const levels = int(weir.LevelBackend) + 1

// stripes is how many copies of the counters there are, so that cores which
// count at the same time seldom meet on a cache line.
const stripes = 8

// A stripe is one copy of the counters, on cache lines of its own.
type stripe struct {
	forwarded  atomic.Uint64
	refused    [levels]atomic.Uint64
	shadowed   [levels]atomic.Uint64
	rejected   atomic.Uint64 // for other reasons than a limit
	failed     atomic.Uint64 // admitted, but no answer from a backend
	ruleErrors atomic.Uint64
	reqBytes   atomic.Uint64
	respBytes  atomic.Uint64
	_          [64]byte
}

// Stats are what a gateway has counted since it started.
type Stats struct {
	Forwarded uint64 // calls that a backend was asked to answer
	// Refused are the calls that a level refused, Shadowed those that it would
	// have refused but for a shadow limit or a quota that lets pass.
	Refused, Shadowed [levels]uint64
	Rejected          uint64 // refused for any other reason: 400, 401, 404 and so on
	Failed            uint64 // admitted, but without an answer from a backend
	RuleErrors        uint64 // custom rules whose expression failed on a request
	RequestBytes      uint64 // of bodies
	ResponseBytes     uint64
	Keys              int       // counters held
	Applied           time.Time // when the definition in force was applied
}

// stripe returns the copy for x: exchanges are reused by the same goroutines,
// so their number spreads the load.
func (g *Gateway) stripe(x *Exchange) *stripe {
	if x.stripe == 0 {
		x.stripe = 1 + g.next.Add(1)%stripes
	}
	return &g.stats[x.stripe-1]
}

// Stats returns the counters. It is safe for concurrent use; the figures are
// not of one instant.
func (g *Gateway) Stats() Stats {
	var s Stats
	for i := range g.stats {
		t := &g.stats[i]
		s.Forwarded += t.forwarded.Load()
		s.Rejected += t.rejected.Load()
		s.Failed += t.failed.Load()
		s.RuleErrors += t.ruleErrors.Load()
		s.RequestBytes += t.reqBytes.Load()
		s.ResponseBytes += t.respBytes.Load()
		for l := range t.refused {
			s.Refused[l] += t.refused[l].Load()
			s.Shadowed[l] += t.shadowed[l].Load()
		}
	}
	s.Keys = g.limiter.Len()
	if now := g.snapshot.Load(); now != nil {
		s.Applied = now.applied
	}
	return s
}

// Source returns where a limit comes from, nil if it is none of the definition in force.
// It is safe for concurrent use.
func (g *Gateway) Source(l *limiter.Limit) *policy.Source {
	if now := g.snapshot.Load(); now != nil {
		return now.set.Source(l)
	}
	return nil
}

// Decided returns how many calls a limit or a deny policy has let pass or refused since
// the start.
func (s *Stats) Decided() uint64 {
	n := s.Forwarded
	for _, refused := range s.Refused {
		n += refused
	}
	return n
}

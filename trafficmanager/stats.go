package trafficmanager

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/event"
)

// A tally is what a batch counts of itself.
type tally struct {
	counted, late, past, refused, uncounted uint64 // events
	requests                                uint64 // of those that counted
	unknown, ruleErrors                     uint64
	verdicts                                [repeated + 1]uint64
	restatements, needless                  uint64
}

func (t *tally) take(v verdict, first bool) {
	t.verdicts[v]++
	if v == count && first {
		t.restatements++
	}
}

// counters are what a manager has counted of itself.
type counters struct {
	counted, late, past, refused, uncounted atomic.Uint64
	requests                                atomic.Uint64
	unknown, ruleErrors                     atomic.Uint64
	verdicts                                [repeated + 1]atomic.Uint64
	restatements, needless                  atomic.Uint64
	decisions, released                     atomic.Uint64
}

// add adds what a batch counted; most of it is nothing, and costs nothing.
func (c *counters) add(t *tally) {
	add := func(to *atomic.Uint64, n uint64) {
		if n > 0 {
			to.Add(n)
		}
	}
	add(&c.counted, t.counted)
	add(&c.requests, t.requests)
	add(&c.late, t.late)
	add(&c.past, t.past)
	add(&c.refused, t.refused)
	add(&c.uncounted, t.uncounted)
	add(&c.unknown, t.unknown)
	add(&c.ruleErrors, t.ruleErrors)
	add(&c.restatements, t.restatements)
	add(&c.needless, t.needless)
	for i, n := range t.verdicts {
		add(&c.verdicts[i], n)
	}
}

// Stats are what a manager has counted since it was made.
type Stats struct {
	// Events by what became of them.
	Counted   uint64 // in at least one window, or under no limit
	Late      uint64 // admitted longer than the grace ago; never charged
	Past      uint64 // their windows were over
	Refused   uint64 // wrong
	Uncounted uint64 // of batches that were not counted, or told before
	// Requests are those of the events that counted: an event is many that are alike. What
	// gateways restate is not among them.
	Requests uint64
	// UnknownTiers are counted events with a tier that the policies lack.
	UnknownTiers uint64
	// RuleErrors are custom rules whose expression failed on an event.
	RuleErrors uint64

	// Batches by what became of them.
	Batches  uint64 // counted, but for Needless
	Asked    uint64 // answered by asking for a restatement
	Calls    uint64 // without events
	Repeated uint64 // counted before
	Needless uint64 // restatements of which nothing was missing
	// Restatements were taken in; each may have several batches.
	Restatements uint64

	Decisions uint64 // that a key is throttled
	Released  uint64 // that a key is throttled no longer
	InForce   int    // keys that are throttled
	Keys      int    // counters held

	Nodes []NodeStats // by name
}

// NodeStats are what is known of one run of a gateway.
type NodeStats struct {
	Name        string
	Incarnation uint64
	Known       bool // it has restated, and is counted
	Batches     uint64
	Events      uint64
	// Lag is how old the oldest event of its last batch was, on arrival.
	Lag time.Duration
	// Skew is by how much its clock is behind this one, as it last said; below zero:
	// ahead. Its events are shifted by it where it is more than 250 ms.
	Skew  time.Duration
	Heard time.Time // when it last wrote
	// Refused are the calls and messages that it refused since it began, by level;
	// RefusedRate is how many a second there were of late. Both are as it told, about
	// once a second; zero of gateways that don't.
	Refused     [levels]uint64
	RefusedRate float64
	// Sharing is how it shares counters with other gateways, as it told about once a
	// second; nil if it shares none, or has been silent for ten seconds. It must not be
	// changed.
	Sharing *event.Sharing
}

// Requests is [Stats.Requests], which costs less alone.
func (m *Manager) Requests() uint64 { return m.stats.requests.Load() }

// Stats returns the counters; they are not of one instant.
func (m *Manager) Stats(now time.Time) Stats {
	c := &m.stats
	s := Stats{
		Counted: c.counted.Load(), Late: c.late.Load(), Past: c.past.Load(), Refused: c.refused.Load(),
		Uncounted: c.uncounted.Load(), Requests: c.requests.Load(), UnknownTiers: c.unknown.Load(), RuleErrors: c.ruleErrors.Load(),
		Batches: c.verdicts[count].Load(), Asked: c.verdicts[ask].Load(), Calls: c.verdicts[hear].Load(),
		Repeated: c.verdicts[repeated].Load(), Needless: c.needless.Load(), Restatements: c.restatements.Load(),
		Decisions: c.decisions.Load(), Released: c.released.Load(),
		InForce: len(m.force.all(now, false)), Keys: m.limiter.Len(),
	}
	m.nodes.mu.Lock()
	for id, n := range m.nodes.byID {
		s.Nodes = append(s.Nodes, NodeStats{
			Name: n.name, Incarnation: id, Known: n.known, Batches: n.batches, Events: n.events,
			Lag: n.lag, Skew: n.skew, Heard: n.heard,
			Refused: n.refused.levels, RefusedRate: n.refused.pace.after(now.Sub(n.refused.heard)),
			Sharing: n.shares.at(now),
		})
	}
	m.nodes.mu.Unlock()
	slices.SortFunc(s.Nodes, func(a, b NodeStats) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Incarnation, b.Incarnation))
	})
	return s
}

// Package trafficmanager counts what gateways let pass and decides which keys are
// throttled: event, match, count, decision.
//
// It is the core of the role: it reads no clock, has no goroutine and knows no
// protocol. Whoever feeds it (package ingest, a test) hands it decoded events
// together with the time, and whoever serves gateways asks it for [Manager.Decisions].
//
// # Nothing twice
//
// A gateway numbers its batches and sends each until it is answered; the manager
// counts each number once (package event has the protocol). It keeps a ledger of
// what each run of a gateway was counted with, by key, and holds restatements
// against it: they are what the gateway knows to have counted in windows that are
// open, and bring what is missing of that, be it all or nothing. So a gateway may
// restate at any time.
//
//   - An unknown run is counted from its first restatement on, which must have been
//     made for this manager, and after it last asked for one.
//   - What has a lower number than a restatement is in it, and is counted no more.
//   - A run is forgotten only when none of the windows in which it was counted is
//     open any longer, or when there are more than MaxNodes.
//   - Of a key for which the ledger has no room, restatements bring nothing:
//     rather too little than anything twice.
//
// A number is taken as seen before its first event is counted. So a batch whose
// handling ends halfway is counted in part, never twice.
package trafficmanager

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A Publisher tells all gateways of decisions.
type Publisher interface {
	// Publish takes a decision to tell. It is called on the way of events, by many
	// goroutines: it must not wait. It may keep d, and must not change it. What it
	// loses, gateways still hear by asking.
	Publish(d *weir.Decision)
}

// Options say what a [Manager] works with.
type Options struct {
	// Limiter has the counters; required. It may be swept by its owner at any time.
	Limiter *limiter.Limiter
	// Issuer names this run of this traffic manager in decisions; required.
	Issuer string
	// ID identifies this run, by chance; required.
	ID uint64
	// Publisher is told of decisions as they are made; nil: nobody.
	Publisher Publisher
	// Shares names the store through which the counters are shared; empty: none.
	Shares string
	// Grace is how old an event may be and still count; zero: 30 s.
	Grace time.Duration
	// MaxNodes bounds how many runs of gateways are known; zero: 4096. It should
	// not be less than there are in the longest window: a run that is forgotten
	// earlier restates what has been counted already.
	MaxNodes int
	// MaxTold bounds what is remembered of how much gateways told, in keys of one
	// gateway each, 24 bytes apiece at least; zero: 4194304.
	MaxTold int
	// MaxDecisions bounds how many decisions are kept, so that they can be asked
	// for; zero: 65536. One that makes way is made again by the next event.
	MaxDecisions int
}

// A Manager is a traffic manager. It is safe for concurrent use.
type Manager struct {
	limiter   *limiter.Limiter
	issuer    string
	id        uint64
	publisher Publisher
	shares    string
	grace     time.Duration

	set      atomic.Pointer[policy.Set]
	nodes    nodes
	force    force
	subjects subjects // used where counters are shared
	turn     atomic.Uint64
	leaders  leaders
	batches  sync.Pool // of *Batch
	stats    counters
}

const (
	defaultGrace     = 30 * time.Second
	defaultNodes     = 4096
	defaultTold      = 1 << 22
	defaultDecisions = 1 << 16
)

// New returns a Manager without policies: until [Manager.Apply] it counts nothing
// and asks every gateway to tell all later.
func New(o Options) (*Manager, error) {
	switch {
	case o.Limiter == nil:
		return nil, errors.New("new traffic manager: no limiter")
	case o.Issuer == "":
		return nil, errors.New("new traffic manager: no issuer")
	case o.ID == 0:
		return nil, errors.New("new traffic manager: no ID")
	}
	m := &Manager{
		limiter: o.Limiter, issuer: o.Issuer, id: o.ID, publisher: o.Publisher, shares: o.Shares,
		grace: positive(o.Grace, defaultGrace),
	}
	m.nodes.init(positive(o.MaxNodes, defaultNodes), positive(o.MaxTold, defaultTold))
	m.force.init(positive(o.MaxDecisions, defaultDecisions))
	m.subjects.init(mostSubjects)
	m.leaders.init()
	m.batches.New = func() any { return &Batch{manager: m} }
	return m, nil
}

func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// ID returns the number of this run.
func (m *Manager) ID() uint64 { return m.id }

// Issuer returns the name of this run in decisions.
func (m *Manager) Issuer() string { return m.issuer }

// Shares returns the name of the store through which the counters are shared, empty if
// they are not.
func (m *Manager) Shares() string { return m.shares }

// Ready reports whether there are policies to count by.
func (m *Manager) Ready() bool { return m.set.Load() != nil }

// Apply makes set, which must have been compiled with the fleet's seed, the
// policies that events are matched with. What has been counted stays. Decisions
// in force are looked at again by it: a key whose limit was raised, removed or
// made a shadow is let go at once; one whose limit was lowered is throttled by
// its next event. Events that are being counted meanwhile are decided on by set.
func (m *Manager) Apply(now time.Time, set *policy.Set) {
	now = now.Round(0)
	m.set.Store(set)
	m.leaders.clear()
	for i := range m.force.shards {
		m.relook(now, set, &m.force.shards[i])
	}
}

// Sweep forgets the gateways and decisions that no longer matter. It is for once
// a minute or so; without it memory is bounded all the same.
func (m *Manager) Sweep(now time.Time) {
	now = now.Round(0)
	m.force.expire(now)
	if set := m.set.Load(); set != nil {
		m.nodes.forget(now, set.Windows())
	}
}

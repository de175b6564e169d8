package memory

import (
	"slices"

	"github.com/weir-project/weir/limiter"
)

// A primary is what a store knows of itself: whose data it has, and who else has it.
type primary struct {
	// id is that of the primary that the store is now, or a replica is of.
	id uint64
	// acknowledged, if not nil, tells whether a replica has all that was written.
	acknowledged func() bool

	// The epoch's record, of the data: owner is zero if there is none.
	owner      uint64 // the id of the primary that began it
	epoch      uint64
	since      int64
	replicated bool // a replica has been connected in it

	began uint64 // how many epochs have begun here
}

// enter begins a new epoch, unless the data is known to be whole. A clock that was
// set back begins the fence again, which would last too long otherwise.
func (p *primary) enter(now int64) {
	if p.owner != p.id {
		p.began++
		p.owner, p.since, p.replicated = p.id, now, false
		p.epoch = max(mix(p.id+p.began*0x9e3779b97f4a7c15), 1)
	}
	p.since = min(p.since, now)
	if p.acknowledged != nil {
		p.replicated = true
	}
}

// durable reports whether what has been granted now will survive the primary.
func (p *primary) durable() bool {
	return !p.replicated || p.acknowledged != nil && p.acknowledged()
}

// mix spreads the bits of x. Different numbers stay different.
func mix(x uint64) uint64 {
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	return x ^ x>>32
}

// SetReplica tells whether a replica is connected from now on: acknowledged then
// says whether one has all that was written. It is called by batches that granted
// something, after they have been carried out, and must not call the store. nil
// tells that none is connected, as it is at first: then grants are durable only in an epoch that
// never had one.
func (s *Store) SetReplica(acknowledged func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.primary.acknowledged = acknowledged
}

// NewEpoch makes the store another primary, with the data that it has: what a
// failover does, or a restart. id is its replication id. The next batch begins a new epoch,
// unless the data is that primary's own already.
func (s *Store) NewEpoch(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.primary.id = max(id, 1)
}

// Clear removes all data, as FLUSHALL does. The next batch begins a new epoch.
func (s *Store) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.counters)
	s.order, s.free, s.next, s.nodes = nil, nil, 0, nil
	s.primary.owner = 0
}

// Clone returns a copy that has nothing in common with s but the clock: a replica,
// which has no replica itself. It stays the same as s as long as both are given
// the same batches at the same times, and is on its own after [Store.NewEpoch].
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Store{
		clock:    s.clock,
		counters: make(map[limiter.Counter]*counter, len(s.counters)),
		order:    make([]*record, len(s.order)),
		next:     s.next,
		nodes:    slices.Clone(s.nodes),
		primary:  s.primary,
	}
	c.primary.acknowledged = nil
	for name, from := range s.counters {
		to := &counter{name: name, records: make([]*record, len(from.records))}
		for i, r := range from.records {
			n := *r
			n.counter = to
			n.registers = slices.Clone(r.registers)
			to.records[i] = &n
			c.order[n.place] = &n
		}
		c.counters[name] = to
	}
	return c
}

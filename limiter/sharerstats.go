package limiter

import (
	"sync/atomic"
	"time"
)

type sharerStats struct {
	calls, errors, assertions, losses, waited atomic.Uint64
}

// SharerStats is what a [Sharer] has done since it was made, and how it stands.
type SharerStats struct {
	Calls      uint64        // of the store that were answered
	Errors     uint64        // calls that failed
	Assertions uint64        // in the calls that were answered
	Losses     uint64        // how often the store was lost
	Waited     uint64        // times that a request waited for the store
	Epochs     uint64        // how often the store may have lost what it was told
	Nodes      int           // that live, this one included
	Lost       bool          // the store is away
	Trip       time.Duration // of a call and its answer, of late
	Offset     time.Duration // what has to be added to the node's clock
}

// Stats returns how the sharer stands. It is for any goroutine.
func (s *Sharer) Stats() SharerStats {
	return SharerStats{
		Calls: s.stats.calls.Load(), Errors: s.stats.errors.Load(), Assertions: s.stats.assertions.Load(),
		Losses: s.stats.losses.Load(), Waited: s.stats.waited.Load(), Epochs: uint64(s.epochs.Load()),
		Nodes: int(s.limiter.fleet.nodes.Load()), Lost: s.Lost(),
		Trip: time.Duration(s.trip.Load()), Offset: time.Duration(s.clock.offset()),
	}
}

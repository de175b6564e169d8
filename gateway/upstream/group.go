package upstream

import (
	"sync/atomic"
	"time"
)

// maxTargets is how many targets a group can have: Tried has a bit for each.
const maxTargets = 63

// A Group is the backends of an API for one key type. It is safe for concurrent use.
type Group struct {
	targets  []*Target
	failover bool
	next     atomic.Uint32
}

// Tried is the targets of a group that one call has tried; the zero value is none.
type Tried struct {
	bits  uint64
	first uint32 // where in the group the call began
	probe bool   // a target that failed before was tried, for want of a better one
}

// Targets returns the group's targets, in order. They must not be changed.
func (g *Group) Targets() []*Target { return g.targets }

// Pick returns the target to try, or nil once nothing is left worth trying.
//
// Targets that failed are passed over while they are to be avoided. If no other
// is left, the call tries one of them all the same, that whose time comes first:
// so a backend that is the only one, or is back early, is found at once.
func (g *Group) Pick(now time.Time, tried *Tried) *Target {
	n := uint32(len(g.targets))
	if n == 0 {
		return nil
	}
	if tried.bits == 0 && !g.failover && n > 1 {
		tried.first = (g.next.Add(1) - 1) % n
	}
	best := -1
	for k := range n {
		i := (tried.first + k) % n
		if tried.bits&(1<<i) != 0 {
			continue
		}
		t := g.targets[i]
		if t.available(now) {
			tried.bits |= 1 << i
			return t
		}
		if best < 0 || t.retryAt().Before(g.targets[best].retryAt()) {
			best = int(i)
		}
	}
	if best < 0 || tried.probe {
		return nil
	}
	tried.bits |= 1 << best
	tried.probe = true
	return g.targets[best]
}

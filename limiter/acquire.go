package limiter

import "slices"

// acquire locks the slots of all checks and fills in counters. It holds no lock
// while it waits for another, so the order of checks does not matter.
func (l *Limiter) acquire(ns int64, checks []Check, counters []counter) {
	for attempt := 0; ; attempt++ {
		switch l.tryAcquire(checks, counters) {
		case acquired:
			return
		case absent:
			l.acquireNew(ns, checks, counters)
			return
		}
		pause(attempt)
	}
}

type outcome uint8

const (
	acquired outcome = iota
	absent           // a key is not held, or not for this algorithm
	busy             // a slot is locked, or has changed
)

// tryAcquire locks the slots of all checks, or none.
func (l *Limiter) tryAcquire(checks []Check, counters []counter) outcome {
	for i := range checks {
		k, c := &checks[i], &counters[i]
		h := k.Key.hash()
		c.again = false
		c.table = l.shard(h).table.Load()
		if c.slot = c.table.find(h); c.slot == nil {
			return giveUp(counters[:i], absent)
		}
		var ok bool
		if c.meta, ok = c.slot.tryLock(); !ok {
			if !lockedIn(counters[:i], c) {
				return giveUp(counters[:i], busy)
			}
			if kind(c.meta) != k.Limit.Algorithm {
				return giveUp(counters[:i], absent)
			}
			continue
		}
		if c.slot.hash.Load() != h {
			return giveUp(counters[:i+1], busy)
		}
		if kind(c.meta) != k.Limit.Algorithm {
			return giveUp(counters[:i+1], absent)
		}
		c.meta = used(c.meta)
	}
	return acquired
}

// giveUp releases counters and returns why.
func giveUp(counters []counter, why outcome) outcome {
	for i := range counters {
		counters[i].release()
	}
	return why
}

// lockedIn reports whether c's slot is that of an earlier counter, and makes
// it so that this one releases it.
func lockedIn(counters []counter, c *counter) bool {
	for i := range counters {
		if counters[i].slot == c.slot && !counters[i].again {
			c.meta, c.again = counters[i].meta, true
			return true
		}
	}
	return false
}

// acquireNew is acquire where keys are not held yet. While it has the mutexes
// of all shards concerned, no slot of theirs comes or goes.
func (l *Limiter) acquireNew(ns int64, checks []Check, counters []counter) {
	agree(checks)
	var few [8]int
	shards := few[:0]
	for i := range checks {
		shards = append(shards, int(checks[i].Key.hash()&uint64(len(l.shards)-1)))
	}
	slices.Sort(shards)
	for i, n := range shards {
		if i == 0 || n != shards[i-1] {
			l.shards[n].mu.Lock()
		}
	}
	for i := range checks {
		h := checks[i].Key.hash()
		l.shard(h).ensure(h, checks[i].Limit, ns, checks)
	}
	for attempt := 0; l.tryAcquire(checks, counters) == busy; attempt++ {
		pause(attempt)
	}
	for i, n := range shards {
		if i == 0 || n != shards[i-1] {
			l.shards[n].mu.Unlock()
		}
	}
}

// agree panics if one key is under two algorithms, and so would never be both.
func agree(checks []Check) {
	for i := range checks {
		for j := range i {
			if checks[j].Key == checks[i].Key && checks[j].Limit.Algorithm != checks[i].Limit.Algorithm {
				panic("limiter: one key under two algorithms in one Take")
			}
		}
	}
}

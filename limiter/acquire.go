package limiter

import "slices"

// acquire locks the slots of all checks and fills in counters. It holds no lock
// while it waits for another, so the order of checks does not matter.
func (l *Limiter) acquire(ns int64, checks []Check, counters []counter) {
	for attempt := 0; ; attempt++ {
		switch l.tryAcquire(checks, counters) {
		case acquired:
			for i := range counters {
				counters[i].meta = used(counters[i].meta)
			}
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

// tryAcquire locks the slots of all checks, or none. It finds all before it
// locks any, so that what has to come from memory comes at the same time.
func (l *Limiter) tryAcquire(checks []Check, counters []counter) outcome {
	for i := range checks {
		c := &counters[i]
		h := checks[i].Key.hash()
		c.table = l.tables[l.place(h)].Load()
		if c.slot = c.table.find(h); c.slot == nil {
			return absent
		}
	}
	for i := range checks {
		if got := counters[i].take(&checks[i], counters[:i]); got != acquired {
			for j := range i {
				counters[j].release()
			}
			return got
		}
	}
	return acquired
}

// take locks the slot that was found for a check, unless one of the counters
// before has done so.
func (c *counter) take(k *Check, before []counter) outcome {
	var ok bool
	c.alone = k.Alone
	if c.meta, ok = c.slot.tryLock(); !ok {
		if !c.lockedIn(before) {
			return busy
		}
		if !c.fits(k.Limit) {
			return absent
		}
		return acquired
	}
	c.again = false
	if c.slot.hash.Load() != k.Key.hash() {
		c.release()
		return busy
	}
	if !c.fits(k.Limit) {
		c.release()
		return absent
	}
	return acquired
}

// fits reports whether the slot has all that l needs, and finds the share.
func (c *counter) fits(l *Limit) bool {
	c.share, c.news = nil, 0
	if kind(c.meta) != l.Algorithm {
		return false
	}
	if c.table.fleet.shares(l) {
		c.share = c.sideShare()
		return c.share != nil
	}
	return true
}

// lockedIn reports whether c's slot is that of a counter before, and if so
// leaves it to that one to release it.
func (c *counter) lockedIn(before []counter) bool {
	for i := range before {
		if before[i].slot == c.slot {
			c.meta, c.again = before[i].meta, true
			return true
		}
	}
	return false
}

// acquireNew is acquire where keys are not held yet. While it has the mutexes
// of all shards concerned, no slot of theirs comes or goes.
func (l *Limiter) acquireNew(ns int64, checks []Check, counters []counter) {
	agree(checks)
	var few [32]int
	shards := l.lockShards(checks, few[:0])
	for i := range checks {
		h := checks[i].Key.hash()
		l.shard(h).ensure(h, checks[i].Limit, ns, checks)
	}
	for attempt := 0; l.tryAcquire(checks, counters) == busy; attempt++ {
		pause(attempt)
	}
	l.unlockShards(shards)
}

// lockShards takes the mutexes of the shards of all checks, in an order that is
// the same for all, and returns the indexes of these shards, appended to list.
func (l *Limiter) lockShards(checks []Check, list []int) []int {
	for i := range checks {
		list = append(list, l.place(checks[i].Key.hash()))
	}
	slices.Sort(list)
	list = slices.Compact(list)
	for _, n := range list {
		l.shards[n].mu.Lock()
	}
	return list
}

func (l *Limiter) unlockShards(list []int) {
	for _, n := range list {
		l.shards[n].mu.Unlock()
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

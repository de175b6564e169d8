package limiter

import (
	"sync/atomic"
	"time"
)

// Peek tells what Take would do at now, and changes nothing: it takes from copies
// of the counters. So now may also be ahead of the clock, and a key that is not
// held is not held afterwards. It is for people who ask; it allocates, and makes
// new keys wait a moment.
func (l *Limiter) Peek(now time.Time, checks []Check) bool {
	ns := nanos(now)
	copies := &Limiter{tables: make([]atomic.Pointer[table], 1), shards: make([]shard, 1), fleet: l.fleet.still()}
	copies.tables[0].Store(l.copies(ns, checks))
	return copies.take(ns, checks, false) < 0
}

// copies returns a table with a counter for each of checks, as a Take at ns would
// begin with it.
func (l *Limiter) copies(ns int64, checks []Check) *table {
	agree(checks)
	n := len(checks)
	to := newTable(n, sides{n, n}, l.fleet.still())
	shards := l.lockShards(checks, nil)
	defer l.unlockShards(shards)
	held := make([]counter, 0, n)
	for i := range checks {
		h := checks[i].Key.hash()
		if to.find(h) != nil {
			continue // an earlier check's
		}
		sh := l.shard(h)
		from := sh.table.Load()
		if s := from.find(h); s != nil {
			// All stay locked until all are copied: they are of one moment. No other
			// operation waits for a slot of these shards while it has another.
			held = append(held, counter{slot: s, table: from, meta: s.lock()})
			to.adopt(from, s, held[len(held)-1].meta)
			s = to.find(h)
			switch meta := s.meta.Load(); {
			case kind(meta) != checks[i].Limit.Algorithm:
				sh.convert(to, s, checks[i].Limit, ns)
			case !to.fits(meta, checks[i].Limit):
				to.addShare(s)
			}
			continue
		}
		s := to.vacant(h)
		to.fill(s, h)
		sh.begin(&counter{slot: s, table: to}, checks[i].Limit, ns, 0)
	}
	for i := range held {
		held[i].release()
	}
	return to
}

package limiter

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// LimitStats is how the counters of one limit stand that are shared. What it tells is what
// this node has seen, in the answers of the store.
type LimitStats struct {
	Limit *Limit
	// Keys is the number of counters that were in use of late; zero if that was so a minute ago.
	Keys int
	// Held is the sum of the rights that the node holds and has not spent, of an Exact limit.
	Held int64
	// Assertions is how often the store has answered about one of them.
	Assertions uint64
	// Over is by how much the sum of all nodes was above the limit at most, in a window
	// that ended not long ago or has not ended: what was let past it. Of buckets it is always zero.
	Over int64
	// Lag is how long it took at most, of late, until the store had answered to what was
	// spent, or to the want of rights.
	Lag time.Duration
}

// A limitTable has what a lane knows of each limit.
type limitTable struct {
	mu      sync.Mutex
	byLimit map[*Limit]*limitRow
}

type limitRow struct {
	LimitStats
	over, lag recent
	unused    int64 // local time since when it has no keys; zero: it has
}

// A recent is the most there was in the last one to two spans.
type recent struct {
	began     int64
	now, then int64
}

// recentSpan is how long what was seen most is remembered at least.
const recentSpan = int64(30 * time.Second)

func (r *recent) see(now, v int64) {
	if now-r.began >= recentSpan {
		r.then, r.now = r.now, 0
		if now-r.began >= 2*recentSpan {
			r.then = 0
		}
		r.began = now
	}
	r.now = max(r.now, v)
}

func (r *recent) most() int64 { return max(r.now, r.then) }

// row returns the row of l. The table is locked.
func (t *limitTable) row(l *Limit) *limitRow {
	r := t.byLimit[l]
	if r == nil {
		if t.byLimit == nil {
			t.byLimit = make(map[*Limit]*limitRow)
		}
		r = &limitRow{LimitStats: LimitStats{Limit: l}}
		t.byLimit[l] = r
	}
	return r
}

// move has an entry counted under l and no longer under the limit before, of which
// either may be nil.
func (t *limitTable) move(e *entry, l *Limit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.row != nil {
		e.row.Keys--
		e.row.Held -= e.lease.has
	}
	if e.row = nil; l != nil {
		e.row = t.row(l)
		e.row.Keys++
		e.row.Held += e.lease.has
	}
}

// expire forgets limits that have had no keys for so long that what was seen of them
// does not matter.
func (t *limitTable) expire(local int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l, r := range t.byLimit {
		switch {
		case r.Keys > 0:
			r.unused = 0
		case r.unused == 0:
			r.unused = local
		case local-r.unused > 2*recentSpan:
			delete(t.byLimit, l)
		}
	}
}

// answered takes note of an answer: the counter is over its limit by over, the node
// has rights left, and what was told had waited for lag.
func (t *limitTable) answered(e *entry, now, over, has, lag int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := e.row
	r.Assertions++
	r.Held += has - e.lease.has
	e.lease.has = has
	r.over.see(now, over)
	r.lag.see(now, lag)
}

// Limits returns how all limits stand that are shared and in use, in no order that
// means anything. It is for any goroutine.
func (s *Sharer) Limits() []LimitStats {
	sum := make(map[*Limit]*LimitStats)
	for _, ln := range s.lanes {
		ln.limits.mu.Lock()
		for l, r := range ln.limits.byLimit {
			all := sum[l]
			if all == nil {
				all = &LimitStats{Limit: l}
				sum[l] = all
			}
			all.Keys += r.Keys
			all.Held += r.Held
			all.Assertions += r.Assertions
			all.Over = max(all.Over, r.over.most())
			all.Lag = max(all.Lag, time.Duration(r.lag.most()))
		}
		ln.limits.mu.Unlock()
	}
	var list []LimitStats
	for _, one := range sum {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b LimitStats) int {
		return cmp.Or(-cmp.Compare(a.Keys, b.Keys), cmp.Compare(a.Limit.Count, b.Limit.Count))
	})
	return list
}

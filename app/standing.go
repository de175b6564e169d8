package app

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A standing knows how a role shares its counters, limit by limit. It counts nothing and
// costs requests nothing: it looks when it is asked. It is safe for concurrent use.
type standing struct {
	node   uint64 // by which the store knows this run
	sharer interface {
		Stats() limiter.SharerStats
		Limits() []limiter.LimitStats
	}
	source   func(*limiter.Limit) *policy.Source // of a limit in force; else nil
	requests func() uint64                       // that the role has counted

	mu    sync.Mutex
	known map[*limiter.Limit]knownLimit // those in use
	told  map[limitID]uint64            // answers of the store, as far as they were seen
	trips trips
}

// A limitID tells apart the limits that are shown each for itself.
type limitID struct {
	level    weir.Level
	policy   string
	group    int
	accuracy limiter.Accuracy
	cost     limiter.Cost
}

// A knownLimit is a limit that has been seen in force. Until its counters are used under
// the one that took its place it goes by the same name.
type knownLimit struct {
	id   limitID
	told uint64
}

// state returns how the counters are shared at now, by this machine's clock.
func (st *standing) state(now time.Time) *event.Sharing {
	all, _ := st.limits()
	t := st.sharer.Stats()
	calls, requests := st.recent(now, t.Calls)
	return &event.Sharing{
		Node: st.node, Lost: t.Lost, Nodes: t.Nodes, Calls: t.Calls, Errors: t.Errors, Losses: t.Losses, Waits: t.Waited,
		Epochs: t.Epochs, RecentCalls: calls, RecentRequests: requests, Trip: t.Trip, Offset: t.Offset,
		Limits: all[:min(len(all), event.MaxSharedLimits)], All: len(all),
	}
}

// limits returns how the limits in use stand, those that were exceeded first, and then
// those of which the store is told most; and the answers of the store about all limits
// that were ever in use. A limit that was never seen in force is left out: it is on its way
// out, of a definition that was replaced.
func (st *standing) limits() (all []event.SharedLimit, told map[limitID]uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	inUse := st.sharer.Limits()
	known := make(map[*limiter.Limit]knownLimit, len(inUse))
	rows := make(map[limitID]*event.SharedLimit, len(inUse))
	for i := range inUse {
		l := &inUse[i]
		k, ok := st.name(l.Limit)
		if !ok {
			continue
		}
		if st.told == nil {
			st.told = make(map[limitID]uint64)
		}
		// Of counters that were forgotten meanwhile, the answers are no more in the sum.
		st.told[k.id] += l.Assertions - min(k.told, l.Assertions)
		k.told = l.Assertions
		known[l.Limit] = k
		addLimit(rows, k.id, l)
	}
	st.known = known
	for id, r := range rows {
		r.Assertions = st.told[id]
		all = append(all, *r)
	}
	slices.SortFunc(all, compareLimits)
	return all, maps.Clone(st.told)
}

// name returns what is known of a limit, and whether anything is. st.mu is held.
func (st *standing) name(l *limiter.Limit) (knownLimit, bool) {
	k, ok := st.known[l]
	if ok {
		return k, true
	}
	s := st.source(l)
	if s == nil {
		return k, false
	}
	k.id = limitID{s.Level, s.Policy, s.Group, l.Accuracy, l.Cost}
	return k, true
}

// addLimit adds what is known of a limit to its row.
func addLimit(rows map[limitID]*event.SharedLimit, id limitID, l *limiter.LimitStats) {
	r := rows[id]
	if r == nil {
		r = &event.SharedLimit{
			Level: id.level, Policy: id.policy, Group: id.group, Accuracy: id.accuracy, Cost: id.cost, Count: l.Limit.Count,
		}
		rows[id] = r
	}
	if l.Over > r.Over {
		r.Over, r.Count = l.Over, l.Limit.Count
	}
	r.Keys, r.Held, r.Lag = r.Keys+l.Keys, r.Held+l.Held, max(r.Lag, l.Lag)
}

func compareLimits(a, b event.SharedLimit) int {
	return cmp.Or(-cmp.Compare(a.Over, b.Over), -cmp.Compare(a.Assertions, b.Assertions), cmp.Compare(a.Level, b.Level),
		strings.Compare(a.Policy, b.Policy), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Accuracy, b.Accuracy), cmp.Compare(a.Cost, b.Cost))
}

// recent returns the calls of the store and the requests of late; calls are all so far.
func (st *standing) recent(now time.Time, calls uint64) (c, r uint64) {
	requests := st.requests()
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.trips.recent(now, calls, requests)
}

// Trips remember sums, and so know what they have grown by of late, however many ask and
// how often.
type trips struct{ old, young tripMark }

type tripMark struct {
	at              time.Time
	calls, requests uint64
}

// tripSpan is how long ago the last mark but one is at least.
const tripSpan = 10 * time.Second

// recent returns by how much the sums have grown: in ten to twenty seconds if it is asked
// often, and since the last question but one if it is not.
func (t *trips) recent(now time.Time, calls, requests uint64) (c, r uint64) {
	if now.Sub(t.young.at) >= tripSpan {
		t.old, t.young = t.young, tripMark{now, calls, requests}
	}
	return calls - min(calls, t.old.calls), requests - min(requests, t.old.requests)
}

package trafficmanager

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// A Use is what was spent of a limit under a key in the window that is open, and
// what gateways refuse because of it.
type Use struct {
	Key    limiter.Key
	Text   string
	Level  weir.Level
	Policy string
	Group  int
	// Local tells that each gateway counts the key for itself, or that nothing is
	// counted (deny policies): Limit, Used, Share and Ends are then zero.
	Local bool
	Limit limiter.Limit
	// Used is what was spent, by all who share the counter; of a token bucket,
	// what is missing in it.
	Used int64
	// Share is Used in parts of what may be spent; 1 is all, and it may be more.
	Share float64
	// Ends is when the window ends; of those that slide, when all may be spent again.
	Ends      time.Time
	Throttled bool
	// Refused and Rate are [Refusing.Calls] and [Refusing.Rate].
	Refused uint64
	Rate    float64
}

// Top returns the keys of which most has been spent at now, at most n, and at most
// some 2000: those of most use first. Behind them come those under which gateways
// refuse most, as far as they are not among the first: at most n again. A key whose
// use is small among very many others may be missing.
func (m *Manager) Top(now time.Time, n int) []Use {
	now, n = now.Round(0), max(n, 0)
	var all []Use
	for i := range m.leaders.shards {
		all = m.leaders.shards[i].live(all, now)
	}
	kept := all[:0]
	for i := range all {
		if u := &all[i]; m.read(now, u) {
			kept = append(kept, *u)
		}
	}
	slices.SortFunc(kept, func(a, b Use) int {
		return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Key, b.Key))
	})
	return m.addRefused(now, kept[:min(len(kept), n)], n)
}

// read fills in what the counter of u says, and reports whether anything was spent.
func (m *Manager) read(now time.Time, u *Use) bool {
	r := m.limiter.Register(now, &u.Limit, u.Key)
	if u.Used = r.Spent + r.Others; u.Used <= 0 {
		return false
	}
	u.Ends = r.Ends.UTC()
	u.Share = float64(u.Used) / float64(max(depth(&u.Limit), 1))
	u.Throttled = m.force.throttles(u.Key, now)
	return true
}

// addRefused adds to uses what gateways refuse, and at most n keys that they refuse
// and that are not there.
func (m *Manager) addRefused(now time.Time, uses []Use, n int) []Use {
	type identity struct {
		key    limiter.Key
		level  weir.Level
		policy string
		group  int
	}
	index := make(map[identity]int, len(uses))
	for i := range uses {
		u := &uses[i]
		index[identity{u.Key, u.Level, u.Policy, u.Group}] = i
	}
	added := 0
	for _, r := range m.Refused(now) {
		i, ok := index[identity{r.Key, r.Level, r.Policy, r.Group}]
		if !ok || r.Key == 0 {
			if added == n {
				continue
			}
			added++
			i = len(uses)
			u := Use{Key: r.Key, Text: r.Text, Level: r.Level, Policy: r.Policy, Group: r.Group, Local: true}
			if l := m.limitOf(&r); l != nil {
				u.Local, u.Limit = false, *l
				m.read(now, &u)
			}
			uses = append(uses, u)
		}
		uses[i].Refused, uses[i].Rate = r.Calls, r.Rate
	}
	return uses
}

// limitOf returns the limit because of which gateways refuse, if it is counted here.
func (m *Manager) limitOf(r *Refusing) *limiter.Limit {
	set := m.set.Load()
	if set == nil || r.Key == 0 {
		return nil
	}
	return set.Limit(r.Level, r.Policy, r.Group)
}

// live appends the leaders whose windows are open.
func (sh *leaderShard) live(all []Use, now time.Time) []Use {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range sh.list {
		e := &sh.list[i]
		if e.ends <= now.UnixNano() {
			continue
		}
		s := e.source
		all = append(all, Use{
			Key: e.key, Text: string(e.text), Level: s.Level, Policy: s.Policy, Group: s.Group, Limit: *s.Limit,
		})
	}
	return all
}

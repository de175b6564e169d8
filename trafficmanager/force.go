package trafficmanager

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A force is the decisions in force, by key, and what was decided last, in order.
// Decisions never change once made: many may read one.
type force struct {
	shards  [forceShards]forceShard
	history history
}

// forceShards is how many parts the table has; a power of two.
const forceShards = 64

// A forceShard is a part of the table, with a lock of its own.
type forceShard struct {
	mu    sync.Mutex
	max   int
	byKey map[limiter.Key]*held
	_     [64]byte
}

// held is the latest decision on a key: until its window ends, also one that let
// the key go, so that it can be told again.
type held struct {
	decision *weir.Decision
	limit    *limiter.Limit // that was held to
	soft     bool
}

func (f *force) init(most int) {
	for i := range f.shards {
		f.shards[i].max = max(most/forceShards, 1)
		f.shards[i].byKey = make(map[limiter.Key]*held)
	}
}

// shard returns the part in which a key is. Keys are hashes.
func (f *force) shard(k limiter.Key) *forceShard { return &f.shards[k%forceShards] }

// get returns what holds of a key, or nil. The shard is locked.
func (sh *forceShard) get(k limiter.Key, now time.Time) *held {
	h := sh.byKey[k]
	if h == nil || !h.decision.Ends.After(now) {
		return nil
	}
	return h
}

// covers reports whether h says already that s is throttled until ends; where
// windows slide, until nearly then, lest every event is told.
func (h *held) covers(s *Subject, now, ends time.Time, a limiter.Algorithm) bool {
	d := h.decision
	if !d.Throttled || d.Group != s.Group || d.Policy != s.Policy {
		return false
	}
	if a == limiter.FixedWindow {
		return !ends.After(d.Ends)
	}
	return ends.Sub(d.Ends).Abs() < max(shortest, d.Ends.Sub(now)/4)
}

// has reports whether it is known that a key is throttled until ends. It is what
// events of a key that is spent are stopped by.
func (f *force) has(k limiter.Key, src *policy.Source, now, ends time.Time, a limiter.Algorithm) bool {
	if left := ends.Sub(now); left <= 0 || left < shortest && a != limiter.FixedWindow {
		return true // or not worth to be known
	}
	sh := f.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	h := sh.get(k, now)
	return h != nil && h.covers(&Subject{Policy: src.Policy, Group: src.Group}, now, ends, a)
}

// throttles reports whether a key is throttled.
func (f *force) throttles(k limiter.Key, now time.Time) bool {
	sh := f.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	h := sh.get(k, now)
	return h != nil && h.decision.Throttled
}

// keep numbers a decision and makes it the latest on its key. The shard is locked.
func (f *force) keep(sh *forceShard, now time.Time, d *weir.Decision, l *limiter.Limit, soft bool) {
	if _, ok := sh.byKey[d.Key]; !ok && len(sh.byKey) >= sh.max {
		sh.expire(now)
		for k := range sh.byKey { // any: it is made again by its next event
			if len(sh.byKey) < sh.max {
				break
			}
			delete(sh.byKey, k)
		}
	}
	f.history.add(d)
	sh.byKey[d.Key] = &held{d, l, soft}
}

// expire forgets what is over. The shard is locked.
func (sh *forceShard) expire(now time.Time) {
	for k, h := range sh.byKey {
		if !h.decision.Ends.After(now) {
			delete(sh.byKey, k)
		}
	}
}

func (f *force) expire(now time.Time) {
	for i := range f.shards {
		sh := &f.shards[i]
		sh.mu.Lock()
		sh.expire(now)
		sh.mu.Unlock()
	}
}

// all returns the decisions that matter at now, in their order: those that
// throttle, and if asked those that let go.
func (f *force) all(now time.Time, released bool) []*weir.Decision {
	var all []*weir.Decision
	for i := range f.shards {
		sh := &f.shards[i]
		sh.mu.Lock()
		for _, h := range sh.byKey {
			if d := h.decision; d.Ends.After(now) && (d.Throttled || released) {
				all = append(all, d)
			}
		}
		sh.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b *weir.Decision) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// A history has the last decisions, by their Seq, which is also the version of
// what holds after them.
type history struct {
	mu   sync.Mutex
	seq  uint64           // of the latest
	ring []*weir.Decision // that with Seq n is at n % historySize
}

const (
	historySize = 1 << 16
	// mostTold bounds how many changes are told at a time; the rest follows.
	mostTold = 4096
)

// add numbers a decision and appends it.
func (h *history) add(d *weir.Decision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	d.Seq = h.seq
	if i := h.seq % historySize; i < uint64(len(h.ring)) {
		h.ring[i] = d
		return
	}
	if len(h.ring) == 0 {
		h.ring = append(h.ring, nil) // that of Seq 0
	}
	h.ring = append(h.ring, d)
}

// version returns the Seq of the latest.
func (h *history) version() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seq
}

// since returns the decisions after a version that matter at now, and the version
// after them. It reports false if it does not have them all.
func (h *history) since(now time.Time, version uint64) (ds []weir.Decision, to uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if version > h.seq || h.seq-version >= historySize {
		return nil, 0, false
	}
	for to = version; to < h.seq && len(ds) < mostTold; {
		to++
		if d := h.ring[to%historySize]; d.Ends.After(now) {
			ds = append(ds, *d)
		}
	}
	return ds, to, true
}

// Decisions returns what has been decided since the version that a gateway knows
// of what manager said, and the version it then knows. If all, they are all
// decisions that throttle: whatever else it knew is over.
//
// At most a few thousand changes come at a time, and the rest when asked again.
func (m *Manager) Decisions(now time.Time, manager, version uint64) (ds []weir.Decision, all bool, to uint64) {
	if manager == m.id {
		if ds, to, ok := m.force.history.since(now, version); ok {
			return ds, false, to
		}
	}
	ds, to = m.Snapshot(now)
	return ds, true, to
}

// Snapshot returns all decisions that throttle a key at now, in the order in which
// they were made, and the version that whoever knows them knows.
func (m *Manager) Snapshot(now time.Time) (ds []weir.Decision, version uint64) {
	// What is decided meanwhile may be among them, and is told again.
	version = m.force.history.version()
	all := m.force.all(now, false)
	ds = make([]weir.Decision, len(all))
	for i, d := range all {
		ds[i] = *d
	}
	return ds, version
}

// Republish publishes all decisions whose windows are open again, those included
// that let a key go: for when the topic was away. Who knows them is not disturbed.
func (m *Manager) Republish(now time.Time) {
	for _, d := range m.force.all(now, true) {
		m.publish(d)
	}
}

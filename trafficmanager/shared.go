package trafficmanager

import (
	"sync"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// Subjects are the keys that were counted of late, where counters are shared: the answer of
// the store may be that others had spent the rest.
type subjects struct {
	shards [forceShards]subjectShard
}

// A subjectShard keeps what it is given for one to two lives.
type subjectShard struct {
	mu      sync.Mutex
	began   time.Time // of young
	young   map[limiter.Key]Subject
	old     map[limiter.Key]Subject
	most    int // of each
	dropped uint64
	_       [64]byte
}

const (
	// subjectLife is longer than any answer takes that is not lost.
	subjectLife = 2 * time.Second
	// mostSubjects bounds what is kept, in keys counted during a life. Keys above
	// that are decided on by their next event.
	mostSubjects = 1 << 18
)

func (s *subjects) init(most int) {
	for i := range s.shards {
		s.shards[i].most = max(most/forceShards, 1)
		s.shards[i].young = make(map[limiter.Key]Subject)
	}
}

func (s *subjects) shard(k limiter.Key) *subjectShard { return &s.shards[k%forceShards] }

// get returns what is known of a key.
func (s *subjects) get(k limiter.Key) (Subject, bool) {
	sh := s.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	one, ok := sh.young[k]
	if !ok {
		one, ok = sh.old[k]
	}
	return one, ok
}

// touch reports whether a key is known, and then keeps it for another life.
func (s *subjects) touch(now time.Time, k limiter.Key, src *policy.Source) bool {
	sh := s.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.age(now)
	one, ok := sh.young[k]
	if !ok {
		if one, ok = sh.old[k]; ok {
			sh.add(one)
		}
	}
	return ok && one.Policy == src.Policy && one.Group == src.Group
}

// put takes note of a subject.
func (s *subjects) put(now time.Time, one Subject) {
	sh := s.shard(one.Key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.age(now)
	sh.add(one)
}

func (sh *subjectShard) add(one Subject) {
	if _, ok := sh.young[one.Key]; ok || len(sh.young) < sh.most {
		sh.young[one.Key] = one
		return
	}
	sh.dropped++
}

// age makes the young old when their time has come.
func (sh *subjectShard) age(now time.Time) {
	d := now.Sub(sh.began)
	if d >= 0 && d < subjectLife {
		return
	}
	sh.began = now
	if d >= 2*subjectLife {
		clear(sh.young)
	}
	sh.old, sh.young = sh.young, sh.old
	if sh.young == nil {
		sh.young = make(map[limiter.Key]Subject)
	}
	clear(sh.young)
}

// remember takes note of the key of a check, of which the store will be told.
func (b *Batch) remember(i int, req *weir.Request) {
	c, src := &b.match.Checks[i], b.match.Sources[i]
	if b.manager.subjects.touch(b.now, c.Key, src) {
		return
	}
	b.text = b.set.AppendKey(b.text[:0], &b.match, i, req)
	b.manager.subjects.put(b.now, Subject{
		Key: c.Key, Text: string(b.text), Level: src.Level, Policy: src.Policy, Group: src.Group, Soft: src.Soft,
	})
}

// Answered decides on a key of which the store has told what all traffic managers
// have: it is for the [limiter.Sharer] of the manager's limiter, which calls it with
// what the limit then leaves. So whoever hears what spends a limit decides, be it by an event or
// by what others have counted.
func (m *Manager) Answered(now time.Time, key limiter.Key, _ *limiter.Limit, left int64) {
	now = now.Round(0)
	s, ok := m.force.subject(key, now)
	if !ok && left <= 0 {
		s, ok = m.subjects.get(key)
	}
	if ok {
		m.settle(now, now, &s)
	}
}

// subject returns the subject of the decision in force on a key.
func (f *force) subject(key limiter.Key, now time.Time) (Subject, bool) {
	sh := f.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	h := sh.get(key, now)
	if h == nil {
		return Subject{}, false
	}
	d := h.decision
	return Subject{Key: key, Text: d.Text, Level: d.Level, Policy: d.Policy, Group: d.Group, Soft: h.soft}, true
}

// asks is in how many turns AskAgain comes to all keys.
const asks = 5

// AskAgain calls ask for a fifth of the keys that are throttled, in turn: it is for once a
// second. What others have counted may have been given back since, of which nobody else
// tells.
func (m *Manager) AskAgain(now time.Time, ask func(now time.Time, l *limiter.Limit, key limiter.Key)) {
	turn := m.turn.Add(1)
	for i := range m.force.shards {
		if uint64(i)%asks != turn%asks {
			continue
		}
		for _, h := range m.force.shards[i].throttled(now) {
			ask(now, h.limit, h.decision.Key)
		}
	}
}

// throttled returns what throttles a key at now.
func (sh *forceShard) throttled(now time.Time) []*held {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var all []*held
	for _, h := range sh.byKey {
		if h.decision.Throttled && h.decision.Ends.After(now) {
			all = append(all, h)
		}
	}
	return all
}

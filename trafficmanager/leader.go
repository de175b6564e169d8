package trafficmanager

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// leaders are the keys of which most was spent: candidates for [Manager.Top]. The
// counters know what was spent; leaders remember which to ask. A key is looked at
// when its use has grown by a sixteenth, so that few events pay for it.
type leaders struct {
	shards [leaderShards]leaderShard
}

const (
	leaderShards   = 16 // a power of two
	leadersInShard = 128
)

// A leaderShard has the leaders of a part of the keys. When it is full, one whose
// window is over makes way, or else that of the least use, for one of more.
type leaderShard struct {
	// least is the use above which a key is let in, until renewed; both are read
	// without the lock.
	least, renewed atomic.Int64

	mu    sync.Mutex
	index map[limiter.Key]int
	list  []leader
	_     [64]byte
}

// A leader is a key of which much was spent.
type leader struct {
	key    limiter.Key
	source *policy.Source
	text   []byte
	used   int64 // when it was looked at last
	ends   int64 // of its window, in nanoseconds since the epoch
}

func (l *leaders) init() {
	for i := range l.shards {
		sh := &l.shards[i]
		sh.index = make(map[limiter.Key]int, leadersInShard)
		sh.list = make([]leader, 0, leadersInShard)
	}
}

// clear forgets all: their limits are no longer those that hold.
func (l *leaders) clear() {
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		clear(sh.index)
		sh.list = sh.list[:0]
		sh.least.Store(0)
		sh.mu.Unlock()
	}
}

// lead makes the key of a check a leader, if its use has grown by so much.
func (b *Batch) lead(i int, at time.Time, req *weir.Request) {
	c := &b.match.Checks[i]
	used := depth(c.Limit) - c.Remaining
	if !grew(used, c.N) && !c.Over {
		return
	}
	sh := &b.manager.leaders.shards[c.Key/forceShards%leaderShards]
	now := b.now.UnixNano()
	if used <= sh.least.Load() && now < sh.renewed.Load() {
		return
	}
	ends := at.Add(c.Reset)
	if c.Limit.Algorithm != limiter.FixedWindow {
		ends = at.Add(c.Limit.Window.Length)
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.enter(c.Key, used, now)
	if e == nil {
		return
	}
	if src := b.match.Sources[i]; e.key != c.Key || e.source != src {
		e.key, e.source = c.Key, src
		e.text = b.set.AppendKey(e.text[:0], &b.match, i, req)
	}
	e.used, e.ends = used, ends.UnixNano()
}

// depth returns what may be spent at once of a limit.
func depth(l *limiter.Limit) int64 {
	if l.Algorithm == limiter.TokenBucket && l.Burst > 0 {
		return l.Burst
	}
	return l.Count
}

// grew reports whether the last n of what was used made it another number of four
// digits, in binary.
func grew(used, n int64) bool { return digits(used) != digits(used-n) }

func digits(v int64) uint64 {
	u := uint64(max(v, 0))
	shift := max(bits.Len64(u)-4, 0)
	return u >> shift << shift
}

// enter returns the place of a key, or nil if there is none for it. The place may
// be that of another key. The shard is locked.
func (sh *leaderShard) enter(k limiter.Key, used, now int64) *leader {
	if i, ok := sh.index[k]; ok {
		return &sh.list[i]
	}
	if len(sh.list) < cap(sh.list) {
		sh.list = sh.list[:len(sh.list)+1]
		e := &sh.list[len(sh.list)-1]
		e.source = nil
		sh.index[k] = len(sh.list) - 1
		return e
	}
	worst, least, next, renewed := -1, int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64)
	for i := range sh.list {
		e := &sh.list[i]
		u := e.used
		if e.ends <= now {
			u = -1
		} else {
			renewed = min(renewed, e.ends)
		}
		if u < least {
			worst, least, next = i, u, least
		} else {
			next = min(next, u)
		}
	}
	if used <= least {
		sh.least.Store(least)
		sh.renewed.Store(renewed)
		return nil
	}
	sh.least.Store(max(min(next, used), 0))
	sh.renewed.Store(renewed)
	delete(sh.index, sh.list[worst].key)
	sh.index[k] = worst
	return &sh.list[worst]
}

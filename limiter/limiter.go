package limiter

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Options say how large a [Limiter] may grow. The zero value is fit for use.
type Options struct {
	// MaxKeys bounds the counters that are held, up to 1<<30; zero means 1<<20. They take
	// up to 43 bytes each, those of sliding windows 320 more.
	//
	// When there are as many, a new key takes the place of one that is not in use
	// and has little to lose. What that had spent is remembered in a table of
	// two cells per key (20 bytes for each key of MaxKeys, and length of window:
	// up to 30 s, 30 min, 12 h, 14 days, or longer), which a flood of keys
	// fills: a key that shares a cell with them begins with a part of its
	// limit spent. So no key gets past its limit by being forgotten, keys in use
	// are counted exactly, and new keys still pass while fewer than
	// 2*MaxKeys*Count have come in a window.
	MaxKeys int
	// Sharing says which counters a [Sharer] may share; the zero value none. Each of them
	// takes some 200 bytes more.
	Sharing Sharing
}

const (
	defaultKeys  = 1 << 20
	mostKeys     = 1 << 30
	keysPerShard = 4096
	maxShards    = 4096
	cellsPerKey  = 2
)

// A Limiter holds the counters of one node. It is for use by many goroutines
// at once: every operation happens at one moment between its call and its return,
// for all of its checks, as if there were no other.
type Limiter struct {
	// The tables of shards, close together: that is all of a shard that a look-up reads.
	tables []atomic.Pointer[table]
	shards []shard
	fleet  *fleet // nil: nothing is shared
}

// New returns a Limiter without counters. It starts nothing.
func New(o Options) *Limiter {
	keys := o.MaxKeys
	if keys <= 0 {
		keys = defaultKeys
	}
	keys = min(keys, mostKeys)
	n := min(1<<bits.Len(uint(keys/(keysPerShard+1))), maxShards)
	l := &Limiter{tables: make([]atomic.Pointer[table], n), shards: make([]shard, n)}
	if o.Sharing != Alone {
		l.fleet = &fleet{sharing: o.Sharing}
	}
	for i := range l.shards {
		sh := &l.shards[i]
		sh.fleet = l.fleet
		sh.table = &l.tables[i]
		sh.limit = max(keys/n, 1)
		sh.over.size = cellsPerKey * sh.limit
		sh.table.Store(newTable(0, sides{}, l.fleet))
	}
	return l
}

// hash spreads a key's bits. Different keys have different hashes, but for two
// that make way for free and dead.
func (k Key) hash() uint64 {
	h := uint64(k) * m0
	h ^= h >> 32
	if h <= dead {
		h += m1
	}
	return h
}

// place returns the index of the shard in which h is counted.
func (l *Limiter) place(h uint64) int { return int(h & uint64(len(l.shards)-1)) }

func (l *Limiter) shard(h uint64) *shard { return &l.shards[l.place(h)] }

// Prefetch begins to bring what is held of key near, and does not wait for it.
// It is for callers that know a key a little before its Take and have something
// else to do until then, such as to read the clock: with very many keys, a Take
// mostly waits for memory. It changes nothing and costs a few nanoseconds.
func (l *Limiter) Prefetch(key Key) {
	h := key.hash()
	l.tables[l.place(h)].Load().prefetch(h)
}

// Take passes all checks, and charges each with its N, or charges none. It
// passes if no check refuses: that is, none is over its limit, but for shadows.
// Where a key comes more than once in checks, its counter is charged for each;
// it must be under one algorithm.
//
// Take sets Over, Remaining and Reset of every check, those after the first
// that refused included. The Ticket keeps checks: they must be left alone for
// as long as it is in use. Up to 32 checks of keys that are held allocate nothing.
func (l *Limiter) Take(now time.Time, checks []Check) (Ticket, bool) {
	refused := l.take(nanos(now), checks, true)
	return Ticket{limiter: l, checks: checks, refused: refused + 1}, refused < 0
}

// take is Take, and Peek unless it is to charge. It returns the index of the
// first check that refused, or -1.
func (l *Limiter) take(ns int64, checks []Check, charge bool) (refused int) {
	switch n := len(checks); {
	case n == 1:
		return l.takeOne(ns, checks, charge)
	case n <= 8:
		var few [8]counter
		return l.takeAll(ns, checks, few[:n], charge)
	default:
		return l.takeMany(ns, checks, charge)
	}
}

// takeMany is take with room for many checks, which costs more to clear.
func (l *Limiter) takeMany(ns int64, checks []Check, charge bool) (refused int) {
	var many [32]counter
	counters := many[:]
	if len(checks) > len(many) {
		counters = make([]counter, len(checks))
	}
	return l.takeAll(ns, checks, counters[:len(checks)], charge)
}

// takeAll is take with a counter for each check.
func (l *Limiter) takeAll(ns int64, checks []Check, counters []counter, charge bool) (refused int) {
	l.acquire(ns, checks, counters)
	refused = -1
	for i := range counters {
		k, c := &checks[i], &counters[i]
		c.roll(k.Limit, ns)
		left := c.left(k.Limit, ns)
		if c.again {
			left = max(left, 0) - before(checks[:i], k.Key)
		}
		k.Over = k.Blocked > 0 || over(k.Limit, k.N, left)
		if k.Over && !k.Limit.Shadow && refused < 0 {
			refused = i
		}
	}
	if refused < 0 && charge {
		for i := range counters {
			k := &checks[i]
			k.when = counters[i].charge(k.Limit, ns, max(k.N, 0))
		}
	}
	for i := range counters {
		k, c := &checks[i], &counters[i]
		c.report(k, c.left(k.Limit, ns), ns)
	}
	news := l.fleet != nil && noteAll(checks, counters, ns, refused < 0 && charge)
	for i := range counters {
		counters[i].release()
	}
	if news {
		for i := range counters {
			counters[i].tell(&checks[i])
		}
	}
	return refused
}

// Charge spends n more, all at once or as it goes, under each check whose limit
// counts cost, whatever its limit leaves: what has happened already has to
// count. It counts in the window that holds now, and changes no check.
func (l *Limiter) Charge(now time.Time, checks []Check, cost Cost, n int64) {
	if n <= 0 {
		return
	}
	ns := nanos(now)
	for i := range checks {
		if checks[i].Limit.Cost != cost {
			continue
		}
		var one [1]counter
		l.acquire(ns, checks[i:i+1], one[:])
		one[0].roll(checks[i].Limit, ns)
		one[0].charge(checks[i].Limit, ns, n)
		one[0].leave(&checks[i], ns, n)
	}
}

// Sweep forgets the counters that no longer matter at now, and gives memory
// back. A limiter works without: it is for peace of mind, once a minute or so.
func (l *Limiter) Sweep(now time.Time) {
	ns := nanos(now)
	for i := range l.shards {
		l.shards[i].sweep(ns)
	}
}

// Len returns the number of counters held, those included that no longer matter.
func (l *Limiter) Len() int {
	var n int64
	for i := range l.shards {
		n += l.shards[i].live.Load()
	}
	return int(n)
}

// takeOne is take for one check.
func (l *Limiter) takeOne(ns int64, checks []Check, charge bool) (refused int) {
	k := &checks[0]
	var one [1]counter
	l.acquire(ns, checks, one[:])
	c := &one[0]
	c.roll(k.Limit, ns)
	left := c.left(k.Limit, ns)
	k.Over = k.Blocked > 0 || over(k.Limit, k.N, left)
	refused = -1
	if k.Over && !k.Limit.Shadow {
		refused = 0
	} else if charge {
		k.when = c.charge(k.Limit, ns, max(k.N, 0))
		left = c.left(k.Limit, ns)
	}
	c.report(k, left, ns)
	if c.share != nil {
		c.note(k, ns, k.N, refused < 0 && charge)
	}
	c.release()
	if c.news != 0 {
		c.tell(k)
	}
	return refused
}

// before returns what checks ask of a key.
func before(checks []Check, key Key) int64 {
	var n int64
	for i := range checks {
		if checks[i].Key == key {
			n = addSat(n, max(checks[i].N, 0))
		}
	}
	return n
}

package gateway

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/policy"
)

// A ledger collects what accepted calls spent, tells it, and keeps what was told
// in windows that are open, so that it can be told again.
//
// An entry is what one kind of call spent: calls of which events say the same.
// Entries are spread over shards by the hash of what is said, so that calls that
// are alike meet on one entry and others seldom on one lock.
type ledger struct {
	options EventOptions
	shards  [64]ledgerShard
	dirty   atomic.Int64  // entries with something to tell
	wake    chan struct{} // the first of them
	full    chan struct{} // the last that may be collected
	size    atomic.Int64  // bytes held

	telling sync.Mutex // one at a time: what follows, and what entries have told
	told    uint64     // how often Events was called
	encoder event.Encoder
	stats   ledgerStats
}

type ledgerStats struct{ events, batches, forgotten atomic.Uint64 }

type ledgerShard struct {
	mu      sync.Mutex
	entries map[uint64]*entry
	dirty   []*entry
	sealed  []sealed
	_       [64]byte
}

// An entry is one kind of call.
type entry struct {
	request []byte // as event.AppendRequest makes it
	set     *policy.Set
	used    time.Time

	// What is still to be told, and in which interval it was spent.
	spent    weir.Spent
	at       time.Time // of the first call
	interval *policy.Interval

	// What was told, by the windows in which it counts. Guarded by ledger.telling.
	open []openWindow
}

type openWindow struct {
	window int // index in the windows of the entry's set
	ends   time.Time
	spent  weir.Spent
}

// A sealed is what an entry had still to tell when a window ended.
type sealed struct {
	entry    *entry
	spent    weir.Spent
	at       time.Time
	interval *policy.Interval
}

func newLedger(o EventOptions) *ledger {
	if o.Flush <= 0 {
		o.Flush = defaultFlush
	}
	if o.MaxEvents <= 0 {
		o.MaxEvents = defaultMaxEvents
	}
	if o.Ledger <= 0 {
		o.Ledger = defaultLedger
	}
	l := &ledger{options: o, wake: make(chan struct{}, 1), full: make(chan struct{}, 1)}
	for i := range l.shards {
		l.shards[i].entries = make(map[uint64]*entry)
	}
	return l
}

// add notes that x spent s at a time. Once the kind of call is known it allocates
// nothing.
func (l *ledger) add(x *Exchange, at time.Time, s weir.Spent) {
	snap := x.snapshot
	h := snap.identity(x)
	sh := &l.shards[h%uint64(len(l.shards))]
	sh.mu.Lock()
	e := sh.entries[h]
	if e == nil {
		e = l.enter(sh, h, x)
	}
	first := e.spent == (weir.Spent{})
	if !first && !e.interval.Holds(at) {
		sh.sealed = append(sh.sealed, sealed{e, e.spent, e.at, e.interval})
		e.spent, first = weir.Spent{}, true
		sh.clean(e)
	}
	if first {
		e.at, e.interval = at, snap.interval.of(at)
		sh.dirty = append(sh.dirty, e)
	}
	e.spent.Add(s)
	e.used = at
	sh.mu.Unlock()
	if first {
		l.knock()
	}
}

// clean takes e from the list of those with something to tell.
func (sh *ledgerShard) clean(e *entry) {
	for i, d := range sh.dirty {
		if d == e {
			sh.dirty[i] = sh.dirty[len(sh.dirty)-1]
			sh.dirty = sh.dirty[:len(sh.dirty)-1]
			return
		}
	}
}

const entrySize = 200 // bytes of an entry and its place, but for its request and windows

// enter makes an entry for the calls that are like x.
func (l *ledger) enter(sh *ledgerShard, h uint64, x *Exchange) *entry {
	e := &entry{
		request: event.AppendRequest(nil, &x.snapshot.fields, &x.Request),
		set:     x.snapshot.base,
	}
	e.findWindows(&x.Request)
	sh.entries[h] = e
	l.size.Add(e.size())
	return e
}

// findWindows finds the windows in which what is like r counts.
func (e *entry) findWindows(r *weir.Request) {
	var m policy.Match
	e.set.MatchEvent(&m, &weir.Event{Request: *r, Spent: weir.Spent{Requests: 1, Bytes: 1, Events: 1}})
	for i := range m.Checks {
		w := slices.IndexFunc(e.set.Windows(), m.Checks[i].Limit.Window.Equal)
		if !slices.ContainsFunc(e.open, func(o openWindow) bool { return o.window == w }) {
			e.open = append(e.open, openWindow{window: w})
		}
	}
}

func (e *entry) size() int64 { return int64(entrySize + cap(e.request) + 56*cap(e.open)) }

// knock tells the teller that there is something to tell.
func (l *ledger) knock() {
	c := l.wake
	switch n := l.dirty.Add(1); n {
	case 1:
	case int64(l.options.MaxEvents):
		c = l.full
	default:
		return
	}
	select {
	case c <- struct{}{}:
	default:
	}
}

// run tells what is collected until ctx is done, and then what is left.
func (l *ledger) run(ctx context.Context) {
	forget := time.NewTicker(sweepEvery)
	defer forget.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			l.tell(time.Now())
			return
		case now := <-forget.C:
			l.forget(now)
			continue
		case <-l.wake:
		}
		pause.Reset(l.options.Flush)
		select {
		case <-ctx.Done():
		case <-l.full:
		case <-pause.C:
		}
		l.tell(time.Now())
	}
}

// tell tells all that is collected.
func (l *ledger) tell(now time.Time) {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.dirty.Store(0)
	for i := range l.shards {
		l.collect(&l.shards[i])
	}
	l.send()
	if l.size.Load() > int64(l.options.Ledger) {
		l.shrink(now)
	}
}

// collect encodes what a shard has to tell, and enters it as told.
func (l *ledger) collect(sh *ledgerShard) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range sh.sealed {
		s := &sh.sealed[i]
		l.encode(s.entry, s.spent, s.at, s.interval)
		*s = sealed{}
	}
	sh.sealed = sh.sealed[:0]
	for i, e := range sh.dirty {
		l.encode(e, e.spent, e.at, e.interval)
		e.spent = weir.Spent{}
		sh.dirty[i] = nil
	}
	sh.dirty = sh.dirty[:0]
}

func (l *ledger) encode(e *entry, s weir.Spent, at time.Time, in *policy.Interval) {
	if s == (weir.Spent{}) {
		return // spent and taken back
	}
	for i := range e.open {
		o := &e.open[i]
		switch ends := in.Ends[o.window]; {
		case o.ends.Equal(ends):
			o.spent.Add(s)
		case o.ends.Before(ends):
			o.ends, o.spent = ends, s
		}
	}
	l.encoder.Spend(l.encoder.RequestOf(e.request, at), s)
	l.stats.events.Add(1)
	if l.encoder.Size() >= maxBatch {
		l.send()
	}
}

// maxBatch is how large a batch may get, in bytes: well below what a traffic
// manager takes.
const maxBatch = 256 << 10

// send tells what is encoded.
func (l *ledger) send() {
	if l.encoder.Len() == 0 {
		return
	}
	l.told++
	l.stats.batches.Add(1)
	l.options.To.Events(l.told, l.encoder.Body())
	l.encoder.Reset()
}

// restate is [Gateway.Restate].
func (l *ledger) restate(now time.Time) (n uint64, bodies []event.Body) {
	l.telling.Lock()
	defer l.telling.Unlock()
	var enc event.Encoder
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for _, e := range sh.entries {
			e.restate(&enc, now)
			if enc.Size() >= maxBatch {
				bodies = append(bodies, enc.Body())
				enc.Reset()
			}
		}
		sh.mu.Unlock()
	}
	if enc.Len() > 0 {
		bodies = append(bodies, enc.Body())
	}
	return l.told, bodies
}

// restate adds what e spent in windows that are open at now.
func (e *entry) restate(enc *event.Encoder, now time.Time) {
	i := -1
	windows := e.set.Windows()
	for j := range e.open {
		o := &e.open[j]
		if !now.Before(o.ends) || o.spent == (weir.Spent{}) {
			continue
		}
		if i < 0 {
			i = enc.RequestOf(e.request, now)
		}
		enc.Open(i, weir.OpenWindow{Window: windows[o.window], Spent: o.spent})
	}
}

// forget drops the entries whose windows are over.
func (l *ledger) forget(now time.Time) {
	l.drop(func(e *entry) bool {
		for i := range e.open {
			if now.Before(e.open[i].ends) {
				return false
			}
		}
		return now.Sub(e.used) > sweepEvery
	})
}

// shrink drops the entries that were not used for longest, until there is room.
func (l *ledger) shrink(now time.Time) {
	for age := time.Hour; l.size.Load() > int64(l.options.Ledger)*3/4 && age > time.Millisecond; age /= 4 {
		n := l.drop(func(e *entry) bool { return now.Sub(e.used) > age })
		l.stats.forgotten.Add(uint64(n))
	}
}

// drop drops the entries of which over is true and that have nothing to tell.
func (l *ledger) drop(over func(*entry) bool) (n int) {
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for h, e := range sh.entries {
			if e.spent == (weir.Spent{}) && over(e) {
				delete(sh.entries, h)
				l.size.Add(-e.size())
				n++
			}
		}
		sh.mu.Unlock()
	}
	return n
}

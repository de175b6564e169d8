package limiter

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// A lane is a part of a sharer's keys, of which one batch is under way at a time: so
// what is told of a key keeps its order.
type lane struct {
	sharer *Sharer
	first  bool // it also tells that the node lives

	// What comes from those who take.
	mu    sync.Mutex
	queue []mark
	hurry bool // one of queue is urgent
	wake  chan struct{}

	// The rest is for whoever calls next and done, one at a time.
	spare   []mark
	entries map[Key]*entry
	limits  limitTable
	pending []*entry // to be told, each once
	holders holders
	epochs  int64 // for which all entries are told
	busy    bool
	batch   Batch
	parts   []part   // of batch, for each assertion
	answers []answer // about batch

	sent    int64 // local time at which the batch was sent
	now     int64 // local time of the last call
	due     int64 // local time before which no batch goes out, unless it is urgent
	fails   int   // in a row
	retry   int64 // local time of the next attempt after one that failed
	expired int64 // local time when entries were last forgotten
	// seq is the number of the last assertion. It is one for all keys, so that it never
	// falls, also when a key was forgotten meanwhile.
	seq uint64
}

// A mark is a key that is dirty.
type mark struct {
	key   Key
	limit *Limit
}

// An answer is what [SharerOptions.Answered] is told.
type answer struct {
	mark
	left int64
}

// An entry is what a lane knows of a counter that is shared.
type entry struct {
	key     Key
	limit   *Limit
	row     *limitRow // of limit
	counter Counter
	heard   bool // the store has been told of it
	pending bool // it is in pending
	again   bool // the store may not know what it was told
	since   int64
	pace    pace

	// What the store was last told.
	told
	closed told  // the window before; what is zero was not told
	sure   int64 // the latest window that the store's clock has been in

	lease lease
	past  past  // of a sliding window
	base  int64 // of a bucket: what was spent before its share was made
	gone  int64 // local time when nothing of it matters any more
}

// A told is a register of a window, as the store was told; spent is what of it was
// spent then.
type told struct{ begin, window, register, spent int64 }

// same reports whether the store would learn nothing new from t after o.
func (t told) same(o told) bool {
	return t.begin == o.begin && t.window == o.window && t.register == o.register
}

func newLane(s *Sharer, i int) *lane {
	return &lane{sharer: s, first: i == 0, wake: make(chan struct{}, 1), entries: map[Key]*entry{}}
}

// push notes that a key is dirty. It is called on the way of a take, once for each
// interval and key.
func (ln *lane) push(key Key, l *Limit, urgent bool) {
	ln.mu.Lock()
	signal := len(ln.queue) == 0 || urgent && !ln.hurry
	ln.queue = append(ln.queue, mark{key, l})
	ln.hurry = ln.hurry || urgent
	ln.mu.Unlock()
	if signal {
		ln.signal()
	}
}

// signal wakes whoever drives the lane.
func (ln *lane) signal() {
	select {
	case ln.wake <- struct{}{}:
	default:
	}
}

// drain moves the queue to pending.
func (ln *lane) drain() {
	ln.mu.Lock()
	queue := ln.queue
	ln.queue, ln.hurry = ln.spare[:0], false
	ln.mu.Unlock()
	for _, m := range queue {
		e := ln.entries[m.key]
		if e == nil {
			e = &entry{key: m.key}
			ln.entries[m.key] = e
		}
		ln.under(e, m.limit)
		ln.add(e)
	}
	clear(queue)
	ln.spare = queue
}

// add has an entry told in one of the next batches.
func (ln *lane) add(e *entry) {
	if !e.pending {
		e.pending = true
		ln.pending = append(ln.pending, e)
	}
}

// under takes note of the limit that a key is under.
func (ln *lane) under(e *entry, l *Limit) {
	if e.limit == l {
		return
	}
	ln.limits.move(e, l)
	if e.limit == nil || shapeID(e.limit) != shapeID(l) {
		binary.BigEndian.PutUint64(e.counter[:8], uint64(e.key))
		binary.BigEndian.PutUint64(e.counter[8:], shapeID(l))
		e.told, e.closed, e.sure, e.past, e.pace = told{}, told{}, 0, past{}, pace{}
		e.base, e.lease.coming, e.lease.ask = 0, 0, 0
	}
	e.limit = l
}

// shapeID tells limits apart that cannot have one counter.
func shapeID(l *Limit) uint64 {
	h := Seed{}.Hash().AddUint64(uint64(l.Algorithm)).AddUint64(uint64(l.Cost))
	if l.Window.Calendar == NoCalendar {
		return uint64(h.AddUint64(uint64(l.Window.Length)).Key())
	}
	h = h.AddUint64(uint64(l.Window.Calendar)).AddUint64(uint64(l.Window.every()))
	return uint64(h.Add(l.Window.location().String()).Key())
}

// wait returns for how long there is nothing to do unless somebody signals.
func (ln *lane) wait(local int64) time.Duration {
	const longest = int64(time.Second)
	until := local + longest
	switch {
	case !ln.sharer.Lost():
	case ln.first:
		return time.Duration(max(ln.retry-local, 0))
	default: // the first lane wakes all
		return time.Duration(longest)
	}
	ln.mu.Lock()
	waiting := len(ln.queue) > 0 || len(ln.pending) > 0
	if ln.hurry {
		until = local
	}
	ln.mu.Unlock()
	if waiting {
		until = min(until, ln.due)
	}
	if at, ok := ln.holders.next(); ok {
		until = min(until, at)
	}
	if ln.first {
		until = min(until, ln.sharer.nextBeat())
	}
	return time.Duration(max(until, ln.retry) - local)
}

// next is Next for the lane, at a local time that is now for the store.
func (ln *lane) next(local, now int64) *Batch {
	s := ln.sharer
	ln.now = local
	if ln.busy || local < ln.retry {
		return nil
	}
	ln.batch = Batch{Node: s.o.Node, Assertions: ln.batch.Assertions[:0]}
	ln.parts = ln.parts[:0]
	if s.Lost() {
		if !ln.first {
			return nil
		}
		return ln.send(local, true) // is it there again?
	}
	ln.mu.Lock()
	hurry := ln.hurry
	ln.mu.Unlock()
	if n := s.epochs.Load(); n != ln.epochs {
		ln.epochs = n
		ln.restate()
		hurry = true
	}
	beat := ln.first && s.beat(local)
	reviewed := ln.review(local)
	collects := hurry || reviewed || local >= ln.due || s.closing.Load()
	if collects {
		ln.drain()
	}
	ln.expire(local) // before collect: what is on its way must not be forgotten
	if collects {
		ln.collect(local, now)
	}
	if len(ln.parts) == 0 && !beat {
		return nil
	}
	return ln.send(local, beat)
}

// send returns the batch, which is then under way.
func (ln *lane) send(local int64, beat bool) *Batch {
	ln.busy, ln.sent, ln.batch.Beat = true, local, beat
	return &ln.batch
}

// restate has all entries told again: the store may have lost what it was told.
// Those that hold rights come first: nobody must be granted them before.
func (ln *lane) restate() {
	all := make([]*entry, 0, len(ln.entries))
	for _, e := range ln.entries {
		e.again = true
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int {
		if c := cmp.Compare(min(b.lease.placed, 1), min(a.lease.placed, 1)); c != 0 {
			return c
		}
		return cmp.Compare(a.key, b.key) // the same on every run
	})
	for _, e := range all {
		ln.add(e)
	}
}

// review has those entries looked at that hold rights and whose time has come, and
// reports whether there are any.
func (ln *lane) review(local int64) bool {
	some := false
	for {
		e := ln.holders.take(local, ln.sharer.closing.Load())
		if e == nil {
			return some
		}
		e.pace.asks = true
		ln.add(e)
		some = true
	}
}

// approach begins to bring near what collect needs next. Where there are many keys all of it is
// far, and here it comes at the same time.
func (ln *lane) approach() {
	next := ln.pending[:min(len(ln.pending), batchSize)]
	for _, e := range next {
		prefetchEntry(e)
	}
	l := ln.sharer.limiter
	for _, e := range next {
		l.Prefetch(e.key)
	}
	for _, e := range next {
		h := e.key.hash()
		l.tables[l.place(h)].Load().prefetchSide(h)
	}
}

// collect fills the batch with what is pending, as far as there is room.
func (ln *lane) collect(local, now int64) {
	ln.approach()
	taken := 0
	for _, e := range ln.pending {
		if len(ln.parts) >= batchSize {
			break
		}
		e.pending = false
		ln.assert(e, local, now)
		taken++
	}
	n := copy(ln.pending, ln.pending[taken:])
	clear(ln.pending[n:])
	ln.pending = ln.pending[:n]
	ln.due = 0
	if n == 0 {
		ln.due = local + int64(ln.sharer.o.Interval)
	}
}

// failed takes note that the batch was not answered. Of what it asserted the store
// may know or not: it is told again.
func (ln *lane) failed(local int64) {
	for i := range ln.parts {
		e := ln.parts[i].entry
		e.again = true
		ln.add(e)
	}
	ln.busy = false
	ln.retry = local + ln.sharer.jitter(int64(10*time.Millisecond)<<ln.fails)
	ln.fails = min(ln.fails+1, 6)
	ln.wakeWaiting()
}

// done takes the answers of the batch, at now for the store, whose clock may be
// behind by slack.
func (ln *lane) done(b *Batch, now, slack int64) {
	ln.busy, ln.fails, ln.retry = false, 0, 0
	for i := range ln.parts {
		ln.take(&ln.parts[i], b, &b.Assertions[i], now, slack)
	}
	ln.wakeWaiting()
	at := time.Unix(0, now)
	for _, a := range ln.answers {
		ln.sharer.o.Answered(at, a.key, a.limit, a.left)
	}
	clear(ln.answers)
	ln.answers = ln.answers[:0]
}

// wakeWaiting lets those go who wait for an answer about what was asserted.
func (ln *lane) wakeWaiting() {
	for i := range ln.parts {
		if e := ln.parts[i].entry; e.lease.asked {
			e.lease.asked = false
			ln.sharer.waits.answer(e.key)
		}
	}
}

// expire forgets entries that do not matter any more, now and then.
func (ln *lane) expire(local int64) {
	const every = int64(10 * time.Second)
	if local-ln.expired < every {
		return
	}
	ln.expired = local
	for key, e := range ln.entries {
		if local >= e.gone && !e.pending && e.lease.placed == 0 {
			ln.limits.move(e, nil)
			delete(ln.entries, key)
		}
	}
	ln.limits.expire(local)
}

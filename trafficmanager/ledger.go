package trafficmanager

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A ledger is what one run of a gateway was counted with, by key: what a
// restatement is held against, so that it brings what is missing and no more.
type ledger struct {
	mu   sync.Mutex
	room *room
	// told is what was counted in the latest window of each key.
	told registers
	// restated is the sums of the restatement that is coming in: its events differ
	// in more than their keys.
	restated registers
	// full tells that there was no room for all, so that a key which is not in told
	// may have been counted nevertheless: then nothing is missing of it. It is zero
	// if there was.
	full time.Time
	gone bool // the run is forgotten: nothing is noted any more
}

// add takes note that n were counted under a key, in the window that ends at ends.
// Now is the gateway's time, as is ends.
func (l *ledger) add(k limiter.Key, ends, n, now int64) {
	if r := l.of(&l.told, k, ends, now); r != nil {
		r.n += n
	}
}

// restate takes in that the gateway counted n under a key in the window that ends
// at ends, apart from what else the restatement says of it, and returns how much
// of that is missing.
func (l *ledger) restate(k limiter.Key, ends, n, now int64) (missing int64) {
	told := l.of(&l.told, k, ends, now)
	sum := l.of(&l.restated, k, ends, now)
	if told == nil || sum == nil {
		return 0 // it may have been counted
	}
	sum.n += n
	if missing = sum.n - told.n; missing <= 0 {
		return 0
	}
	told.n = sum.n
	return missing
}

// of returns the register of a key for the window that ends at ends; nil if that is
// over, or there is no room for it.
func (l *ledger) of(t *registers, k limiter.Key, ends, now int64) *register {
	if l.gone {
		return nil
	}
	r := t.find(k)
	if r == nil || r.key == 0 {
		if !l.full.IsZero() {
			return nil
		}
		if r = t.enter(k, now, l.room); r == nil {
			l.full = time.Unix(0, now)
			return nil
		}
	}
	switch {
	case r.ends > ends:
		return nil
	case r.ends < ends:
		r.ends, r.n = ends, 0
	}
	return r
}

// begin forgets the sums of the restatement before.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.restated.drop(l.room)
}

// forget forgets everything, for good.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told.drop(l.room)
	l.restated.drop(l.room)
	l.gone = true
}

// compact gives back the memory of windows that are over. Now is the gateway's time.
func (l *ledger) compact(now time.Time, windows []limiter.Window) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told.resize(now.UnixNano(), l.room)
	if !l.full.IsZero() && !isOpen(windows, l.full, now) {
		l.full = time.Time{}
	}
}

// A register is what was counted under a key in one window.
type register struct {
	key  limiter.Key // zero: the register is free
	ends int64       // of the window, in nanoseconds since the epoch
	n    int64
}

// registers are a hash table of registers. The zero value is empty.
type registers struct {
	slots []register // a power of two, or none
	used  int
}

// A room is how many registers there may be in all.
type room struct{ left atomic.Int64 }

// take takes room for n; below zero, it gives room back.
func (r *room) take(n int) bool {
	if r.left.Add(-int64(n)) < 0 && n > 0 {
		r.left.Add(int64(n))
		return false
	}
	return true
}

// fewest is how many registers there are at least, if any.
const fewest = 64

// find returns the register of a key, or else the free one in which it belongs; nil
// if there are none. Keys are hashes, so their lowest bits spread them.
func (t *registers) find(k limiter.Key) *register {
	if len(t.slots) == 0 {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	for i := uint64(k) & mask; ; i = (i + 1) & mask {
		if r := &t.slots[i]; r.key == k || r.key == 0 {
			return r
		}
	}
}

// enter returns a register for a key that has none; nil if there is no room.
func (t *registers) enter(k limiter.Key, now int64, room *room) *register {
	if (t.used+1)*4 > len(t.slots)*3 {
		if !t.resize(now, room) && (t.used+1)*4 > len(t.slots)*3 {
			return nil
		}
	}
	r := t.find(k)
	r.key = k
	t.used++
	return r
}

// resize forgets the windows that are over at now, and makes the table as large as
// is good for the rest and one more. It reports false if there is no room for that.
func (t *registers) resize(now int64, room *room) bool {
	live := 0
	for i := range t.slots {
		if r := &t.slots[i]; r.key != 0 && r.ends > now {
			live++
		}
	}
	size := fewest
	for (live+1)*2 > size {
		size *= 2
	}
	fits := true
	if !room.take(size - len(t.slots)) {
		if fits, size = false, len(t.slots); size == 0 {
			return false
		}
	}
	old := t.slots
	t.slots, t.used = make([]register, size), live
	for i := range old {
		if r := &old[i]; r.key != 0 && r.ends > now {
			*t.find(r.key) = *r
		}
	}
	return fits
}

// drop forgets all.
func (t *registers) drop(room *room) {
	room.take(-len(t.slots))
	*t = registers{}
}

package limiter

import (
	"math/bits"
	"sync/atomic"
)

// A table finds slots by the hash of their key: open addressing with linear
// probing, in an array of any length. Looking up needs no lock. Everything
// else needs the mutex of the shard that the table belongs to.
//
// Slots never move within a table and free ones are never used up, so that
// every probe ends. A table that is too full, or too empty, is replaced.
type table struct {
	slots []slot

	// Side records, by the index in a slot's meta less one. Each belongs to
	// whoever holds the slot's lock.
	rings  []ring
	shares []share
	links  []atomic.Uint32 // the number of each ring's share, or zero; to be read at any time

	freeRings, freeShares []uint32
	used                  int // slots that are not free, dead ones included
	fleet                 *fleet
}

// full is the part of a table's slots, in 32nds, that may be used.
const (
	full     = 27
	smallest = 8
)

// newTable returns a table with room for n keys, of which some need rings and
// some shares.
func newTable(n int, need sides, f *fleet) *table {
	slots := make([]slot, max(n*32/full+1, smallest))
	t := &table{slots: slots, rings: make([]ring, need.rings), shares: make([]share, need.shares), fleet: f}
	t.links = make([]atomic.Uint32, need.rings)
	t.freeRings = countdown(need.rings)
	t.freeShares = countdown(need.shares)
	return t
}

// countdown returns n to 1.
func countdown(n int) []uint32 {
	if n == 0 {
		return nil
	}
	all := make([]uint32, n)
	for i := range all {
		all[i] = uint32(n - i)
	}
	return all
}

// room returns how many slots may be used.
func (t *table) room() int { return len(t.slots) * full / 32 }

// wasteful reports whether most of the side records are not in use.
func (t *table) wasteful() bool {
	inUse := len(t.rings) - len(t.freeRings) + len(t.shares) - len(t.freeShares)
	return 2*spare(inUse)+1 < len(t.rings)+len(t.shares)
}

// home returns where the probe for h begins.
func (t *table) home(h uint64) int {
	i, _ := bits.Mul64(h, uint64(len(t.slots)))
	return int(i)
}

// find returns the slot of h, or nil. Unless the caller has the shard's mutex,
// the slot may have become another key's by the time that it is locked.
func (t *table) find(h uint64) *slot {
	slots := t.slots
	hi, _ := bits.Mul64(h, uint64(len(slots)))
	for i := int(hi); ; {
		s := &slots[i]
		switch s.hash.Load() {
		case h:
			return s
		case free:
			return nil
		}
		if i++; i == len(slots) {
			i = 0
		}
	}
}

// prefetch brings near where h stands, if it does: of 100 probes 67 end in the
// line in which they begin and 18 in the next.
func (t *table) prefetch(h uint64) {
	const line = 2 // slots
	i := t.home(h)
	prefetch(&t.slots[i])
	if i += line; i < len(t.slots) {
		prefetch(&t.slots[i])
	}
}

// prefetchSide brings near what stands beside the slot of h, if there is anything.
func (t *table) prefetchSide(h uint64) {
	s := t.find(h)
	if s == nil {
		return
	}
	meta := s.meta.Load() // of another key perhaps, by now: then it was in vain
	switch n := side(meta); {
	case n == 0:
	case kind(meta) == SlidingWindow:
		prefetchRing(&t.rings[n-1])
		if n = t.links[n-1].Load(); n != 0 {
			prefetchShare(&t.shares[n-1])
		}
	default:
		prefetchShare(&t.shares[n-1])
	}
}

// vacant returns the slot in which h, which is not in t, would stand.
func (t *table) vacant(h uint64) *slot {
	for i := t.home(h); ; {
		s := &t.slots[i]
		if s.hash.Load() <= dead {
			return s
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// fill makes a vacant slot that of h and leaves it locked.
func (t *table) fill(s *slot, h uint64) {
	s.lock()
	if s.hash.Load() == free {
		t.used++
	}
	s.window, s.spent = 0, 0
	s.hash.Store(h)
}

// forget makes a locked slot vacant and unlocks it.
func (t *table) forget(s *slot, meta uint64) {
	t.freeSide(meta)
	s.hash.Store(dead)
	s.unlock(0)
}

// sidesOf returns the side record of a slot: the numbers of its ring and its share,
// zero for what it has not.
func (t *table) sidesOf(meta uint64) (ring, share uint32) {
	n := side(meta)
	if n == 0 || kind(meta) != SlidingWindow {
		return 0, n
	}
	return n, t.links[n-1].Load()
}

// freeSide gives back the side records of a slot.
func (t *table) freeSide(meta uint64) {
	ring, share := t.sidesOf(meta)
	if ring != 0 {
		t.links[ring-1].Store(0)
		t.freeRings = append(t.freeRings, ring)
	}
	if share != 0 {
		t.freeShares = append(t.freeShares, share)
	}
}

// newSide returns meta with the side records that its kind needs, and a share if
// that is asked for: there are free ones.
func (t *table) newSide(meta uint64, shared bool) uint64 {
	var n uint32
	if shared {
		n = pop(&t.freeShares)
		t.shares[n-1] = share{state: fresh, fair: -1, early: 1}
	}
	if kind(meta) == SlidingWindow {
		r := pop(&t.freeRings)
		t.links[r-1].Store(n)
		n = r
	}
	return withSide(meta, n)
}

func pop(list *[]uint32) uint32 {
	last := len(*list) - 1
	n := (*list)[last]
	*list = (*list)[:last]
	return n
}

// adopt copies a locked slot of another table, with its side record, for which
// there is room.
func (t *table) adopt(from *table, s *slot, meta uint64) {
	to := t.vacant(s.hash.Load())
	t.used++
	to.window, to.spent = s.window, s.spent
	if ring, share := from.sidesOf(meta); ring != 0 || share != 0 {
		meta = t.newSide(withSide(meta, 0), share != 0)
		newRing, newShare := t.sidesOf(meta)
		if ring != 0 {
			t.rings[newRing-1] = from.rings[ring-1]
		}
		if share != 0 {
			t.shares[newShare-1] = from.shares[share-1]
		}
	}
	to.meta.Store(meta)
	to.hash.Store(s.hash.Load())
}

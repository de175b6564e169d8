package event

import (
	"bytes"
	"hash/maphash"
	"unicode/utf8"
)

// A table gives each text a number, from 1, and keeps it once. The zero value is
// ready. It knows nothing of what it was given before it was last reset.
type table struct {
	seed  maphash.Seed
	wire  []byte  // the texts as they stand in a Body
	known []known // by number, from 1
	slots []int32 // numbers by hash; 0: free; at most half of them are taken
}

type known struct {
	hash     uint64
	from, to int  // in wire
	valid    bool // it is UTF-8
}

// text returns the number of s, with U+FFFD for what is no UTF-8.
func (t *table) text(s []byte) uint64 {
	n := t.number(s)
	if n == 0 || t.known[n-1].valid {
		return n
	}
	return t.number([]byte(clip(string(s), MaxText)))
}

// number returns the number of s, whatever it is made of; 0 for the empty text.
func (t *table) number(s []byte) uint64 {
	if len(s) == 0 {
		return 0
	}
	if 2*len(t.known) >= len(t.slots) {
		t.grow()
	}
	hash := maphash.Bytes(t.seed, s)
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			t.wire = appendText(t.wire, bodyTexts, s)
			t.known = append(t.known, known{hash, len(t.wire) - len(s), len(t.wire), utf8.Valid(s)})
			t.slots[i] = int32(len(t.known))
			return uint64(len(t.known))
		}
		if k := &t.known[n-1]; k.hash == hash && bytes.Equal(t.wire[k.from:k.to], s) {
			return uint64(n)
		}
	}
}

// grow doubles the slots.
func (t *table) grow() {
	if t.slots == nil {
		t.seed = maphash.MakeSeed()
	}
	t.slots = make([]int32, max(256, 2*len(t.slots)))
	mask := uint64(len(t.slots) - 1)
	for n, k := range t.known {
		i := k.hash & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = int32(n + 1)
	}
}

func (t *table) reset() {
	clear(t.slots)
	t.wire, t.known = t.wire[:0], t.known[:0]
}

package limiter

import (
	"math/rand/v2"
	"testing"
)

// TestHolders holds what is looked at again to what was asked for last, whatever is asked.
func TestHolders(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var h holders
		entries := make([]entry, 1+r.IntN(200))
		due := make(map[*entry]int64)
		now := int64(1)
		for range 5000 {
			e := &entries[r.IntN(len(entries))]
			switch r.IntN(3) {
			case 0:
				due[e] = now + r.Int64N(1000)
				h.place(e, due[e])
			case 1: // sooner than it was
				if at, ok := due[e]; ok {
					due[e] = at - r.Int64N(at-now+1)
					h.place(e, due[e])
				}
			default:
				now += r.Int64N(20)
				for e := h.take(now, false); e != nil; e = h.take(now, false) {
					if at, ok := due[e]; !ok || at > now {
						t.Fatalf("seed %d: at %d there is one that is due at %d (%v)", seed, now, at, ok)
					}
					delete(due, e)
				}
				for _, at := range due {
					if next, ok := h.next(); !ok || at <= now || next > at {
						t.Fatalf("seed %d: at %d one is due at %d, and the next is looked at at %d (%v)", seed, now, at, next, ok)
					}
				}
			}
			if h.held != len(due) || len(h.heap) > 2*len(entries)+65 {
				t.Fatalf("seed %d: %d are held in %d places, want %d", seed, h.held, len(h.heap), len(due))
			}
		}
		for e := h.take(now, true); e != nil; e = h.take(now, true) {
			delete(due, e)
		}
		if len(due) != 0 || h.held != 0 || len(h.heap) != 0 {
			t.Fatalf("seed %d: %d are left, %d held", seed, len(due), h.held)
		}
	}
}

package limiter

import (
	"math/rand/v2"
	"testing"
)

// check looks into a shard for what must always be so.
func (sh *shard) check(t *testing.T) {
	t.Helper()
	tab := sh.table.Load()
	var live, used int
	rings, shares := make(map[uint32]bool), make(map[uint32]bool)
	seen := make(map[uint64]bool)
	for i := range tab.slots {
		s := &tab.slots[i]
		h, meta := s.hash.Load(), s.meta.Load()
		if meta&(lockBit|movedBit) != 0 {
			t.Fatalf("slot %d is locked or moved: %b", i, meta)
		}
		if h != free {
			used++
		}
		if h <= dead {
			continue
		}
		live++
		if seen[h] {
			t.Fatalf("hash %x is there twice", h)
		}
		seen[h] = true
		if tab.find(h) != s {
			t.Fatalf("hash %x is not found where it is", h)
		}
		ring, share := tab.sidesOf(meta)
		if rings[ring] || int(ring) > len(tab.rings) || (ring == 0) == (kind(meta) == SlidingWindow) {
			t.Fatalf("slot %d has the ring %d of %d, which is another's too: %v", i, ring, len(tab.rings), rings[ring])
		}
		if shares[share] || int(share) > len(tab.shares) {
			t.Fatalf("slot %d has the share %d of %d, which is another's too", i, share, len(tab.shares))
		}
		if ring != 0 {
			rings[ring] = true
		}
		if share != 0 {
			shares[share] = true
		}
	}
	if live != int(sh.live.Load()) || used != tab.used || used > tab.room() {
		t.Fatalf("%d live and %d used slots, want %d and %d, of %d", live, used, sh.live.Load(), tab.used, tab.room())
	}
	if len(rings)+len(tab.freeRings) != len(tab.rings) || len(shares)+len(tab.freeShares) != len(tab.shares) {
		t.Fatalf("rings: %d in use, %d free of %d; shares: %d, %d of %d", len(rings), len(tab.freeRings), len(tab.rings), len(shares), len(tab.freeShares), len(tab.shares))
	}
}

// TestTables does everything to a few shards that can be done to them.
func TestTables(t *testing.T) {
	limits := []*Limit{perMinute(10), perMinute(10), perMinute(10)}
	limits[1].Algorithm, limits[2].Algorithm = SlidingWindow, TokenBucket
	for _, l := range limits[:3] { // the same, shared
		shared := *l
		shared.Accuracy = Bounded
		limits = append(limits, &shared)
	}
	for _, most := range []int{1, 7, 100, 5000} {
		l := New(Options{MaxKeys: most, Sharing: Checks})
		random := rand.New(rand.NewPCG(uint64(most), 8))
		now := t0
		for i := range 6000 {
			limit := limits[random.IntN(len(limits))]
			checks := make([]Check, 1+random.IntN(4))
			for j := range checks {
				checks[j] = Check{Limit: limit, Key: Key(random.IntN(3*most + 10)), N: random.Int64N(3)}
			}
			switch random.IntN(500) {
			case 0:
				l.Sweep(now)
			case 1:
				now = now.Add(1e9 * 40)
			default:
				ticket, _ := l.Take(now, checks)
				if random.IntN(10) == 0 {
					ticket.Refund(now)
				}
			}
			if random.IntN(10) == 0 {
				setOthers(l, now, limits[3+limit.Algorithm], checks[0].Key, random.Int64N(5))
			}
			if i%300 == 0 {
				for j := range l.shards {
					l.shards[j].check(t)
				}
				// A Take of several keys may need more room than there is.
				if n := l.Len(); n > most+4*len(l.shards) {
					t.Fatalf("%d keys are held, want at most %d", n, most)
				}
			}
		}
	}
}

// TestMemoryPerKey fills a limiter and counts what it has room for.
func TestMemoryPerKey(t *testing.T) {
	for _, keys := range []int{1000, 30_000} {
		l := New(Options{MaxKeys: 1 << 16})
		limit := perMinute(10)
		for i := range keys {
			l.Take(t0, []Check{{Limit: limit, Key: Key(i), N: 1}})
		}
		var slots int
		for i := range l.shards {
			slots += len(l.shards[i].table.Load().slots)
		}
		if perKey := 32 * float64(slots) / float64(l.Len()); keys > 10_000 && perKey > 44 || perKey > 96 {
			t.Errorf("with %d keys each takes %.1f bytes", keys, perKey)
		}
	}
}

// TestPrefetchChangesNothing also has slots at the end of their table.
func TestPrefetchChangesNothing(t *testing.T) {
	l := New(Options{})
	limit := perMinute(10)
	for k := range Key(1000) {
		l.Prefetch(k)
		if n := l.Len(); n != int(k) {
			t.Fatalf("%d keys are held, want %d", n, k)
		}
		c := []Check{{Limit: limit, Key: k, N: 1}}
		l.Take(t0, c)
		l.Prefetch(k)
		if l.Peek(t0, c); c[0].Remaining != 9 {
			t.Fatalf("key %d: %d would be left, want 8", k, c[0].Remaining)
		}
	}
	if n := testing.AllocsPerRun(100, func() { l.Prefetch(1) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

package limiter

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// state is what a limiter holds: every slot with its side record.
type state struct {
	hash, meta    uint64
	window, spent int64
	ring          ring
	share         share
}

func states(l *Limiter) []state {
	var all []state
	for i := range l.shards {
		t := l.shards[i].table.Load()
		for j := range t.slots {
			s := &t.slots[j]
			st := state{hash: s.hash.Load(), meta: s.meta.Load(), window: s.window, spent: s.spent}
			ring, share := t.sidesOf(st.meta)
			if ring != 0 {
				st.ring = t.rings[ring-1]
			}
			if share != 0 {
				st.share = t.shares[share-1]
			}
			all = append(all, st)
		}
	}
	return all
}

// TestPeekChangesNothing looks at every kind of counter and at keys that are not
// held, now, before and long after, under the limit it has and under others.
func TestPeekChangesNothing(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{MaxKeys: 4, Sharing: Records})
		limit := perMinute(10)
		limit.Algorithm = a
		for i := range 4 { // as many as are held
			l.Take(t0, []Check{{Limit: limit, Key: Key(i), N: int64(i + 1)}})
		}
		setOthers(l, t0, limit, 3, 4)
		before, held := states(l), l.Len()
		for _, now := range []time.Time{t0, at(-time.Hour), at(time.Second), at(time.Minute), at(24 * time.Hour)} {
			for _, b := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
				other := &Limit{Count: 3, Window: Window{Length: time.Hour}, Algorithm: b}
				l.Peek(now, []Check{{Limit: other, Key: 1, N: 1}, {Limit: limit, Key: 3, N: 1}, {Limit: other, Key: 77, N: 1}})
				l.Peek(now, []Check{{Limit: limit, Key: 2, N: 1}, {Limit: limit, Key: 2, N: 9}})
			}
		}
		if !slices.Equal(states(l), before) || l.Len() != held {
			t.Errorf("%v: looking has changed the counters", a)
		}
	}
}

// TestPeekAsTake holds what Peek says against what Take then does.
func TestPeekAsTake(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	l := New(Options{MaxKeys: 50})
	now := t0
	for i := range 5000 {
		now = now.Add(time.Duration(random.IntN(3000)) * time.Millisecond)
		checks := make([]Check, 1+random.IntN(10))
		for j := range checks {
			key := random.IntN(30)
			limit := &Limit{
				Count: int64(5 + random.IntN(3)), Window: Window{Length: time.Minute}, Algorithm: Algorithm((key + i/1000) % 3),
			}
			checks[j] = Check{Limit: limit, Key: Key(key), N: int64(random.IntN(3))}
		}
		peeked := slices.Clone(checks)
		want := l.Peek(now, peeked)
		ticket, got := l.Take(now, checks)
		if got != want {
			t.Fatalf("round %d: Take = %v, Peek said %v", i, got, want)
		}
		if got {
			ticket.Refund(now)
			l.Peek(now, checks) // what is left without the charge
			l.Take(now, slices.Clone(checks))
		}
		for j := range checks {
			if c, p := &checks[j], &peeked[j]; c.Over != p.Over || !got && c.Remaining != p.Remaining {
				t.Fatalf("round %d, check %d: Take %v, %d left; Peek %v, %d left", i, j, c.Over, c.Remaining, p.Over, p.Remaining)
			}
		}
	}
}

// TestPeekAlongside looks while others take: what it sees is of one moment.
func TestPeekAlongside(t *testing.T) {
	l := New(Options{})
	limit := perMinute(1 << 40)
	pair := func() []Check {
		return []Check{{Limit: limit, Key: 1, N: 1}, {Limit: limit, Key: 2, N: 1}}
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 5000 {
				l.Take(t0, pair())
			}
		})
	}
	wg.Go(func() {
		for i := range 5000 { // new keys, so that tables are replaced
			l.Take(t0, []Check{{Limit: limit, Key: Key(100 + i), N: 1}})
		}
	})
	for range 2000 {
		c := pair()
		l.Peek(t0, c)
		if c[0].Remaining != c[1].Remaining {
			t.Errorf("%d and %d are left of two that are spent together", c[0].Remaining, c[1].Remaining)
			break
		}
	}
	wg.Wait()
}

func TestPeek(t *testing.T) {
	l := New(Options{})
	c := []Check{{Limit: perMinute(1), Key: 1, N: 1}, {Limit: perMinute(5), Key: 2, N: 1}}
	for range 3 {
		if ok := l.Peek(t0, c); !ok || c[0].Remaining != 1 || c[1].Remaining != 5 {
			t.Fatalf("Peek = %v, remaining %d and %d; want true, 1 and 5", ok, c[0].Remaining, c[1].Remaining)
		}
	}
	l.Take(t0, c)
	if ok := l.Peek(t0, c); ok || !c[0].Over || c[1].Remaining != 4 {
		t.Fatalf("Peek = %v, over %v, remaining %d; want false, true, 4", ok, c[0].Over, c[1].Remaining)
	}
}

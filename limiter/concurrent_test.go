package limiter

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// together runs f in n goroutines, which begin at once.
func together(n int, f func(i int)) {
	var begin, done sync.WaitGroup
	begin.Add(1)
	for i := range n {
		done.Go(func() {
			begin.Wait()
			f(i)
		})
	}
	begin.Done()
	done.Wait()
}

// TestExactly has 64 goroutines take from one key while others come and go.
func TestExactly(t *testing.T) {
	const each = 100
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{MaxKeys: 2000})
		limit := &Limit{Count: 64 * each / 2, Window: Window{Length: 1000 * time.Hour}, Algorithm: a}
		one := &Limit{Count: 1, Window: Window{Length: time.Millisecond}, Algorithm: a}
		var passed atomic.Int64
		together(64, func(i int) {
			for j := range each {
				now := t0.Add(time.Duration(j) * time.Millisecond)
				checks := []Check{{Limit: limit, Key: 1, N: 1}, {Limit: one, Key: Key(2 + i*each + j), N: 1}}
				if j%2 == 0 {
					checks[0], checks[1] = checks[1], checks[0]
				}
				if _, ok := l.Take(now, checks); ok {
					passed.Add(1)
				}
				if j%50 == 0 {
					l.Sweep(now)
				}
			}
		})
		if got := passed.Load(); got != limit.Count {
			t.Errorf("%v: %d passed, want %d", limit, got, limit.Count)
		}
	}
}

// TestNoFalseRefusal has half of the goroutines take from a key together with
// another that refuses: what they would have taken is never missing to the others.
func TestNoFalseRefusal(t *testing.T) {
	l := New(Options{})
	limit, none := perMinute(32*200), perMinute(0)
	var refused, passed atomic.Int64
	together(64, func(i int) {
		for range 200 {
			if i%2 == 0 {
				if _, ok := l.Take(t0, []Check{{Limit: limit, Key: 1, N: 1}}); !ok {
					refused.Add(1)
				}
			} else if _, ok := l.Take(t0, []Check{{Limit: limit, Key: 1, N: 6400}, {Limit: none, Key: 2, N: 1}}); ok {
				passed.Add(1)
			}
		}
	})
	if refused.Load() != 0 || passed.Load() != 0 {
		t.Errorf("%d were refused and %d passed that should not have", refused.Load(), passed.Load())
	}
	if r := l.Register(t0, limit, 1); r.Spent != limit.Count {
		t.Errorf("%d are spent, want %d", r.Spent, limit.Count)
	}
}

// TestConservation has goroutines take, settle and refund sets of keys in any order.
func TestConservation(t *testing.T) {
	const keys = 6
	l := New(Options{MaxKeys: 100})
	limit := perMinute(1 << 40)
	var want [keys]atomic.Int64
	together(64, func(i int) {
		random := rand.New(rand.NewPCG(uint64(i), 4))
		for range 300 {
			var checks []Check
			for range 1 + random.IntN(9) {
				checks = append(checks, Check{Limit: limit, Key: Key(random.IntN(keys)), N: random.Int64N(10)})
			}
			ticket, ok := l.Take(t0, checks)
			if !ok {
				t.Error("refused")
			}
			var more int64
			switch random.IntN(4) {
			case 0:
				ticket.Refund(t0)
				continue
			case 1:
				more = random.Int64N(10)
				ticket.Settle(t0, Requests, more)
			case 2:
				l.Sweep(t0)
			}
			for _, c := range checks {
				want[c.Key].Add(c.N + more)
			}
		}
	})
	for i := range want {
		if r := l.Register(t0, limit, Key(i)); r.Spent != want[i].Load() {
			t.Errorf("key %d: %d are spent, want %d", i, r.Spent, want[i].Load())
		}
	}
}

// TestChangesUnderLoad changes a limit's count, window and algorithm while 16
// goroutines take: whatever it is, no more than the largest count passes.
func TestChangesUnderLoad(t *testing.T) {
	l := New(Options{})
	limits := []*Limit{
		{Count: 900, Window: Window{Length: time.Hour}},
		{Count: 1000, Window: Window{Length: 2 * time.Hour}},
		{Count: 800, Window: Window{Length: 1000 * time.Hour}, Algorithm: SlidingWindow},
		{Count: 1000, Window: Window{Calendar: Day}},
		{Count: 1000, Window: Window{Length: 100000 * time.Hour}, Algorithm: TokenBucket},
	}
	var passed atomic.Int64
	together(16, func(i int) {
		for j := range 500 {
			if _, ok := l.Take(t0, []Check{{Limit: limits[(i+j)%len(limits)], Key: 1, N: 1}}); ok {
				passed.Add(1)
			}
		}
	})
	if got := passed.Load(); got != 1000 {
		t.Errorf("%d passed, want 1000", got)
	}
}

// TestMoments looks at what is left after each Take: no two Takes see the same,
// and two keys that are always taken together never differ.
func TestMoments(t *testing.T) {
	const each = 200
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{})
		first := &Limit{Count: 64 * each, Window: Window{Length: 1000 * time.Hour}, Algorithm: a}
		second := &Limit{Count: 64*each + 1000, Window: Window{Length: 1000 * time.Hour}, Algorithm: a}
		seen := make([]atomic.Int32, 64*each)
		together(64, func(i int) {
			for range each {
				checks := []Check{{Limit: first, Key: 1, N: 1}, {Limit: second, Key: 2, N: 1}}
				if i%2 == 0 {
					checks[0], checks[1] = checks[1], checks[0]
				}
				if _, ok := l.Take(t0, checks); !ok {
					t.Errorf("%v: refused", a)
					return
				}
				low, high := checks[i%2^1].Remaining, checks[i%2].Remaining
				if high-low != 1000 {
					t.Errorf("%v: %d and %d are left after one Take", a, low, high)
				}
				seen[low].Add(1)
			}
		})
		for n := range seen {
			if got := seen[n].Load(); got != 1 {
				t.Errorf("%v: %d Takes left %d, want one", a, got, n)
				break
			}
		}
	}
}

// TestWindowsFollow has goroutines take while windows end: in each of them
// exactly as many pass as may.
func TestWindowsFollow(t *testing.T) {
	const windows, each = 50, 20
	l := New(Options{MaxKeys: 500})
	limit := &Limit{Count: 100, Window: Window{Length: time.Second}}
	var now atomic.Int64
	var passed [windows]atomic.Int64
	for w := range windows {
		now.Store(t0.Add(time.Duration(w) * time.Second).UnixNano())
		together(16, func(i int) {
			for j := range each {
				at := time.Unix(0, now.Load()+int64(j)*int64(time.Millisecond))
				if _, ok := l.Take(at, []Check{{Limit: limit, Key: 1, N: 1}, {Limit: limit, Key: Key(100*w + i*j), N: 0}}); ok {
					passed[w].Add(1)
				}
			}
		})
	}
	for w := range passed {
		if got := passed[w].Load(); got != limit.Count {
			t.Errorf("window %d: %d passed, want %d", w, got, limit.Count)
		}
	}
}

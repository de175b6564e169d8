package limiter

import (
	"math"
	"testing"
	"time"
)

// t0 is the beginning of a window of any usual length.
var t0 = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return t0.Add(d) }

func perMinute(n int64) *Limit {
	return &Limit{Count: n, Window: Window{Length: time.Minute}}
}

// A step is one Take, of n from one key.
type step struct {
	at        time.Duration
	n         int64
	ok        bool
	remaining int64
	reset     time.Duration
}

func run(t *testing.T, l *Limiter, limit *Limit, steps []step) {
	t.Helper()
	for i, s := range steps {
		c := []Check{{Limit: limit, Key: 1, N: s.n}}
		_, ok := l.Take(at(s.at), c)
		if ok != s.ok || c[0].Remaining != s.remaining || c[0].Reset != s.reset {
			t.Errorf("step %d: Take(%v, %d) = %v, remaining %d, reset %v; want %v, %d, %v",
				i, s.at, s.n, ok, c[0].Remaining, c[0].Reset, s.ok, s.remaining, s.reset)
		}
		if c[0].Over == ok && !limit.Shadow {
			t.Errorf("step %d: Over = %v where Take = %v", i, c[0].Over, ok)
		}
	}
}

func TestFixedWindow(t *testing.T) {
	run(t, New(Options{}), perMinute(3), []step{
		{0, 1, true, 2, 60 * time.Second},
		{10 * time.Second, 1, true, 1, 50 * time.Second},
		{20 * time.Second, 2, false, 1, 40 * time.Second}, // charges nothing
		{20 * time.Second, 1, true, 0, 40 * time.Second},
		{59 * time.Second, 1, false, 0, time.Second},
		{59 * time.Second, 0, true, 0, time.Second},
		{60*time.Second - 1, 1, false, 0, 1},
		{60 * time.Second, 3, true, 0, 60 * time.Second},
		{60 * time.Second, 1, false, 0, 60 * time.Second},
		{200 * time.Second, 4, false, 3, 40 * time.Second}, // never fits
		{200 * time.Second, 3, true, 0, 40 * time.Second},
	})
}

func TestJumpBackwards(t *testing.T) {
	run(t, New(Options{}), perMinute(2), []step{
		{90 * time.Second, 1, true, 1, 30 * time.Second},
		{30 * time.Second, 1, true, 0, 90 * time.Second}, // still in the window from 60s
		{30 * time.Second, 1, false, 0, 90 * time.Second},
		{119 * time.Second, 1, false, 0, time.Second},
		{120 * time.Second, 1, true, 1, 60 * time.Second},
	})
	sliding := perMinute(2)
	sliding.Algorithm = SlidingWindow
	sliding.Window.Length = 31 * time.Second // sub-buckets of a second
	run(t, New(Options{}), sliding, []step{
		{90 * time.Second, 1, true, 1, 32 * time.Second},
		{30 * time.Second, 1, true, 0, 92 * time.Second},
		{30 * time.Second, 1, false, 0, 92 * time.Second},
		{121 * time.Second, 1, false, 0, time.Second},
		{122 * time.Second, 1, true, 1, 32 * time.Second},
	})
	bucket := perMinute(2)
	bucket.Algorithm = TokenBucket
	run(t, New(Options{}), bucket, []step{
		{90 * time.Second, 2, true, 0, 30 * time.Second},
		{30 * time.Second, 1, false, 0, 90 * time.Second},
		{119 * time.Second, 1, false, 0, time.Second},
		{120 * time.Second, 1, true, 0, 30 * time.Second},
	})
}

func TestSlidingWindow(t *testing.T) {
	limit := &Limit{Count: 3, Window: Window{Length: 31 * time.Second}, Algorithm: SlidingWindow}
	run(t, New(Options{}), limit, []step{
		{0, 1, true, 2, 32 * time.Second},
		{10 * time.Second, 1, true, 1, 22 * time.Second},
		{20 * time.Second, 1, true, 0, 12 * time.Second},
		{20 * time.Second, 1, false, 0, 12 * time.Second},
		{20 * time.Second, 2, false, 0, 22 * time.Second},
		{31 * time.Second, 1, false, 0, time.Second}, // the oldest bucket counts whole
		{32 * time.Second, 1, true, 0, 10 * time.Second},
		{40 * time.Second, 1, false, 0, 2 * time.Second},
		{42 * time.Second, 1, true, 0, 10 * time.Second},
		{time.Hour, 4, false, 3, 0},
		{time.Hour, 3, true, 0, 32 * time.Second},
	})
}

func TestTokenBucket(t *testing.T) {
	limit := &Limit{Count: 60, Window: Window{Length: time.Minute}, Algorithm: TokenBucket, Burst: 5}
	run(t, New(Options{}), limit, []step{
		{0, 3, true, 2, time.Second},
		{0, 2, true, 0, time.Second},
		{0, 1, false, 0, time.Second},
		{500 * time.Millisecond, 1, false, 0, 500 * time.Millisecond},
		{1500 * time.Millisecond, 1, true, 0, 500 * time.Millisecond},
		{2 * time.Second, 1, true, 0, time.Second}, // the half second was kept
		{2 * time.Second, 3, false, 0, 3 * time.Second},
		{time.Minute, 6, false, 5, 0},
		{time.Minute, 5, true, 0, time.Second},
	})
}

func TestUnevenTokenBucket(t *testing.T) {
	limit := &Limit{Count: 3, Window: Window{Length: time.Second}, Algorithm: TokenBucket}
	run(t, New(Options{}), limit, []step{
		{0, 3, true, 0, 333333334},
		{333333333, 1, false, 0, 1},
		{333333334, 1, true, 0, 333333334},
	})
}

func TestZeroCount(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		for _, cost := range []Cost{Requests, Bytes, Events} {
			l := New(Options{})
			c := []Check{{Limit: &Limit{Window: Window{Length: time.Minute}, Algorithm: a, Cost: cost}, Key: 1}}
			for _, n := range []int64{0, 1, math.MaxInt64} {
				c[0].N = n
				if _, ok := l.Take(t0, c); ok || c[0].Remaining != 0 || c[0].Reset <= 0 {
					t.Errorf("algorithm %d, cost %d: Take(%d) = %v, remaining %d, reset %v", a, cost, n, ok, c[0].Remaining, c[0].Reset)
				}
			}
		}
	}
}

func TestHugeCounts(t *testing.T) {
	const most = math.MaxInt64
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{})
		limit := &Limit{Count: most, Window: Window{Length: time.Minute}, Algorithm: a}
		c := []Check{{Limit: limit, Key: 1, N: most}}
		if _, ok := l.Take(t0, c); !ok || c[0].Remaining != 0 {
			t.Errorf("algorithm %d: the first Take = %v, remaining %d; want true, 0", a, ok, c[0].Remaining)
		}
		for _, n := range []int64{1, most} {
			c[0].N = n
			if _, ok := l.Take(t0, c); ok || c[0].Reset <= 0 {
				t.Errorf("algorithm %d: Take(%d) of a spent limit = %v, reset %v", a, n, ok, c[0].Reset)
			}
		}
		l.Charge(t0, c, Requests, most)
		if _, ok := l.Take(t0, c); ok || c[0].Remaining != 0 {
			t.Errorf("algorithm %d: Take after an overflow = %v, remaining %d", a, ok, c[0].Remaining)
		}
		c[0].N = most
		if _, ok := l.Take(at(5*time.Minute), c); !ok {
			t.Errorf("algorithm %d: Take in a later window = false", a)
		}
	}
}

func TestBytes(t *testing.T) {
	l := New(Options{})
	limit := perMinute(1000)
	limit.Cost = Bytes
	c := []Check{{Limit: limit, Key: 1, N: 400}}
	ticket, ok := l.Take(t0, c)
	if !ok || c[0].Remaining != 600 {
		t.Fatalf("Take = %v, remaining %d; want true, 600", ok, c[0].Remaining)
	}
	ticket.Settle(t0, Requests, 1) // counts nothing here, but is the one settling
	ticket.Settle(t0, Bytes, 1000)
	c[0].N = 0
	ticket, ok = l.Take(t0, c)
	if !ok || c[0].Remaining != 600 {
		t.Fatalf("Take = %v, remaining %d; want true, 600", ok, c[0].Remaining)
	}
	ticket.Settle(t0, Bytes, 599)
	c[0].N = 5000 // whatever it asks for: one byte is left
	if ticket, ok = l.Take(t0, c); !ok || c[0].Remaining != 0 {
		t.Fatalf("Take with a byte left = %v, remaining %d; want true, 0", ok, c[0].Remaining)
	}
	if _, ok = l.Take(t0, c); ok {
		t.Fatal("Take with nothing left = true")
	}
	ticket.Settle(at(time.Minute), Bytes, 300) // in the window that holds then
	c[0].N = 0
	if _, ok = l.Take(at(time.Minute), c); !ok || c[0].Remaining != 700 {
		t.Fatalf("Take = %v, remaining %d; want true, 700", ok, c[0].Remaining)
	}
}

func TestAllOrNothing(t *testing.T) {
	l := New(Options{})
	c := []Check{
		{Limit: perMinute(10), Key: 1, N: 1},
		{Limit: perMinute(2), Key: 2, N: 1},
		{Limit: perMinute(5), Key: 3, N: 1},
	}
	for i := range 4 {
		ticket, ok := l.Take(t0, c)
		want := i < 2
		if ok != want || want != (ticket.Refused() == -1) || !want && ticket.Refused() != 1 {
			t.Errorf("Take %d = %v, refused by %d", i, ok, ticket.Refused())
		}
	}
	for i, want := range []int64{8, 0, 3} {
		if c[i].Remaining != want || c[i].Reset != time.Minute || c[i].Over != (i == 1) {
			t.Errorf("check %d: remaining %d, reset %v, over %v; want %d", i, c[i].Remaining, c[i].Reset, c[i].Over, want)
		}
	}
}

func TestSameKeyTwice(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{})
		limit := perMinute(5)
		limit.Algorithm = a
		c := []Check{{Limit: limit, Key: 1, N: 2}, {Limit: perMinute(9), Key: 2, N: 1}, {Limit: limit, Key: 1, N: 1}}
		if _, ok := l.Take(t0, c); !ok || c[0].Remaining != 2 || c[2].Remaining != 2 {
			t.Errorf("algorithm %d: first Take = %v, remaining %d and %d; want true, 2 and 2", a, ok, c[0].Remaining, c[2].Remaining)
		}
		if ticket, ok := l.Take(t0, c); ok || ticket.Refused() != 2 || c[2].Remaining != 2 || c[1].Remaining != 8 {
			t.Errorf("algorithm %d: second Take = %v, refused by %d, remaining %d", a, ok, ticket.Refused(), c[2].Remaining)
		}
	}
}

func TestTwoAlgorithms(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("one key under two algorithms in one Take does not panic")
		}
	}()
	sliding := perMinute(1)
	sliding.Algorithm = SlidingWindow
	New(Options{}).Take(t0, []Check{{Limit: perMinute(1), Key: 1, N: 1}, {Limit: sliding, Key: 1, N: 1}})
}

func TestShadow(t *testing.T) {
	l := New(Options{})
	shadow := perMinute(1)
	shadow.Shadow = true
	c := []Check{{Limit: shadow, Key: 1, N: 1}, {Limit: perMinute(3), Key: 2, N: 1}}
	for i := range 5 {
		ticket, ok := l.Take(t0, c)
		if want := i < 3; ok != want || c[0].Over != (i > 0) || !want && ticket.Refused() != 1 {
			t.Errorf("Take %d = %v, the shadow over: %v", i, ok, c[0].Over)
		}
	}
	if r := l.Register(t0, shadow, 1); r.Spent != 3 {
		t.Errorf("the shadow counts %d, want 3", r.Spent)
	}
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

func TestNoChecks(t *testing.T) {
	l := New(Options{})
	ticket, ok := l.Take(t0, nil)
	if !ok || ticket.Refused() != -1 {
		t.Errorf("Take of no checks = %v, refused by %d", ok, ticket.Refused())
	}
	ticket.Refund(t0)
}

func TestManyChecks(t *testing.T) {
	l := New(Options{MaxKeys: 3}) // more keys than there may be
	var c []Check
	for i := range 40 {
		c = append(c, Check{Limit: perMinute(2), Key: Key(i), N: 1})
	}
	for i, want := range []bool{true, true, false} {
		if _, ok := l.Take(t0, c); ok != want {
			t.Errorf("Take %d = %v, want %v", i, ok, want)
		}
	}
}

func TestChangedCount(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{})
		for _, s := range []struct {
			count, n, remaining int64
			ok                  bool
		}{
			{10, 6, 4, true},
			{20, 1, 13, true},
			{5, 1, 0, false},
			{8, 1, 0, true},
		} {
			limit := perMinute(s.count)
			limit.Algorithm = a
			if a == TokenBucket {
				limit.Window.Length = 1000 * time.Hour // nothing flows in
			}
			c := []Check{{Limit: limit, Key: 1, N: s.n}}
			_, ok := l.Take(t0, c)
			if a == TokenBucket && s.count == 8 {
				// The bucket of five was full: the debt beyond it is forgiven.
				s.remaining = 2
			}
			if ok != s.ok || c[0].Remaining != s.remaining {
				t.Errorf("algorithm %d: Take(%d) of %d = %v, remaining %d; want %v, %d", a, s.n, s.count, ok, c[0].Remaining, s.ok, s.remaining)
			}
		}
	}
}

func TestChangedWindow(t *testing.T) {
	hour := &Limit{Count: 5, Window: Window{Length: time.Hour}}
	steps := []struct {
		at        time.Duration
		limit     *Limit
		n         int64
		ok        bool
		remaining int64
	}{
		{70 * time.Second, hour, 4, true, 1},
		{80 * time.Second, perMinute(5), 1, true, 0}, // the hour's four count in this minute
		{119 * time.Second, perMinute(5), 1, false, 0},
		{120 * time.Second, perMinute(5), 1, true, 4}, // and not in the next
		{130 * time.Second, hour, 1, true, 3},         // the minute's one counts in the hour
		{179 * time.Minute, &Limit{Count: 5, Window: Window{Calendar: Day}}, 2, true, 3},
		{180 * time.Minute, &Limit{Count: 5, Window: Window{Calendar: Month}}, 2, true, 1},
	}
	l := New(Options{})
	for i, s := range steps {
		c := []Check{{Limit: s.limit, Key: 1, N: s.n}}
		if _, ok := l.Take(at(s.at), c); ok != s.ok || c[0].Remaining != s.remaining {
			t.Errorf("step %d: Take = %v, remaining %d; want %v, %d", i, ok, c[0].Remaining, s.ok, s.remaining)
		}
	}
}

func TestChangedAlgorithm(t *testing.T) {
	algorithms := []Algorithm{FixedWindow, SlidingWindow, TokenBucket}
	for _, from := range algorithms {
		for _, to := range algorithms {
			l := New(Options{})
			limit := func(a Algorithm, n int64) *Limit {
				return &Limit{Count: n, Window: Window{Length: time.Hour}, Algorithm: a}
			}
			take := func(d time.Duration, lim *Limit, n, remaining int64) {
				t.Helper()
				c := []Check{{Limit: lim, Key: 1, N: n}}
				if _, ok := l.Take(at(d), c); !ok || c[0].Remaining != remaining {
					t.Errorf("from %d to %d: Take = %v, remaining %d; want true, %d", from, to, ok, c[0].Remaining, remaining)
				}
			}
			take(0, limit(from, 10), 3, 7)
			take(0, limit(to, 10), 2, 5)
			take(0, limit(from, 10), 1, 4)
			take(3*time.Hour, limit(to, 10), 1, 9) // nothing stays for longer than its window
		}
	}
}

// TestMixed takes from limits of all kinds at once, of which one refuses after
// the other.
func TestMixed(t *testing.T) {
	shadow := perMinute(1)
	shadow.Shadow = true
	bytes := &Limit{Count: 100, Window: Window{Length: time.Hour}, Cost: Bytes}
	checks := []Check{
		{Limit: shadow, Key: 1, N: 1},
		{Limit: &Limit{Count: 3, Window: Window{Length: 31 * time.Second}, Algorithm: SlidingWindow}, Key: 2, N: 1},
		{Limit: bytes, Key: 3, N: 10},
		{Limit: &Limit{Count: 60, Burst: 2, Window: Window{Length: time.Minute}, Algorithm: TokenBucket}, Key: 4, N: 1},
		{Limit: &Limit{Count: 5, Window: Window{Calendar: Day}}, Key: 5, N: 1},
	}
	l := New(Options{})
	for i, s := range []struct {
		at      time.Duration
		refused int
		left    [5]int64
	}{
		{0, -1, [5]int64{0, 2, 90, 1, 4}},
		{0, -1, [5]int64{0, 1, 80, 0, 3}},
		{0, 3, [5]int64{0, 1, 80, 0, 3}}, // the bucket is empty
		{time.Second, -1, [5]int64{0, 0, 70, 0, 2}},
		{2 * time.Second, 1, [5]int64{0, 0, 70, 1, 2}}, // three in 31 s
		{2*time.Second + 1, 1, [5]int64{0, 0, 70, 1, 2}},
		{40 * time.Second, -1, [5]int64{0, 2, 60, 1, 1}},
		{80 * time.Second, -1, [5]int64{0, 2, 50, 1, 0}}, // another minute
		{120 * time.Second, 4, [5]int64{1, 3, 50, 2, 0}}, // five this day
		{24 * time.Hour, -1, [5]int64{0, 2, 90, 1, 4}},
	} {
		ticket, ok := l.Take(at(s.at), checks)
		if ticket.Refused() != s.refused || ok != (s.refused < 0) {
			t.Errorf("step %d: Take = %v, refused by %d; want %d", i, ok, ticket.Refused(), s.refused)
		}
		for j := range checks {
			if checks[j].Remaining != s.left[j] {
				t.Errorf("step %d: of check %d remain %d, want %d", i, j, checks[j].Remaining, s.left[j])
			}
		}
	}
}

// TestDebts lets more be spent than there is, by what is known late.
func TestDebts(t *testing.T) {
	for _, test := range []struct {
		algorithm Algorithm
		until     time.Duration // nothing passes before, and one does then
	}{
		{FixedWindow, time.Minute},
		{SlidingWindow, 31 * 2 * time.Second},
		{TokenBucket, 151 * time.Second}, // 250 of 100 are spent, and 1 a second comes back
	} {
		l := New(Options{})
		limit := &Limit{Count: 60, Window: Window{Length: time.Minute}, Cost: Bytes, Algorithm: test.algorithm}
		if test.algorithm == TokenBucket {
			limit.Burst = 100
		}
		if test.algorithm == SlidingWindow {
			limit.Window.Length = 31 * 2 * time.Second
			test.until += 2 * time.Second // the bucket that it is in
		}
		checks := []Check{{Limit: limit, Key: 1}}
		ticket, _ := l.Take(t0, checks)
		ticket.Settle(t0, Bytes, 250)
		l.Sweep(at(time.Second)) // a debt is not forgotten
		if _, ok := l.Take(at(test.until-1), checks); ok {
			t.Errorf("%v: Take before the debt is paid = true", limit)
		}
		if got := checks[0].Reset; got != 1 {
			t.Errorf("%v: a nanosecond before the debt is paid Reset is %v", limit, got)
		}
		if _, ok := l.Take(at(test.until), checks); !ok {
			t.Errorf("%v: Take when the debt is paid = false, reset %v", limit, checks[0].Reset)
		}
	}
}

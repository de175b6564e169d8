package limiter

import (
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

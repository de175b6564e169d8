package limiter

import (
	"testing"
	"time"
)

func TestRegister(t *testing.T) {
	l := New(Options{})
	limit := perMinute(10)
	if r := l.Register(t0, limit, 1); r != (Register{}) {
		t.Errorf("the register of a key that never came is %+v", r)
	}
	l.Take(at(5*time.Second), []Check{{Limit: limit, Key: 1, N: 4}})
	r := l.Register(at(6*time.Second), limit, 1)
	if r.Spent != 4 || r.Others != 0 || !r.Ends.Equal(at(time.Minute)) {
		t.Errorf("the register is %+v, want 4 spent until %v", r, at(time.Minute))
	}
	if r := l.Register(at(time.Minute), limit, 1); r != (Register{}) {
		t.Errorf("the register of a window in which nothing is spent is %+v", r)
	}
}

func TestOthers(t *testing.T) {
	l := New(Options{})
	limit := perMinute(10)
	end := at(time.Minute)
	take := func(d time.Duration, n int64) (bool, int64) {
		c := []Check{{Limit: limit, Key: 1, N: n}}
		_, ok := l.Take(at(d), c)
		return ok, c[0].Remaining
	}
	for i, s := range []struct {
		others    int64 // told before
		n         int64
		ok        bool
		remaining int64
	}{
		{0, 2, true, 8},
		{5, 2, true, 1},   // both have nine
		{5, 2, false, 1},  // told again: nothing changes
		{6, 1, false, 0},  // spent by what was told alone
		{20, 1, false, 0}, // more than there was
		{3, 3, true, 0},   // given back
		{-1, 3, true, 0},
	} {
		if !l.SetOthers(t0, limit, 1, end, s.others) {
			t.Errorf("step %d: SetOthers = false", i)
		}
		if ok, remaining := take(time.Second, s.n); ok != s.ok || remaining != s.remaining {
			t.Errorf("step %d: Take = %v, remaining %d; want %v, %d", i, ok, remaining, s.ok, s.remaining)
		}
	}
	if r := l.Register(t0, limit, 1); r.Spent != 10 || r.Others != 0 {
		t.Errorf("the register is %+v, want 10 and 0", r)
	}

	l.SetOthers(t0, limit, 1, end, 7)
	if ok, remaining := take(time.Minute, 1); !ok || remaining != 9 {
		t.Errorf("in the next window: Take = %v, remaining %d; want true, 9", ok, remaining)
	}
	if l.SetOthers(end, limit, 1, end, 7) {
		t.Error("SetOthers of a window that is over = true")
	}
	if ok, remaining := take(time.Minute, 1); !ok || remaining != 8 {
		t.Errorf("after it: Take = %v, remaining %d; want true, 8", ok, remaining)
	}
}

func TestOthersOfOtherAlgorithms(t *testing.T) {
	for _, a := range []Algorithm{SlidingWindow, TokenBucket} {
		limit := perMinute(10)
		limit.Algorithm = a
		if New(Options{}).SetOthers(t0, limit, 1, at(time.Minute), 1) {
			t.Errorf("SetOthers of %v = true", limit)
		}
	}
}

// TestOthersStay tells of others' shares of many keys, through growth, sweeps
// and changes of algorithm.
func TestOthersStay(t *testing.T) {
	l := New(Options{MaxKeys: 5000})
	limit, sliding := perMinute(10), perMinute(10)
	sliding.Algorithm = SlidingWindow
	for i := range 2000 {
		if !l.SetOthers(t0, limit, Key(i), at(time.Minute), int64(i%10)) {
			t.Fatalf("SetOthers of key %d = false", i)
		}
		l.Take(t0, []Check{{Limit: sliding, Key: Key(10000 + i), N: 1}})
	}
	l.Sweep(at(time.Second))
	for i := range 2000 {
		want := int64(i % 10)
		if r := l.Register(t0, limit, Key(i)); r.Others != want {
			t.Fatalf("key %d: others have %d, want %d", i, r.Others, want)
		}
	}
	// As a sliding window it is this node's alone; back again, nothing is left of the others.
	l.Take(t0, []Check{{Limit: sliding, Key: 9, N: 1}})
	if r := l.Register(t0, limit, 9); r.Others != 0 || r.Spent != 1 {
		t.Errorf("the register is %+v, want 1 and 0", r)
	}
}

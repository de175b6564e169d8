package limiter

import (
	"math"
	"testing"
	"time"
)

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

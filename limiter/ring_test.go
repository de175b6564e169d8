package limiter

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestRing(t *testing.T) {
	var r ring
	r.start(105, 10, 7)
	for _, s := range []struct {
		do                string
		at, n             int64
		sum, ends, freed1 int64
	}{
		{"nothing", 0, 0, 7, 420, 420}, // bucket 10 counts until bucket 42 begins
		{"add", 109, 2, 9, 420, 420},
		{"add", 110, 1, 10, 430, 420},
		{"add", 100, 1, 11, 430, 420}, // a clock that steps back
		{"add", 419, 3, 14, 730, 420},
		{"advance", 420, 0, 5, 740, 430},
		{"advance", 430, 0, 3, 750, 730},
		{"refund", 41, 2, 1, 750, 730},
		{"refund", 41, 2, 0, 750, 750},
		{"refund", 11, 2, 0, 750, 750}, // no longer counts
		{"refund", 99, 2, 0, 750, 750}, // is yet to come
		{"add", 431, 4, 4, 750, 750},
		{"advance", 1e6, 0, 0, 1000320, 1000320},
		{"add", 1e6, math.MaxInt64, math.MaxInt64, 1000320, 1000320},
		{"add", 1e6 + 10, math.MaxInt64, math.MaxInt64, 1000330, 1000320},
		{"advance", 1000320, 0, math.MaxInt64, 1000640, 1000330}, // the other is still there
		{"advance", 1000330, 0, 0, 1000650, 1000650},
	} {
		switch s.do {
		case "add":
			r.advance(s.at)
			r.add(s.n)
		case "advance":
			r.advance(s.at)
		case "refund":
			r.refund(s.at, s.n)
		}
		if sum, ends, freed := r.sum(), r.ends(), r.freed(1); sum != s.sum || ends != s.ends || freed != s.freed1 {
			t.Errorf("after %s at %d of %d: sum %d, ends %d, freed %d; want %d, %d, %d", s.do, s.at, s.n, sum, ends, freed, s.sum, s.ends, s.freed1)
		}
	}
}

// TestRingFreed frees step by step and looks whether it was told before.
func TestRingFreed(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 7))
		var r ring
		now := random.Int64N(1e6)
		r.start(now, 1+random.Int64N(50), random.Int64N(5))
		for range 30 {
			now += random.Int64N(100)
			r.advance(now)
			r.add(random.Int64N(5))
		}
		sum := r.sum()
		for n := int64(1); n <= sum; n++ {
			at := r.freed(n)
			before, then := r, r
			before.advance(at - 1)
			then.advance(at)
			if sum-before.sum() >= n || sum-then.sum() < n {
				t.Fatalf("seed %d: of %d are freed %d before %d and %d at it, want %d", seed, sum, sum-before.sum(), at, sum-then.sum(), n)
			}
		}
		if got := r.freed(sum + 1); got != r.ends() {
			t.Errorf("seed %d: more than there is is freed at %d, want the end, %d", seed, got, r.ends())
		}
	}
}

func TestRingWidth(t *testing.T) {
	for _, length := range []time.Duration{time.Millisecond, 31 * time.Microsecond, time.Minute, 62 * time.Millisecond, time.Hour + 1, math.MaxInt64} {
		w := ringWidth(&Limit{Window: Window{Length: length}})
		if mulSat(w, ringSize-1) < int64(length) || w > int64(length)/(ringSize-1)+1000 || w%1000 != 0 && w < 1<<60 {
			t.Errorf("sub-buckets of %v are %d long", length, w)
		}
	}
}

package limiter

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// interesting returns numbers about the edges, and some of every size.
func interesting() []int64 {
	all := []int64{0, 1, 2, 3, 999, 1e9, 60e9, 1 << 31, 1<<32 - 1, 1 << 62, math.MaxInt64 - 1, math.MaxInt64}
	random := rand.New(rand.NewPCG(1, 6))
	for i := range 63 {
		all = append(all, random.Int64N(1<<i))
	}
	return all
}

// clamp returns z, or the largest int64.
func clamp(z *big.Int) int64 {
	if z.IsInt64() {
		return z.Int64()
	}
	return math.MaxInt64
}

func TestMulDiv(t *testing.T) {
	for _, a := range interesting() {
		for _, b := range interesting() {
			product := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
			if got, want := mulSat(a, b), clamp(product); got != want {
				t.Fatalf("mulSat(%d, %d) = %d, want %d", a, b, got, want)
			}
			if got, want := addSat(a, b), clamp(new(big.Int).Add(big.NewInt(a), big.NewInt(b))); got != want {
				t.Fatalf("addSat(%d, %d) = %d, want %d", a, b, got, want)
			}
			for _, c := range []int64{1, 2, 7, 1e9, 1e9 + 7, 1 << 62, math.MaxInt64} {
				q, r := new(big.Int).QuoRem(product, big.NewInt(c), new(big.Int))
				if got, want := mulDiv(a, b, c), clamp(q); got != want {
					t.Fatalf("mulDiv(%d, %d, %d) = %d, want %d", a, b, c, got, want)
				}
				if r.Sign() > 0 {
					q.Add(q, big.NewInt(1))
				}
				if got, want := mulDivUp(a, b, c), clamp(q); got != want {
					t.Fatalf("mulDivUp(%d, %d, %d) = %d, want %d", a, b, c, got, want)
				}
			}
		}
	}
}

func TestFloorDiv(t *testing.T) {
	for _, test := range []struct{ a, b, want int64 }{
		{0, 5, 0},
		{4, 5, 0},
		{5, 5, 1},
		{-1, 5, -1},
		{-5, 5, -1},
		{-6, 5, -2},
		{math.MinInt64, 1, math.MinInt64},
		{math.MinInt64, math.MaxInt64, -2},
		{math.MaxInt64, math.MaxInt64, 1},
	} {
		if got := floorDiv(test.a, test.b); got != test.want {
			t.Errorf("floorDiv(%d, %d) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestNanos(t *testing.T) {
	for _, test := range []struct {
		at   time.Time
		want int64
	}{
		{time.Unix(0, 0), 0},
		{time.Unix(1, 5), 1e9 + 5},
		{time.Unix(-1, 5), -1e9 + 5},
		{t0, t0.UnixNano()},
		{time.Unix(0, math.MaxInt64-1e9), math.MaxInt64 - 1e9},
		{time.Time{}, -farthest * 1e9},
		{time.Unix(math.MaxInt64/2, 0), farthest * 1e9},
	} {
		if got := nanos(test.at); got != test.want {
			t.Errorf("nanos(%v) = %d, want %d", test.at, got, test.want)
		}
	}
	if now := time.Now(); nanos(now) != now.UnixNano() {
		t.Error("the monotonic clock confuses nanos")
	}
}

func TestUntil(t *testing.T) {
	for _, test := range []struct {
		to, from int64
		want     time.Duration
	}{
		{5, 3, 2}, {3, 3, 0}, {3, 5, 0}, {math.MaxInt64, -5, math.MaxInt64}, {-5, math.MaxInt64, 0},
	} {
		if got := until(test.to, test.from); got != test.want {
			t.Errorf("until(%d, %d) = %d, want %d", test.to, test.from, got, test.want)
		}
	}
}

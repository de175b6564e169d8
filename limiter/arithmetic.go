package limiter

import (
	"math"
	"math/bits"
	"time"
)

// The farthest times a limiter tells apart; beyond them they are the same.
const (
	farthest = math.MaxInt64 / int64(time.Second) // seconds
)

// nanos returns t in nanoseconds since the Unix epoch, from the year 1678 to 2262.
func nanos(t time.Time) int64 {
	s := t.Unix()
	if s >= farthest {
		return farthest * int64(time.Second)
	}
	if s <= -farthest {
		return -farthest * int64(time.Second)
	}
	return s*int64(time.Second) + int64(t.Nanosecond())
}

// addSat returns a+b, or the nearest number there is. It needs b >= 0.
func addSat(a, b int64) int64 {
	if c := a + b; c >= a {
		return c
	}
	return math.MaxInt64
}

// mulSat returns a*b, or the largest number there is. It needs a, b >= 0.
func mulSat(a, b int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

// mulDiv returns a*b/c rounded down, or the largest number there is. It needs
// a, b >= 0 and c > 0.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return div(hi, lo, c)
}

// mulDivUp is mulDiv rounded up.
func mulDivUp(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(c-1), 0)
	return div(hi+carry, lo, c)
}

func div(hi, lo uint64, c int64) int64 {
	if hi == 0 {
		return int64(min(lo/uint64(c), math.MaxInt64))
	}
	if hi >= uint64(c) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, math.MaxInt64))
}

// floorDiv returns a/b rounded towards minus infinity. It needs b > 0.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

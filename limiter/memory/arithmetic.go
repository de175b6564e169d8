package memory

import (
	"math"
	"math/bits"
)

// most is the largest number of units there is: what a double still tells from its
// neighbours, since scripts of other stores count with these. Sums end there, too.
const most = 1 << 53

// units returns n as a number of units: none below zero or beyond most.
func units(n int64) int64 { return min(max(n, 0), most) }

// addSat returns a+b, or the largest number there is. It needs b >= 0.
func addSat(a, b int64) int64 {
	if c := a + b; c >= a {
		return c
	}
	return math.MaxInt64
}

// mulDiv returns a*b/c rounded down, or the largest number there is. It needs
// a, b >= 0 and c > 0.
func mulDiv(a, b, c int64) int64 {
	high, low := bits.Mul64(uint64(a), uint64(b))
	return quotient(high, low, uint64(c))
}

// mulDivUp is mulDiv rounded up.
func mulDivUp(a, b, c int64) int64 {
	high, low := bits.Mul64(uint64(a), uint64(b))
	low, carry := bits.Add64(low, uint64(c)-1, 0)
	return quotient(high+carry, low, uint64(c))
}

func quotient(high, low, by uint64) int64 {
	if high >= by {
		return math.MaxInt64
	}
	q, _ := bits.Div64(high, low, by)
	return int64(min(q, math.MaxInt64))
}

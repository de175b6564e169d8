package faults

import (
	"math"
	"math/rand/v2"
)

// A chance is where everything comes from that is not certain: one generator,
// which the seed determines.
type chance struct{ *rand.Rand }

func newChance(seed uint64) chance {
	return chance{rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
}

// of reports true with a probability.
func (c chance) of(p float64) bool { return p > 0 && c.Float64() < p }

// between returns a number from a to b, both included.
func (c chance) between(a, b int64) int64 {
	if b <= a {
		return a
	}
	return a + c.Int64N(b-a+1)
}

// spread returns a number from a to b, each order of magnitude as likely as the others.
func (c chance) spread(a, b int64) int64 {
	lo, hi := math.Log(float64(a)), math.Log(float64(b))
	return min(max(int64(math.Exp(lo+c.Float64()*(hi-lo))), a), b)
}

// after returns a waiting time that is mean on average and exponential.
func (c chance) after(mean int64) int64 { return int64(c.ExpFloat64()*float64(mean)) + 1 }

// pick returns one of some.
func pick[T any](c chance, some ...T) T { return some[c.IntN(len(some))] }

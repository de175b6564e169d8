// Package limitertest has the tests that every [limiter.Store] must pass.
//
// The suite gives each batch to the store under test and to a [memory.Store],
// at the time that the first one answered, and wants the same answers. Beside that, rows of
// literal cases say what is right. So these rules, beyond those of package limiter, hold
// for all stores:
//
//   - Units (Register, Want, Limit, Rate, Held, Missing) are from 0 to 1<<53:
//     what is less or more is taken for the nearest of these, a Held that is more than its
//     Register for that Register. Times, Period, Keep and Lease may be any int64 from zero on; the
//     suite has leases of whole microseconds only, which stores may make of others.
//   - No sum gets beyond 1<<53: a register is noted only as far as that, and so is
//     what is missing in a bucket, and nothing is granted beyond.
//   - Node is any uint64, Seq up to [limiter.MaxSeq].
//   - A batch is refused with an error, and nothing is written, if Node is zero, a Seq larger, a
//     window begins before 0 or does not end after it begins, or Rate or Period of a bucket
//     is less than one.
//   - All is carried out in the order of the batch, as far as an answer tells.
//   - Early and Late go before Stale. With them Sum, Past and Granted are zero. With Stale
//     nothing is written: Sum of a bucket is what is missing at Now, of what
//     the store does not know zero.
//   - A window is Early if Begin-(End-Begin) > Now and Late if Now >= End+Keep. It gets grants
//     while Now < End.
//   - Granted is min(Want, left, max(1, left/(2*n))), rounded down: left is what the limit
//     leaves after the register was noted, if anything, and n the nodes that
//     have a register of that window or bucket, this one included.
//   - A bucket is refilled before anything else: floor((Now-t)*Rate/Period) units
//     from the time t until when it has been, and t moves on by ceil(units*Period/Rate)
//     nanoseconds; to Now if nothing is missing but what is held. Rights that are
//     held don't refill until their deadline, Now+Lease of their assertion: from that moment
//     on they do, though nobody asserted anything then.
//   - Rights are held until Now >= deadline. A register that becomes less later than that gives back only what
//     is more than was held: such rights count as spent, and refill already.
//   - What is missing is never less than what is held.
//   - A register of a bucket whose deadline passed Silence ago, in whole microseconds, is
//     forgotten when a node asserts that has none, or that has this one; it is then as if the node never had one.
//   - A node lives while Now-beat < NodeLife, and an epoch is fenced while Now-since < Fence.
//     If the clock was set back to before since, the fence begins again.
//   - Durable is true if nothing was granted.
package limitertest

import (
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A Backend is a store under test, empty at first, and what can be done with it.
// What it has nothing for is nil, and is not tested.
type Backend struct {
	// Store is the store. Its clock is whatever it answers as Batch.Now.
	Store limiter.Store
	// Advance moves the store's clock on. nil: its time is real, and is waited for.
	Advance func(by time.Duration)
	// Flush removes all data, as FLUSHALL does. The next batch finds it gone.
	Flush func(t testing.TB)
	// NewEpoch makes the store another primary with the same data, and returns when it
	// takes batches.
	NewEpoch func(t testing.TB)
	// Eternal returns the names of records that would be kept for ever.
	Eternal func(t testing.TB) []string
}

// Run tests a store. open returns an empty one for each of a few tests, which use it
// one after the other. With real time it takes about half a minute, most of which is
// waiting for fences to end.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*bench)
	}{
		{"Epoch", testEpoch},
		{"Nodes", testNodes},
		{"Windows", testWindows},
		{"Buckets", testBuckets},
		{"Batches", testBatches},
		{"Random", testRandom},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, open(t))
			test.run(b)
			b.checkEternal()
		})
	}
}

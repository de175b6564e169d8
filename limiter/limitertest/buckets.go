package limitertest

import (
	"fmt"
	"math/big"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A bucketCase is what nodes assert of one bucket that is refilled by one unit a
// year. Rights are held for an hour.
type bucketCase struct {
	name  string
	steps []bucketStep
}

type bucketStep struct {
	node, seq               int64
	register, held, missing int64
	want, limit             int64
	status                  limiter.Status
	sum, granted            int64
}

func testBuckets(b *bench) {
	b.unfenced()
	for _, c := range bucketCases {
		b.run(c.name, func() { b.bucketCase(c) })
	}
	for _, r := range []struct{ rate, period int64 }{
		{1, year},
		{1, int64(time.Second)},
		{1, 1},
		{3, int64(time.Millisecond)},
		{1000, int64(time.Second)},
		{999_999_937, hour + 1},
		{1e9, int64(time.Millisecond)},
		{7, 30 * 24 * hour},
		{1 << 40, 1 << 62},
		{most, 100 * year},
		{most, int64(time.Second)},
		{most, 1},
		{1, 1<<63 - 1},
		{1<<63 - 1, 1<<63 - 1},
	} {
		b.run(fmt.Sprintf("%d in %v", r.rate, time.Duration(r.period)), func() { b.testRefill(r.rate, r.period) })
	}
	b.run("no drift", b.testDrift)
	b.run("rights that lapse", b.testLapse)
	if b.backend.Advance != nil { // nobody waits for that long
		b.run("nodes that are silent", b.testSilence)
	}
	b.run("rights that come back too late", b.testLateReturn)
	b.run("rights that are spent in time", b.testRenewed)
}

// bucketCases begin with a full bucket.
var bucketCases = []bucketCase{
	{"registers replace, never add", []bucketStep{
		{1, 1, 5, 0, 5, 0, 100, applied, 5, 0},
		{1, 2, 7, 0, 0, 0, 100, applied, 7, 0},
		{2, 1, 3, 0, 3, 0, 100, applied, 7, 0}, // what is missing is known already
		{2, 2, 6, 0, 0, 0, 100, applied, 10, 0},
		{1, 3, 4, 0, 0, 0, 100, applied, 7, 0},
	}},
	{"repeated, late, and out of order", []bucketStep{
		{1, 5, 5, 0, 5, 0, 100, applied, 5, 0},
		{1, 5, 9, 9, 9, 9, 100, stale, 5, 0},
		{1, 4, 9, 9, 9, 9, 100, stale, 5, 0},
		{1, 9, 6, 0, 6, 0, 100, applied, 6, 0},
		{1, 6, 5, 5, 5, 0, 100, stale, 6, 0},
	}},
	{"asked only", []bucketStep{
		{1, 0, 9, 9, 9, 9, 100, stale, 0, 0},
		{1, 1, 5, 0, 5, 0, 100, applied, 5, 0},
		{2, 0, 9, 9, 9, 9, 100, stale, 5, 0},
		{1, 2, 6, 0, 6, 100, 100, applied, 53, 47}, // of one node still
	}},
	{"unknown registers", []bucketStep{
		{1, 1, 1_000_000, 0, 40, 0, 100, applied, 40, 0},
		{2, 1, 2_000_000, 0, 30, 0, 100, applied, 40, 0},
		{3, 1, 3_000_000, 0, 50, 0, 100, applied, 50, 0},
		{2, 2, 2_000_007, 0, 9, 0, 100, applied, 57, 0},
		{4, 1, 7, 0, 0, 0, 100, applied, 57, 0},
	}},
	{"grants", []bucketStep{
		{1, 1, 0, 0, 0, 1000, 100, applied, 50, 50},
		{1, 2, 50, 50, 50, 1000, 100, applied, 75, 25},
		{2, 1, 0, 0, 0, 1000, 100, applied, 81, 6},
		{3, 1, 0, 0, 0, 2, 100, applied, 83, 2},
		{3, 2, 2, 2, 2, 9, 100, applied, 85, 2},
		{3, 3, 4, 0, 0, 9, 80, applied, 85, 0},
	}},
	{"rights come back", []bucketStep{
		{1, 1, 0, 0, 0, 40, 100, applied, 40, 40},
		{1, 2, 40, 30, 0, 0, 100, applied, 40, 0},
		{1, 3, 10, 0, 0, 0, 100, applied, 10, 0},
	}},
	{"a grant whose answer was lost comes back", []bucketStep{
		{1, 1, 10, 0, 10, 20, 100, applied, 30, 20},
		{1, 1, 10, 0, 10, 20, 100, stale, 30, 0},
		{1, 2, 12, 0, 12, 0, 100, applied, 12, 0},
	}},
	{"the last units", []bucketStep{
		{1, 1, 98, 0, 98, 9, 100, applied, 99, 1},
		{2, 1, 0, 0, 0, 9, 100, applied, 100, 1},
		{3, 1, 0, 0, 0, 9, 100, applied, 100, 0},
		{3, 2, 30, 0, 0, 9, 100, applied, 130, 0},
		{3, 3, 0, 0, 0, 9, 101, applied, 101, 1},
	}},
	{"what is held is missing", []bucketStep{
		{1, 1, 40, 40, 0, 0, 100, applied, 40, 0},
		{2, 1, 70, 70, 10, 0, 100, applied, 110, 0},
		{2, 2, 0, 0, 0, 0, 100, applied, 40, 0},
		{1, 2, 5, 50, 0, 0, 100, applied, 5, 0}, // more than it has
	}},
	{"never more than full", []bucketStep{
		{1, 1, 500, 0, 20, 0, 100, applied, 20, 0},
		{1, 2, 100, 0, 0, 0, 100, applied, 0, 0},
		{2, 1, 0, 0, 0, 200, 100, applied, 25, 25},
	}},
	{"large numbers", []bucketStep{
		{1, 1, most - 9, 0, most - 9, 0, most, applied, most - 9, 0},
		{2, 1, 4, 0, 0, 99, most, applied, most - 7, 2},
		{2, 2, most, 0, 0, 99, most, applied, most, 0},
		{1, 2, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, 1<<63 - 1, applied, most, 0},
		{1, 3, 9, 0, 0, 0, most, applied, 9, 0},
		{3, 1, most, 0, 0, most, most, applied, 9, 0}, // its register is full
	}},
	{"numbers below zero", []bucketStep{
		{1, 1, -5, -5, -5, -5, 100, applied, 0, 0},
		{1, 2, 5, -5, -5, 5, -100, applied, 5, 0},
		{1, 3, -1 << 63, -1 << 63, -1 << 63, -1 << 63, -1 << 63, applied, 0, 0},
	}},
}

func (b *bench) bucketCase(c bucketCase) {
	counter := b.name()
	for i, s := range c.steps {
		got := b.one(uint64(s.node), limiter.Assertion{
			Counter: counter, Seq: uint64(s.seq), Register: s.register, Held: s.held, Missing: s.missing,
			Want: s.want, Limit: s.limit, Rate: 1, Period: year, Lease: hour,
		})
		if got.Status != s.status || got.Sum != s.sum || got.Granted != s.granted || got.Past != 0 {
			b.t.Fatalf("step %d: answered status %d, sum %d, granted %d, past %d; want %d, %d, %d, 0",
				i, got.Status, got.Sum, got.Granted, got.Past, s.status, s.sum, s.granted)
		}
	}
}

// flows returns what flows into a bucket in some nanoseconds.
func flows(nanos, rate, period int64) int64 {
	n := new(big.Int).Mul(big.NewInt(max(nanos, 0)), big.NewInt(min(rate, most)))
	n.Div(n, big.NewInt(period))
	if !n.IsInt64() {
		return 1<<63 - 1
	}
	return n.Int64()
}

// testRefill looks at a bucket of which all that can be is missing, and then at one of which little is.
func (b *bench) testRefill(rate, period int64) {
	for _, missing := range []int64{most, 1_000_000_007, 3} {
		a := limiter.Assertion{Counter: b.name(), Seq: 1, Register: 1, Missing: missing, Limit: most, Rate: rate, Period: period}
		if got := b.one(1, a); got.Sum != missing {
			b.t.Fatalf("%d are missing, want %d", got.Sum, missing)
		}
		began := b.now
		for _, after := range []time.Duration{time.Millisecond, 3 * time.Millisecond} {
			b.wait(began + int64(after))
			a.Seq = 0
			got := b.one(2, a)
			if want := max(missing-flows(b.now-began, rate, period), 0); got.Sum != want {
				b.t.Fatalf("%d are missing after %d ns, want %d", got.Sum, b.now-began, want)
			}
		}
	}
}

// testDrift refills a bucket at many times: no part of a unit gets lost between.
func (b *bench) testDrift() {
	const missing, rate, period = 1_000_000, 7, int64(3 * time.Millisecond)
	a := limiter.Assertion{Counter: b.name(), Register: missing, Missing: missing, Rate: rate, Period: period}
	var began, before int64
	for range 100 {
		a.Seq++
		got := b.one(1, a)
		if began == 0 {
			began, before = b.now, got.Sum
		}
		want := missing - flows(b.now-began, rate, period)
		if got.Sum < want || got.Sum > want+1 || got.Sum > before {
			b.t.Fatalf("%d are missing after %d calls in %d ns, want %d", got.Sum, a.Seq, b.now-began, want)
		}
		before = got.Sum
		b.wait(b.now + int64(time.Millisecond))
	}
}

// testSilence has nodes that were not heard of for long: their registers are forgotten,
// and what they say next is as from a node that is new.
func (b *bench) testSilence() {
	counter := b.name()
	say := func(node, seq uint64, register, missing, sum int64) {
		b.t.Helper()
		got := b.one(node, limiter.Assertion{
			Counter: counter, Seq: seq, Register: register, Missing: missing, Limit: 1000, Rate: 1, Period: int64(24 * time.Hour),
		})
		if got.Status != applied || got.Sum != sum {
			b.t.Fatalf("node %d, %d: answered %+v, want sum %d", node, seq, got, sum)
		}
	}
	say(1, 9, 100, 0, 0) // new: it says what is missing
	say(1, 10, 150, 0, 50)
	b.wait(b.now + int64(limiter.Silence) - int64(time.Second))
	say(1, 11, 160, 0, 60) // not long enough
	say(2, 1, 7, 0, 60)
	b.wait(b.now + int64(limiter.Silence))
	say(2, 1, 0, 0, 60) // the number does not matter, nor that it is less
	say(2, 2, 5, 0, 65)
	say(1, 1, 10, 70, 70) // forgotten with the first word of node 2
	say(1, 2, 20, 0, 80)
}

// testLapse lets a node hold rights and say no more. They are missing until they lapse,
// whatever flows in, and from then on are as if spent.
func (b *bench) testLapse() {
	const rate, period, lease = 20, int64(time.Second), int64(300 * time.Millisecond)
	a := limiter.Assertion{Counter: b.name(), Seq: 1, Want: 10, Limit: 100, Rate: rate, Period: period, Lease: lease}
	if got := b.one(1, a); got.Granted != 10 {
		b.t.Fatalf("answered %+v, want 10 granted", got)
	}
	deadline := b.now + lease
	for b.now < deadline+lease {
		a.Seq = 0
		got := b.one(2, a)
		if want := max(10-flows(b.now-deadline, rate, period), 0); got.Sum != want {
			b.t.Fatalf("%d are missing %d ns after the deadline, want %d", got.Sum, b.now-deadline, want)
		}
		b.wait(b.now + lease/4)
	}
	// Nobody else asserted anything since the rights were granted.
	a.Seq, a.Want = 1, 0
	if got, want := b.one(2, a), max(10-flows(b.now-deadline, rate, period), 0); got.Sum != want {
		b.t.Fatalf("%d are missing %d ns after the deadline, want %d", got.Sum, b.now-deadline, want)
	}
}

// testLateReturn gives rights back that lapsed: they count as spent.
func (b *bench) testLateReturn() {
	const lease = 100 * int64(time.Millisecond)
	a := limiter.Assertion{Counter: b.name(), Seq: 1, Register: 20, Missing: 20, Want: 10, Limit: 100, Rate: 1, Period: year, Lease: lease}
	if got := b.one(1, a); got.Sum != 30 {
		b.t.Fatalf("answered %+v, want 30 missing", got)
	}
	b.wait(b.now + lease)
	for _, step := range []struct {
		why            string
		register, want int64
	}{
		{"10 were returned too late", 20, 30},
		{"5 were refunded, of what was spent", 15, 25},
		{"9 were spent", 24, 34},
	} {
		a.Seq++
		a.Register, a.Want = step.register, 0
		if got := b.one(1, a); got.Sum != step.want {
			b.t.Fatalf("%s: %d are missing, want %d", step.why, got.Sum, step.want)
		}
	}

	a = limiter.Assertion{Counter: b.name(), Seq: 1, Register: 20, Held: 10, Missing: 20, Rate: 1, Period: year, Lease: lease}
	b.one(1, a)
	b.wait(b.now + lease)
	a.Seq, a.Register, a.Held = 2, 5, 0
	if got := b.one(1, a); got.Sum != 15 {
		b.t.Fatalf("10 were returned too late and 5 refunded: %d are missing, want 15", got.Sum)
	}
}

// testRenewed asserts rights again before they lapse, so that they don't.
func (b *bench) testRenewed() {
	const lease = int64(time.Second)
	a := limiter.Assertion{Counter: b.name(), Want: 10, Limit: 100, Rate: 1000, Period: int64(time.Second), Lease: lease}
	for range 6 {
		began := b.now
		a.Seq++
		got := b.one(1, a)
		if b.now > began+lease && a.Seq > 1 {
			return // the machine was busy
		}
		if got.Sum != 10 {
			b.t.Fatalf("%d are missing, want the 10 that are held", got.Sum)
		}
		a.Register, a.Held, a.Want = 10, 10, 0
		b.wait(b.now + lease/4)
	}
}

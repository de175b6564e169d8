package limitertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-project/weir/limiter"
)

// testRandom shares what comes by chance, so that what nobody thought of is compared.
func testRandom(b *bench) {
	b.unfenced()
	for seed := range uint64(8) {
		b.run(fmt.Sprintf("seed %d", seed), func() { b.chance(seed) })
	}
}

// A dice makes batches by chance.
type dice struct {
	*rand.Rand
	counters []limiter.Counter
	base     int64
	seqs     [4]uint64 // of each node; a number is never used twice
}

func (b *bench) chance(seed uint64) {
	d := &dice{Rand: rand.New(rand.NewPCG(seed, 1)), base: b.time()}
	for range 6 {
		d.counters = append(d.counters, b.name())
	}
	var batches []limiter.Batch
	for range 400 {
		batch := d.batch(b.now)
		if d.IntN(4) == 0 && len(batches) > 0 {
			batch = batches[d.IntN(len(batches))] // one that was late on its way
		}
		batch.Assertions = slices.Clone(batch.Assertions)
		b.share(&batch)
		batches = append(batches, batch)
		if b.backend.Advance != nil {
			b.backend.Advance(time.Duration(d.Int64N(int64(20 * time.Millisecond))))
		}
	}
	// All of it once more changes nothing.
	d.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	for _, batch := range batches {
		before := batch.Assertions
		batch.Assertions = slices.Clone(before)
		b.share(&batch)
		for i, a := range batch.Assertions {
			if a.Status == applied && before[i].Status != early {
				b.t.Fatalf("answered %+v to what had been answered %+v", a, before[i])
			}
		}
	}
}

// batch makes a batch of one to six counters; of one or two windows of each.
func (d *dice) batch(now int64) limiter.Batch {
	node := d.IntN(len(d.seqs))
	batch := limiter.Batch{Node: uint64(node) + 1, Beat: d.IntN(4) == 0}
	d.Shuffle(len(d.counters), func(i, j int) { d.counters[i], d.counters[j] = d.counters[j], d.counters[i] })
	for i := range 1 + d.IntN(len(d.counters)) {
		a := d.assertion(node, d.counters[i], now)
		batch.Assertions = append(batch.Assertions, a)
		if other := d.assertion(node, a.Counter, now); other.Begin != a.Begin {
			batch.Assertions = append(batch.Assertions, other)
		}
	}
	d.Shuffle(len(batch.Assertions), func(i, j int) {
		batch.Assertions[i], batch.Assertions[j] = batch.Assertions[j], batch.Assertions[i]
	})
	return batch
}

// assertion makes an assertion of a counter.
func (d *dice) assertion(node int, c limiter.Counter, now int64) limiter.Assertion {
	a := limiter.Assertion{Counter: c, Register: d.units(), Want: d.units(), Limit: d.units()}
	if d.IntN(8) > 0 {
		d.seqs[node]++
		a.Seq = d.seqs[node]
	}
	if a.Counter[0]%2 == 0 {
		d.window(&a, now)
	} else {
		d.bucket(&a)
	}
	return a
}

// window makes a an assertion of a window near now: one of 41 ms and some, or of an hour.
func (d *dice) window(a *limiter.Assertion, now int64) {
	length := int64(41_234_567)
	if a.Counter[1]%2 == 0 {
		length = hour
	}
	i := (now-d.base)/length + int64(d.IntN(6)) - 3
	a.Begin = d.base + i*length
	a.End = a.Begin + length
	a.Keep = 2 * hour
	if d.IntN(10) == 0 {
		a.Keep = d.Int64N(length)
		if a.End+a.Keep > now {
			a.Keep = 2 * hour // what is told late must not be forgotten
		}
	}
	if a.Counter[3]%8 > 0 {
		a.Before, a.AskPast = 1+int(a.Counter[3])%7, d.IntN(3) > 0
	}
}

// bucket makes a an assertion of a bucket. Each has a rate of its own.
func (d *dice) bucket(a *limiter.Assertion) {
	rates := [...]struct{ rate, period int64 }{
		{1, year},
		{1, int64(time.Millisecond)},
		{333, int64(100 * time.Millisecond)},
		{1e9, int64(time.Millisecond)},
		{10_007, int64(time.Second) + 1},
		{most, year},
	}
	r := rates[int(a.Counter[2])%len(rates)]
	a.Rate, a.Period = r.rate, r.period
	a.Missing = d.units()
	a.Held = d.Int64N(a.Register + 1)
	a.Lease = d.Int64N(50_000) * int64(time.Microsecond)
}

// units returns a number of units: mostly a small one.
func (d *dice) units() int64 {
	switch d.IntN(16) {
	case 0:
		return 0
	case 1:
		return d.Int64N(most)
	case 2:
		return most
	default:
		return d.Int64N(1000)
	}
}

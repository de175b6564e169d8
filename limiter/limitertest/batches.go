package limitertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// testBatches tests what does not depend on what is asserted.
func testBatches(b *bench) {
	b.unfenced()
	b.run("many assertions", b.testMany)
	b.run("nothing can be made of", b.testMalformed)
	b.run("no time left", b.testContext)
	b.run("many goroutines", b.testConcurrent)
}

func (b *bench) testMany() {
	const many = 1000
	batch := limiter.Batch{Node: 1, Beat: true}
	begin := b.time() - hour/2
	for i := range int64(many) {
		a := limiter.Assertion{Counter: b.name(), Seq: 1, Register: i, Want: 10, Limit: 500}
		if i%3 == 0 {
			a.Rate, a.Period, a.Held, a.Lease, a.Missing = 1, year, i/2, hour, i
		} else {
			a.Begin, a.End, a.Keep, a.Before = begin, begin+hour, hour, int(i%2)
		}
		batch.Assertions = append(batch.Assertions, a)
	}
	b.share(&batch)
	for i := range int64(many) {
		granted := max(min(10, (500-i)/2), 0)
		if i == 499 {
			granted = 1
		}
		if a := batch.Assertions[i]; a.Status != applied || a.Granted != granted || a.Sum != i+granted {
			b.t.Fatalf("assertion %d: answered %+v, want %d granted", i, a, granted)
		}
	}
	b.share(&batch)
	for i := range int64(many) {
		if a := batch.Assertions[i]; a.Status != stale || a.Granted != 0 || a.Sum < i {
			b.t.Fatalf("assertion %d, again: answered %+v", i, a)
		}
	}
}

func (b *bench) testMalformed() {
	now := b.time()
	c, other := b.name(), b.name()
	good := limiter.Assertion{Counter: other, Seq: 1, Register: 5, Begin: now, End: now + hour, Keep: hour}
	for name, batch := range map[string]limiter.Batch{
		"node zero":         {Assertions: []limiter.Assertion{good}},
		"node zero, empty":  {Beat: true},
		"ends at once":      {Node: 1, Assertions: []limiter.Assertion{good, {Counter: c, Seq: 1, Begin: now, End: now}}},
		"ends before":       {Node: 1, Assertions: []limiter.Assertion{good, {Counter: c, Seq: 1, Begin: now, End: now - 1}}},
		"begins before all": {Node: 1, Assertions: []limiter.Assertion{good, {Counter: c, Seq: 1, Begin: -1, End: now}}},
		"no end":            {Node: 1, Assertions: []limiter.Assertion{good, {Counter: c, Seq: 1, Begin: now}}},
		"no rate":           {Node: 1, Assertions: []limiter.Assertion{good, {Counter: c, Seq: 1, Period: 1}}},
		"too many":          {Node: 1, Assertions: []limiter.Assertion{good, {Counter: c, Seq: 1<<53 + 1, Begin: now, End: now + 1}}},
		"no period":         {Node: 1, Assertions: []limiter.Assertion{good, {Counter: c, Seq: 1, Rate: 1}}},
	} {
		if err := b.backend.Store.Share(b.t.Context(), &batch); err == nil {
			b.t.Errorf("%s: there was no error", name)
		}
	}
	good.Seq = 0
	if a := b.one(1, good); a.Sum != 0 {
		b.t.Errorf("%d units were written, though the batch was refused", a.Sum)
	}
}

func (b *bench) testContext() {
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel()
	now := b.time()
	a := limiter.Assertion{Counter: b.name(), Seq: 1, Register: 5, Begin: now, End: now + hour, Keep: hour}
	began := time.Now()
	err := b.backend.Store.Share(ctx, &limiter.Batch{Node: 1, Assertions: []limiter.Assertion{a}})
	if !errors.Is(err, context.Canceled) {
		b.t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	if took := time.Since(began); took > time.Second {
		b.t.Errorf("it took %v to find that there is no time", took)
	}
}

// testConcurrent has many nodes take rights at once. They never get more than there
// are, and what they have is the sum.
func (b *bench) testConcurrent() {
	const nodes, rounds, limit = 8, 60, 1000
	window := limiter.Assertion{Counter: b.name(), Limit: limit, Begin: b.time() - hour/2, Keep: hour}
	window.End = window.Begin + hour
	bucket := limiter.Assertion{Counter: b.name(), Limit: limit, Rate: 1, Period: year, Lease: hour}
	var have [nodes][2]int64
	var all sync.WaitGroup
	for n := range nodes {
		all.Go(func() {
			take := func(seq uint64) {
				batch := limiter.Batch{Node: uint64(n) + 1, Assertions: []limiter.Assertion{window, bucket}}
				for i := range batch.Assertions {
					a := &batch.Assertions[i]
					a.Seq, a.Register, a.Want = seq, have[n][i], limit
					if i == 1 {
						a.Held, a.Missing = a.Register, a.Register
					}
				}
				if err := b.backend.Store.Share(b.t.Context(), &batch); err != nil {
					b.t.Error(err)
					return
				}
				for i, a := range batch.Assertions {
					if a.Status != applied || a.Sum > limit {
						b.t.Errorf("answered %+v, want at most %d", a, limit)
					}
					have[n][i] += a.Granted
				}
			}
			for seq := range rounds {
				take(uint64(seq) + 1)
			}
		})
	}
	all.Wait()
	checkSums(b.t, b, []limiter.Assertion{window, bucket}, have[:])
}

// checkSums wants the store to know what nodes have.
func checkSums(t *testing.T, b *bench, asked []limiter.Assertion, have [][2]int64) {
	t.Helper()
	batch := limiter.Batch{Node: 100, Assertions: asked}
	b.call(&batch)
	for i, a := range batch.Assertions {
		var sum int64
		for _, h := range have {
			sum += h[i]
		}
		if a.Status != stale || a.Sum != sum || sum != a.Limit {
			t.Errorf("answered %+v; the nodes have %d, want all %d", a, sum, a.Limit)
		}
	}
}

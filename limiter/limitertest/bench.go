package limitertest

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
)

const (
	// patience is how long a call, or the store's clock, is waited for.
	patience = 20 * time.Second

	most = 1 << 53 // units that there can be

	hour = int64(time.Hour)
	year = 365 * 24 * hour
)

// A bench is a store on the way through a test, and the one that knows the answers.
type bench struct {
	t       *testing.T
	backend Backend
	mirror  *memory.Store
	primary uint64            // of mirror
	epochs  map[uint64]uint64 // of the store, by those of mirror
	counter uint64            // the last that was used
	now     int64             // the last that was answered
}

func newBench(t *testing.T, backend Backend) *bench {
	return &bench{t: t, backend: backend, primary: 1, mirror: memory.New(memory.Options{ID: 1}), epochs: make(map[uint64]uint64)}
}

// run runs a part of the test by name.
func (b *bench) run(name string, f func()) {
	outer := b.t
	outer.Run(name, func(t *testing.T) {
		b.t = t
		defer func() { b.t = outer }()
		f()
	})
}

// name returns a counter that has not been used. All bits of it differ from those of others.
func (b *bench) name() (c limiter.Counter) {
	b.counter++
	binary.BigEndian.PutUint64(c[:], b.counter*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(c[8:], b.counter*0xd6e8feb86659fd93)
	return c
}

// call has the store carry out a batch, which must do.
func (b *bench) call(batch *limiter.Batch) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if err := b.backend.Store.Share(ctx, batch); err != nil {
		b.t.Fatalf("share %d assertions: %v", len(batch.Assertions), err)
	}
	b.now = batch.Now
}

// share has the store carry out a batch, and compares what it answers.
func (b *bench) share(batch *limiter.Batch) {
	b.t.Helper()
	want := *batch
	want.Assertions = slices.Clone(batch.Assertions)
	before := b.now
	b.call(batch)
	if batch.Now < before {
		b.t.Fatalf("the store's time was %d and then %d", before, batch.Now)
	}
	b.mirror.Apply(batch.Now, &want)
	b.compare(batch, &want)
}

// compare stops the test if the answers are not those that are wanted.
func (b *bench) compare(got, want *limiter.Batch) {
	b.t.Helper()
	if epoch, ok := b.epochs[want.Epoch]; !ok {
		for _, other := range b.epochs {
			if other == got.Epoch {
				b.t.Fatalf("epoch %d goes on, want a new one", got.Epoch)
			}
		}
		b.epochs[want.Epoch] = got.Epoch
	} else if epoch != got.Epoch {
		b.t.Fatalf("epoch %d, want %d to go on", got.Epoch, epoch)
	}
	if got.Epoch == 0 || got.Fenced != want.Fenced || got.Nodes != want.Nodes || !got.Durable {
		b.t.Fatalf("answered epoch %d, fenced %v, %d nodes, durable %v; want not zero, %v, %d, true",
			got.Epoch, got.Fenced, got.Nodes, got.Durable, want.Fenced, want.Nodes)
	}
	for i := range got.Assertions {
		if got.Assertions[i] != want.Assertions[i] {
			b.t.Fatalf("at %d, assertion %d of %d of node %d, answered\n%+v, want\n%+v",
				got.Now, i, len(got.Assertions), got.Node, got.Assertions[i], want.Assertions[i])
		}
	}
}

// one shares a single assertion and returns the answer.
func (b *bench) one(node uint64, a limiter.Assertion) limiter.Assertion {
	b.t.Helper()
	batch := limiter.Batch{Node: node, Assertions: []limiter.Assertion{a}}
	b.share(&batch)
	return batch.Assertions[0]
}

// time returns the time by the store's clock.
func (b *bench) time() int64 {
	b.t.Helper()
	b.share(&limiter.Batch{Node: 1})
	return b.now
}

// wait waits until it is ns by the store's clock.
func (b *bench) wait(ns int64) {
	b.t.Helper()
	for began := time.Now(); ; {
		left := time.Duration(ns - b.time())
		switch {
		case left <= 0:
			return
		case b.backend.Advance != nil:
			b.backend.Advance(left)
		case time.Since(began) > patience:
			b.t.Fatalf("the store's clock does not reach %d", ns)
		default:
			time.Sleep(min(left, 50*time.Millisecond)) // the condition is a clock
		}
	}
}

// unfenced waits until the store grants.
func (b *bench) unfenced() {
	b.t.Helper()
	b.wait(b.time() + int64(limiter.Fence))
}

// flush removes all data.
func (b *bench) flush() {
	b.t.Helper()
	b.backend.Flush(b.t)
	b.mirror.Clear()
}

// newEpoch makes the store another primary.
func (b *bench) newEpoch() {
	b.t.Helper()
	b.backend.NewEpoch(b.t)
	b.primary++
	b.mirror.NewEpoch(b.primary)
}

// checkEternal finds records that are never forgotten.
func (b *bench) checkEternal() {
	b.t.Helper()
	if b.backend.Eternal == nil {
		return
	}
	if names := b.backend.Eternal(b.t); len(names) > 0 {
		b.t.Errorf("%d records would be kept for ever: %.20q", len(names), names)
	}
}

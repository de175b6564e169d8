package limitertest

import (
	"github.com/weir-project/weir/limiter"
)

// testEpoch tests what a store does that may have forgotten something.
func testEpoch(b *bench) {
	c, d := b.name(), b.name()
	begin := b.time() - hour/2
	n := uint64(0)
	// assert asserts 5 units of a window and of a bucket, and wants 4 more.
	assert := func() *limiter.Batch {
		b.t.Helper()
		n++
		batch := &limiter.Batch{Node: 7, Assertions: []limiter.Assertion{
			{Counter: c, Seq: n, Register: 5, Want: 4, Limit: 100, Begin: begin, End: begin + hour, Keep: hour},
			{Counter: d, Seq: n, Register: 5, Want: 4, Limit: 100, Rate: 1, Period: year, Missing: 5},
		}}
		b.share(batch)
		return batch
	}
	grants := func(when string, want int64) uint64 {
		b.t.Helper()
		batch := assert()
		for _, a := range batch.Assertions {
			if a.Status != limiter.Applied || a.Granted != want || a.Sum != 5+want || batch.Fenced != (want == 0) {
				b.t.Fatalf("%s: answered %+v, fenced %v; want 5 units applied, %d granted", when, a, batch.Fenced, want)
			}
		}
		return batch.Epoch
	}

	first := grants("at first", 0)
	b.unfenced()
	if grants("after the fence", 4) != first {
		b.t.Fatal("the epoch ended with its fence")
	}

	if b.backend.NewEpoch != nil {
		b.newEpoch()
		if grants("on another primary", 0) == first {
			b.t.Fatal("the epoch goes on, on another primary")
		}
		if a := b.one(8, limiter.Assertion{Counter: c, Begin: begin, End: begin + hour, Keep: hour}); a.Sum != 5 {
			b.t.Fatalf("another primary knows %d units, want the 5 that there were", a.Sum)
		}
		b.unfenced()
		first = grants("after the fence of another primary", 4)
	}
	if b.backend.Flush != nil {
		b.flush()
		a := b.one(8, limiter.Assertion{Counter: c, Begin: begin, End: begin + hour, Keep: hour})
		if a.Sum != 0 || a.Status != limiter.Stale {
			b.t.Fatalf("without data: answered %+v, want nothing known", a)
		}
		if grants("without data", 0) == first {
			b.t.Fatal("the epoch goes on, though its data is gone")
		}
		b.unfenced()
		grants("after the fence of an empty store", 4)
	}
}

// testNodes tests how many nodes live.
func testNodes(b *bench) {
	beat := func(node uint64, want int) {
		b.t.Helper()
		batch := limiter.Batch{Node: node, Beat: true}
		b.share(&batch)
		if batch.Nodes != want {
			b.t.Fatalf("%d nodes live, want %d", batch.Nodes, want)
		}
	}
	beat(1, 1)
	beat(1<<64-1, 2)
	beat(1<<63, 3)
	beat(1, 3)
	began := b.now
	b.wait(began + int64(limiter.NodeLife)/2)
	beat(1, 3)
	beat(2, 4)
	again := b.now
	b.wait(began + int64(limiter.NodeLife))
	if b.now < again+int64(limiter.NodeLife) { // it is late otherwise, and all are dead
		beat(2, 2)
	}
	quiet := limiter.Batch{Node: 3}
	b.share(&quiet)
	if quiet.Nodes != 0 {
		b.t.Fatalf("told of %d nodes unasked", quiet.Nodes)
	}
}

package limitertest

import (
	"github.com/weir-project/weir/limiter"
)

// testEpoch tests what a store does that may have forgotten something.
func testEpoch(b *bench) {
	began := b.time()
	n := &newcomer{bench: b, window: b.name(), bucket: b.name(), begin: began - hour/2}
	n.fenced("at first", began)
	epoch := n.granting("after the fence")
	if b.backend.NewEpoch != nil {
		b.newEpoch()
		n.fenced("on another primary", n.begins("on another primary", epoch, 9))
		epoch = n.granting("after the fence of another primary")
	}
	if b.backend.Flush != nil {
		b.flush()
		n.fenced("without data", n.begins("without data", epoch, 0))
		n.granting("after the fence of an empty store")
	}
}

// A newcomer is a node that always has the same 5 units, of a window and of a bucket,
// and wants 4 more.
type newcomer struct {
	*bench
	window, bucket limiter.Counter
	begin          int64
	seq            uint64
}

func (n *newcomer) assert() *limiter.Batch {
	n.t.Helper()
	n.seq++
	batch := &limiter.Batch{Node: 7, Assertions: []limiter.Assertion{
		{Counter: n.window, Begin: n.begin, End: n.begin + hour, Keep: hour},
		{Counter: n.bucket, Rate: 1, Period: year, Missing: 5, Lease: hour},
	}}
	for i := range batch.Assertions {
		a := &batch.Assertions[i]
		a.Seq, a.Register, a.Want, a.Limit = n.seq, 5, 4, 100
	}
	n.share(batch)
	return batch
}

// begins returns the time of the first batch of an epoch, in which sum units of the
// window are known.
func (n *newcomer) begins(when string, before uint64, sum int64) int64 {
	n.t.Helper()
	batch := limiter.Batch{Node: 8, Assertions: []limiter.Assertion{{Counter: n.window, Begin: n.begin, End: n.begin + hour, Keep: hour}}}
	n.share(&batch)
	if batch.Epoch == before || !batch.Fenced || batch.Assertions[0].Sum != sum {
		n.t.Fatalf("%s: answered %+v, want a new epoch, fenced, and %d units known", when, batch, sum)
	}
	return n.now
}

// fenced wants an epoch that began at since, and grants nothing yet.
func (n *newcomer) fenced(when string, since int64) {
	n.t.Helper()
	if batch := n.assert(); n.now-since < int64(limiter.Fence) {
		n.granted(when, batch, 0)
	}
}

// granting waits for the fence's end, and returns the epoch.
func (n *newcomer) granting(when string) uint64 {
	n.t.Helper()
	n.unfenced()
	batch := n.assert()
	n.granted(when, batch, 4)
	return batch.Epoch
}

// granted wants all applied, and so many units granted.
func (n *newcomer) granted(when string, batch *limiter.Batch, units int64) {
	n.t.Helper()
	for _, a := range batch.Assertions {
		if a.Status != applied || a.Granted != units || a.Sum != 5+units || batch.Fenced != (units == 0) {
			n.t.Fatalf("%s: answered %+v, fenced %v; want 5 units applied, %d granted", when, a, batch.Fenced, units)
		}
	}
}

// testNodes tests how many nodes live.
func testNodes(b *bench) {
	beats := make(map[uint64]int64)
	beat := func(node uint64) {
		b.t.Helper()
		batch := limiter.Batch{Node: node, Beat: true}
		b.share(&batch)
		beats[node] = b.now
		want := 0
		for _, at := range beats {
			if b.now-at < int64(limiter.NodeLife) {
				want++
			}
		}
		if batch.Nodes != want {
			b.t.Fatalf("%d nodes live, want %d", batch.Nodes, want)
		}
	}
	for _, node := range []uint64{1, 1<<64 - 1, 1 << 63, 1} {
		beat(node)
	}
	began := b.now
	b.wait(began + int64(limiter.NodeLife)/2)
	beat(1)
	beat(2)
	b.wait(began + int64(limiter.NodeLife))
	beat(2) // two are dead
	b.wait(b.now + int64(limiter.NodeLife))
	beat(3) // all are
	quiet := limiter.Batch{Node: 3}
	b.share(&quiet)
	if quiet.Nodes != 0 {
		b.t.Fatalf("told of %d nodes unasked", quiet.Nodes)
	}
}

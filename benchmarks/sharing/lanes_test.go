package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
)

// dirty is how many keys are in use at once; -short makes do with fewer.
func dirty() int {
	if testing.Short() {
		return 1000
	}
	return 100_000
}

// startRedis returns a server that ends with the benchmark, and a replica of it if
// there is to be one.
func startRedis(b *testing.B, replica bool) *server {
	b.Helper()
	ctx := context.Background()
	start := func(of *server) *server {
		s, err := startServer(ctx, b.TempDir(), of)
		if err != nil {
			b.Skip("NOT MEASURED: ", err)
		}
		b.Cleanup(func() {
			if err := s.stop(); err != nil {
				b.Error(err)
			}
		})
		return s
	}
	s := start(nil)
	if replica {
		start(s)
	}
	return s
}

// openStore returns a store that grants.
func openStore(b *testing.B, s *server) *redis.Store {
	b.Helper()
	store, err := redis.New(redis.Options{Addr: s.address})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	for batch := (limiter.Batch{Node: 1, Fenced: true}); batch.Fenced; time.Sleep(50 * time.Millisecond) {
		if err := store.Share(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	return store
}

// perHour is a limit that is not reached, in windows that do not end meanwhile.
func perHour(algorithm limiter.Algorithm, accuracy limiter.Accuracy) *limiter.Limit {
	l := &limiter.Limit{Count: 1 << 50, Window: limiter.Window{Length: time.Hour}, Algorithm: algorithm, Accuracy: accuracy}
	if algorithm == limiter.TokenBucket {
		l.Count = 100_000_000 // at such a rate as there is: to refill at others takes more digits than a number has
	}
	return l
}

// BenchmarkDirty has one node tell Redis of keys that are all dirty, in batches of
// 256: what an interval costs that node and Redis, for each key. An operation is an
// interval. Under exact limits each key asks for rights in each interval.
func BenchmarkDirty(b *testing.B) {
	server := startRedis(b, false)
	store := openStore(b, server)
	node := uint64(1)
	for _, accuracy := range []limiter.Accuracy{limiter.Bounded, limiter.Exact} {
		for _, algorithm := range algorithms {
			b.Run(fmt.Sprintf("%s/%s", accuracy, algorithm), func(b *testing.B) {
				node++
				n := newLaneNode(b, store, node)
				l := perHour(algorithm, accuracy)
				n.dirty(l, dirty())
				n.tell(b) // makes the records
				var cost intervalCost
				for b.Loop() {
					b.StopTimer()
					n.dirty(l, dirty())
					b.StartTimer()
					n.measure(b, server, &cost)
				}
				cost.report(b)
			})
		}
	}
}

// An intervalCost is what intervals have cost.
type intervalCost struct {
	own, redis, script time.Duration
	assertions         uint64
}

func (c *intervalCost) report(b *testing.B) {
	b.Helper()
	if c.assertions == 0 {
		b.Fatal("no key was dirty")
	}
	keys := float64(c.assertions)
	b.ReportMetric(float64(c.own.Nanoseconds())/keys, "cpu-ns/key")
	b.ReportMetric(float64(c.redis.Nanoseconds())/keys, "redis-ns/key")
	b.ReportMetric(float64(c.script.Nanoseconds())/keys, "script-ns/key")
	b.ReportMetric(float64(c.assertions)/float64(b.N), "keys")
}

// measure tells the store what there is to tell, and notes what that costs.
func (n *laneNode) measure(b *testing.B, server *server, c *intervalCost) {
	b.Helper()
	ctx := b.Context()
	told, redis, script := n.sharer.Stats().Assertions, server.cpu(ctx), server.commands(ctx)
	c.own += n.tell(b)
	c.redis += server.cpu(ctx) - redis
	c.script += inCommands(script, server.commands(ctx))
	c.assertions += n.sharer.Stats().Assertions - told
}

// A laneNode is a node whose lanes are driven by hand.
type laneNode struct {
	first   limiter.Key // that it uses: nobody else does
	limiter *limiter.Limiter
	sharer  *limiter.Sharer
	store   limiter.Store
}

func newLaneNode(b *testing.B, store limiter.Store, id uint64) *laneNode {
	b.Helper()
	l := limiter.New(limiter.Options{MaxKeys: 2 * dirty(), Sharing: limiter.Checks})
	n := &laneNode{limiter.Key(id << 32), l, limiter.NewSharer(l, store, limiter.SharerOptions{Node: id, Interval: 1}), store}
	n.tell(b) // the time
	return n
}

// dirty takes from many keys, and of exact limits so much that rights are needed.
func (n *laneNode) dirty(l *limiter.Limit, keys int) {
	now := n.sharer.Time(time.Now())
	for key := range keys {
		checks := []limiter.Check{{Limit: l, Key: limiter.Key(key + 1), N: 1}}
		n.limiter.Take(now, checks)
		if left := checks[0].Remaining; l.Accuracy == limiter.Exact && left > 0 {
			checks[0].N = left - left/8
			n.limiter.Take(now, checks)
		}
	}
}

// tell tells the store all that there is to tell, but of a key not twice on average, and
// returns the processor time that it took here.
func (n *laneNode) tell(b *testing.B) time.Duration {
	b.Helper()
	began, most := ownCPU(), n.sharer.Stats().Assertions+uint64(dirty())
	for lane := range n.sharer.Lanes() {
		for n.sharer.Stats().Assertions < most {
			batch := n.sharer.Next(lane, time.Now())
			if batch == nil {
				break
			}
			err := n.store.Share(b.Context(), batch)
			n.sharer.Done(lane, time.Now(), batch, err)
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	return ownCPU() - began
}

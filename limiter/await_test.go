package limiter_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
)

// A slowStore is a store that takes a while, or does not answer at all.
type slowStore struct {
	*memory.Store
	trip time.Duration
	hung atomic.Bool
}

func (s *slowStore) Share(ctx context.Context, b *limiter.Batch) error {
	if s.hung.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(s.trip / 2)
	err := s.Store.Share(ctx, b)
	time.Sleep(s.trip / 2)
	return errors.Join(err, ctx.Err())
}

// a node of a fleet in real goroutines.
type liveNode struct {
	limiter *limiter.Limiter
	sharer  *limiter.Sharer
}

// take is what gateways do: it waits for rights for 5 ms.
func (n *liveNode) take(l *limiter.Limit, key limiter.Key) (bool, time.Duration) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	for {
		now := n.sharer.Time(time.Now())
		checks := []limiter.Check{{Limit: l, Key: key, N: 1}}
		if _, ok := n.limiter.Take(now, checks); ok {
			return true, time.Since(began)
		}
		if !checks[0].Short || !n.sharer.Await(ctx, now, checks) {
			return false, time.Since(began)
		}
	}
}

func startNodes(ctx context.Context, all *sync.WaitGroup, store limiter.Store, n int) []*liveNode {
	var nodes []*liveNode
	for i := range n {
		l := limiter.New(limiter.Options{Sharing: limiter.Checks})
		node := &liveNode{l, limiter.NewSharer(l, store, limiter.SharerOptions{Node: uint64(i + 1)})}
		all.Go(func() { _ = node.sharer.Run(ctx, time.Now) })
		nodes = append(nodes, node)
	}
	return nodes
}

// TestAwait has three nodes take from one exact limit at once: not one is let past
// it, not one less, and nobody waits for longer than 5 ms.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{Store: memory.New(memory.Options{}), trip: 400 * time.Microsecond}
		ctx, cancel := context.WithCancel(t.Context())
		var running, takers sync.WaitGroup
		nodes := startNodes(ctx, &running, store, 3)
		time.Sleep(5 * time.Second) // the fence of a new store
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + time.Second)))
		l := perMinute(100, limiter.Exact)
		var passed atomic.Int64
		var longest atomic.Int64
		for i := range 300 {
			takers.Go(func() {
				for range 3 {
					ok, waited := nodes[i%3].take(l, 1)
					if ok {
						passed.Add(1)
					}
					longest.Store(max(longest.Load(), int64(waited)))
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		takers.Wait()
		if passed.Load() != 100 {
			t.Errorf("%d passed, want 100", passed.Load())
		}
		if d := time.Duration(longest.Load()); d > 5*time.Millisecond {
			t.Errorf("somebody waited for %v", d)
		}
		cancel()
		running.Wait()
	})
}

// TestAwaitLost hangs the store: whoever needs rights waits for 5 ms at most, and once
// the store is known to be away for no time at all; when it is back, rights are
// granted again.
func TestAwaitLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{Store: memory.New(memory.Options{}), trip: 400 * time.Microsecond}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		nodes := startNodes(ctx, &running, store, 1)
		time.Sleep(5 * time.Second)
		store.hung.Store(true)
		began := time.Now()
		for !nodes[0].sharer.Lost() {
			if ok, waited := nodes[0].take(perMinute(100, limiter.Exact), 2); ok || waited > 5*time.Millisecond {
				t.Fatalf("a take passed: %v, after %v", ok, waited)
			}
			time.Sleep(time.Millisecond)
		}
		if d := time.Since(began); d > 200*time.Millisecond {
			t.Errorf("the store is found to be away after %v, want 200 ms at most", d)
		}
		for key := range limiter.Key(10) {
			if ok, waited := nodes[0].take(perMinute(100, limiter.Exact), 10+key); ok || waited > 0 {
				t.Fatalf("while the store is away: a take passed: %v, after %v", ok, waited)
			}
			open := perMinute(100, limiter.Exact)
			open.OnStoreLoss = limiter.Open
			if ok, waited := nodes[0].take(open, 20+key); !ok || waited > 0 {
				t.Fatalf("while the store is away: an open take passed: %v, after %v", ok, waited)
			}
		}
		store.hung.Store(false)
		time.Sleep(time.Second)
		if ok, _ := nodes[0].take(perMinute(100, limiter.Exact), 2); !ok {
			t.Error("nothing is granted after the store is back")
		}
		cancel()
		running.Wait()
	})
}

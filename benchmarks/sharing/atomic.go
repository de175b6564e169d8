package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// poolSize is how many connections a node of the other systems has at most.
const poolSize = 32

func newClient(e *environment) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: e.address, Protocol: 2, DisableIdentity: true, PoolSize: poolSize, PoolTimeout: giveUp, MaxRetries: -1,
	})
}

// windowKey is what Redis calls the window of a subject that is now, and when it ends.
func windowKey(e *environment, s *subject, now time.Time) (key string, end time.Time) {
	window := now.UnixNano() / int64(s.limit.Window.Length)
	return fmt.Sprintf("%s%s-%d", e.prefix, s.name, window), time.Unix(0, (window+1)*int64(s.limit.Window.Length))
}

// An atomicFleet is nodes that ask Redis about each request, as envoyproxy/ratelimit
// does: it adds one, whatever comes out, and sees whether that was too much.
type atomicFleet struct {
	e     *environment
	all   []node
	calls atomic.Uint64
}

func startAtomic(ctx context.Context, e *environment, _ []*subject) (fleet, error) {
	f := &atomicFleet{e: e}
	for range e.nodes {
		n := &atomicNode{f, newClient(e)}
		f.all = append(f.all, n)
		if err := n.client.Ping(ctx).Err(); err != nil {
			return nil, fmt.Errorf("redis at %s: %w", e.address, err)
		}
	}
	return f, nil
}

func (f *atomicFleet) nodes() []node { return f.all }

func (f *atomicFleet) spent() spent { return spent{calls: f.calls.Load()} }

func (f *atomicFleet) stop() error {
	for _, n := range f.all {
		if err := n.(*atomicNode).client.Close(); err != nil {
			return err
		}
	}
	return nil
}

type atomicNode struct {
	fleet  *atomicFleet
	client *redis.Client
}

func (n *atomicNode) try(s *subject, at time.Time) (bool, func(context.Context) (bool, time.Time, error)) {
	return false, func(ctx context.Context) (bool, time.Time, error) {
		key, _ := windowKey(n.fleet.e, s, at)
		pipe := n.client.Pipeline()
		sum := pipe.IncrBy(ctx, key, 1)
		pipe.Expire(ctx, key, max(s.limit.Window.Length, time.Second))
		n.fleet.calls.Add(1)
		if _, err := pipe.Exec(ctx); err != nil {
			return false, at, fmt.Errorf("add one to a counter: %w", err)
		}
		return sum.Val() <= s.limit.Count, at, nil
	}
}

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// A deltaFleet is nodes that count by themselves, and at an interval add what they
// have counted since to a counter in Redis, whose value they take for what all have.
// What they have of a key they tell or ask at each interval, whether it is in use
// or not.
type deltaFleet struct {
	e      *environment
	all    []node
	calls  atomic.Uint64
	told   []atomic.Uint64 // by subject
	faults atomic.Pointer[error]
	cancel context.CancelFunc
	runs   sync.WaitGroup
}

func startDelta(ctx context.Context, e *environment, subjects []*subject) (fleet, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &deltaFleet{e: e, cancel: cancel, told: make([]atomic.Uint64, len(subjects))}
	for range e.nodes {
		n := &deltaNode{fleet: f, client: newClient(e), counts: make([]deltaCount, len(subjects))}
		f.all = append(f.all, n)
		if err := n.client.Ping(ctx).Err(); err != nil {
			cancel()
			return nil, fmt.Errorf("redis at %s: %w", e.address, err)
		}
		f.runs.Go(func() { every(ctx, e.interval, func() { n.sync(ctx, subjects) }) })
	}
	return f, nil
}

func (f *deltaFleet) nodes() []node { return f.all }

func (f *deltaFleet) spent() spent {
	s := spent{calls: f.calls.Load()}
	for i := range f.told {
		s.assertions = append(s.assertions, f.told[i].Load())
	}
	return s
}

func (f *deltaFleet) stop() error {
	f.cancel()
	f.runs.Wait()
	for _, n := range f.all {
		if err := n.(*deltaNode).client.Close(); err != nil {
			return err
		}
	}
	if err := f.faults.Load(); err != nil {
		return *err
	}
	return nil
}

type deltaNode struct {
	fleet  *deltaFleet
	client *redis.Client
	counts []deltaCount // by subject
}

// A deltaCount is what a node knows of a counter in one window.
type deltaCount struct {
	mu       sync.Mutex
	key      string
	end      time.Time
	total    int64 // of all, as it was told
	sending  int64 // what is on its way
	unsynced int64
}

func (n *deltaNode) try(s *subject, at time.Time) (bool, func(context.Context) (bool, time.Time, error)) {
	c := &n.counts[s.index]
	c.mu.Lock()
	defer c.mu.Unlock()
	if !at.Before(c.end) {
		// What was not told yet is left out: it would count in a window that is over.
		c.key, c.end = windowKey(n.fleet.e, s, at)
		c.total, c.sending, c.unsynced = 0, 0, 0
	}
	if c.total+c.sending+c.unsynced >= s.limit.Count {
		return false, nil
	}
	c.unsynced++
	return true, nil
}

// sync tells and asks of all counters, in one round trip.
func (n *deltaNode) sync(ctx context.Context, subjects []*subject) {
	pipe := n.client.Pipeline()
	type sent struct {
		subject *subject
		key     string
		total   func() (int64, error)
	}
	var all []sent
	for _, s := range subjects {
		c := &n.counts[s.index]
		c.mu.Lock()
		if c.key == "" {
			c.mu.Unlock()
			continue
		}
		key, delta := c.key, c.unsynced
		c.sending, c.unsynced = delta, 0
		c.mu.Unlock()
		n.fleet.told[s.index].Add(1)
		if delta == 0 {
			all = append(all, sent{s, key, pipe.Get(ctx, key).Int64})
			continue
		}
		sum := pipe.IncrBy(ctx, key, delta)
		pipe.Expire(ctx, key, s.limit.Window.Length+time.Second)
		all = append(all, sent{s, key, sum.Result})
	}
	if len(all) == 0 {
		return
	}
	n.fleet.calls.Add(1)
	if _, err := pipe.Exec(ctx); err != nil && err != redis.Nil && ctx.Err() == nil {
		err = fmt.Errorf("tell %d deltas: %w", len(all), err)
		n.fleet.faults.CompareAndSwap(nil, &err)
		return
	}
	for _, a := range all {
		total, err := a.total()
		if err != nil {
			continue // nobody has counted in that window yet
		}
		c := &n.counts[a.subject.index]
		c.mu.Lock()
		if c.key == a.key {
			c.total, c.sending = total, 0
		}
		c.mu.Unlock()
	}
}

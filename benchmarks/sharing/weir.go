package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
)

// A meter counts what a fleet asserts.
type meter struct {
	calls      atomic.Uint64
	assertions map[limiter.Key]*atomic.Uint64 // the map is not changed
}

func newMeter(subjects []*subject) *meter {
	m := &meter{assertions: map[limiter.Key]*atomic.Uint64{}}
	for _, s := range subjects {
		m.assertions[s.key] = new(atomic.Uint64)
	}
	return m
}

// A meteredStore is a node's store, on the way to which is counted.
type meteredStore struct {
	*meter
	store *redis.Store
}

// Share implements limiter.Store.
func (m meteredStore) Share(ctx context.Context, b *limiter.Batch) error {
	m.calls.Add(1)
	for i := range b.Assertions {
		if n := m.assertions[limiter.Key(binary.BigEndian.Uint64(b.Assertions[i].Counter[:8]))]; n != nil {
			n.Add(1)
		}
	}
	return m.store.Share(ctx, b)
}

// A weirFleet is nodes with Weir's limiter, sharer and store.
type weirFleet struct {
	all    []node
	subs   []*subject
	meter  *meter
	stores []*redis.Store
	cancel context.CancelFunc
	runs   sync.WaitGroup
}

func (f *weirFleet) nodes() []node { return f.all }

func (f *weirFleet) spent() spent {
	s := spent{calls: f.meter.calls.Load()}
	for _, sub := range f.subs {
		s.assertions = append(s.assertions, f.meter.assertions[sub.key].Load())
	}
	return s
}

func (f *weirFleet) stop() error {
	f.cancel()
	f.runs.Wait()
	var errs []error
	for _, s := range f.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// answered is what a sharer calls when the store has answered.
type answered = func(now time.Time, key limiter.Key, l *limiter.Limit, left int64)

// join starts a node's sharer, and returns when it has spoken to the store.
func (f *weirFleet) join(ctx context.Context, e *environment, sharing limiter.Sharing, answered answered) (*limiter.Limiter, *limiter.Sharer, error) {
	store, err := redis.New(redis.Options{Addr: e.address, Prefix: e.prefix})
	if err != nil {
		return nil, nil, err
	}
	f.stores = append(f.stores, store)
	l := limiter.New(limiter.Options{MaxKeys: 1 << 16, Sharing: sharing})
	sharer := limiter.NewSharer(l, meteredStore{f.meter, store}, limiter.SharerOptions{
		Node: rand.Uint64() | 1, Interval: e.interval, MinNodes: e.nodes, Answered: answered,
	})
	f.runs.Go(func() { _ = sharer.Run(ctx, time.Now) }) // it returns nil
	for began := time.Now(); sharer.Stats().Calls == 0; time.Sleep(time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if time.Since(began) > giveUp {
			return nil, nil, fmt.Errorf("the store at %s does not answer", e.address)
		}
	}
	return l, sharer, nil
}

// startWeir starts gateways, which take before something happens.
func startWeir(ctx context.Context, e *environment, subjects []*subject) (fleet, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &weirFleet{subs: subjects, meter: newMeter(subjects), cancel: cancel}
	for range e.nodes {
		l, sharer, err := f.join(ctx, e, limiter.Checks, nil)
		if err != nil {
			return nil, errors.Join(err, f.stop())
		}
		f.all = append(f.all, &weirNode{l, sharer})
	}
	return f, nil
}

// A weirNode decides as a gateway does.
type weirNode struct {
	limiter *limiter.Limiter
	sharer  *limiter.Sharer
}

// mostRightsWait is how long a gateway waits for rights.
const mostRightsWait = 5 * time.Millisecond

func (n *weirNode) try(s *subject, at time.Time) (bool, func(context.Context) (bool, time.Time, error)) {
	now := n.sharer.Time(at)
	one := [1]limiter.Check{{Limit: s.limit, Key: s.key, N: 1}}
	_, passed := n.limiter.Take(now, one[:])
	if passed || !one[0].Short {
		return passed, nil
	}
	short := one[0]
	return false, func(ctx context.Context) (bool, time.Time, error) { return n.wait(ctx, short, at) }
}

// wait waits for rights that a Take lacked.
func (n *weirNode) wait(ctx context.Context, k limiter.Check, at time.Time) (bool, time.Time, error) {
	ctx, cancel := context.WithDeadline(ctx, at.Add(mostRightsWait))
	defer cancel()
	checks := []limiter.Check{k}
	for checks[0].Short && n.sharer.Await(ctx, n.sharer.Time(time.Now()), checks) {
		at = time.Now()
		if _, passed := n.limiter.Take(n.sharer.Time(at), checks); passed {
			return true, at, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	if checks[0].Short && ctx.Err() != nil {
		checks[0].Alone = true
		at = time.Now()
		_, passed := n.limiter.Take(n.sharer.Time(at), checks)
		return passed, at, nil
	}
	return false, at, nil
}

package load

import (
	"cmp"
	"context"
	"sync"
	"time"
)

const (
	// connecting is how many connections are made at a time.
	connecting = 32
	// near is how long before the start connections are looked at again: servers
	// don't keep those for long on which nothing comes.
	near = time.Second
)

// prepare makes the connections, waits until the load is to start and returns
// when that is. The time carries the monotonic clock.
func (l *Load) prepare(ctx context.Context, clients []*client) (start time.Time, err error) {
	if err := l.connect(ctx, clients, l.options.Timeout); err != nil {
		return time.Time{}, err
	}
	align := l.options.Align
	for {
		now := time.Now()
		if align == 0 || now.UnixNano()%int64(align) == 0 {
			return now, ctx.Err()
		}
		wait := align - time.Duration(now.UnixNano()%int64(align))
		if wait > near {
			// The wall clock may be set while we wait, so we look at it often.
			if err := sleep(ctx, min(wait-near, near)); err != nil {
				return time.Time{}, err
			}
			continue
		}
		_ = l.connect(ctx, clients, wait) // one that does not come about is made when it is needed
		start = now.Add(wait)
		return start, sleep(ctx, time.Until(start))
	}
}

// connect makes the connections that clients don't have, for at most so long. It
// is an error if a target has none then.
func (l *Load) connect(ctx context.Context, clients []*client, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	faults := make([]error, len(clients))
	places := make(chan struct{}, connecting)
	var group sync.WaitGroup
	for i, c := range clients {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			faults[i] = c.revive(ctx)
		})
	}
	group.Wait()
	for _, t := range l.targets {
		var first error
		good := false
		for i, c := range clients {
			if c.target == t {
				good = good || faults[i] == nil
				first = cmp.Or(first, faults[i])
			}
		}
		if !good {
			return first
		}
	}
	return nil
}

// sleep waits for d, or returns the error of ctx once that is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

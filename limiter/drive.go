package limiter

import (
	"context"
	"sync"
	"time"
)

// Run shares until ctx is done, then gives back what the node has no more use for and
// tells what it has not told, for as long as one call takes. It reads the node's own
// clock by now, as for [Sharer.Time]. It returns nil.
func (s *Sharer) Run(ctx context.Context, now func() time.Time) error {
	var all sync.WaitGroup
	for i := range s.lanes {
		all.Go(func() { s.run(ctx, i, now) })
	}
	all.Wait()
	return nil
}

// run drives one lane.
func (s *Sharer) run(ctx context.Context, i int, now func() time.Time) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if b := s.Next(i, now()); b != nil {
			s.call(context.WithoutCancel(ctx), i, b, now)
			continue
		}
		timer.Reset(s.Wait(i, now()))
		select {
		case <-ctx.Done():
		case <-s.Wake(i):
		case <-timer.C:
		}
	}
	s.closing.Store(true)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Timeout)
	defer cancel()
	for last.Err() == nil && !s.Lost() {
		b := s.Next(i, now())
		if b == nil {
			return
		}
		s.call(last, i, b, now)
	}
}

// call has the store carry out a batch of a lane.
func (s *Sharer) call(ctx context.Context, i int, b *Batch, now func() time.Time) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	err := s.store.Share(ctx, b)
	s.Done(i, now(), b, err)
}

package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A service is a part of the process that runs for as long as the process does.
type service struct {
	name string
	// run returns once ctx is done and all that it started has ended, or
	// earlier with the error that ended it.
	run func(ctx context.Context) error
	// grace is how long it may take to stop.
	grace time.Duration
}

// serve starts the services in their order, waits until ctx is done or one of
// them ends, and stops them from last to first, each awaited, so that none
// outlives what it uses. It returns what went wrong, all of it.
func serve(ctx context.Context, services []service) error {
	type running struct {
		service
		cancel context.CancelFunc
		done   chan error
	}
	ended := make(chan struct{}, len(services))
	var all []running
	for _, s := range services {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := running{s, cancel, make(chan error, 1)}
		go func() {
			r.done <- r.run(own)
			ended <- struct{}{}
		}()
		all = append(all, r)
	}
	select {
	case <-ctx.Done():
	case <-ended:
	}
	var errs []error
	for _, r := range slices.Backward(all) {
		r.cancel()
		timer := time.NewTimer(r.grace)
		select {
		case err := <-r.done:
			if err != nil && !errors.Is(err, context.Canceled) {
				errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
			}
		case <-timer.C:
			errs = append(errs, fmt.Errorf("%s: still not stopped after %v", r.name, r.grace))
		}
		timer.Stop()
	}
	return errors.Join(errs...)
}

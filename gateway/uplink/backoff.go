package uplink

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 2 * time.Second
	// slowBackoff is for managers whose answer only people can change.
	slowBackoff = 3 * time.Second
	// spread is over how long gateways that start together spread their first calls.
	spread = 50 * time.Millisecond
)

// backoff returns how long to wait after failures in a row, at least one: at
// random up to a bound that doubles with each, so that gateways don't come back
// together, and half of the first bound at least.
func backoff(failures int) time.Duration { return jittered(failures, maxBackoff) }

// jittered is backoff with another last bound.
func jittered(failures int, most time.Duration) time.Duration {
	if n := max(failures, 1) - 1; n < 16 {
		most = min(firstBackoff<<n, most)
	}
	return firstBackoff/2 + rand.N(most-firstBackoff/2)
}

// jitter returns d, give or take a fifth.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*(d/5)+1)
}

// sleep waits for d, and reports whether ctx was not done before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

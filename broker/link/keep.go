// Package link has what all transports of the broker need: an [Inbox] between a
// connection and a slow subscriber, an [Outbox] between impatient publishers and a
// connection, and [Keep], which makes one connection after the other.
package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	// MaxPause is the longest pause between two attempts to connect.
	MaxPause = 2 * time.Second
)

// errEnded is why a session ended that does not say why.
var errEnded = errors.New("the connection has ended")

// Keep runs session again and again until ctx is done, and then returns nil. A
// session connects, calls up, and returns when it is connected no longer, or could
// not be. Between two sessions Keep calls lost with what the first returned, and
// pauses, longer after each failure up to MaxPause and never as long as anybody
// else who failed with it.
//
// If the very first session is Refused, Keep returns why: no time mends what a
// person got wrong. Once it has been connected or lost, it never gives up.
func Keep(ctx context.Context, session func(ctx context.Context, up func()) error, lost func(error)) error {
	pause := firstPause
	for first := true; ; first = false {
		var since time.Time
		err := session(ctx, func() { since = time.Now() })
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errEnded
		}
		if first && since.IsZero() && IsRefused(err) {
			return err
		}
		lost(err)
		// A connection that is cut at once is as bad as one that fails.
		if !since.IsZero() && time.Since(since) > MaxPause {
			pause = firstPause
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return nil
		}
		pause = min(2*pause, MaxPause)
	}
}

// sleep waits for d, and reports whether ctx is not done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// OnDone calls f in a goroutine of its own when ctx is done. What it returns takes
// that back, or waits until f has returned.
func OnDone(ctx context.Context, f func()) (release func()) {
	returned := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(returned)
		f()
	})
	return func() {
		if !stop() {
			<-returned
		}
	}
}

// A refusal is an error that a person has to mend.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// Refused marks err as one that no time mends: a wrong password, an unknown virtual
// host, a certificate that is not trusted.
func Refused(err error) error { return refusal{err} }

// IsRefused reports whether err is marked by [Refused], or is one of TLS, whose
// errors are about what was set up.
func IsRefused(err error) bool {
	if _, ok := errors.AsType[refusal](err); ok {
		return true
	}
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return certificate || record || alert
}

// At returns err with the address at which it happened, once.
func At(address string, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		err = op.Err
	}
	return fmt.Errorf("broker %s: %w", address, err)
}

package link

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/weir-project/weir/broker"
)

// Why nothing can be published before and after anybody tries to connect.
var (
	errIdle = errors.New("nobody has connected yet")
	errOver = errors.New("nobody connects any more")
)

// An Outbox stands between publishers, who wait no longer than they want to, and a
// connection, which may hang. The zero value has no connection. It is safe for
// concurrent use.
type Outbox struct {
	mu       sync.Mutex
	requests chan request  // nil: there is no connection
	gone     chan struct{} // closed when the connection ends
	why      error         // there is none
}

// A request is a message to be written.
type request struct {
	topic   string
	message []byte
	done    chan<- error // has room for one
}

// Publish has a copy of a message written, and returns what came of it. Without a
// connection it fails at once.
func (o *Outbox) Publish(ctx context.Context, topic string, message []byte) error {
	if err := broker.CheckMessage(topic, message); err != nil {
		return err
	}
	o.mu.Lock()
	requests, gone := o.requests, o.gone
	o.mu.Unlock()
	switch {
	case requests == nil:
		return o.down()
	case ctx.Err() != nil:
		return ctx.Err()
	}
	done := make(chan error, 1)
	select {
	case requests <- request{topic, append([]byte(nil), message...), done}:
	case <-gone:
		return o.down()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Err returns why there is no connection, or nil if there is one.
func (o *Outbox) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.requests != nil:
		return nil
	case o.why == nil:
		return errIdle
	}
	return o.why
}

// down returns why there was no connection a moment ago.
func (o *Outbox) down() error {
	if err := o.Err(); err != nil {
		return fmt.Errorf("not connected: %w", err)
	}
	return errEnded
}

// Keep makes one connection after the other as the function [Keep] says.
func (o *Outbox) Keep(ctx context.Context, session func(ctx context.Context, up func()) error) error {
	err := Keep(ctx, session, o.Down)
	if err == nil {
		o.Down(errOver)
		return nil
	}
	o.Down(err)
	return err
}

// Down says why there is no connection.
func (o *Outbox) Down(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.why = err
}

// Serve calls write with what is published, one message at a time, and gives its
// error to the publisher. It returns nil when done is closed, or the error of a
// write after which the connection is no longer good.
func (o *Outbox) Serve(done <-chan struct{}, write func(topic string, message []byte) (good bool, err error)) error {
	requests, gone := make(chan request), make(chan struct{})
	o.mu.Lock()
	o.requests, o.gone = requests, gone
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.requests = nil
		o.mu.Unlock()
		close(gone)
	}()
	for {
		select {
		case r := <-requests:
			good, err := write(r.topic, r.message)
			r.done <- err
			if !good {
				return err
			}
		case <-done:
			return nil
		}
	}
}

// Package load makes HTTP requests at a constant rate and counts what becomes of
// them: how many were admitted, how many were refused and by which limit, in each
// window of it.
//
// Requests are due at fixed times, whatever the server does: a slow one does not
// get fewer of them. Whichever client is free sends the next one. If none is
// free, requests wait, and their latency counts from when they were due; so a
// server that stands still shows in the latency of all that it held up, and not
// only of those that had reached it.
//
// What is sent is sent once. A connection is looked at before it is used again,
// and a request that fails on it is a fault, and not tried again: the server may
// have counted it.
package load

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of options.
const (
	MaxRate     = 1_000_000
	MaxClients  = 20_000
	MaxDuration = 24 * time.Hour
	MaxWindows  = 100_000
)

// Options say what load to make. Only Targets and Duration are required.
type Options struct {
	// Targets are URLs of http or https. Requests are spread evenly, in turn.
	Targets []string
	Method  string // empty: GET
	Header  []Field
	Body    []byte
	// Rate is requests a second to all targets together. Zero: each client sends
	// its next request when the last one has been answered.
	Rate float64
	// Clients is how many connections are kept, spread evenly over the targets,
	// each of which has one at least; zero: 64. It bounds how many requests are
	// under way.
	Clients int
	// Duration is for how long requests are sent. Answers to the last of them
	// are waited for.
	Duration time.Duration
	// Align starts the load at the next multiple of it since the Unix epoch, by
	// the wall clock; zero: at once.
	Align time.Duration
	// Window counts by windows of this length since the Unix epoch; zero: not.
	Window time.Duration
	// Timeout is how long an answer may take, and a connection; zero: 10 s.
	Timeout time.Duration
	// TLS is for targets of https; nil: certificates are checked by the
	// authorities of the system.
	TLS *tls.Config
	// Observe, if not nil, is called with each request that has its outcome, by
	// many goroutines at a time.
	Observe func(Observation)

	dial func(ctx context.Context, network, address string) (net.Conn, error) // for tests
}

// A Field is a field of a request's header.
type Field struct{ Name, Value string }

func (o *Options) complete() error {
	o.Method = cmp.Or(o.Method, "GET")
	if o.Clients = cmp.Or(o.Clients, 64); o.Clients > 0 {
		o.Clients = max(o.Clients, len(o.Targets))
	}
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	if o.dial == nil {
		o.dial = (&net.Dialer{}).DialContext
	}
	switch {
	case len(o.Targets) == 0:
		return errors.New("a target is missing")
	case !(o.Rate >= 0 && o.Rate <= MaxRate): // which NaN is not either
		return fmt.Errorf("rate %g is not from 0 to %d requests a second", o.Rate, MaxRate)
	case o.Clients < 0 || o.Clients > MaxClients:
		return fmt.Errorf("%d clients are not from 1 to %d", o.Clients, MaxClients)
	case o.Duration <= 0 || o.Duration > MaxDuration:
		return fmt.Errorf("duration %s is not from 1ns to %s", o.Duration, MaxDuration)
	case o.Timeout < 0 || o.Align < 0 || o.Window < 0:
		return errors.New("timeout, align and window must not be negative")
	case o.Window > 0 && o.Duration/o.Window > MaxWindows:
		return fmt.Errorf("a load of %s has more than %d windows of %s", o.Duration, MaxWindows, o.Window)
	}
	return nil
}

// A Load is one load to be made. It is for one Run; Progress may be called any time.
type Load struct {
	options Options
	targets []*target
	tally   atomic.Pointer[tally] // nil before the start
}

// New returns the load that o describes.
func New(o Options) (*Load, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	l := &Load{options: o}
	for i, text := range o.Targets {
		t, err := newTarget(&l.options, i, text)
		if err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
		l.targets = append(l.targets, t)
	}
	return l, nil
}

// Run makes the load, and returns what came of it once it is over and all answers
// are there, or ctx is done: then requests under way are abandoned.
//
// It is an error if no connection to one of the targets comes about before the
// start, or if ctx is done by then. What goes wrong later is counted.
func (l *Load) Run(ctx context.Context) (*Result, error) {
	clients := l.newClients()
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	start, err := l.prepare(ctx, clients)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	tally := newTally(&l.options, start)
	l.tally.Store(tally)
	var group sync.WaitGroup
	for _, c := range clients {
		group.Go(func() { c.run(ctx, tally) })
	}
	end := start.Add(l.options.Duration)
	stopped := make(chan time.Time, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- time.Now() })
	group.Wait()
	if !stop() {
		if at := <-stopped; at.Before(end) {
			end = at
		}
	}
	r := tally.result(end)
	r.Due, r.Unsent = l.due(end.Sub(start), r)
	return r, nil
}

// due returns how many requests were due after so long, and how many of them were
// not sent.
func (l *Load) due(after time.Duration, r *Result) (due, unsent int64) {
	sent := r.Total.Sent() + r.Abandoned
	if l.options.Rate == 0 {
		return sent, 0
	}
	for _, t := range l.targets {
		due += t.schedule.before(after)
	}
	due = max(due, sent) // those that the last instant brought
	return due, due - sent
}

// Progress is how far a load is.
type Progress struct {
	Started bool          // false: it makes connections, or waits for its start
	Elapsed time.Duration // since the start; at most the duration
	Total   Count
}

// Progress returns how far the load is. It is safe for concurrent use.
func (l *Load) Progress() Progress {
	t := l.tally.Load()
	if t == nil {
		return Progress{}
	}
	return Progress{true, min(time.Since(t.start), l.options.Duration), t.total()}
}

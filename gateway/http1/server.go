// Package http1 is the front door for HTTP/1.1 (and 1.0), with its own framing on
// both sides: towards clients and towards backends.
//
// It is strict, since a gateway that reads a request in another way than the
// backend behind it lets requests through uncounted: whatever is ambiguous is
// refused and its connection closed. It is fast, since this is the path that
// every call takes: one goroutine for each connection, no allocation for a call,
// deadlines set about once a second rather than for each read.
//
// A client that closes its side of the connection, or half of it, is taken to have
// gone: its call is given up if the backend has not answered within a second or so.
//
// Bodies stream both ways in bounded buffers. A request whose body is small is
// read whole before a backend is asked.
package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what a Server takes from clients. Zero values mean the defaults.
type Options struct {
	// Pipeline decides on calls; required. If it is a [Meter] too, it counts
	// what passes on streams.
	Pipeline Pipeline
	// Log receives what should not happen; nil: nobody.
	Log *slog.Logger

	// ReadHeaderTimeout bounds the time from a head's first byte, or from the
	// beginning of a connection, to its end; 5 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is for how long a connection may wait for its next request; 60 s.
	IdleTimeout time.Duration
	// WriteTimeout is for how long a client may take no bytes of its answer; 30 s.
	WriteTimeout time.Duration
	// StreamIdleTimeout is for how long WebSockets and event streams may be
	// silent; 5 min.
	StreamIdleTimeout time.Duration
	// BodyGrace and MinBodyRate bound how slowly a body may come: after the
	// grace (10 s) it must have come at the rate (500 bytes a second).
	// A negative rate means any.
	BodyGrace   time.Duration
	MinBodyRate int64

	// MaxHeaderBytes bounds a request's head, 32 KiB; MaxFields its fields,
	// 100; MaxURI its target, 8 KiB.
	MaxHeaderBytes int
	MaxFields      int
	MaxURI         int
	// MaxBody bounds a request's body in bytes; 0 means no bound.
	MaxBody int64

	// PreserveHost passes on the client's Host; otherwise the backend's own
	// name stands there.
	PreserveHost bool
	// AnyHost lets a Host pass that differs from the name for which the client
	// set up TLS; otherwise it is refused with 421.
	AnyHost bool
}

// complete fills in the defaults, or returns what is wrong with o.
func (o Options) complete() (Options, error) {
	if o.Pipeline == nil {
		return o, errors.New("http1: Pipeline is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	err := errors.Join(
		orDefault("ReadHeaderTimeout", &o.ReadHeaderTimeout, 5*time.Second),
		orDefault("IdleTimeout", &o.IdleTimeout, 60*time.Second),
		orDefault("WriteTimeout", &o.WriteTimeout, 30*time.Second),
		orDefault("StreamIdleTimeout", &o.StreamIdleTimeout, 5*time.Minute),
		orDefault("BodyGrace", &o.BodyGrace, 10*time.Second),
		orDefault("MaxHeaderBytes", &o.MaxHeaderBytes, 32<<10),
		orDefault("MaxFields", &o.MaxFields, 100),
		orDefault("MaxURI", &o.MaxURI, 8<<10),
		orDefault("MaxBody", &o.MaxBody, 0),
	)
	if o.MinBodyRate == 0 {
		o.MinBodyRate = 500
	}
	return o, err
}

// orDefault puts the default where an option is zero, and refuses what is negative.
func orDefault[T time.Duration | int | int64](name string, at *T, zero T) error {
	switch {
	case *at < 0:
		return fmt.Errorf("http1: %s is negative: %v", name, *at)
	case *at == 0:
		*at = zero
	}
	return nil
}

// A Server serves connections. It lives as long as the process: what changes with
// a reload is behind its Pipeline. It is safe for concurrent use.
type Server struct {
	options Options
	limits  limits
	meter   Meter // nil: nothing is counted on streams

	spare    sync.Pool // of *conn
	date     atomic.Pointer[date]
	draining atomic.Bool

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// New returns a Server. It starts nothing.
func New(o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		options: o,
		limits:  limits{head: o.MaxHeaderBytes, fields: o.MaxFields, uri: o.MaxURI},
		conns:   map[*conn]struct{}{},
	}
	s.meter, _ = o.Pipeline.(Meter)
	return s, nil
}

// ServeConn serves the requests on nc until either side closes it, and closes it.
// If nc is a *tls.Conn its handshake must be complete.
func (s *Server) ServeConn(nc net.Conn) {
	c := s.open(nc)
	defer s.release(c)
	defer c.recovered() // should the pipeline panic once more
	defer func() {
		if c.spoiled {
			c.settle()
		}
	}()
	defer c.recovered()
	c.serve()
}

// recovered ends a panic with a line in the log: it costs one connection and no
// more. It must be deferred as it is.
func (c *conn) recovered() {
	if fault := recover(); fault != nil {
		c.spoiled = true
		c.server.options.Log.Error("http1: panic while serving a connection",
			"peer", c.peer.String(), "panic", fault, "stack", string(debug.Stack()))
	}
}

// open returns a conn for nc that Shutdown knows of.
func (s *Server) open(nc net.Conn) *conn {
	c, _ := s.spare.Get().(*conn)
	if c == nil {
		c = &conn{server: s, in: make([]byte, inSize), out: make([]byte, 0, outSize)}
	}
	c.attach(nc)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	return c
}

// release closes c's connection and keeps c for another.
func (s *Server) release(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	c.nc.Close()
	if c.spoiled {
		return // something may still be using it
	}
	c.detach()
	s.spare.Put(c)
}

// Shutdown lets the calls in progress end: connections without one are closed,
// the others after their answer. Once ctx is done, all are closed. It returns
// when no connection is left; ctx's error if some had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var cut error
	for s.poke(cut != nil) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			cut = ctx.Err()
			<-tick.C
		}
	}
	return cut
}

// poke wakes connections that wait for a request, or closes all, and returns how
// many there are.
func (s *Server) poke(all bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		switch {
		case all:
			c.nc.Close()
		case !c.busy.Load():
			_ = c.nc.SetReadDeadline(past)
		}
	}
	return len(s.conns)
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// serverName returns the name for which the client set up TLS, and whether it did.
func serverName(nc net.Conn) (name string, secure bool) {
	tc, ok := nc.(*tls.Conn)
	if !ok {
		return "", false
	}
	return tc.ConnectionState().ServerName, true
}

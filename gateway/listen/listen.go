// Package listen accepts connections for the front doors: it bounds how many there
// are, in all and from one address, sets up TLS, and hands each connection to the
// server of the protocol that the client speaks.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/weir-project/weir/gateway/listen/socket"
)

// A Server serves the connections of one protocol. It may be shared by several
// Listeners.
type Server interface {
	// ServeConn serves nc until either side closes it, and closes it. A
	// *tls.Conn has its handshake behind it.
	ServeConn(nc net.Conn)
	// Shutdown lets the calls in progress end, and cuts them off once ctx is
	// done. It returns when no connection is left.
	Shutdown(ctx context.Context) error
}

// Options say where a Listener listens and what it takes. Zero values mean the
// defaults.
type Options struct {
	// Address is host:port; required. Port 0 picks a free one. The host 0.0.0.0
	// is every interface, over IPv4 and, where there is IPv6, over IPv6, as :: and
	// no host are: it is what configurations of API gateways have always said for
	// "everywhere", and a gateway that half of its clients can't reach helps
	// nobody. Whoever wants less names the address of an interface.
	Address string
	// TLS serves HTTPS with these certificates; nil serves plain HTTP.
	TLS *Certificates
	// HTTP1 serves HTTP/1.1; required. HTTP2 serves HTTP/2, to clients that
	// choose it by ALPN or, without TLS, begin with its preface; nil: nobody does.
	HTTP1, HTTP2 Server
	// MaxConns bounds the connections at a time, 10 000; MaxConnsPerIP those
	// from one IPv4 address or IPv6 /64 network, 256. Negative means no bound.
	MaxConns      int
	MaxConnsPerIP int
	// Exempt are networks without a bound of their own: proxies in front of
	// the gateway, from which everybody's connections come.
	Exempt []netip.Prefix
	// HandshakeTimeout bounds the TLS handshake, and the wait for the first
	// bytes of a plain connection that may be HTTP/2; 5 s.
	HandshakeTimeout time.Duration
	// Grace is how long calls in progress may take to end when the Listener
	// stops; 15 s.
	Grace time.Duration
	// Log receives what should not happen; nil: nobody.
	Log *slog.Logger
}

// complete fills in the defaults, or returns what is wrong with o.
func (o Options) complete() (Options, error) {
	switch {
	case o.Address == "":
		return o, errors.New("listen: Address is missing")
	case o.HTTP1 == nil:
		return o, errors.New("listen: HTTP1 is missing")
	case o.HandshakeTimeout < 0:
		return o, fmt.Errorf("listen: HandshakeTimeout is negative: %v", o.HandshakeTimeout)
	case o.Grace < 0:
		return o, fmt.Errorf("listen: Grace is negative: %v", o.Grace)
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = 5 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = 15 * time.Second
	}
	if o.MaxConns == 0 {
		o.MaxConns = 10_000
	}
	if o.MaxConnsPerIP == 0 {
		o.MaxConnsPerIP = 256
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// A Listener accepts connections on one address.
type Listener struct {
	options Options
	tls     *tls.Config // nil: plain
	inner   net.Listener
	census  census
	conns   sync.WaitGroup
}

// New returns a Listener that listens already, so that its address is known and
// a fault is told at once; connections wait until Run accepts them.
func New(o Options) (*Listener, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	l := &Listener{options: o}
	l.census.set(o)
	if o.TLS != nil {
		l.tls = o.TLS.config(o.HTTP2 != nil)
	}
	l.inner, err = net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Address, err)
	}
	return l, nil
}

// Addr returns the address that l listens on.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close gives the address up. It is for a Listener that was never run: Run does
// the same in the end.
func (l *Listener) Close() error { return l.inner.Close() }

// Conns returns how many connections are open.
func (l *Listener) Conns() int { return l.census.total() }

// Run accepts connections until ctx is done. Then it accepts no more, lets the
// servers end the calls in progress within the Grace, and returns when all that it
// started has ended.
func (l *Listener) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		l.inner.Close()
	})
	err := l.accept(ctx)
	if stop() {
		l.inner.Close() // accept failed by itself
	} else {
		<-stopped
	}
	grace, cancel := context.WithTimeout(context.Background(), l.options.Grace)
	defer cancel()
	l.shutdown(grace)
	l.conns.Wait()
	return err
}

// shutdown ends the servers' connections.
func (l *Listener) shutdown(grace context.Context) {
	var ended sync.WaitGroup
	for _, s := range []Server{l.options.HTTP1, l.options.HTTP2} {
		if s == nil {
			continue
		}
		ended.Go(func() {
			if err := s.Shutdown(grace); err != nil {
				l.options.Log.Warn("listen: calls were cut off", "address", l.Addr().String(), "error", err)
			}
		})
	}
	ended.Wait()
}

// accept accepts connections until the listener is closed. Faults of single
// connections, and a lack of descriptors, pass: it waits a little and goes on.
func (l *Listener) accept(ctx context.Context) error {
	var pause time.Duration
	for {
		nc, err := l.inner.Accept()
		if err == nil {
			pause = 0
			l.take(ctx, nc)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		l.options.Log.Warn("listen: can't accept", "address", l.Addr().String(), "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// take serves nc, if there is room for it.
func (l *Listener) take(ctx context.Context, nc net.Conn) {
	ip := peerOf(nc)
	if !l.census.enter(ip) {
		turnAway(nc, l.tls == nil)
		return
	}
	l.conns.Go(func() {
		defer l.census.leave(ip)
		l.serve(ctx, nc)
	})
}

// serve finds out which protocol nc speaks and hands it over. When ctx is done it
// no longer waits for that.
func (l *Listener) serve(ctx context.Context, nc net.Conn) {
	server := l.options.HTTP1
	switch {
	case l.tls != nil:
		tc := tls.Server(nc, l.tls)
		if err := l.handshake(ctx, tc); err != nil {
			nc.Close()
			return
		}
		nc = tc
		if tc.ConnectionState().NegotiatedProtocol == "h2" {
			server = l.options.HTTP2
		}
	case l.options.HTTP2 != nil:
		begins, err := l.begins(ctx, nc)
		if err != nil {
			nc.Close()
			return
		}
		if begins {
			server = l.options.HTTP2
		}
	}
	server.ServeConn(nc)
}

// handshake sets up TLS.
func (l *Listener) handshake(ctx context.Context, tc *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, l.options.HandshakeTimeout)
	defer cancel()
	return tc.HandshakeContext(ctx)
}

// begins reports whether the client begins as one that speaks HTTP/2.
func (l *Listener) begins(ctx context.Context, nc net.Conn) (bool, error) {
	_ = nc.SetReadDeadline(time.Now().Add(l.options.HandshakeTimeout))
	stop := context.AfterFunc(ctx, func() { _ = nc.SetReadDeadline(time.Unix(1, 0)) })
	begins, err := socket.Begins(nc, preface)
	if !stop() {
		return false, net.ErrClosed
	}
	_ = nc.SetReadDeadline(time.Time{})
	return begins, err
}

// preface is how a client begins that knows to speak to an HTTP/2 server. The
// first line is enough: no HTTP/1 request has it.
const preface = "PRI * HTTP/2.0\r\n"

// peerOf returns the address at the other end of nc.
func peerOf(nc net.Conn) netip.Addr {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\n" +
	"Content-Length: 110\r\nRetry-After: 1\r\nConnection: close\r\n\r\n" +
	`{"code":"503","message":"Service Unavailable","description":"The gateway has too many connections; try again"}`

// turnAway closes a connection for which there is no room, with a word of
// explanation if it can be understood. It never waits.
func turnAway(nc net.Conn, plain bool) {
	if plain {
		_ = nc.SetDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = nc.Write([]byte(busy)) // into an empty send buffer
	}
	nc.Close()
}

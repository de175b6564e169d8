// Package http2 is the front door for HTTP/2: over TLS where the client chose it
// by ALPN, and in the clear where it knows beforehand (h2c). gRPC passes through
// with its streams and trailers.
//
// The protocol itself is net/http's. What net/http does not ask of a client is
// asked here: each connection is watched frame by frame for floods (see budget),
// each request for what HTTP/2 forbids, each stream for progress. Requests then go
// the same way as those of HTTP/1.1: through a [Pipeline], to a backend.
package http2

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/gateway"
)

// A Pipeline decides on calls; [gateway.Gateway] is one. The door calls Admit or
// Fail, then Fail again if forwarding did not work out, and Finish exactly once.
type Pipeline interface {
	// Admit returns nil if the call is to be forwarded, otherwise the answer.
	Admit(x *gateway.Exchange) *gateway.Answer
	// Fail returns the answer for a call that can't be parsed or forwarded.
	Fail(x *gateway.Exchange, status int) *gateway.Answer
	// Finish settles the call.
	Finish(x *gateway.Exchange, o gateway.Outcome)
}

var _ Pipeline = (*gateway.Gateway)(nil)

// A Server serves HTTP/2 on connections that it is handed. It is safe for
// concurrent use.
type Server struct {
	options Options
	limits  limits
	meter   Meter         // the Pipeline, if it is one
	timeout time.Duration // up to a backend's answer, where the API says nothing
	quiet   time.Duration // of a backend within an answer
	http    http.Server
	queue   *queue
	start   sync.Once
	served  chan struct{} // closed when http.Serve has returned
	any     *http.Transport
	h2      *http.Transport
	entries sync.Pool
	buffers sync.Pool

	mu      sync.Mutex
	closing bool
	active  int           // connections and calls
	idle    chan struct{} // closed when closing and nothing is active

	connections atomic.Int64
	accepted    atomic.Uint64
	abusive     atomic.Uint64
}

// New returns a Server. It starts nothing.
func New(o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	reach := o.Targets.Options()
	s := &Server{
		options: o,
		limits:  limits{header: o.MaxHeaderBytes, fields: o.MaxFields, uri: o.MaxURI},
		timeout: reach.ResponseTimeout,
		quiet:   reach.IdleTimeout,
		queue:   newQueue(),
		served:  make(chan struct{}),
		idle:    make(chan struct{}),
		any:     newTransport(o.Targets, false),
		h2:      newTransport(o.Targets, true),
	}
	s.meter, _ = o.Pipeline.(Meter)
	s.entries.New = func() any { return new(entry) }
	s.buffers.New = func() any { return new([bufferSize]byte) }
	s.http = http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: o.ReadHeaderTimeout,
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    o.MaxHeaderBytes + headerSlack,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		ConnContext:       withGuard,
		// net/http would answer "OPTIONS *" by itself.
		DisableGeneralOptionsHandler: true,
		Protocols:                    new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          o.MaxStreams,
			MaxReadFrameSize:              maxFrame,
			MaxReceiveBufferPerConnection: connWindow,
			MaxReceiveBufferPerStream:     streamWindow,
			SendPingTimeout:               o.PingAfter,
			PingTimeout:                   pingTimeout,
			WriteByteTimeout:              o.WriteTimeout,
		},
	}
	s.http.Protocols.SetUnencryptedHTTP2(true)
	return s, nil
}

// ServeConn serves HTTP/2 on conn until either side ends it, and closes it. conn
// begins with the client's preface; for TLS it is the decrypted side, with h2
// negotiated.
func (s *Server) ServeConn(conn net.Conn) {
	if tc, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		if state := tc.ConnectionState(); state.HandshakeComplete && state.Version < tls.VersionTLS12 {
			conn.Close() // RFC 9113, 9.2
			return
		}
	}
	if !s.enter() {
		conn.Close()
		return
	}
	defer s.leave()
	s.start.Do(func() {
		go func() {
			defer close(s.served)
			s.http.Serve(s.queue) // returns when the queue is closed
		}()
	})
	s.accepted.Add(1)
	s.connections.Add(1)
	defer s.connections.Add(-1)
	g := newGuard(conn, s.options.MaxStreams, s.options.ReadHeaderTimeout)
	if !s.queue.put(g) {
		g.Close()
		return
	}
	<-g.closed
	if g.abused.Load() {
		s.abusive.Add(1)
		s.options.Logger.Debug("connection closed for abuse", "peer", g.peer.String())
	}
}

// enter counts a connection or a call in. It reports false once the server has
// been shut down.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing && s.active == 0 {
		return false
	}
	s.active++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	if s.closing && s.active == 0 {
		close(s.idle)
	}
}

// shutdownPoll is how often connections are told to go that came while the
// server was closing.
const shutdownPoll = 250 * time.Millisecond

// Shutdown tells every client to go (GOAWAY), lets the calls under way finish and
// returns when all has ended. If ctx is done before, the connections are closed,
// the calls ended, and ctx's error returned. Afterwards ServeConn closes what it is
// given. It may be called again, also concurrently.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closing && s.active == 0 {
		close(s.idle)
	}
	s.closing = true
	s.mu.Unlock()
	s.start.Do(func() { close(s.served) }) // nothing was ever served

	var err error
	for {
		// A connection may be on its way to where Shutdown finds it.
		round, cancel := context.WithTimeout(ctx, shutdownPoll)
		err = s.http.Shutdown(round)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("shut down HTTP/2: %w", ctx.Err())
		s.http.Close()
	}
	s.queue.Close()
	<-s.served
	<-s.idle
	s.any.CloseIdleConnections()
	s.h2.CloseIdleConnections()
	return err
}

// Stats are figures of a Server since its start.
type Stats struct {
	Connections int64  // open now
	Accepted    uint64 // connections, in all
	Abusive     uint64 // connections that were closed for a flood of frames
}

// Stats returns the current figures.
func (s *Server) Stats() Stats {
	return Stats{s.connections.Load(), s.accepted.Load(), s.abusive.Load()}
}

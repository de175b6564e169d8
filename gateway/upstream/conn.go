package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/weir-project/weir/gateway/listen/socket"
)

// A Conn is a connection to a target, used by one call at a time.
type Conn struct {
	net.Conn
	// Target is where it leads.
	Target *Target
	// Reused tells that it has served a call before, so that the backend may
	// be closing it at this moment.
	Reused bool
	// Buffer is for what is read from the connection; it stays with it.
	Buffer []byte

	probe   socket.Probe
	opened  time.Time // first kept
	since   time.Time // unused since
	readBy  time.Time // deadlines as last set
	writeBy time.Time
}

// bufferSize holds the head and the body of a usual answer.
const bufferSize = 8 << 10

// Kept returns an unused connection that is still good, or nil. What it finds
// closed, or holding bytes that nobody asked for, it closes.
func (t *Target) Kept(now time.Time) *Conn {
	for {
		c := t.idle.take()
		if c == nil {
			return nil
		}
		if now.Sub(c.since) < t.registry.options.KeepAlive && c.probe.Look() == socket.Quiet {
			c.Reused = true
			return c
		}
		c.Close()
	}
}

// Dial returns a new connection, to be had within timeout or the ConnectTimeout,
// whichever is less. The name is looked up each time.
func (t *Target) Dial(timeout time.Duration) (*Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), min(timeout, t.registry.options.ConnectTimeout))
	defer cancel()
	nc, err := t.registry.DialContext(ctx, "tcp", t.Host)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t.Host, err)
	}
	if t.Scheme == "https" {
		nc, err = t.handshake(ctx, nc)
		if err != nil {
			return nil, fmt.Errorf("handshake with %s: %w", t.Host, err)
		}
	}
	c := &Conn{Conn: nc, Target: t, Buffer: make([]byte, bufferSize)}
	c.probe.Attach(nc)
	return c, nil
}

// handshake puts TLS over nc. It closes nc if that fails.
func (t *Target) handshake(ctx context.Context, nc net.Conn) (net.Conn, error) {
	config := t.registry.TLSConfig()
	config.NextProtos = []string{"http/1.1"}
	if config.ServerName == "" {
		host, _, _ := net.SplitHostPort(t.Host)
		config.ServerName = host
	}
	tc := tls.Client(nc, config)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// errDenied tells that a backend's address is not to be reached.
var errDenied = errors.New("the address is in a network that backends must not be in")

// DialContext connects to addr as the options say: with their timeout, and not to
// a denied network. It does not add TLS.
func (r *Registry) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	r.setUp()
	d := net.Dialer{Timeout: r.options.ConnectTimeout, KeepAlive: 30 * time.Second}
	if len(r.options.Deny) > 0 {
		// The check stands where the address is final, so that no name
		// server can lead around it.
		d.Control = func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			ip := ap.Addr().Unmap().WithZone("")
			for _, p := range r.options.Deny {
				if p.Contains(ip) {
					return errDenied
				}
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, addr)
}

// Keep puts c by for a later call. The caller must have read the answer to its
// end, with nothing after it, and not use c any more.
func (c *Conn) Keep(now time.Time) {
	c.since = now
	if c.opened.IsZero() {
		c.opened = now
	}
	if len(c.Buffer) > bufferSize {
		c.Buffer = make([]byte, bufferSize)
	}
	o := &c.Target.registry.options
	if now.Sub(c.opened) >= o.MaxAge || !c.Target.idle.put(c, o.MaxIdle) {
		c.Close()
	}
}

// Drop closes all unused connections of t: one of them proved to be dead, so the
// others of its age may well be.
func (t *Target) Drop() { t.idle.expire(time.Time{}) }

// Gone reports whether the backend has closed the connection.
func (c *Conn) Gone() bool { return c.probe.Look() == socket.Ended }

// ReadBy sets the time at which reads give up to by, or leaves it where it is if
// that is at most slack earlier: setting it for every call would cost more than
// the call's own work. Who finds the deadline passed too early sets it again.
func (c *Conn) ReadBy(by time.Time, slack time.Duration) {
	if c.readBy.After(by) || c.readBy.Before(by.Add(-slack)) {
		c.readBy = by
		_ = c.SetReadDeadline(by) // fails on a closed connection, as will the read
	}
}

// WriteBy is ReadBy for writes.
func (c *Conn) WriteBy(by time.Time, slack time.Duration) {
	if c.writeBy.After(by) || c.writeBy.Before(by.Add(-slack)) {
		c.writeBy = by
		_ = c.SetWriteDeadline(by)
	}
}

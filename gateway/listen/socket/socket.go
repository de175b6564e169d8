// Package socket looks at what waits on a connection without reading it: whether
// a kept connection is still good, whether a client is still there, and with which
// bytes a new connection begins.
package socket

import (
	"net"
	"syscall"
)

// A State is what waits to be read from a connection.
type State uint8

// The states of a connection.
const (
	Quiet   State = iota // nothing waits, or it can't be told
	Waiting              // bytes wait
	Ended                // the other side closed or reset the connection
)

// A Probe looks at one connection. It is not safe for concurrent use with
// itself, but the connection may be read and written meanwhile.
type Probe struct {
	raw   syscall.RawConn
	look  func(fd uintptr) // kept, so that looking allocates nothing
	state State
	one   [1]byte
}

// Attach makes p look at nc. For a connection over TLS it looks at the bytes
// under it. A connection that has no socket is always Quiet.
func (p *Probe) Attach(nc net.Conn) {
	p.raw = rawConn(nc)
	if p.look == nil {
		p.look = p.peek
	}
}

// Detach makes p forget its connection, so that p may be kept.
func (p *Probe) Detach() { p.raw = nil }

// Look returns what waits on the connection. It never blocks and allocates nothing.
func (p *Probe) Look() State {
	if p.raw == nil {
		return Quiet
	}
	p.state = Ended // stays so if the connection is closed on our side
	if err := p.raw.Control(p.look); err != nil {
		return Ended
	}
	return p.state
}

func (p *Probe) peek(fd uintptr) {
	n, err := peek(fd, p.one[:])
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		p.state = Quiet
	case err != nil || n == 0:
		p.state = Ended
	default:
		p.state = Waiting
	}
}

// Begins waits until the first bytes on nc either are prefix or can no longer
// become it, and reports which. It consumes nothing. An error is that of the
// connection: its end, or its read deadline.
func Begins(nc net.Conn, prefix string) (bool, error) {
	raw := rawConn(nc)
	if raw == nil {
		return false, nil
	}
	buf := make([]byte, len(prefix))
	var begins bool
	var fault error
	err := raw.Read(func(fd uintptr) bool {
		n, err := peek(fd, buf)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
			return false
		case err != nil:
			fault = err
			return true
		case n == 0:
			fault = net.ErrClosed
			return true
		}
		begins = string(buf[:n]) == prefix
		// A part of the prefix waits for more: readiness is told once for
		// each arrival, so this does not spin.
		return begins || string(buf[:n]) != prefix[:n]
	})
	if err == nil {
		err = fault
	}
	return begins && err == nil, err
}

// rawConn returns the socket under nc, or nil.
func rawConn(nc net.Conn) syscall.RawConn {
	if !canPeek {
		return nil
	}
	if under, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = under.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

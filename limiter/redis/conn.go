package redis

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// idleLook is what the idle check says on a connection, and idleAnswer what the server
// says to it. By that a connection tells the check from calls.
var (
	idleLook   = []byte("*2\r\n$4\r\nping\r\n$4\r\nidle\r\n")
	idleAnswer = []byte("$4\r\nidle\r\n")
)

// A conn is a connection to the server. It reads along with a guard, knows when a call
// used it last, and can be given up by others than its user.
type conn struct {
	net.Conn
	address string
	pool    *conns
	test    bool          // the idle check is to reach the server
	idle    time.Duration // after which it may be closed; zero: never

	guard  guard
	answer []byte       // to the idle check, if it is not to reach the server
	used   atomic.Int64 // nanoseconds since pool.began
	gone   atomic.Pointer[error]
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.answer) > 0 {
		n := copy(p, c.answer)
		c.answer = c.answer[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if fault := c.guard.read(p[:n]); fault != nil {
		return 0, fault
	}
	return n, c.reason(err)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.guard.sent()
	if bytes.Equal(p, idleLook) {
		switch {
		case c.idle > 0 && c.pool.now()-time.Duration(c.used.Load()) >= c.idle:
			return 0, fmt.Errorf("the connection was idle for %v", c.idle)
		case !c.test:
			c.answer = idleAnswer
			return len(p), nil
		}
	} else {
		c.used.Store(int64(c.pool.now()))
	}
	n, err := c.Conn.Write(p)
	return n, c.reason(err)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.pool.remove(c)
	return c.Conn.Close()
}

// give gives the connection up: whoever uses it fails, for a reason.
func (c *conn) give(reason error) {
	c.gone.CompareAndSwap(nil, &reason)
	_ = c.Conn.Close() // it is over, be that said to the server or not
}

// reason returns why the connection was given up, if it was, else err.
func (c *conn) reason(err error) error {
	if gone := c.gone.Load(); err != nil && gone != nil {
		return *gone
	}
	return err
}

// A plainConn is one without TLS: whether the server has closed it can be seen from
// outside.
type plainConn struct {
	*conn
	raw syscall.Conn
}

// SyscallConn implements syscall.Conn.
func (c plainConn) SyscallConn() (syscall.RawConn, error) { return c.raw.SyscallConn() }

// conns are the connections that there are.
type conns struct {
	began time.Time
	mu    sync.Mutex
	all   map[*conn]struct{}
}

func newConns() *conns { return &conns{began: time.Now(), all: make(map[*conn]struct{})} }

func (p *conns) now() time.Duration { return time.Since(p.began) }

func (p *conns) add(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.used.Store(int64(p.now()))
	p.all[c] = struct{}{}
}

func (p *conns) remove(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, c)
}

// keep gives up all connections to others than address.
func (p *conns) keep(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.all {
		if c.address != address {
			c.give(fmt.Errorf("the primary is no longer at %s but at %s", c.address, address))
		}
	}
}

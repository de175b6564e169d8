package cluster

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy stands between nodes and a store: it can make what passes it late, or
// swallow it. It is safe for concurrent use.
type Proxy struct {
	to       string
	listener net.Listener
	group    sync.WaitGroup
	delay    atomic.Int64 // of what is answered
	hole     atomic.Bool

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
}

// NewProxy returns a Proxy on loopback to an address. It serves until Close.
func NewProxy(to string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{to: to, listener: l, conns: make(map[net.Conn]bool)}
	p.group.Go(p.serve)
	return p, nil
}

// Address returns where the Proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Delay makes all that is answered from now on so late.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Swallow has nothing pass in either direction, or lets it pass again. What was
// swallowed is gone.
func (p *Proxy) Swallow(on bool) { p.hole.Store(on) }

// Close ends all connections.
func (p *Proxy) Close() {
	_ = p.listener.Close() // it is over in any case
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.group.Wait()
}

func (p *Proxy) serve() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() { p.join(from) })
	}
}

// keep takes note of a connection, unless all are to be closed.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.conns[c] = true
	}
	return !p.closed
}

func (p *Proxy) end(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// join passes on what is said in both directions, until either side ends.
func (p *Proxy) join(from net.Conn) {
	defer p.end(from)
	if !p.keep(from) {
		return
	}
	to, err := net.DialTimeout("tcp", p.to, time.Second)
	if err != nil {
		return
	}
	defer p.end(to)
	if !p.keep(to) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		defer to.Close()
		p.pass(to, from, func() time.Duration { return 0 })
	})
	defer both.Wait()
	defer from.Close()
	p.pass(from, to, func() time.Duration { return time.Duration(p.delay.Load()) })
}

// pass copies until either side ends.
func (p *Proxy) pass(to io.Writer, from io.Reader, delay func() time.Duration) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if d := delay(); d > 0 {
			time.Sleep(d)
		}
		if p.hole.Load() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

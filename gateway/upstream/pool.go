package upstream

import (
	"sync"
	"time"
)

// A pool holds the unused connections of one target. The last one used is the
// first one taken, so that the others can expire.
type pool struct {
	mu    sync.Mutex
	conns []*Conn // oldest first
}

// take returns the connection that was used last, or nil.
func (p *pool) take() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.conns)
	if n == 0 {
		return nil
	}
	c := p.conns[n-1]
	p.conns[n-1] = nil
	p.conns = p.conns[:n-1]
	return c
}

// put keeps c, and reports whether there was room for it.
func (p *pool) put(c *Conn, limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) >= limit {
		return false
	}
	p.conns = append(p.conns, c)
	return true
}

// expire closes the connections that have been unused since before; zero means all.
func (p *pool) expire(before time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.conns) && (before.IsZero() || p.conns[n].since.Before(before)) {
		n++
	}
	old := append([]*Conn(nil), p.conns[:n]...)
	p.conns = append(p.conns[:0], p.conns[n:]...)
	clear(p.conns[len(p.conns):cap(p.conns)])
	p.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

// len returns how many connections wait.
func (p *pool) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

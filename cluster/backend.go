package cluster

import (
	"bytes"
	"net"
	"sync"
)

// A backend answers whatever it is asked at next to no cost: gateways are what is
// looked at.
type backend struct {
	listener net.Listener
	group    sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
}

var backendAnswer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nfine\n")

func startBackend() (*backend, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{listener: l, conns: make(map[net.Conn]bool)}
	b.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns[c] = true
			b.mu.Unlock()
			b.group.Go(func() { b.serve(c) })
		}
	})
	return b, nil
}

func (b *backend) address() string { return b.listener.Addr().String() }

// serve answers requests without a body, one after the other.
func (b *backend) serve(c net.Conn) {
	defer func() {
		c.Close()
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
	}()
	buf := make([]byte, 8192)
	n := 0
	for n < len(buf) {
		m, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += m
		if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			n = 0
			if _, err := c.Write(backendAnswer); err != nil {
				return
			}
		}
	}
}

func (b *backend) stop() {
	b.listener.Close()
	b.mu.Lock()
	for c := range b.conns {
		c.Close()
	}
	b.mu.Unlock()
	b.group.Wait()
}

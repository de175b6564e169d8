package sim

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
)

// A network connects nodes in memory, and has the faults that are asked of it.
type network struct {
	mu    sync.Mutex
	hosts map[string]*host
}

// A host is a node that listens. A process that is stopped still has its port: who
// connects, or is connected, waits.
type host struct {
	accept chan net.Conn
	closed chan struct{} // when the process is killed

	mu    sync.Mutex
	conns map[net.Conn]bool
	runs  chan struct{} // closed while the process runs
}

var _ net.Listener = (*host)(nil)

// listen opens the port of a node.
func (n *network) listen(name string) *host {
	h := &host{accept: make(chan net.Conn, 64), closed: make(chan struct{}), conns: map[net.Conn]bool{}, runs: make(chan struct{})}
	close(h.runs)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts = map[string]*host{}
	}
	n.hosts[name] = h
	return h
}

// dial connects to a node: it is refused where there is no process.
func (n *network) dial(_ context.Context, _, address string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	h := n.hosts[name]
	n.mu.Unlock()
	if h == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	a, b := net.Pipe()
	select {
	case h.accept <- b:
		return a, nil
	case <-h.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
}

// kill ends a node's process: its connections break.
func (n *network) kill(name string) {
	n.mu.Lock()
	h := n.hosts[name]
	delete(n.hosts, name)
	n.mu.Unlock()
	h.resume()
	h.Close()
	h.mu.Lock()
	conns := slices.Collect(maps.Keys(h.conns))
	h.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// stop stops a process where it stands, resume lets it go on.
func (h *host) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs = make(chan struct{})
}

func (h *host) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.runs:
	default:
		close(h.runs)
	}
}

func (h *host) running() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runs
}

// Accept implements net.Listener.
func (h *host) Accept() (net.Conn, error) {
	<-h.running()
	select {
	case c := <-h.accept:
		s := &served{c, h}
		h.mu.Lock()
		h.conns[s] = true
		h.mu.Unlock()
		return s, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *host) Close() error {
	select {
	case <-h.closed:
		return errors.New("closed twice")
	default:
		close(h.closed)
	}
	return nil
}

// Addr implements net.Listener.
func (h *host) Addr() net.Addr { return &net.TCPAddr{} }

// A served is a host's end of a connection.
type served struct {
	net.Conn
	host *host
}

func (s *served) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	<-s.host.running()
	return n, err
}

func (s *served) Write(p []byte) (int, error) {
	<-s.host.running()
	return s.Conn.Write(p)
}

func (s *served) Close() error {
	s.host.mu.Lock()
	delete(s.host.conns, s)
	s.host.mu.Unlock()
	return s.Conn.Close()
}

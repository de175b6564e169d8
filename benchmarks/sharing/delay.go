package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A slowWay is a way to a server that takes time: what is sent arrives so much later, in both
// directions. It bounds no rate and loses nothing.
type slowWay struct {
	listener net.Listener
	target   string
	each     time.Duration // in each direction
	all      sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

// newSlowWay makes a way to target on which a round trip takes rtt more.
func newSlowWay(target string, rtt time.Duration) (*slowWay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &slowWay{listener: l, target: target, each: rtt / 2, open: map[net.Conn]struct{}{}}
	w.all.Go(w.accept)
	return w, nil
}

func (w *slowWay) address() string { return w.listener.Addr().String() }

// stop closes all connections.
func (w *slowWay) stop() error {
	err := w.listener.Close()
	w.mu.Lock()
	w.closed = true
	for c := range w.open {
		err = errors.Join(err, c.Close())
	}
	w.mu.Unlock()
	w.all.Wait()
	return err
}

func (w *slowWay) accept() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = from.Close() // the client sees that nobody is there
			continue
		}
		w.mu.Lock()
		w.open[from], w.open[to] = struct{}{}, struct{}{}
		if w.closed {
			_, _ = from.Close(), to.Close()
		}
		w.mu.Unlock()
		w.all.Go(func() { w.carry(from, to) })
		w.all.Go(func() { w.carry(to, from) })
	}
}

// A cargo is what was received, and when it is to arrive.
type cargo struct {
	data []byte
	due  time.Time
}

// carry brings what one side sends to the other until one of them closes.
func (w *slowWay) carry(from, to net.Conn) {
	way := make(chan cargo, 1024)
	w.all.Go(func() {
		for c := range way {
			sleep(time.Until(c.due))
			if _, err := to.Write(c.data); err != nil {
				_ = from.Close() // so that it stops sending
			}
		}
		_ = to.Close() // all has arrived
	})
	defer close(way)
	for {
		buf := make([]byte, 32<<10)
		n, err := from.Read(buf)
		if n > 0 {
			way <- cargo{buf[:n], time.Now().Add(w.each)}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				_ = to.Close()
			}
			return
		}
	}
}

package amqp

import (
	"net"
	"sync"
	"time"
)

// A wire is the connection below a session. A write on it does not hang longer
// than its patience: the client's own would hang for as long as the broker does.
// Of messages that are too large, nothing is read but that they came.
type wire struct {
	net.Conn
	guard    *guard
	patience time.Duration

	mu   sync.Mutex
	last time.Time // a deadline that was set; zero: none
	err  error     // of the last Read, if it failed
	// What was read is of another protocol.
	foreign bool
}

func newWire(c net.Conn, patience time.Duration) *wire {
	return &wire{Conn: c, guard: newGuard(c), patience: patience}
}

// Read implements net.Conn. It is for one goroutine.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.guard.Read(p)
	if err != nil || w.guard.foreign {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.foreign = w.guard.foreign
		if err != nil {
			w.err = err
		}
	}
	return n, err
}

// cause returns why the connection can't be read any more, which the client tells
// as text only.
func (w *wire) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// speaks reports whether what was read may be AMQP 0-9-1. The client tells so too, but
// not if the other side has hung up before it looked.
func (w *wire) speaks() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.foreign
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	until := time.Now().Add(w.patience)
	if !w.last.IsZero() && w.last.Before(until) {
		until = w.last
	}
	err := w.Conn.SetWriteDeadline(until)
	w.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// SetDeadline implements net.Conn.
func (w *wire) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = t
	return w.Conn.SetDeadline(t)
}

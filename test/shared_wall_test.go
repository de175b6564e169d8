package test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A wall stands before a server, and can be closed to all but Weir.
type wall struct {
	net.Listener
	to     string
	closed atomic.Bool
	mu     sync.Mutex
	others []net.Conn // that are not Weir's
	passed sync.WaitGroup
}

func newWall(t *testing.T, to string) *wall {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wall{Listener: l, to: to}
	w.passed.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.passed.Go(func() { w.pass(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.hangUp()
		w.passed.Wait()
	})
	return w
}

func (w *wall) addr() string { return w.Listener.Addr().String() }

// pass passes on what two say to each other. Weir gives its name at first.
func (w *wall) pass(near net.Conn) {
	defer near.Close()
	first := make([]byte, 4096)
	n, err := near.Read(first)
	if err != nil {
		return
	}
	weir := bytes.Contains(first[:n], []byte("weir-"))
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer far.Close()
	if !weir {
		w.mu.Lock()
		w.others = append(w.others, near, far)
		w.mu.Unlock()
	}
	if w.closed.Load() && !weir {
		_, _ = io.Copy(io.Discard, near) // until it, or we, hang up
		return
	}
	if _, err := far.Write(first[:n]); err != nil {
		return
	}
	w.passed.Go(func() { w.copy(near, far, weir) })
	w.copy(far, near, weir)
}

// copy passes on one direction; behind a closed wall nothing arrives.
func (w *wall) copy(to, from net.Conn, weir bool) {
	defer to.Close()
	defer from.Close()
	block := make([]byte, 16<<10)
	for {
		n, err := from.Read(block)
		if err != nil {
			return
		}
		if weir || !w.closed.Load() {
			if _, err := to.Write(block[:n]); err != nil {
				return
			}
		}
	}
}

// open opens the wall. Of connections on which something is missing there is an end.
func (w *wall) open() {
	w.closed.Store(false)
	w.hangUp()
}

func (w *wall) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.others {
		_ = c.Close()
	}
	w.others = nil
}

// A herald answers as a Sentinel does, and knows only of one primary.
type herald struct {
	net.Listener
	primary atomic.Pointer[string]
}

func newHerald(t *testing.T, primary string) *herald {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &herald{Listener: l}
	h.primary.Store(&primary)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { h.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait() // who asks hangs up by itself
	})
	return h
}

// serve answers what is asked on a connection.
func (h *herald) serve(c net.Conn) {
	defer c.Close()
	for r := bufio.NewReader(c); ; {
		words, err := readCommand(r)
		if err != nil {
			return
		}
		answer := "+OK\r\n"
		switch strings.ToLower(words[0]) {
		case "hello":
			answer = "-ERR unknown command\r\n"
		case "sentinel":
			host, port, _ := net.SplitHostPort(*h.primary.Load())
			answer = fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port)
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// readCommand reads a command in Redis' protocol.
func readCommand(r *bufio.Reader) (words []string, err error) {
	var n int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	for range max(n, 1) {
		var size int
		if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	return words, nil
}

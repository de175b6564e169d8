package test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A seen request is one that reached a backend.
type seen struct {
	method, path, query, host string
	header                    http.Header
	body                      string
	proto                     string
}

// A backend records what reaches it. It answers with its name, or as the request
// asks it to:
//
//	/status/503  with that status
//	/slow        once release is called, or its client is gone
//	/echo        with the request's body
type backend struct {
	*httptest.Server
	name string

	mu      sync.Mutex
	all     []seen
	hold    chan struct{}
	waiting int // calls of /slow
}

// newBackend starts a backend for HTTP/1.1 and h2c. It is stopped with the test.
func newBackend(t testing.TB, name string) *backend {
	b := &backend{name: name, hold: make(chan struct{})}
	b.Server = httptest.NewUnstartedServer(b)
	b.Config.ReadHeaderTimeout = patience
	b.Config.Protocols = new(http.Protocols)
	b.Config.Protocols.SetHTTP1(true)
	b.Config.Protocols.SetUnencryptedHTTP2(true)
	b.Start()
	t.Cleanup(func() {
		b.release()
		b.CloseClientConnections()
		b.Close()
	})
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/echo" {
		b.record(r, "")
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 always is
		_, _ = io.Copy(w, r.Body)                            // the client may go; that is its test's matter
		return
	}
	body, _ := io.ReadAll(r.Body)
	hold := b.record(r, string(body))
	var status int
	if n, _ := fmt.Sscanf(r.URL.Path, "/status/%d", &status); n == 1 {
		w.WriteHeader(status)
	}
	if strings.HasPrefix(r.URL.Path, "/slow") {
		select {
		case <-hold:
		case <-r.Context().Done():
		case <-time.After(2 * patience):
		}
	}
	w.Header().Set("X-Backend", b.name)
	fmt.Fprintf(w, "%s %s\n", b.name, r.URL.Path)
}

func (b *backend) record(r *http.Request, body string) (hold chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, r.Header.Clone(), body, r.Proto})
	if strings.HasPrefix(r.URL.Path, "/slow") {
		b.waiting++
	}
	return b.hold
}

// release lets all calls of /slow be answered.
func (b *backend) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.hold)
	b.hold, b.waiting = make(chan struct{}), 0
}

// held returns how many calls of /slow wait.
func (b *backend) held() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting
}

// seen returns what has reached the backend so far.
func (b *backend) seen() []seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]seen(nil), b.all...)
}

// hits returns how many requests have reached the backend.
func (b *backend) hits() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.all)
}

// last returns what reached the backend last.
func (b *backend) last(t testing.TB) seen {
	t.Helper()
	all := b.seen()
	if len(all) == 0 {
		t.Fatal("nothing reached the backend")
	}
	return all[len(all)-1]
}

// An endless backend answers without an end.
type endless struct {
	*httptest.Server
	ended atomic.Int64 // answers that nobody took any more
}

func newEndless(t testing.TB) *endless {
	e := &endless{}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer e.ended.Add(1)
		for block := make([]byte, 64<<10); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	e.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		_ = conn.(*net.TCPConn).SetWriteBuffer(16 << 10) // else loopback takes megabytes of each
		return ctx
	}
	e.Start()
	t.Cleanup(func() {
		e.CloseClientConnections()
		e.Close()
	})
	return e
}

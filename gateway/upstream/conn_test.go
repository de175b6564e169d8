package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen returns a listener and the connections that it accepted.
func listen(t *testing.T) (string, <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 100)
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- nc
		}
	})
	t.Cleanup(func() {
		l.Close()
		ended.Wait()
		close(accepted)
		for nc := range accepted {
			nc.Close()
		}
	})
	return "http://" + l.Addr().String(), accepted
}

func dial(t *testing.T, x *Target) *Conn {
	t.Helper()
	c, err := x.Dial(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eventually waits until is returns true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// Kept connections are used again, the last one first; those that are too old or
// no longer good are not.
func TestKept(t *testing.T) {
	url, accepted := listen(t)
	x := newTargets(t, Options{KeepAlive: time.Minute, MaxIdle: 3}, url)[0]
	now := time.Unix(1000, 0)
	if c := x.Kept(now); c != nil {
		t.Fatal("a connection out of nowhere")
	}
	var all []*Conn
	var servers []net.Conn
	for range 4 {
		all = append(all, dial(t, x))
		servers = append(servers, <-accepted)
	}
	for i, c := range all {
		c.Keep(now.Add(time.Duration(i) * time.Second))
	}
	if n := x.idle.len(); n != 3 {
		t.Fatalf("%d are kept, want 3", n)
	}
	if _, err := all[3].Write([]byte("x")); err == nil {
		t.Error("the one that there was no room for is open")
	}
	c := x.Kept(now.Add(10 * time.Second))
	if c != all[2] || !c.Reused {
		t.Error("the last one used is not the first one taken")
	}
	c.Keep(now.Add(10 * time.Second))

	servers[2].Close() // ended
	_, _ = servers[1].Write([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n"))
	eventually(t, "both to be noticed", func() bool {
		return all[2].Gone() && all[1].probe.Look() != 0
	})
	if c := x.Kept(now.Add(11 * time.Second)); c != all[0] {
		t.Error("one that ended, or has bytes that nobody asked for, was taken")
	} else {
		c.Keep(now.Add(11 * time.Second))
	}
	if c := x.Kept(now.Add(2 * time.Minute)); c != nil {
		t.Error("one that is too old was taken")
	}
	for _, nc := range servers {
		nc.Close()
	}
}

// Connections are given up after a time, however busy they are.
func TestMaxAge(t *testing.T) {
	url, accepted := listen(t)
	x := newTargets(t, Options{MaxAge: time.Minute}, url)[0]
	now := time.Unix(1000, 0)
	c := dial(t, x)
	defer (<-accepted).Close()
	for range 6 {
		c.Keep(now)
		if got := x.Kept(now); got != c {
			t.Fatalf("after %v: got another", now.Sub(time.Unix(1000, 0)))
		}
		now = now.Add(10 * time.Second)
	}
	c.Keep(now)
	if got := x.Kept(now); got != nil {
		t.Error("after a minute it is still kept")
	}
}

func TestRunExpires(t *testing.T) {
	url, accepted := listen(t)
	r, err := New(Options{KeepAlive: 40 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	g, err := r.Group([]string{url}, false)
	if err != nil {
		t.Fatal(err)
	}
	x := g.targets[0]
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	dial(t, x).Keep(time.Now())
	defer (<-accepted).Close()
	eventually(t, "an unused connection to be closed", func() bool { return x.idle.len() == 0 })
	dial(t, x).Keep(time.Now().Add(time.Hour))
	defer (<-accepted).Close()
	cancel()
	if err := <-ended; err != nil || x.idle.len() != 0 {
		t.Errorf("at the end: %v, %d are kept", err, x.idle.len())
	}
	dial(t, x).Keep(time.Now())
	defer (<-accepted).Close()
	x.Drop()
	if n := x.idle.len(); n != 0 {
		t.Errorf("after Drop: %d are kept", n)
	}
}

// Deadlines are set as seldom as the slack allows, and never late.
func TestReadBy(t *testing.T) {
	url, accepted := listen(t)
	x := newTargets(t, Options{}, url)[0]
	c := dial(t, x)
	defer c.Close()
	defer (<-accepted).Close()
	now := time.Unix(1000, 0)
	for _, r := range []struct{ by, slack, want time.Duration }{
		{10, 5, 10}, // set
		{12, 5, 10}, // near enough
		{15, 5, 10}, // just so
		{16, 5, 16}, // too early by now
		{12, 5, 12}, // never later than asked for
		{12, 0, 12},
		{13, 0, 13},
	} {
		c.ReadBy(now.Add(r.by*time.Second), r.slack*time.Second)
		c.WriteBy(now.Add(r.by*time.Second), r.slack*time.Second)
		if got := c.readBy.Sub(now) / time.Second; got != r.want {
			t.Errorf("by %d, slack %d: reads until %d, want %d", r.by, r.slack, got, r.want)
		}
		if got := c.writeBy.Sub(now) / time.Second; got != r.want {
			t.Errorf("by %d, slack %d: writes until %d, want %d", r.by, r.slack, got, r.want)
		}
	}
}

func TestDialFaults(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	x := newTargets(t, Options{}, "https://"+addr)[0]
	// Connections wait in the kernel: the handshake never ends.
	if _, err := x.Dial(50 * time.Millisecond); err == nil {
		t.Error("a handshake that never ends: no error")
	}
	l.Close()
	if _, err := x.Dial(time.Second); err == nil {
		t.Error("nobody listens: no error")
	}
}

// Backends are asked over TLS as configured: their certificate is checked against
// the authorities and the name.
func TestDialTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	defer s.Close()
	s.Config.ErrorLog = nil
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for _, r := range []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"unknown authority", nil, false},
		{"known authority", &tls.Config{RootCAs: roots}, true},
		{"another name that it has", &tls.Config{RootCAs: roots, ServerName: "example.com"}, true},
		{"a name that it has not", &tls.Config{RootCAs: roots, ServerName: "other.test"}, false},
	} {
		x := newTargets(t, Options{TLS: r.config}, s.URL)[0]
		c, err := x.Dial(time.Minute)
		if (err == nil) != r.ok {
			t.Errorf("%s: got %v", r.name, err)
		}
		if err != nil {
			continue
		}
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		n, err := c.Read(c.Buffer)
		if err != nil || string(c.Buffer[:12]) != "HTTP/1.1 200" {
			t.Errorf("%s: got %q, %v", r.name, c.Buffer[:n], err)
		}
		c.Close()
	}
}

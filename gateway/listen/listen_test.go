package listen

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A namedServer greets each connection with its name and holds it until the
// client sends a line or the server stops.
type namedServer struct {
	name string

	mu    sync.Mutex
	conns map[net.Conn]bool
	stops int
	deaf  bool // Shutdown waits for its context
}

func (s *namedServer) ServeConn(nc net.Conn) {
	s.mu.Lock()
	if s.conns == nil {
		s.conns = map[net.Conn]bool{}
	}
	s.conns[nc] = true
	s.mu.Unlock()
	defer nc.Close()
	_, _ = io.WriteString(nc, s.name+"\n")
	_, _ = bufio.NewReader(nc).ReadString('\n')
}

func (s *namedServer) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stops++
	deaf := s.deaf
	s.mu.Unlock()
	if deaf {
		<-ctx.Done()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.conns {
		nc.Close()
	}
	return ctx.Err()
}

// start runs a listener until the test ends.
func start(t *testing.T, o Options) (*Listener, func()) {
	t.Helper()
	o.Address = "127.0.0.1:0"
	o.Log = slog.New(slog.DiscardHandler)
	if o.HTTP1 == nil {
		o.HTTP1 = &namedServer{name: "http1"}
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return l, stop
}

func connect(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	return nc
}

// greeting returns what the server says first.
func greeting(nc net.Conn) string {
	line, _ := bufio.NewReader(nc).ReadString('\n')
	return strings.TrimSpace(line)
}

func TestOptions(t *testing.T) {
	s := &namedServer{}
	for _, r := range []struct {
		o    Options
		want string
	}{
		{Options{HTTP1: s}, "Address is missing"},
		{Options{Address: "127.0.0.1:0"}, "HTTP1 is missing"},
		{Options{Address: "127.0.0.1:0", HTTP1: s, Grace: -1}, "Grace is negative"},
		{Options{Address: "127.0.0.1:0", HTTP1: s, HandshakeTimeout: -1}, "HandshakeTimeout is negative"},
		{Options{Address: "127.0.0.1:99999", HTTP1: s}, "listen on 127.0.0.1:99999"},
	} {
		if _, err := New(r.o); err == nil || !strings.Contains(err.Error(), r.want) {
			t.Errorf("got %v, want an error with %q", err, r.want)
		}
	}
}

// On a plain port the first bytes choose the protocol.
func TestPlainProtocols(t *testing.T) {
	l, _ := start(t, Options{HTTP2: &namedServer{name: "http2"}})
	for _, r := range []struct{ text, want string }{
		{"GET / HTTP/1.1\r\n\r\n", "http1"},
		{"P\n", "http1"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"},
		{"PRI * HTTP/1.1\r\n\r\n", "http1"},
	} {
		nc := connect(t, l)
		_, _ = io.WriteString(nc, r.text)
		if got := greeting(nc); got != r.want {
			t.Errorf("%q: got %s, want %s", r.text, got, r.want)
		}
	}
	alone, _ := start(t, Options{})
	if got := greeting(connect(t, alone)); got != "http1" {
		t.Errorf("without HTTP/2: got %s, want http1", got)
	}
}

// Whoever sends nothing is let go in time.
func TestSilentClient(t *testing.T) {
	l, _ := start(t, Options{HTTP2: &namedServer{name: "http2"}, HandshakeTimeout: 50 * time.Millisecond})
	nc := connect(t, l)
	if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want %v", err, io.EOF)
	}
}

func TestBounds(t *testing.T) {
	l, _ := start(t, Options{MaxConnsPerIP: 2})
	first, second := connect(t, l), connect(t, l)
	if greeting(first) != "http1" || greeting(second) != "http1" {
		t.Fatal("not served")
	}
	res, err := http.ReadResponse(bufio.NewReader(connect(t, l)), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 503 || !res.Close || res.Header.Get("Retry-After") != "1" || !strings.HasPrefix(string(body), `{"code":"503"`) {
		t.Errorf("one too many: got %d %s, %v", res.StatusCode, body, err)
	}
	first.Close()
	deadline := time.Now().Add(10 * time.Second)
	for l.Conns() > 1 && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	if got := greeting(connect(t, l)); got != "http1" {
		t.Errorf("after one has left: got %q, want http1", got)
	}

	l, _ = start(t, Options{MaxConns: 1, MaxConnsPerIP: -1})
	if got := greeting(connect(t, l)); got != "http1" {
		t.Errorf("in all, the first: got %q", got)
	}
	if got := greeting(connect(t, l)); got != "HTTP/1.1 503 Service Unavailable" {
		t.Errorf("in all, the second: got %q", got)
	}
}

func TestCensus(t *testing.T) {
	var c census
	c.set(Options{MaxConns: 100, MaxConnsPerIP: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, r := range []struct {
		ip   string
		want bool
	}{
		{"192.0.2.1", true},
		{"192.0.2.1", false},
		{"192.0.2.2", true},
		{"10.1.1.1", true},
		{"10.1.1.1", true},
		{"2001:db8::1", true},
		{"2001:db8::2", false},
		{"2001:db8:0:1::1", true},
	} {
		if got := c.enter(netip.MustParseAddr(r.ip)); got != r.want {
			t.Errorf("%s: got %v, want %v", r.ip, got, r.want)
		}
	}
	if got := c.total(); got != 6 {
		t.Errorf("got %d in all, want 6", got)
	}
	for _, ip := range []string{"192.0.2.1", "192.0.2.2", "10.1.1.1", "10.1.1.1", "2001:db8::7", "2001:db8:0:1::1"} {
		c.leave(netip.MustParseAddr(ip))
	}
	if c.total() != 0 || len(c.byHome) != 0 {
		t.Errorf("after all have left: %d, %d homes", c.total(), len(c.byHome))
	}
}

// Run ends the servers' connections and what has not reached a server yet.
func TestRunEnds(t *testing.T) {
	s := &namedServer{name: "http1", deaf: true}
	l, stop := start(t, Options{HTTP1: s, HTTP2: &namedServer{}, Grace: 50 * time.Millisecond})
	served := connect(t, l)
	_, _ = io.WriteString(served, "GET /")
	if greeting(served) != "http1" {
		t.Fatal("not served")
	}
	waiting := connect(t, l) // nothing sent yet
	before := time.Now()
	stop()
	if took := time.Since(before); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	for _, nc := range []net.Conn{served, waiting} {
		if _, err := io.ReadAll(nc); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("got %v", err)
		}
	}
	if s.stops != 1 {
		t.Errorf("Shutdown was called %d times, want once", s.stops)
	}
	if nc, err := net.Dial("tcp", l.Addr().String()); err == nil {
		nc.Close()
		t.Error("still listens")
	}
}

// A listener whose socket is closed under it says so, and still ends in order.
func TestAcceptFails(t *testing.T) {
	s := &namedServer{name: "http1"}
	l, err := New(Options{Address: "127.0.0.1:0", HTTP1: s})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- l.Run(context.Background()) }()
	if got := greeting(connect(t, l)); got != "http1" {
		t.Fatalf("got %q", got)
	}
	l.Close()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "accept on 127.0.0.1") {
		t.Errorf("got %v", err)
	}
	if s.stops != 1 || l.Conns() != 0 {
		t.Errorf("Shutdown was called %d times, %d connections are left", s.stops, l.Conns())
	}
}

// A flood of connections from one place leaves room for the others.
func TestFlood(t *testing.T) {
	l, _ := start(t, Options{MaxConnsPerIP: 50, MaxConns: 60})
	turned := 0
	for range 300 {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
		if greeting(nc) != "http1" {
			turned++
		}
	}
	if turned != 250 || l.Conns() != 50 {
		t.Errorf("%d of 300 were turned away, %d are open; want 250, 50", turned, l.Conns())
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	nc, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Skipf("no second address here: %v", err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if got := greeting(nc); got != "http1" {
		t.Errorf("somebody else: got %q, want http1", got)
	}
}

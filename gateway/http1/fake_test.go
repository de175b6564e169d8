package http1

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// A fakePipeline forwards everything to its group but what its hooks refuse.
type fakePipeline struct {
	group *upstream.Group
	admit func(x *gateway.Exchange) *gateway.Answer // nil: forward

	mu       sync.Mutex
	admitted []string // method and path
	outcomes []gateway.Outcome
	failed   []int
}

func (p *fakePipeline) Admit(x *gateway.Exchange) *gateway.Answer {
	p.mu.Lock()
	p.admitted = append(p.admitted, strings.Clone(x.Method+" "+x.Path))
	p.mu.Unlock()
	x.Upstream, x.ForwardPath, x.ForwardQuery = p.group, x.Path, x.RawQuery
	x.Request.ClientIP = x.Peer.Addr()
	if p.admit != nil {
		return p.admit(x)
	}
	return nil
}

func (p *fakePipeline) Fail(x *gateway.Exchange, status int) *gateway.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = append(p.failed, status)
	return &gateway.Answer{Status: status, ContentType: "application/json", Body: fmt.Appendf(nil, `{"code":"%d"}`, status)}
}

func (p *fakePipeline) Finish(_ *gateway.Exchange, o gateway.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outcomes = append(p.outcomes, o)
}

// admissions returns the methods and paths that were admitted so far.
func (p *fakePipeline) admissions() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.admitted...)
}

// settled waits for the outcomes of n calls and returns them.
func (p *fakePipeline) settled(t testing.TB, n int) []gateway.Outcome {
	t.Helper()
	var all []gateway.Outcome
	waitFor(t, fmt.Sprintf("%d calls to be settled", n), func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		all = append(all[:0], p.outcomes...)
		return len(all) >= n
	})
	return all
}

// A fakeMeter is a fakePipeline that counts what passes on streams.
type fakeMeter struct {
	fakePipeline
	limit    atomic.Int64 // events that may pass
	events   atomic.Int64 // events asked about
	progress atomic.Int64 // calls of Progress
	bytes    atomic.Int64 // as of the last of them
}

func (m *fakeMeter) Event(*gateway.Exchange, time.Time) bool {
	return m.events.Add(1) <= m.limit.Load()
}

func (m *fakeMeter) Progress(_ *gateway.Exchange, _ time.Time, o gateway.Outcome) {
	m.progress.Add(1)
	m.bytes.Store(o.RequestBytes + o.ResponseBytes)
}

// waitFor waits until is returns true.
func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// A front is a server under test.
type front struct {
	t      testing.TB
	server *Server
	addr   string
}

// quiet is a log that keeps nothing.
var quiet = slog.New(slog.DiscardHandler)

// newFront starts a server with o, which ends with the test.
func newFront(t testing.TB, o Options) *front {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l := listenLocal(t)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { s.ServeConn(nc) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = s.Shutdown(ctx) // what a test leaves open is cut off
		conns.Wait()
	})
	return &front{t, s, l.Addr().String()}
}

func listenLocal(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newGroup returns a group of the addresses, whose connections end with the test.
func newGroup(t testing.TB, o upstream.Options, failover bool, addrs ...string) *upstream.Group {
	t.Helper()
	r, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range addrs {
		addrs[i] = "http://" + addrs[i]
	}
	g, err := r.Group(addrs, failover)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, target := range g.Targets() {
			target.Drop()
		}
	})
	return g
}

// newBackend starts an HTTP server of the standard library.
func newBackend(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	l := listenLocal(t)
	s := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
	return l.Addr().String()
}

// newScript starts a backend that hands each of its connections, numbered from 0,
// to serve, and closes it after.
func newScript(t testing.TB, serve func(n int, nc net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l := listenLocal(t)
	var conns sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	conns.Go(func() {
		for n := 0; ; n++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			conns.Go(func() {
				defer nc.Close()
				serve(n, nc, bufio.NewReader(nc))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for nc := range open {
			nc.Close()
		}
		mu.Unlock()
		conns.Wait()
	})
	return l.Addr().String()
}

// readHeadText reads up to and with the empty line that ends a head.
func readHeadText(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}

// A client is a raw connection to a front.
type client struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func (f *front) dial() *client {
	f.t.Helper()
	nc, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return &client{f.t, nc, bufio.NewReader(nc)}
}

func (c *client) send(text string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
	return c
}

// answer reads one answer to a request with the method, with its body.
func (c *client) answer(method string) (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read an answer: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("read an answer's body: %v (after %d bytes)", err, len(body))
	}
	return res, string(body)
}

// closed reports whether the other side closes the connection without another byte.
func (c *client) closed() bool {
	c.t.Helper()
	b, err := c.r.ReadByte()
	if err == nil {
		rest, _ := io.ReadAll(io.LimitReader(c.r, 200))
		c.t.Logf("instead of the end: %q", string(b)+string(rest))
	}
	return err != nil && !isTimeout(err)
}

// ask sends a request and returns the answer's status and body.
func (f *front) ask(text string) (int, string) {
	f.t.Helper()
	res, body := f.dial().send(text).answer(text[:strings.IndexByte(text, ' ')])
	return res.StatusCode, body
}

// echo is a handler that tells what it got.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.RequestURI, r.Host)
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via", "A"} {
		fmt.Fprintf(&b, "%s=%q\n", name, r.Header[name])
	}
	fmt.Fprintf(&b, "length=%d body=%q", r.ContentLength, body)
	_, _ = w.Write(b.Bytes())
}

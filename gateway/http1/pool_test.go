package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/listen"
	"github.com/weir-project/weir/gateway/upstream"
)

// Connections to a backend are used again: there are no more of them than calls at
// a time.
func TestBackendConnectionsAreReused(t *testing.T) {
	var opened atomic.Int64
	backend := newScript(t, func(_ int, nc net.Conn, r *bufio.Reader) {
		opened.Add(1)
		for {
			if _, err := readHeadText(r); err != nil {
				return
			}
			_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	for range 50 {
		if status, body := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); status != 200 || body != "ok" {
			t.Fatalf("got %d %s", status, body)
		}
	}
	// A call's connection is put by after its answer has been sent.
	if n := opened.Load(); n > 3 {
		t.Errorf("50 calls, one after the other, took %d connections", n)
	}
	before := opened.Load()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			nc, err := net.Dial("tcp", f.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			r := bufio.NewReader(nc)
			for range 50 {
				_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
			}
		})
	}
	clients.Wait()
	if n := opened.Load() - before; n > 8 {
		t.Errorf("8 clients took %d connections more", n)
	}
}

// A backend that takes connections and nothing else is passed over in time, with
// the body that was read already; alone, it makes a 504.
func TestConnectTimeout(t *testing.T) {
	hung := newScript(t, func(_ int, _ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	good := newBackend(t, echo)
	r, err := upstream.New(upstream.Options{ConnectTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		urls []string
		want int
	}{
		{[]string{"https://" + hung, "http://" + good}, 200}, // its handshake never ends
		{[]string{"https://" + hung}, 504},
	} {
		g, err := r.Group(c.urls, true)
		if err != nil {
			t.Fatal(err)
		}
		p := &fakePipeline{group: g}
		f := newFront(t, Options{Pipeline: p})
		status, body := f.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		if status != c.want || status == 200 && !strings.Contains(body, `body="abc"`) {
			t.Errorf("%d targets: got %d %s, want %d", len(c.urls), status, body, c.want)
		}
		if o := p.settled(t, 1)[0]; o.Forwarded != (c.want == 200) {
			t.Errorf("%d targets: got outcome %+v", len(c.urls), o)
		}
		for _, target := range g.Targets() {
			target.Drop()
		}
	}
}

// Calls are spread over the targets, and go round one that fails.
func TestSpread(t *testing.T) {
	var hits [3]atomic.Int64
	var addrs []string
	for i := range hits {
		addrs = append(addrs, newBackend(t, func(http.ResponseWriter, *http.Request) { hits[i].Add(1) }))
	}
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, append(addrs, deadAddr(t))...)}
	f := newFront(t, Options{Pipeline: p})
	for range 60 {
		if status, _ := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); status != 200 {
			t.Fatalf("got status %d", status)
		}
	}
	for i := range hits {
		if n := hits[i].Load(); n < 10 {
			t.Errorf("target %d got %d of 60 calls", i, n)
		}
	}
}

// A backend that comes back is found at once, although it was avoided.
func TestBackAgain(t *testing.T) {
	l := listenLocal(t)
	addr := l.Addr().String()
	l.Close()
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, addr)}
	f := newFront(t, Options{Pipeline: p})
	for range 10 {
		if status, _ := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); status != 502 {
			t.Fatalf("got status %d, want 502", status)
		}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("the port is taken: %v", err)
	}
	s := &http.Server{Handler: http.HandlerFunc(echo)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	defer func() {
		s.Close()
		<-ended
	}()
	if status, _ := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); status != 200 {
		t.Errorf("got status %d, want 200", status)
	}
}

// Behind a real Listener: connections over the bound are turned away, others are
// served, and when it stops it waits for the calls in progress.
func TestBehindListener(t *testing.T) {
	release := make(chan struct{})
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
		echo(w, r)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	s, err := New(Options{Pipeline: p})
	if err != nil {
		t.Fatal(err)
	}
	l, err := listen.New(listen.Options{Address: "127.0.0.1:0", HTTP1: s, MaxConnsPerIP: 2})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	f := &front{t, s, l.Addr().String()}
	first := f.dial().send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	second := f.dial()
	if res, _ := second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer("GET"); res.StatusCode != 200 {
		t.Errorf("second: got status %d", res.StatusCode)
	}
	if res, _ := f.dial().answer("GET"); res.StatusCode != 503 || !res.Close {
		t.Errorf("third: got status %d, close %v; want 503, true", res.StatusCode, res.Close)
	}
	waitFor(t, "the slow call to be admitted", func() bool { return len(p.admissions()) == 2 })
	stop()
	if !second.closed() {
		t.Error("the idle connection stays open")
	}
	close(release)
	if res, _ := first.answer("GET"); res.StatusCode != 200 || !res.Close {
		t.Errorf("slow: got status %d, close %v; want 200, true", res.StatusCode, res.Close)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// What the pipeline is told of a request.
func TestExchange(t *testing.T) {
	var got gateway.Exchange
	var value string
	p := &fakePipeline{}
	p.admit = func(x *gateway.Exchange) *gateway.Answer {
		got = gateway.Exchange{
			Method: strings.Clone(x.Method), Host: strings.Clone(x.Host), Path: strings.Clone(x.Path), RawQuery: strings.Clone(x.RawQuery),
			Time: x.Time, Peer: x.Peer, TLS: x.TLS, ContentLength: x.ContentLength, Upgrade: x.Upgrade,
		}
		value, _ = x.Headers.Value("apikey")
		value = strings.Clone(value)
		return &gateway.Answer{Status: 429}
	}
	f := newFront(t, Options{Pipeline: p})
	for _, r := range []struct {
		text   string
		want   gateway.Exchange
		apiKey string
	}{
		{
			"GET /a%20b//c?d=e&f HTTP/1.1\r\nHost: A.example:8080\r\nApiKey: k\r\n\r\n",
			gateway.Exchange{Method: "GET", Host: "A.example:8080", Path: "/a%20b//c", RawQuery: "d=e&f"},
			"k",
		},
		{
			"POST http://a/b? HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxx",
			gateway.Exchange{Method: "POST", Host: "a", Path: "/b", ContentLength: 2},
			"",
		},
		{
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			gateway.Exchange{Method: "POST", Host: "a", Path: "/", ContentLength: -1},
			"",
		},
		{upgradeHead, gateway.Exchange{Method: "GET", Host: "a", Path: "/chat", Upgrade: true}, ""},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", gateway.Exchange{Method: "OPTIONS", Host: "a", Path: "*"}, ""},
		{"GET / HTTP/1.0\r\n\r\n", gateway.Exchange{Method: "GET", Path: "/"}, ""},
	} {
		before := time.Now()
		c := f.dial().send(r.text)
		c.answer("GET")
		if got.Method != r.want.Method || got.Host != r.want.Host || got.Path != r.want.Path || got.RawQuery != r.want.RawQuery ||
			got.ContentLength != r.want.ContentLength || got.Upgrade != r.want.Upgrade || got.TLS || value != r.apiKey {
			t.Errorf("%.30q: got %+v, key %q", r.text, got, value)
		}
		if got.Peer.String() != c.nc.LocalAddr().String() {
			t.Errorf("%.30q: got peer %v, want %v", r.text, got.Peer, c.nc.LocalAddr())
		}
		if got.Time.Before(before) || got.Time.After(time.Now()) {
			t.Errorf("%.30q: got time %v", r.text, got.Time)
		}
	}
}

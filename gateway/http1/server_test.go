package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

// poison is a request that stands behind another on a connection. It must reach
// the backend only where the first one's end is beyond doubt.
const poison = "GET /poison HTTP/1.1\r\nHost: a\r\n\r\n"

// bodies is the table of what a body can be, with what is before it.
var bodies = []struct {
	name   string
	text   string
	status int
	second bool // the connection is kept and the next request is answered
}{
	{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200, true},
	{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, true},
	{"Chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChUnKeD\r\n\r\nA\r\nabcdefghij\r\n0\r\n\r\n", 200, true},
	{"trailers", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n0\r\nA: b\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", 200, true},
	{"extension", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b;c=\"d\\\"e\"\r\nabc\r\n0;x\r\n\r\n", 200, true},
	{"GET with body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200, true},
	{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, true},
	{"asked to close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, false},
	{"http 1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", 200, false},
	{"http 1.0 kept", "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", 200, true},

	{"chunk without size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", 400, false},
	{"chunk size with sign", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n", 400, false},
	{"chunk size with 0x", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400, false},
	{"chunk size with space", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", 400, false},
	{"chunk size after space", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n", 400, false},
	{"chunk size with junk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3g\r\nabc\r\n0\r\n\r\n", 400, false},
	{"chunk size with underscore", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0_3\r\nabc\r\n0\r\n\r\n", 400, false},
	{"huge chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n", 400, false},
	{"bare LF after size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400, false},
	{"bare LF after data", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 400, false},
	{"bare CR after size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\rXabc\r\n0\r\n\r\n", 400, false},
	{"junk after data", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400, false},
	{"LF in extension", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n", 400, false},
	{"CR in extension", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a\rb\r\nabc\r\n0\r\n\r\n", 400, false},
	{"NUL in extension", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a\x00b\r\nabc\r\n0\r\n\r\n", 400, false},
	{"bare LF at the end", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n", 400, false},
	{"bare LF in trailers", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n", 400, false},
	{"folded trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n", 400, false},
	{"NUL in trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: \x00\r\n\r\n", 400, false},
}

// Every request of the tables gets its status; after a refusal the connection is
// closed, and what stands behind the request reaches neither the pipeline nor the
// backend.
func TestRequestsOverSockets(t *testing.T) {
	var poisoned atomic.Int64
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/poison" {
			poisoned.Add(1)
		}
		echo(w, r)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	check := func(name, text string, status int, second bool) {
		t.Run(name, func(t *testing.T) {
			f := &front{t, f.server, f.addr}
			before := poisoned.Load()
			c := f.dial()
			// What is refused may be reset while it is still being sent.
			_, _ = io.WriteString(c.nc, text+poison)
			res, _ := c.answer(text[:max(0, strings.IndexByte(text, ' '))])
			if res.StatusCode != status {
				t.Errorf("got status %d, want %d", res.StatusCode, status)
			}
			if !second {
				if !res.Close {
					t.Error("the answer does not say that the connection ends")
				}
				if !c.closed() {
					t.Error("the connection stays open")
				}
				if poisoned.Load() != before {
					t.Error("the backend got the second request")
				}
				return
			}
			if res, _ := c.answer("GET"); res.StatusCode != 200 || poisoned.Load() != before+1 {
				t.Errorf("second request: got status %d, %d times at the backend", res.StatusCode, poisoned.Load()-before)
			}
		})
	}
	for _, r := range requests {
		if r.status != 0 && !strings.Contains(r.name, "without end") {
			check(r.name, r.text, r.status, false)
		}
	}
	for _, r := range bodies {
		check(r.name, r.text, r.status, r.second)
	}
	for _, one := range p.admissions() {
		if one != "GET /poison" && one != "POST /" && one != "GET /" && one != "HEAD /" {
			t.Errorf("admitted: %s", one)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, r := range []struct {
		o    Options
		want string
	}{
		{Options{}, "Pipeline is missing"},
		{Options{Pipeline: &fakePipeline{}, IdleTimeout: -1}, "IdleTimeout is negative"},
		{Options{Pipeline: &fakePipeline{}, MaxFields: -1}, "MaxFields is negative"},
		{Options{Pipeline: &fakePipeline{}, MaxBody: -1}, "MaxBody is negative"},
	} {
		if _, err := New(r.o); err == nil || !strings.Contains(err.Error(), r.want) {
			t.Errorf("got %v, want an error with %q", err, r.want)
		}
	}
}

// Pipelined requests are answered in their order, refusals among them.
func TestPipelining(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	p.admit = func(x *gateway.Exchange) *gateway.Answer {
		if x.Path == "/no" {
			return &gateway.Answer{Status: 429, Body: []byte("/no"), Fields: []gateway.Field{{Name: "Retry-After", Value: []byte("1")}}}
		}
		return nil
	}
	f := newFront(t, Options{Pipeline: p})
	var text, want strings.Builder
	for i := range 300 {
		path := []string{"/a", "/no", "/bcd"}[i%3]
		if i%2 == 0 {
			text.WriteString("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		} else {
			text.WriteString("POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n" + "GET /x HTTP/1.1\r\n\r\n\r")
		}
		want.WriteString(path)
	}
	c := f.dial()
	go func() { _, _ = io.WriteString(c.nc, text.String()) }()
	var got strings.Builder
	for range 300 {
		_, body := c.answer("GET")
		got.WriteString(body)
	}
	if got.String() != want.String() {
		t.Errorf("got %.200s..., want %.200s...", got.String(), want.String())
	}
	if n := len(p.settled(t, 300)); n != 300 {
		t.Errorf("%d calls were settled, want 300", n)
	}
}

// A head must be complete in time, however busily its bytes drip in; a connection
// on which nothing comes is closed without a word.
func TestSlowHead(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{Pipeline: &fakePipeline{}, ReadHeaderTimeout: 150 * time.Millisecond})
	for _, r := range []struct {
		name, text, drip string
	}{
		{"silent after the first line", "GET / HTTP/1.1\r\n", ""},
		{"dripping", "GET / HTTP/1.1\r\n", "A: b\r\n"},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := (&front{t, f.server, f.addr}).dial().send(r.text)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for r.drip != "" {
					if _, err := io.WriteString(c.nc, r.drip); err != nil {
						return
					}
					<-time.After(10 * time.Millisecond)
				}
			}()
			res, _ := c.answer("GET")
			if res.StatusCode != 408 || !res.Close {
				t.Errorf("got status %d, close %v; want 408, true", res.StatusCode, res.Close)
			}
			c.nc.Close()
			<-ended
		})
	}
	if c := f.dial(); !c.closed() {
		t.Error("a silent connection stays open, or is answered")
	}
}

// A connection is kept for the IdleTimeout and no longer.
func TestIdleTimeout(t *testing.T) {
	backend := newBackend(t, echo)
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p, IdleTimeout: 150 * time.Millisecond})
	c := f.dial()
	for range 3 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer("GET")
	}
	before := time.Now()
	if !c.closed() {
		t.Error("the connection stays open")
	}
	if waited := time.Since(before); waited < 50*time.Millisecond {
		t.Errorf("closed after %v, want about 150 ms", waited)
	}
}

// Thousands of connections that never complete a head don't keep others waiting.
func TestSlowConnectionsStarveNobody(t *testing.T) {
	backend := newBackend(t, echo)
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	for range 500 {
		f.dial().send("GET / HTTP/1.1\r\nHost: a\r\nX: ")
	}
	before := time.Now()
	for range 50 {
		if status, _ := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); status != 200 {
			t.Fatalf("got status %d", status)
		}
	}
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("50 requests took %v", took)
	}
}

// Shutdown closes idle connections at once, lets calls end, and tells their
// clients that the connection ends.
func TestShutdown(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{})
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		echo(w, r)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	idle := f.dial()
	idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").answer("GET")
	silent := f.dial()
	waitFor(t, "both connections to be served", func() bool { return f.server.poke(false) == 2 })
	active := f.dial().send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	ended := make(chan error)
	go func() { ended <- f.server.Shutdown(context.Background()) }()
	if !idle.closed() || !silent.closed() {
		t.Error("an idle connection stays open")
	}
	close(release)
	if res, _ := active.answer("GET"); res.StatusCode != 200 || !res.Close {
		t.Errorf("got status %d, close %v; want 200, true", res.StatusCode, res.Close)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// Calls that don't end within the grace are cut off.
func TestShutdownCutsOff(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	backend := newBackend(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(gone)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	waitFor(t, "the call to be admitted", func() bool { return len(p.admissions()) == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := f.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	if !c.closed() {
		t.Error("the connection stays open")
	}
	<-gone // the backend's call has been given up too
	if o := p.settled(t, 1)[0]; o.Status != 0 || !o.Forwarded {
		t.Errorf("got outcome %+v, want no status, forwarded", o)
	}
}

// A panic in the pipeline costs one connection, and the call is still settled.
func TestPanic(t *testing.T) {
	p := &fakePipeline{admit: func(*gateway.Exchange) *gateway.Answer { panic("a fault") }}
	f := newFront(t, Options{Pipeline: p})
	if c := f.dial().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !c.closed() {
		t.Error("the connection stays open")
	}
	p.settled(t, 1)
	p.mu.Lock()
	p.admit = nil
	p.mu.Unlock()
	if status, _ := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); status != 502 {
		t.Errorf("got status %d, want 502", status)
	}
}

// Many connections at a time, reusing each other's buffers, never see each
// other's bytes.
func TestBuffersAreNotMixed(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Id", r.Header.Get("Id"))
		_, _ = io.WriteString(w, r.URL.Path+" "+r.Header.Get("Id")+" "+string(body))
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	p.admit = func(x *gateway.Exchange) *gateway.Answer {
		id, _ := x.Headers.Value("id")
		if strings.HasSuffix(x.Path, "0") {
			return &gateway.Answer{Status: 429, Body: []byte(x.Path + " " + id)}
		}
		return nil
	}
	f := newFront(t, Options{Pipeline: p})
	var clients sync.WaitGroup
	for n := range 12 {
		clients.Go(func() {
			id := strings.Repeat(string(rune('a'+n)), 50+200*n)
			for i := range 10 {
				nc, err := net.Dial("tcp", f.addr)
				if err != nil {
					t.Error(err)
					return
				}
				c := &client{t, nc, bufio.NewReader(nc)}
				for j := range 4 {
					path := "/" + id[:5] + string(rune('0'+(i+j)%10))
					body := strings.Repeat(id, j)
					_, _ = io.WriteString(nc, "POST "+path+" HTTP/1.1\r\nHost: a\r\nId: "+id+"\r\nContent-Length: "+
						strconv.Itoa(len(body))+"\r\n\r\n"+body)
					res, err := http.ReadResponse(c.r, nil)
					if err != nil {
						t.Error(err)
						break
					}
					got, _ := io.ReadAll(res.Body)
					want := path + " " + id + " " + body
					if res.StatusCode == 429 {
						want = path + " " + id
					}
					if string(got) != want {
						t.Errorf("got %.60q, want %.60q", got, want)
					}
					if res.Close {
						break
					}
				}
				nc.Close()
			}
		})
	}
	clients.Wait()
}

package http2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

func TestNew(t *testing.T) {
	targets := &upstream.Registry{}
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{Targets: targets}, "Pipeline is missing"},
		{Options{Pipeline: &pipeline{}}, "Targets is missing"},
		{Options{Pipeline: &pipeline{}, Targets: targets, MaxBody: -1}, "negative"},
		{Options{Pipeline: &pipeline{}, Targets: targets, MaxStreams: -1}, "MaxStreams is negative"},
		{Options{Pipeline: &pipeline{}, Targets: targets, MaxHeaderBytes: -1}, "MaxHeaderBytes is negative"},
		{Options{Pipeline: &pipeline{}, Targets: targets, StreamIdleTimeout: -1}, "StreamIdleTimeout is negative"},
		{Options{Pipeline: &pipeline{}, Targets: targets, IdleTimeout: -1}, "IdleTimeout is negative"},
		{Options{Pipeline: &pipeline{}, Targets: targets, StallTimeout: -1}, "StallTimeout is negative"},
		{Options{Pipeline: &pipeline{}, Targets: targets, WriteTimeout: -1}, "WriteTimeout is negative"},
		{Options{Pipeline: &pipeline{}, Targets: targets, ReadHeaderTimeout: -1}, "ReadHeaderTimeout is negative"},
		{Options{Pipeline: &pipeline{}, Targets: targets, PingAfter: -1}, "PingAfter is negative"},
	} {
		if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("New(%+v): got %v, want %q", tt.o, err, tt.want)
		}
	}
}

// TestShutdown wants the call under way to end well, no new one to begin, and the
// client to be told.
func TestShutdown(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "done")
	})
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	c := dial(t, d)
	c.head(1, true)
	c.send()
	<-arrived
	stopped := make(chan error, 2)
	for range 2 { // two listeners share a server
		go func() { stopped <- d.Shutdown(context.Background()) }()
	}
	for {
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if away, ok := f.(*h2.GoAwayFrame); ok {
			if away.ErrCode != h2.ErrCodeNo {
				t.Errorf("got GOAWAY %v", away.ErrCode)
			}
			break
		}
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a call under way: %v", err)
	default:
	}
	close(release)
	if all, _, err := c.replies(1); err != nil || all[1].status != "200" || all[1].body != "done" {
		t.Errorf("got %+v, %v", all[1], err)
	}
	c.conn.Close()
	for range 2 {
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
	if err := d.Shutdown(context.Background()); err != nil {
		t.Errorf("once more: %v", err)
	}
	a, b := net.Pipe()
	defer b.Close()
	d.ServeConn(a) // returns at once
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection after the end: %v", err)
	}
	if s := d.Stats(); s.Connections != 0 || s.Accepted != 1 {
		t.Errorf("got %+v", s)
	}
}

// TestShutdownInTime wants calls that do not end to be ended.
func TestShutdownInTime(t *testing.T) {
	arrived := make(chan struct{})
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	c := dial(t, d)
	c.head(1, true)
	c.send()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := d.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if !p.settled() || p.finished.Load() != 1 {
		t.Error("the call was not finished when Shutdown returned")
	}
}

func TestShutdownUnused(t *testing.T) {
	s, err := New(Options{Pipeline: &pipeline{}, Targets: &upstream.Registry{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSilentClients connects and then leaves the server waiting, in virtual time.
func TestSilentClients(t *testing.T) {
	for _, tt := range []struct {
		name  string
		send  string
		limit time.Duration
	}{
		{"nothing", "", 5 * time.Second},
		{"half a preface", h2.ClientPreface[:10], 5 * time.Second},
		{"no settings", h2.ClientPreface, 2 * time.Second},
		{"no request", h2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", 61 * time.Second},
		{"half a header", h2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x10\x00\x01\x04\x00\x00\x00\x01abc", 6 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := New(Options{Pipeline: &pipeline{}, Targets: &upstream.Registry{}})
				if err != nil {
					t.Fatal(err)
				}
				ours, theirs := net.Pipe()
				began := time.Now()
				go io.Copy(io.Discard, theirs)
				go io.WriteString(theirs, tt.send)
				s.ServeConn(ours)
				if took := time.Since(began); took > tt.limit {
					t.Errorf("closed after %v, want %v", took, tt.limit)
				}
				theirs.Close()
				s.Shutdown(t.Context())
			})
		})
	}
}

// TestManyClients wants exactly the limit admitted under load, and no call lost.
func TestManyClients(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	p := &pipeline{limit: 500}
	d := open(t, p, Options{}, url)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for range 16 {
		c := client(t)
		for range 4 {
			wg.Go(func() {
				for range 16 {
					res, err := c.Get("http://" + d.addr + "/")
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
					mu.Lock()
					got[res.StatusCode]++
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if got[200] != 500 || got[429] != 16*4*16-500 {
		t.Errorf("got %v, want 500 admitted", got)
	}
	eventually(t, "all calls finished", p.settled)
}

// TestPanic wants a fault in the pipeline to end the call, and nothing else.
func TestPanic(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {})
	p := &pipeline{}
	p.look = func(x *gateway.Exchange) {
		if x.Path == "/panic" {
			panic("a fault")
		}
	}
	d := open(t, p, Options{}, url)
	c := client(t)
	if res, err := c.Do(request(t, "GET", "http://"+d.addr+"/panic", nil)); err == nil {
		res.Body.Close()
		t.Errorf("got %d", res.StatusCode)
	}
	if res, _ := get(t, c, request(t, "GET", "http://"+d.addr+"/", nil)); res.StatusCode != 200 {
		t.Errorf("got %d after a panic", res.StatusCode)
	}
	p.outcome(t, 2)
}

func TestQueue(t *testing.T) {
	q := newQueue()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go q.put(a)
	if got, err := q.Accept(); got != a || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	q.Close()
	q.Close()
	if _, err := q.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if q.put(b) {
		t.Error("put something into a closed queue")
	}
	if q.Addr().Network() != "tcp" || q.Addr().String() == "" {
		t.Errorf("got address %v", q.Addr())
	}
}

func BenchmarkForward(b *testing.B) {
	for _, kind := range []string{"forwarded", "refused"} {
		b.Run(kind, func(b *testing.B) { benchmark(b, kind == "refused") })
	}
}

func benchmark(b *testing.B, refused bool) {
	targets := &upstream.Registry{}
	p := &quick{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })}
	go server.Serve(l)
	defer server.Close()
	if p.group, err = targets.Group([]string{"http://" + l.Addr().String()}, true); err != nil {
		b.Fatal(err)
	}
	if refused {
		p.answer = &gateway.Answer{Status: 429, ContentType: "application/json", Body: []byte(`{"code":"1"}`)}
	}
	s, err := New(Options{Pipeline: p, Targets: targets})
	if err != nil {
		b.Fatal(err)
	}
	ours, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for {
			conn, err := ours.Accept()
			if err != nil {
				return
			}
			go s.ServeConn(conn)
		}
	}()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	url := fmt.Sprintf("http://%s/", ours.Addr())
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := http.NewRequest("GET", url, nil)
			res, err := tr.RoundTrip(r)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
	b.StopTimer()
	tr.CloseIdleConnections()
	ours.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.Shutdown(ctx)
}

// quick is a Pipeline that costs nothing.
type quick struct {
	group  *upstream.Group
	answer *gateway.Answer
}

func (q *quick) Admit(x *gateway.Exchange) *gateway.Answer {
	x.Upstream, x.ForwardPath, x.Request.Verb = q.group, x.Path, x.Method
	return q.answer
}

func (q *quick) Fail(x *gateway.Exchange, status int) *gateway.Answer {
	return &gateway.Answer{Status: status}
}

func (q *quick) Finish(*gateway.Exchange, gateway.Outcome) {}

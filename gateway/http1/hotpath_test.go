package http1

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

var ten = []byte("10")

// A plainPipeline refuses /no and forwards the rest, and keeps nothing.
type plainPipeline struct {
	group  *upstream.Group
	refuse gateway.Answer
}

func (p *plainPipeline) Admit(x *gateway.Exchange) *gateway.Answer {
	if x.Path == "/no" {
		return &p.refuse
	}
	x.Upstream, x.ForwardPath, x.ForwardQuery = p.group, x.Path, x.RawQuery
	x.Request.ClientIP = x.Peer.Addr()
	x.Fields = append(x.Fields, gateway.Field{Name: "X-RateLimit-Limit", Value: ten})
	return nil
}

func (p *plainPipeline) Fail(*gateway.Exchange, int) *gateway.Answer {
	return &gateway.Answer{Status: 500}
}
func (p *plainPipeline) Finish(*gateway.Exchange, gateway.Outcome) {}

const (
	forwardedText = "GET /pets/1?a=b HTTP/1.1\r\nHost: api.example\r\nUser-Agent: bench/1\r\nAccept: */*\r\nApiKey: 0123456789abcdef\r\n\r\n"
	refusedText   = "GET /no HTTP/1.1\r\nHost: api.example\r\nUser-Agent: bench/1\r\nAccept: */*\r\nApiKey: 0123456789abcdef\r\n\r\n"
	postedText    = "POST /pets HTTP/1.1\r\nHost: api.example\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nabcd"
)

var backendText = "HTTP/1.1 200 OK\r\nServer: b\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\nETag: \"x\"\r\n\r\n" + strings.Repeat("x", 1024)

// newHotFront starts a front before a backend that does next to nothing.
func newHotFront(t testing.TB) *front {
	backend := newScript(t, func(_ int, nc net.Conn, _ *bufio.Reader) {
		b := make([]byte, 4096)
		answer := []byte(backendText)
		for {
			if _, err := nc.Read(b); err != nil {
				return
			}
			if _, err := nc.Write(answer); err != nil {
				return
			}
		}
	})
	p := &plainPipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	p.refuse = gateway.Answer{
		Status: 429, ContentType: "application/json", Body: []byte(`{"code":"900804"}`),
		Fields: []gateway.Field{{Name: "Retry-After", Value: []byte("7")}},
	}
	return newFront(t, Options{Pipeline: p})
}

// A tripper sends one request again and again and reads the answers, whose size
// it learns from the first.
type tripper struct {
	nc   net.Conn
	text []byte
	buf  []byte
	size int
}

func newTripper(t testing.TB, f *front, text string) *tripper {
	nc, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &tripper{nc: nc, text: []byte(text), buf: make([]byte, 16<<10)}
	_, _ = nc.Write(r.text)
	c := &client{t, nc, bufio.NewReader(nc)}
	head, err := readHeadText(c.r)
	if err != nil {
		t.Fatal(err)
	}
	length := 1024
	if strings.Contains(head, "429") {
		length = len(`{"code":"900804"}`)
	}
	if _, err := io.CopyN(io.Discard, c.r, int64(length)); err != nil {
		t.Fatal(err)
	}
	r.size = len(head) + length
	return r
}

// trip makes one call.
func (r *tripper) trip() error {
	if _, err := r.nc.Write(r.text); err != nil {
		return err
	}
	_, err := io.ReadFull(r.nc, r.buf[:r.size])
	return err
}

// Neither a forwarded call nor a refused one allocates anything, on any of the
// goroutines that serve it.
func TestNoAllocations(t *testing.T) {
	f := newHotFront(t)
	for _, r := range []struct{ name, text string }{
		{"forwarded", forwardedText}, {"refused", refusedText}, {"with a small body", postedText},
	} {
		c := newTripper(t, f, r.text)
		got := testing.AllocsPerRun(2000, func() {
			if err := c.trip(); err != nil {
				t.Fatal(err)
			}
		})
		c.nc.Close()
		if got >= 0.5 { // a date a second, a deadline now and then
			t.Errorf("%s: %v allocations a call, want 0", r.name, got)
		}
	}
}

func benchmark(b *testing.B, text string) {
	f := newHotFront(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	var clients sync.WaitGroup
	all := make([]*tripper, 64)
	for i := range all {
		all[i] = newTripper(b, f, text)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, c := range all {
		clients.Go(func() {
			defer c.nc.Close()
			for left.Add(-1) >= 0 {
				if err := c.trip(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// Client, gateway and backend are in one process: what is measured is all three.
func BenchmarkForwarded(b *testing.B) { benchmark(b, forwardedText) }
func BenchmarkRefused(b *testing.B)   { benchmark(b, refusedText) }

func BenchmarkParseRequest(b *testing.B) {
	text := []byte(forwardedText)
	q := &request{}
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		q.reset()
		if done, status := q.parse(text, &testLimits); !done || status != 0 {
			b.Fatal(status)
		}
	}
}

func BenchmarkParseResponse(b *testing.B) {
	text := []byte(backendText)
	p := &response{}
	b.ReportAllocs()
	for b.Loop() {
		p.reset()
		if done, err := p.parse(text); !done || err != nil {
			b.Fatal(err)
		}
	}
}

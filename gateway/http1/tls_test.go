package http1

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

// overTLS returns a function that connects to f's server over TLS.
func overTLS(t *testing.T, f *front) func(name string) *client {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	config := &tls.Config{Certificates: s.TLS.Certificates}
	s.Close()
	l := listenLocal(t)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				tc := tls.Server(nc, config)
				if err := tc.Handshake(); err != nil {
					nc.Close()
					return
				}
				f.server.ServeConn(tc)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return func(name string) *client {
		t.Helper()
		tc, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tc.Close() })
		_ = tc.SetDeadline(time.Now().Add(patience))
		return &client{t, tc, bufio.NewReader(tc)}
	}
}

// Over TLS the pipeline is told so, and backends too; who asks for another host
// than he set up TLS for is sent away.
func TestOverTLS(t *testing.T) {
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, newBackend(t, echo))}
	p.admit = func(x *gateway.Exchange) *gateway.Answer {
		if !x.TLS {
			t.Error("the pipeline does not know that it is over TLS")
		}
		return nil
	}
	for _, any := range []bool{false, true} {
		f := newFront(t, Options{Pipeline: p, AnyHost: any})
		dial := overTLS(t, f)
		for _, r := range []struct {
			name, host string
			want       int
		}{
			{"example.com", "example.com", 200},
			{"example.com", "EXAMPLE.com.:443", 200},
			{"example.com", "other.test", 421},
			{"", "other.test", 200},
		} {
			want := r.want
			if any {
				want = 200
			}
			res, body := dial(r.name).send("GET / HTTP/1.1\r\nHost: " + r.host + "\r\n\r\n").answer("GET")
			if res.StatusCode != want {
				t.Errorf("TLS for %q, Host %q: got %d, want %d", r.name, r.host, res.StatusCode, want)
			}
			if want == 200 && !strings.Contains(body, `X-Forwarded-Proto=["https"]`) {
				t.Errorf("the backend got %s", body)
			}
		}
	}
}

// Long bodies stream over TLS as well, and what breaks off is seen to: even where
// only the connection's end tells the body's.
func TestStreamsOverTLS(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	dial := overTLS(t, newFront(t, Options{Pipeline: p}))
	c := dial("")
	for _, size := range []int{3, 40_000, 300_000} {
		body := noise(size)
		go func() {
			_, _ = io.WriteString(c.nc, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+inChunksOf(5000, body))
		}()
		res, got := c.answer("POST")
		if got != string(body) {
			t.Errorf("%d bytes: got %d", size, len(got))
		}
		if res.Close {
			c = dial("")
		}
	}
	broken := newScript(t, func(_ int, nc net.Conn, r *bufio.Reader) {
		_, _ = readHeadText(r)
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
	})
	p = &fakePipeline{group: newGroup(t, upstream.Options{}, false, broken)}
	c = overTLS(t, newFront(t, Options{Pipeline: p}))("").send("GET / HTTP/1.0\r\n\r\n")
	if got, err := io.ReadAll(c.r); err == nil {
		t.Errorf("got %q as if it were complete", got)
	}
}

// Backends can be asked over TLS, kept connections included.
func TestTLSBackend(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(echo))
	t.Cleanup(s.Close)
	r, err := upstream.New(upstream.Options{TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
	if err != nil {
		t.Fatal(err)
	}
	g, err := r.Group([]string{s.URL}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Targets()[0].Drop)
	f := newFront(t, Options{Pipeline: &fakePipeline{group: g}})
	c := f.dial()
	for range 5 {
		res, body := c.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").answer("POST")
		if res.StatusCode != 200 || !strings.Contains(body, `body="abc"`) {
			t.Errorf("got %d %s", res.StatusCode, body)
		}
	}
}

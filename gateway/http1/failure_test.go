package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

// A kept connection that the backend closes is replaced without the client
// noticing, if the request may be repeated; and no other request ever is.
func TestStaleConnections(t *testing.T) {
	for _, r := range []struct {
		name, request string
		want          int
		sent          int64 // times that the backend got the second request
	}{
		{"GET", "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", 200, 2},
		{"DELETE", "DELETE /2 HTTP/1.1\r\nHost: a\r\n\r\n", 200, 2},
		{"POST", "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 502, 1},
		{"POST without body", "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 502, 1},
		{"PUT with body", "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 502, 1},
		{"PATCH", "PATCH /2 HTTP/1.1\r\nHost: a\r\n\r\n", 502, 1},
	} {
		t.Run(r.name, func(t *testing.T) {
			var sent atomic.Int64
			backend := newScript(t, func(n int, nc net.Conn, br *bufio.Reader) {
				for {
					head, err := readHeadText(br)
					if err != nil {
						return
					}
					if strings.Contains(head, " /2 ") {
						sent.Add(1)
						if n == 0 {
							return // read, and closed without a word
						}
					}
					_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			})
			p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
			f := newFront(t, Options{Pipeline: p})
			c := f.dial()
			c.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").answer("GET")
			res, _ := c.send(r.request).answer("GET")
			if res.StatusCode != r.want || sent.Load() != r.sent {
				t.Errorf("got status %d, sent %d times; want %d, %d", res.StatusCode, sent.Load(), r.want, r.sent)
			}
		})
	}
}

// A connection that was closed while it was kept is found out before a POST is
// sent over it.
func TestClosedWhileKept(t *testing.T) {
	closed := make(chan struct{}, 10)
	backend := newScript(t, func(_ int, nc net.Conn, br *bufio.Reader) {
		head, err := readHeadText(br)
		if err != nil {
			return
		}
		if strings.HasPrefix(head, "POST") {
			_, _ = br.ReadByte()
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		nc.Close()
		closed <- struct{}{}
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial()
	for range 5 {
		res, _ := c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").answer("POST")
		if res.StatusCode != 200 {
			t.Fatalf("got status %d, want 200", res.StatusCode)
		}
		<-closed
		<-time.After(5 * time.Millisecond) // for the end to arrive
	}
}

// deadAddr returns an address at which nobody listens.
func deadAddr(t testing.TB) string {
	l := listenLocal(t)
	defer l.Close()
	return l.Addr().String()
}

func TestFailover(t *testing.T) {
	good := newBackend(t, echo)
	mute := newScript(t, func(_ int, _ net.Conn, r *bufio.Reader) { _, _ = readHeadText(r) })
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, r := range []struct {
		name    string
		addrs   []string
		request string
		want    int
	}{
		{"refused, then good", []string{deadAddr(t), good}, get, 200},
		{"refused, then good, with a body", []string{deadAddr(t), good}, post, 200},
		{"two refused", []string{deadAddr(t), deadAddr(t)}, get, 502},
		{"mute, then good", []string{mute, good}, get, 200},
		{"mute, then good, with a body", []string{mute, good}, post, 502},
		{"none", nil, get, 502},
	} {
		t.Run(r.name, func(t *testing.T) {
			p := &fakePipeline{}
			if r.addrs != nil {
				p.group = newGroup(t, upstream.Options{}, true, r.addrs...)
			}
			f := newFront(t, Options{Pipeline: p})
			if status, _ := f.ask(r.request); status != r.want {
				t.Errorf("got status %d, want %d", status, r.want)
			}
			o := p.settled(t, 1)[0]
			if want := strings.Contains(r.name, "good") || strings.Contains(r.name, "mute"); o.Forwarded != want || o.Status != r.want {
				t.Errorf("got outcome %+v, want forwarded %v and status %d", o, want, r.want)
			}
		})
	}
}

// A backend that does not answer in time is given up with 504, one that takes
// connections and does nothing among them.
func TestBackendTimeouts(t *testing.T) {
	hung := newScript(t, func(_ int, _ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, hung)}
	p.admit = func(x *gateway.Exchange) *gateway.Answer {
		x.Timeout = 50 * time.Millisecond
		return nil
	}
	f := newFront(t, Options{Pipeline: p})
	before := time.Now()
	if status, _ := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); status != 504 {
		t.Errorf("got status %d, want 504", status)
	}
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// A client that goes away takes its call to the backend with it.
func TestClientGone(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	arrived := make(chan struct{})
	backend := newBackend(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	c.nc.Close()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the backend's call goes on")
	}
	if o := p.settled(t, 1)[0]; o.Status != 0 || !o.Forwarded {
		t.Errorf("got outcome %+v, want no status, forwarded", o)
	}
}

// An answer that breaks off must not look complete to the client.
func TestBackendBreaksOff(t *testing.T) {
	for _, r := range []struct{ name, answer string }{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
		{"bad chunk later", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
	} {
		t.Run(r.name, func(t *testing.T) {
			backend := newScript(t, func(_ int, nc net.Conn, br *bufio.Reader) {
				if _, err := readHeadText(br); err != nil {
					return
				}
				_, _ = io.WriteString(nc, r.answer)
				if r.name == "bad chunk later" {
					<-time.After(20 * time.Millisecond)
					_, _ = io.WriteString(nc, "x\r\n\r\n0\r\n\r\n")
				}
			})
			p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
			f := newFront(t, Options{Pipeline: p})
			c := f.dial().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			res, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("got %q as if it were complete", got)
			}
			if o := p.settled(t, 1)[0]; o.Status != 200 || o.ResponseBytes != 3 {
				t.Errorf("got outcome %+v, want status 200 and 3 bytes", o)
			}
		})
	}
}

// A backend that sends a body where none may be confuses nobody: its connection is
// not used again.
func TestBodyWhereNoneMayBe(t *testing.T) {
	for _, r := range []struct{ name, request, answer string }{
		{"HEAD", "HEAD /1", "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"204", "GET /1", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"304", "GET /1", "HTTP/1.1 304 Not Modified\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"after the last chunk", "GET /1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(r.name, func(t *testing.T) {
			backend := newScript(t, func(_ int, nc net.Conn, br *bufio.Reader) {
				for {
					head, err := readHeadText(br)
					if err != nil {
						return
					}
					if strings.Contains(head, " /1 ") {
						_, _ = io.WriteString(nc, r.answer)
						continue
					}
					_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
				}
			})
			p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
			c := newFront(t, Options{Pipeline: p}).dial()
			for range 3 {
				method, _, _ := strings.Cut(r.request, " ")
				c.send(r.request + " HTTP/1.1\r\nHost: a\r\n\r\n").answer(method)
				if res, body := c.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").answer("GET"); res.StatusCode != 200 || body != "good" {
					t.Errorf("the next: got %d %q, want 200 good", res.StatusCode, body)
				}
			}
		})
	}
}

// A client that reads slowly gets all of a long answer, if it reads fast enough.
func TestPatientReader(t *testing.T) {
	const size = 6 << 20
	backend := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p, WriteTimeout: 400 * time.Millisecond})
	c := f.dial().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, b := 0, make([]byte, 1<<20)
	for n < size {
		<-time.After(50 * time.Millisecond)
		m, err := io.ReadFull(res.Body, b)
		n += m
		if err != nil {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

// The silence of a backend within an answer is bounded, but not that of one that
// sends a little now and then.
func TestBackendSilence(t *testing.T) {
	t.Parallel()
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 8 {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			if r.URL.Path == "/silent" && i == 2 {
				<-r.Context().Done()
			}
		}
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{IdleTimeout: 400 * time.Millisecond}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	if _, body := f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); body != "xxxxxxxx" {
		t.Errorf("got %q", body)
	}
	res, err := http.ReadResponse(f.dial().send("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n").r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err == nil || string(body) != "xxx" {
		t.Errorf("got %q, %v; want xxx and an error", body, err)
	}
}

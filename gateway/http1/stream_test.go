package http1

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

// noise returns n bytes that are the same in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// inChunksOf returns b as a chunked body.
func inChunksOf(size int, b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		n := min(size, len(b))
		fmt.Fprintf(&s, "%x\r\n%s\r\n", n, b[:n])
		b = b[n:]
	}
	return s.String() + "0\r\n\r\n"
}

// Bodies of all sizes and framings go through unchanged both ways, and are
// counted by their payload.
func TestBodies(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("backend: %v", err)
		}
		w.Header().Set("Sum", fmt.Sprintf("%x", sha256.Sum256(body)))
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		for len(body) > 0 {
			n := min(len(body), 10_000)
			_, _ = w.Write(body[:n])
			body = body[n:]
		}
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial()
	calls := 0
	for _, size := range []int{0, 1, 1000, 4096, 16 << 10, 16<<10 + 1, 100_000, 1 << 20} {
		for _, path := range []string{"/length", "/chunked"} {
			for _, chunk := range []int{0, 7, 1000, 70_000} {
				if chunk == 7 && size > 20_000 {
					continue
				}
				body := noise(size)
				head := "POST " + path + " HTTP/1.1\r\nHost: a\r\n"
				text := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, size, body)
				if chunk > 0 {
					text = head + "Transfer-Encoding: chunked\r\n\r\n" + inChunksOf(chunk, body)
				}
				go func() { _, _ = io.WriteString(c.nc, text) }()
				res, got := c.answer("POST")
				if res.StatusCode != 200 || got != string(body) || res.Header.Get("Sum") != fmt.Sprintf("%x", sha256.Sum256(body)) {
					t.Fatalf("%s, %d bytes in chunks of %d: got status %d and %d bytes", path, size, chunk, res.StatusCode, len(got))
				}
				calls++
				if o := p.settled(t, calls)[calls-1]; o.RequestBytes != int64(size) || o.ResponseBytes != int64(size) || !o.Forwarded {
					t.Errorf("%s, %d bytes in chunks of %d: got outcome %+v", path, size, chunk, o)
				}
				if res.Close {
					c = f.dial()
				}
			}
		}
	}
}

// A backend that answers while the request still comes is heard at once: both
// bodies flow at the same time, in little memory.
func TestBothWaysAtOnce(t *testing.T) {
	backend := newScript(t, func(_ int, nc net.Conn, r *bufio.Reader) {
		if _, err := readHeadText(r); err != nil {
			return
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n")
		_, _ = io.CopyN(nc, r, 8_000_000)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
	body := noise(8_000_000)
	go func() { _, _ = c.nc.Write(body) }()
	_, got := c.answer("POST")
	if got != string(body) {
		t.Errorf("got %d bytes, not the %d that were sent", len(got), len(body))
	}
	if o := p.settled(t, 1)[0]; o.RequestBytes != 8_000_000 || o.ResponseBytes != 8_000_000 {
		t.Errorf("got outcome %+v", o)
	}
}

// A backend that refuses a long body without reading it is heard too, and the
// connection is not used again.
func TestEarlyAnswer(t *testing.T) {
	backend := newScript(t, func(_ int, nc net.Conn, r *bufio.Reader) {
		if _, err := readHeadText(r); err != nil {
			return
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, r)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 20_000))
	res, body := c.answer("POST")
	if res.StatusCode != 413 || body != "no" || !res.Close {
		t.Errorf("got %d %q, close %v; want 413 no, true", res.StatusCode, body, res.Close)
	}
	if !c.closed() {
		t.Error("the connection stays open")
	}
}

// Expect: 100-continue is met once the call is admitted, and not before.
func TestExpectContinue(t *testing.T) {
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, newBackend(t, echo))}
	p.admit = func(x *gateway.Exchange) *gateway.Answer {
		if x.Path == "/no" {
			return &gateway.Answer{Status: 429, Body: []byte("no")}
		}
		return nil
	}
	f := newFront(t, Options{Pipeline: p})
	const head = " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
	for _, r := range []struct{ name, length, body string }{
		{"length", "Content-Length: 3\r\n\r\n", "abc"},
		{"long", "Content-Length: 50000\r\n\r\n", strings.Repeat("x", 50_000)},
		{"chunked", "Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := (&front{t, f.server, f.addr}).dial().send("POST /yes" + head + r.length)
			const want = "HTTP/1.1 100 Continue\r\n\r\n"
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
				t.Fatalf("got %q, %v; want %q", got, err, want)
			}
			if res, _ := c.send(r.body).answer("POST"); res.StatusCode != 200 {
				t.Errorf("got status %d, want 200", res.StatusCode)
			}
			c = (&front{t, f.server, f.addr}).dial().send("POST /no" + head + r.length)
			res, _ := c.answer("POST")
			if res.StatusCode != 429 || !res.Close {
				t.Errorf("refused: got status %d, close %v; want 429, true", res.StatusCode, res.Close)
			}
		})
	}
	// Whoever sends the body at once needs no interim answer.
	c := f.dial().send("POST /yes" + head + "Content-Length: 3\r\n\r\nabc")
	if res, _ := c.answer("POST"); res.StatusCode != 200 {
		t.Errorf("got status %d, want 200", res.StatusCode)
	}
}

// A body of a refused request is thrown away if it is a short one, so that the
// connection can be used again; otherwise the connection ends.
func TestRefusedWithBody(t *testing.T) {
	p := &fakePipeline{admit: func(*gateway.Exchange) *gateway.Answer {
		return &gateway.Answer{Status: 429, Body: []byte("no")}
	}}
	f := newFront(t, Options{Pipeline: p})
	for _, r := range []struct {
		name, text string
		close      bool
	}{
		{"short", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", false},
		{"short, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false},
		{"longer than a buffer", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("x", 60_000), false},
		{"long", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 200_000), true},
		{"endless, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true},
		{"malformed, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", true},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := (&front{t, f.server, f.addr}).dial()
			go func() { _, _ = io.WriteString(c.nc, r.text) }()
			res, body := c.answer("POST")
			if res.StatusCode != 429 || body != "no" || res.Close != r.close {
				t.Fatalf("got %d %q, close %v; want 429 no, %v", res.StatusCode, body, res.Close, r.close)
			}
			if r.close {
				if !c.closed() {
					t.Error("the connection stays open")
				}
				return
			}
			if res, _ := c.send(r.text).answer("POST"); res.StatusCode != 429 {
				t.Errorf("second request: got status %d, want 429", res.StatusCode)
			}
		})
	}
}

// What a body may do wrong while it streams, and how the client is told.
func TestBadBodies(t *testing.T) {
	backend := newBackend(t, echo)
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p, MaxBody: 50_000, BodyGrace: 100 * time.Millisecond})
	long := strings.Repeat("x", 20_000)
	for _, r := range []struct {
		name, text string
		want       int
	}{
		{"declared too large", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50001\r\n\r\n", 413},
		{"chunked too large", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + inChunksOf(1000, make([]byte, 60_000)), 413},
		{"too slow", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", 408},
		{"too slow, long", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\nabc", 408},
		{"too slow, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 408},
		{"malformed after a while", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n" + long + "\r\nzz\r\n", 400},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := (&front{t, f.server, f.addr}).dial()
			go func() { _, _ = io.WriteString(c.nc, r.text) }()
			res, _ := c.answer("POST")
			if res.StatusCode != r.want || !res.Close {
				t.Errorf("got status %d, close %v; want %d, true", res.StatusCode, res.Close, r.want)
			}
			if !c.closed() {
				t.Error("the connection stays open")
			}
		})
	}
}

// A client that goes away in the middle of its body takes the call with it.
func TestClientGoneInBody(t *testing.T) {
	for _, text := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
	} {
		ended := make(chan error, 1)
		backend := newBackend(t, func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			ended <- err
		})
		p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
		f := newFront(t, Options{Pipeline: p})
		c := f.dial().send(text)
		waitFor(t, "the call to be admitted", func() bool { return len(p.admissions()) == 1 })
		c.nc.Close()
		o := p.settled(t, 1)[0]
		if o.Status != 0 || o.RequestBytes != 3 {
			t.Errorf("got outcome %+v, want no status, 3 bytes", o)
		}
		if o.Forwarded {
			if err := <-ended; err == nil {
				t.Error("the backend took half a body for a whole one")
			}
		}
	}
}

// A client that does not read its answer is given up.
func TestSlowReader(t *testing.T) {
	gone := make(chan struct{})
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		b := bytes.Repeat([]byte("x"), 1<<20)
		for {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p, WriteTimeout: 200 * time.Millisecond})
	f.dial().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	p.settled(t, 1)
	<-gone
}

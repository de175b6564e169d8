package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

// echoSocket is a WebSocket server that sends back what it gets.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	s, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 1})
	if err != nil {
		return
	}
	defer s.CloseNow()
	s.SetReadLimit(-1)
	for {
		kind, b, err := s.Read(r.Context())
		if err != nil {
			return
		}
		if err := s.Write(r.Context(), kind, b); err != nil {
			return
		}
	}
}

func (f *front) dialSocket(ctx context.Context, o *websocket.DialOptions) *websocket.Conn {
	f.t.Helper()
	s, _, err := websocket.Dial(ctx, "ws://"+f.addr+"/chat", o)
	if err != nil {
		f.t.Fatal(err)
	}
	s.SetReadLimit(-1)
	f.t.Cleanup(func() { s.CloseNow() })
	return s
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Messages of all sizes go through both ways, compressed or not, and each counts
// as one.
func TestSocket(t *testing.T) {
	backend := newBackend(t, echoSocket)
	for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionContextTakeover} {
		m := &fakeMeter{}
		m.group = newGroup(t, upstream.Options{}, false, backend)
		m.limit.Store(1000)
		f := newFront(t, Options{Pipeline: m})
		ctx := testContext(t)
		s := f.dialSocket(ctx, &websocket.DialOptions{CompressionMode: mode, CompressionThreshold: 1})
		sizes := []int{0, 1, 125, 126, 1000, 65535, 65536, 1 << 20}
		for _, n := range sizes {
			want := noise(n)
			if err := s.Write(ctx, websocket.MessageBinary, want); err != nil {
				t.Fatal(err)
			}
			_, got, err := s.Read(ctx)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
			}
		}
		if got, want := m.events.Load(), int64(2*len(sizes)); got != want {
			t.Errorf("%d messages were counted, want %d", got, want)
		}
		if err := s.Close(websocket.StatusNormalClosure, "bye"); err != nil {
			t.Errorf("close: %v", err)
		}
		o := m.settled(t, 1)[0]
		if o.Status != 101 || o.RequestBytes < 1<<20 || o.ResponseBytes < 1<<20 {
			t.Errorf("got outcome %+v", o)
		}
	}
}

// Messages over the limit are left out, and the client is told, whichever side
// they come from; the connection stays.
func TestSocketThrottled(t *testing.T) {
	backend := newBackend(t, echoSocket)
	m := &fakeMeter{}
	m.group = newGroup(t, upstream.Options{}, false, backend)
	m.limit.Store(3)
	f := newFront(t, Options{Pipeline: m})
	ctx := testContext(t)
	s := f.dialSocket(ctx, nil)
	ask := func(text string) string {
		t.Helper()
		if err := s.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, got, err := s.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	// Up and down, up; then its echo is one too many, then all are.
	for i, want := range []string{"0", throttledMessage, throttledMessage, throttledMessage} {
		if got := ask(string(rune('0' + i))); got != want {
			t.Errorf("message %d: got %s, want %s", i, got, want)
		}
	}
	m.limit.Store(1000)
	if got := ask("again"); got != "again" {
		t.Errorf("with a new limit: got %s, want again", got)
	}
}

// A backend that does not agree answers like any other, and what the client sent
// meanwhile is nobody's request.
func TestSocketRefused(t *testing.T) {
	var seen []string
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.Path)
		http.Error(w, "no", http.StatusForbidden)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial().send(upgradeHead + poison)
	res, body := c.answer("GET")
	if res.StatusCode != 403 || body != "no\n" || !res.Close {
		t.Errorf("got %d %q, close %v; want 403 no, true", res.StatusCode, body, res.Close)
	}
	if !c.closed() {
		t.Error("the connection stays open")
	}
	p.settled(t, 1)
	if got := p.admissions(); !slices.Equal(got, []string{"GET /chat"}) || len(seen) != 1 {
		t.Errorf("admitted %q, at the backend %q", got, seen)
	}
}

const upgradeHead = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// Bytes that are no frames end the connection on both sides.
func TestSocketGarbage(t *testing.T) {
	backend := newBackend(t, echoSocket)
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial().send(upgradeHead)
	if head, err := readHeadText(c.r); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("got %q, %v", head, err)
	}
	if !c.send("\x81\x05hello").closed() { // not masked
		t.Error("the connection stays open")
	}
	p.settled(t, 1)
}

// The backend's end is the client's, and the other way round.
func TestSocketEnds(t *testing.T) {
	closing := make(chan bool)
	ended := make(chan error, 1)
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		s, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		if <-closing {
			s.CloseNow()
			return
		}
		_, _, err = s.Read(r.Context())
		ended <- err
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	ctx := testContext(t)
	s := f.dialSocket(ctx, nil)
	closing <- true
	if _, _, err := s.Read(ctx); err == nil {
		t.Error("the client does not see the backend's end")
	}
	s = f.dialSocket(ctx, nil)
	closing <- false
	s.CloseNow()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the backend does not see the client's end")
		}
	case <-ctx.Done():
		t.Error("the backend waits on")
	}
	p.settled(t, 2)
}

// A WebSocket on which nothing passes is closed; when the server stops, clients
// are told to go elsewhere.
func TestSocketTimes(t *testing.T) {
	t.Parallel()
	backend := newBackend(t, echoSocket)
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p, StreamIdleTimeout: 100 * time.Millisecond})
	ctx := testContext(t)
	if _, _, err := f.dialSocket(ctx, nil).Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("a silent WebSocket: got %v", err)
	}
	f = newFront(t, Options{Pipeline: p})
	s := f.dialSocket(ctx, nil)
	ended := make(chan error)
	go func() { ended <- f.server.Shutdown(ctx) }()
	if _, _, err := s.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("at the server's end: got %v, want status 1001", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// After a refusal of a WebSocket, by the gateway or for want of a backend, nothing
// more is read from the connection.
func TestSocketNotForwarded(t *testing.T) {
	for _, want := range []int{429, 502} {
		p := &fakePipeline{}
		if want == 429 {
			p.admit = func(*gateway.Exchange) *gateway.Answer { return &gateway.Answer{Status: 429} }
		}
		c := newFront(t, Options{Pipeline: p}).dial().send(upgradeHead + poison)
		if res, _ := c.answer("GET"); res.StatusCode != want || !res.Close {
			t.Errorf("got %d, close %v; want %d, true", res.StatusCode, res.Close, want)
		}
		if !c.closed() {
			t.Error("the connection stays open")
		}
		if got := p.admissions(); len(got) != 1 {
			t.Errorf("admitted %q", got)
		}
	}
}

// A backend that does not quite agree to a WebSocket gets no bytes of it.
func TestSocketHalfAgreed(t *testing.T) {
	for _, r := range []struct{ name, answer string }{
		{"no upgrade", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"},
		{"other protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"},
		{"not for this connection", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"},
		{"gone", ""},
	} {
		t.Run(r.name, func(t *testing.T) {
			got := make(chan string, 1)
			backend := newScript(t, func(_ int, nc net.Conn, br *bufio.Reader) {
				if _, err := readHeadText(br); err != nil {
					return
				}
				if r.answer == "" {
					nc.Close()
				}
				_, _ = io.WriteString(nc, r.answer)
				rest, _ := io.ReadAll(br)
				got <- string(rest)
			})
			p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
			c := newFront(t, Options{Pipeline: p}).dial().send(upgradeHead + "\x81\x85\x00\x00\x00\x00hello")
			if res, _ := c.answer("GET"); res.StatusCode != 502 || !res.Close {
				t.Errorf("got %d, close %v; want 502, true", res.StatusCode, res.Close)
			}
			if !c.closed() {
				t.Error("the connection stays open")
			}
			if rest := <-got; rest != "" {
				t.Errorf("the backend got %q", rest)
			}
		})
	}
}

// Frames that come with the head of the request, or of the answer, are not lost.
func TestSocketEarlyFrames(t *testing.T) {
	hello := appendFrame(nil, false, true, 1, []byte("hello"))
	backend := newScript(t, func(_ int, nc net.Conn, br *bufio.Reader) {
		if _, err := readHeadText(br); err != nil {
			return
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"+string(hello))
		_, _ = io.Copy(nc, br)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	early := appendFrame(nil, true, true, 2, []byte("early"))
	c := newFront(t, Options{Pipeline: p}).dial().send(upgradeHead + string(early))
	if head, err := readHeadText(c.r); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("got %q, %v", head, err)
	}
	got := make([]byte, len(hello))
	if _, err := io.ReadFull(c.r, got); err != nil || !bytes.Equal(got, hello) {
		t.Errorf("got %q, %v; want %q", got, err, hello)
	}
}

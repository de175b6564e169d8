package http1

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
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

// appendFrame appends a frame as a client (masked) or a server sends it.
func appendFrame(b []byte, masked, last bool, op byte, payload []byte) []byte {
	if last {
		op |= 0x80
	}
	bit := byte(0)
	if masked {
		bit = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, op, bit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, op, bit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, op, bit|127), uint64(n))
	}
	if masked {
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, payload...)
}

// However the bytes come, the same messages are counted and the same bytes pass;
// control frames pass in the middle of a message that is left out.
func TestFrames(t *testing.T) {
	for _, masked := range []bool{true, false} {
		frame := func(last bool, op byte, n int) []byte {
			return appendFrame(nil, masked, last, op, bytes.Repeat([]byte{op}, n))
		}
		first, second := frame(true, 1, 5), frame(true, 2, 300)
		part1, ping, part2 := frame(false, 1, 70_000), frame(true, 9, 3), frame(true, 0, 10)
		fourth, end := frame(true, 1, 0), frame(true, 8, 2)
		all := slices.Concat(first, second, part1, ping, part2, fourth, end)
		want := slices.Concat(first, ping, fourth, end) // the second and the third are left out
		for _, size := range []int{1, 2, 5, 100, 4096, len(all)} {
			f := frames{masked: masked}
			n := 0
			var got []byte
			for rest := all; len(rest) > 0; {
				k := min(size, len(rest))
				piece := slices.Clone(rest[:k])
				rest = rest[k:]
				err := f.pass(piece, func() bool { n++; return n == 1 || n == 4 }, func(b []byte) error {
					got = append(got, b...)
					return nil
				})
				if err != nil {
					t.Fatalf("in pieces of %d: %v", size, err)
				}
			}
			if n != 4 || !bytes.Equal(got, want) || !f.idle() {
				t.Errorf("in pieces of %d: %d messages, %d bytes, idle %v; want 4, %d, true", size, n, len(got), f.idle(), len(want))
			}
		}
	}
}

func TestBadFrames(t *testing.T) {
	for _, r := range []struct {
		name string
		data []byte
	}{
		{"not masked", appendFrame(nil, false, true, 1, []byte("a"))},
		{"reserved data frame", appendFrame(nil, true, true, 3, nil)},
		{"reserved control frame", appendFrame(nil, true, true, 11, nil)},
		{"long control frame", appendFrame(nil, true, true, 9, make([]byte, 126))},
		{"control frame in parts", appendFrame(nil, true, false, 9, nil)},
		{"part of nothing", appendFrame(nil, true, true, 0, nil)},
		{"message within a message", append(appendFrame(nil, true, false, 1, nil), appendFrame(nil, true, true, 1, nil)...)},
		{"length of 16 bits for less", []byte{0x81, 0xfe, 0, 5, 1, 2, 3, 4}},
		{"length of 64 bits for less", []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4}},
		{"negative length", []byte{0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4}},
	} {
		f := frames{masked: true}
		if err := f.pass(r.data, func() bool { return true }, func([]byte) error { return nil }); err == nil {
			t.Errorf("%s: accepted", r.name)
		}
	}
}

// What passes is what came if nothing is left out, however it is cut; and the
// parser agrees with itself.
func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, true, false, 1, []byte("abc")), true, true, 0, []byte("d")), 3)
	f.Add(appendFrame(nil, true, true, 8, []byte{3, 232}), 1)
	f.Add(appendFrame(nil, true, true, 2, make([]byte, 200)), 5)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		cut = min(max(cut, 0), len(data))
		run := func(pieces ...[]byte) (got []byte, n int, err error) {
			fr := frames{masked: true}
			for _, p := range pieces {
				if err == nil {
					err = fr.pass(slices.Clone(p), func() bool { n++; return true }, func(b []byte) error {
						got = append(got, b...)
						return nil
					})
				}
			}
			return got, n, err
		}
		whole, n1, err1 := run(data)
		parts, n2, err2 := run(data[:cut], data[cut:])
		if (err1 == nil) != (err2 == nil) || n1 != n2 {
			t.Fatalf("whole: %d, %v; in two pieces: %d, %v", n1, err1, n2, err2)
		}
		if err1 == nil && (!bytes.HasPrefix(data, whole) || !bytes.Equal(whole, parts)) && len(whole) != len(data) {
			if !bytes.HasPrefix(data, parts) || !bytes.HasPrefix(data, whole) {
				t.Fatalf("other bytes passed than came")
			}
		}
	})
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

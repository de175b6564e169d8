package http1

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

// Events reach the client one by one, as they come.
func TestEventsAreFlushed(t *testing.T) {
	next := make(chan string)
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for text := range next {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
		}
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial().send("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
	next <- ": hello\n\n"
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(": hello\n\n"))
	if _, err := io.ReadFull(res.Body, got); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		text := fmt.Sprintf("data: %d\n\n", i)
		next <- text
		got := make([]byte, len(text))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != text {
			t.Fatalf("got %q, %v; want %q", got, err, text)
		}
	}
	close(next)
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v at the end", rest, err)
	}
}

// A meter counts events and leaves out those over the limit, however the stream
// is cut into pieces; it learns of the bytes on the way.
func TestEventsAreCounted(t *testing.T) {
	const stream = ": comment\n\ndata: 1\n\nid: 2\ndata: 2\n\n: again\n\ndata: 3\r\n\r\ndata: 4\r\rdata: 5\n: in it\n\ndata: 6\n\n"
	const want = ": comment\n\ndata: 1\n\nid: 2\ndata: 2\n\n: again\n\n" + throttledEvent
	for _, size := range []int{1, 2, 3, 7, 1000} {
		backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "" {
				t.Error("the stream might come encoded")
			}
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			for rest := []byte(stream); len(rest) > 0; {
				n := min(size, len(rest))
				_, _ = w.Write(rest[:n])
				_ = http.NewResponseController(w).Flush()
				rest = rest[n:]
			}
		})
		m := &fakeMeter{}
		m.group = newGroup(t, upstream.Options{}, false, backend)
		m.limit.Store(2)
		f := newFront(t, Options{Pipeline: m})
		_, got := f.ask("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nAccept-Encoding: gzip\r\n\r\n")
		if got != want {
			t.Errorf("in pieces of %d: got\n%q\nwant\n%q", size, got, want)
		}
		if n := m.events.Load(); n != 6 {
			t.Errorf("in pieces of %d: %d events were counted, want 6", size, n)
		}
	}
}

// A stream that comes compressed all the same ends when no more events may pass.
func TestEncodedEvents(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Encoding", "gzip")
		for range 3 {
			_, _ = io.WriteString(w, "xyz")
			_ = http.NewResponseController(w).Flush()
			<-time.After(20 * time.Millisecond)
		}
	})
	m := &fakeMeter{}
	m.group = newGroup(t, upstream.Options{}, false, backend)
	m.limit.Store(1)
	f := newFront(t, Options{Pipeline: m})
	c := f.dial().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("got %q as if it were complete", got)
	}
}

// Progress is told while a long answer, or a long request, is on its way.
func TestProgress(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, 1<<20))
	})
	m := &fakeMeter{}
	m.group = newGroup(t, upstream.Options{}, false, backend)
	f := newFront(t, Options{Pipeline: m})
	f.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if n := m.progress.Load(); n < (1<<20)/(64<<10) {
		t.Errorf("Progress was called %d times for 1 MiB, want at least 16", n)
	}
	if n := m.bytes.Load(); n > 1<<20 || n < 1<<20-64<<10 {
		t.Errorf("Progress told of %d bytes", n)
	}
}

// newStreamConn returns a conn that gathers what it would send as raw bytes.
func newStreamConn(limit int64) *conn {
	m := &fakeMeter{}
	m.limit.Store(limit)
	return &conn{server: &Server{meter: m}, sink: untilClose}
}

// passEvents returns what passes of a stream in two pieces.
func passEvents(limit int64, stream string, cut int) (passed string, counted int64) {
	c := newStreamConn(limit)
	var e events
	for _, piece := range []string{stream[:cut], stream[cut:]} {
		if err := e.pass(c, []byte(piece)); err != nil {
			return err.Error(), 0
		}
	}
	return string(c.out), c.server.meter.(*fakeMeter).events.Load()
}

// Without a limit everything passes as it is; with one, the same events pass
// however the stream is cut.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{"data: a\n\ndata: b\n\n", ": c\n\ndata: d\r\n\r\ndata: e\r\r", "\n\n\n", "data", "a\r\n\n\r\nb\n\rc"} {
		f.Add(s, 3, int64(1))
	}
	f.Fuzz(func(t *testing.T, stream string, cut int, limit int64) {
		if len(stream) > 4000 {
			return
		}
		cut = min(max(cut, 0), len(stream))
		if got, _ := passEvents(1<<60, stream, cut); got != stream {
			t.Fatalf("without a limit: got %q, want %q", got, stream)
		}
		whole, n := passEvents(limit, stream, 0)
		parts, m := passEvents(limit, stream, cut)
		if whole != parts || n != m {
			t.Fatalf("whole: %q, %d events; in two pieces: %q, %d", whole, n, parts, m)
		}
		if rest := strings.ReplaceAll(whole, throttledEvent, ""); len(rest) > len(stream) {
			t.Fatalf("more passes than came: %q of %q", rest, stream)
		}
	})
}

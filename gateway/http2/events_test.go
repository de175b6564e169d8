package http2

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
)

func TestEvents(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"all pass", "data: 1\n\ndata: 2\n\n", 2, "data: 1\n\ndata: 2\n\n"},
		{"comments are no events", ": hi\n\n:\n\ndata: 1\n\n: bye\n\n", 1, ": hi\n\n:\n\ndata: 1\n\n: bye\n\n"},
		{"one too many", "data: 1\n\ndata: 2\n\n", 1, "data: 1\n\n" + throttledEvent},
		{"told once", "data: 1\n\ndata: 2\n\ndata: 3\n\n", 0, throttledEvent},
		{"what comes between stays", "data: 1\n\n: beat\n\ndata: 2\n\n: beat\n\n", 0, throttledEvent + ": beat\n\n: beat\n\n"},
		{"many lines", "id: 1\nevent: x\ndata: 1\ndata: 2\n\nid: 2\ndata: 3\n\n", 1, "id: 1\nevent: x\ndata: 1\ndata: 2\n\n" + throttledEvent},
		{"CR LF", "data: 1\r\n\r\ndata: 2\r\n\r\n: x\r\n", 1, "data: 1\r\n\r\n" + throttledEvent + ": x\r\n"},
		{"CR", "data: 1\r\rdata: 2\r\r: x\r", 1, "data: 1\r\r" + throttledEvent + ": x\r"},
		{"a comment within an event", "data: 1\n: c\n\n", 0, throttledEvent},
		{"a comment before an event", ": c\ndata: 1\n\n", 0, ": c\n" + throttledEvent},
		{"empty lines", "\n\n\ndata: 1\n\n\n\n", 0, "\n\n\n" + throttledEvent + "\n\n"},
		{"cut off", "data: 1\n\nda", 2, "data: 1\n\nda"},
	} {
		for size := 1; size <= len(tt.in); size++ {
			left := tt.limit
			var got []byte
			e := events{
				may: func() bool { left--; return left >= 0 },
				put: func(p []byte) error { got = append(got, p...); return nil },
			}
			for piece := range slices.Chunk([]byte(tt.in), size) {
				if err := e.pass(piece); err != nil {
					t.Fatal(err)
				}
			}
			if string(got) != tt.want {
				t.Errorf("%s, in pieces of %d: got %q, want %q", tt.name, size, got, tt.want)
			}
		}
	}
}

func TestEventsErrors(t *testing.T) {
	broken := errors.New("broken")
	e := events{may: func() bool { return false }, put: func([]byte) error { return broken }}
	if err := e.pass([]byte("data: 1\n\n")); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	e = events{may: func() bool { return true }, put: func([]byte) error { return broken }}
	if err := e.pass([]byte(": x\ndata: 1\n\n")); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	e = events{opaque: true, may: func() bool { return false }}
	if err := e.pass([]byte("\x1f\x8b")); !errors.Is(err, errThrottled) {
		t.Errorf("got %v", err)
	}
}

// FuzzEvents holds that nothing is lost while all may pass, and that the cuts
// don't matter.
func FuzzEvents(f *testing.F) {
	f.Add("data: 1\r\n\r\n: x\n\nid: 2\r\r", uint8(3), uint8(1))
	f.Fuzz(func(t *testing.T, in string, size, limit uint8) {
		run := func(size, limit int) string {
			var got []byte
			e := events{
				may: func() bool { limit--; return limit >= 0 },
				put: func(p []byte) error { got = append(got, p...); return nil },
			}
			for piece := range slices.Chunk([]byte(in), max(1, size)) {
				e.pass(piece)
			}
			return string(got)
		}
		if got := run(int(size), len(in)); got != in {
			t.Errorf("got %q, want %q", got, in)
		}
		if a, b := run(int(size), int(limit)), run(len(in), int(limit)); a != b {
			t.Errorf("in pieces of %d %q, whole %q", size, a, b)
		}
	})
}

// A meteredPipeline is a pipeline that is a Meter.
type meteredPipeline struct {
	pipeline
	limit int
	lock  sync.Mutex
	said  []gateway.Outcome
	after bool // something was said of a finished call
}

func (p *meteredPipeline) Event(x *gateway.Exchange, now time.Time) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.limit--
	return p.limit >= 0
}

func (p *meteredPipeline) Progress(x *gateway.Exchange, now time.Time, o gateway.Outcome) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.said = append(p.said, o)
	p.after = p.after || p.finished.Load() > 0
}

func TestMeter(t *testing.T) {
	url := backend(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			if r.Header.Get("Accept-Encoding") != "" {
				w.WriteHeader(500)
			}
			body := "data: 1\n\ndata: 2\n\ndata: 3\n\n"
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			io.WriteString(w, body)
		case "/packed":
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "packed")
		default:
			io.Copy(w, r.Body)
		}
	})
	p := &meteredPipeline{limit: 2}
	d := open(t, &p.pipeline, Options{}, url)
	d.meter = p
	c := client(t)
	r := request(t, "GET", "http://"+d.addr+"/events", nil)
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Accept-Encoding", "gzip")
	res, body := get(t, c, r)
	if want := "data: 1\n\ndata: 2\n\n" + throttledEvent; res.StatusCode != 200 || body != want || res.ContentLength != -1 {
		t.Errorf("got %d %q, want %q", res.StatusCode, body, want)
	}
	res, err := c.Do(request(t, "GET", "http://"+d.addr+"/packed", nil))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("got %q of a stream that can't be thinned out", b)
	}
	res.Body.Close()
	p.finished.Store(0)

	const size = 1 << 20
	_, body = get(t, c, request(t, "POST", "http://"+d.addr+"/", strings.NewReader(strings.Repeat("x", size))))
	last := p.outcome(t, 1)
	if last.RequestBytes != size || last.ResponseBytes != size || len(body) != size {
		t.Errorf("got outcome %+v and %d bytes", last, len(body))
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	before := int64(0)
	for _, o := range p.said {
		sum := o.RequestBytes + o.ResponseBytes
		if sum < before || sum > 2*size {
			t.Errorf("progress went from %d to %d", before, sum)
		}
		before = sum
	}
	if before < 2*size-2*progressBytes-bufferSize || p.after {
		t.Errorf("progress ended at %d of %d, after the end: %v", before, 2*size, p.after)
	}
}

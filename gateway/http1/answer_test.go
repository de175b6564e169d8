package http1

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

func TestDateText(t *testing.T) {
	s := &Server{}
	now := time.Date(2026, 11, 21, 2, 45, 43, 999, time.FixedZone("x", 3600))
	first := s.dateText(now)
	if want := "Sat, 21 Nov 2026 01:45:43 GMT"; string(first) != want {
		t.Errorf("got %s, want %s", first, want)
	}
	if again := s.dateText(now.Add(time.Millisecond)); &again[0] != &first[0] {
		t.Error("made anew within the second")
	}
	if next := s.dateText(now.Add(time.Second)); string(next) != "Sat, 21 Nov 2026 01:45:44 GMT" {
		t.Errorf("a second later: got %s", next)
	}
	if string(first) != "Sat, 21 Nov 2026 01:45:43 GMT" {
		t.Errorf("the first one has become %s", first)
	}
}

func TestStatusLine(t *testing.T) {
	for _, r := range []struct {
		status int
		want   string
	}{
		{200, "HTTP/1.1 200 OK\r\n"},
		{429, "HTTP/1.1 429 Too Many Requests\r\n"},
		{504, "HTTP/1.1 504 Gateway Timeout\r\n"},
		{0, "HTTP/1.1 500 Internal Server Error\r\n"},
		{101, "HTTP/1.1 500 Internal Server Error\r\n"},
		{-1, "HTTP/1.1 500 Internal Server Error\r\n"},
		{299, "HTTP/1.1 500 Internal Server Error\r\n"},
		{1000, "HTTP/1.1 500 Internal Server Error\r\n"},
	} {
		if got := string(statusLine(r.status)); got != r.want {
			t.Errorf("%d: got %q, want %q", r.status, got, r.want)
		}
	}
}

// The gateway's own answers, to the byte but for the date.
func TestAnswers(t *testing.T) {
	var answer gateway.Answer
	p := &fakePipeline{admit: func(*gateway.Exchange) *gateway.Answer { return &answer }}
	f := newFront(t, Options{Pipeline: p})
	fields := []gateway.Field{{Name: "Retry-After", Value: []byte("7")}, {Name: "X-RateLimit-Limit", Value: []byte("10")}}
	for _, r := range []struct {
		name    string
		answer  gateway.Answer
		request string
		want    string
		bytes   int64
	}{
		{
			"refusal",
			gateway.Answer{Status: 429, ContentType: "application/json", Body: []byte("{}"), Fields: fields},
			"GET / HTTP/1.1",
			"HTTP/1.1 429 Too Many Requests\r\nDate: X\r\nContent-Type: application/json\r\nContent-Length: 2\r\nRetry-After: 7\r\nX-RateLimit-Limit: 10\r\n\r\n{}", 2,
		},
		{
			"of HEAD",
			gateway.Answer{Status: 429, ContentType: "application/json", Body: []byte("{}")},
			"HEAD / HTTP/1.1",
			"HTTP/1.1 429 Too Many Requests\r\nDate: X\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n", 0,
		},
		{
			"preflight",
			gateway.Answer{Status: 204, Fields: []gateway.Field{{Name: "Access-Control-Max-Age", Value: []byte("60")}}},
			"OPTIONS / HTTP/1.1",
			"HTTP/1.1 204 No Content\r\nDate: X\r\nAccess-Control-Max-Age: 60\r\n\r\n", 0,
		},
		{
			"without body",
			gateway.Answer{Status: 503},
			"GET / HTTP/1.1",
			"HTTP/1.1 503 Service Unavailable\r\nDate: X\r\nContent-Length: 0\r\n\r\n", 0,
		},
		{
			"closing",
			gateway.Answer{Status: 503, Close: true},
			"GET / HTTP/1.1",
			"HTTP/1.1 503 Service Unavailable\r\nDate: X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 0,
		},
		{
			"of 1.0",
			gateway.Answer{Status: 404},
			"GET / HTTP/1.0",
			"HTTP/1.1 404 Not Found\r\nDate: X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 0,
		},
		{
			"of 1.0, kept",
			gateway.Answer{Status: 404},
			"GET / HTTP/1.0\r\nConnection: keep-alive",
			"HTTP/1.1 404 Not Found\r\nDate: X\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", 0,
		},
	} {
		t.Run(r.name, func(t *testing.T) {
			before := len(p.settled(t, 0))
			answer = r.answer
			c := (&front{t, f.server, f.addr}).dial().send(r.request + "\r\nHost: a\r\n\r\n")
			head, err := readHeadText(c.r)
			if err != nil {
				t.Fatal(err)
			}
			i := strings.Index(head, "Date: ") + len("Date: ")
			j := i + strings.Index(head[i:], "\r\n")
			if _, err := http.ParseTime(head[i:j]); err != nil {
				t.Errorf("date: %v", err)
			}
			body := make([]byte, r.bytes)
			if _, err := io.ReadFull(c.r, body); err != nil {
				t.Fatal(err)
			}
			if got := head[:i] + "X" + head[j:] + string(body); got != r.want {
				t.Errorf("got\n%s\nwant\n%s", got, r.want)
			}
			if c.r.Buffered() > 0 {
				t.Error("more bytes came")
			}
			o := p.settled(t, before+1)[before]
			if o.Status != r.answer.Status || o.ResponseBytes != r.bytes || o.Forwarded {
				t.Errorf("got outcome %+v", o)
			}
			if strings.Contains(r.want, "close") && !c.closed() {
				t.Error("the connection stays open")
			}
		})
	}
}

// Heads that outgrow the buffers they begin in go through, both ways.
func TestLargeHeads(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Back", r.Header.Get("There"))
		_, _ = io.WriteString(w, r.URL.RawQuery)
	})
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, backend)}
	f := newFront(t, Options{Pipeline: p})
	c := f.dial()
	for _, size := range []int{10, 3000, 4090, 5000, 20_000, 31_000, 100} {
		value := strings.Repeat("v", size)
		query := strings.Repeat("q", min(size, 8000))
		c.send("GET /?" + query[:len(query)/8] + " HTTP/1.1\r\nHost: a\r\nThere: " + value + "\r\n\r\n")
		res, body := c.answer("GET")
		if res.StatusCode != 200 || res.Header.Get("Back") != value || body != query[:len(query)/8] {
			t.Errorf("%d bytes: got status %d, %d bytes back, query of %d", size, res.StatusCode, len(res.Header.Get("Back")), len(body))
		}
	}
}

// A head that drips in, byte by byte, is read like any other, if it is quick enough.
func TestDrippingHead(t *testing.T) {
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, newBackend(t, echo))}
	c := newFront(t, Options{Pipeline: p}).dial()
	for range 2 {
		for _, b := range []byte("POST /a?b HTTP/1.1\r\nHost: a\r\nA: b\r\nContent-Length: 3\r\n\r\nabc") {
			c.send(string(b))
		}
		res, body := c.answer("POST")
		if res.StatusCode != 200 || !strings.Contains(body, `body="abc"`) || !strings.Contains(body, `A=["b"]`) {
			t.Errorf("got %d %s", res.StatusCode, body)
		}
	}
}

// Without a least rate a body may take its time; with one it must earn it.
func TestBodyRate(t *testing.T) {
	t.Parallel()
	p := &fakePipeline{group: newGroup(t, upstream.Options{}, false, newBackend(t, echo))}
	for _, r := range []struct {
		name string
		rate int64
		want int
	}{
		{"any rate", -1, 200}, {"met", 1000, 200}, {"not met", 1 << 30, 408},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, Options{Pipeline: p, BodyGrace: 100 * time.Millisecond, MinBodyRate: r.rate})
			c := f.dial().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n")
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for range 30 {
					if _, err := io.WriteString(c.nc, strings.Repeat("x", 100)); err != nil {
						return
					}
					<-time.After(10 * time.Millisecond)
				}
			}()
			if res, _ := c.answer("POST"); res.StatusCode != r.want {
				t.Errorf("got status %d, want %d", res.StatusCode, r.want)
			}
			c.nc.Close()
			<-ended
		})
	}
}

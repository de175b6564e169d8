package http1

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func parseResponse(text string) (*response, bool, error) {
	p := &response{}
	p.reset()
	done, err := p.parse([]byte(text))
	return p, done, err
}

func TestParseResponse(t *testing.T) {
	for _, r := range []struct {
		name, text string
		ok         bool
		status     int
		length     int64
		chunked    bool
		close      bool
	}{
		{"plain", "HTTP/1.1 200 OK\r\n\r\n", true, 200, -1, false, false},
		{"length", "HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\n", true, 404, 12, false, false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", true, 200, -1, true, false},
		{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", true, 200, -1, false, true},
		{"1.0", "HTTP/1.0 200 OK\r\n\r\n", true, 200, -1, false, true},
		{"1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true, 200, -1, false, false},
		{"no reason", "HTTP/1.1 200\r\n\r\n", true, 200, -1, false, false},
		{"empty reason", "HTTP/1.1 200 \r\n\r\n", true, 200, -1, false, false},
		{"obs-text reason", "HTTP/1.1 200 caf\xe9\r\n\r\n", true, 200, -1, false, false},
		{"junk after status", "HTTP/1.1 200x\r\n\r\n", false, 0, 0, false, false},
		{"NUL in reason", "HTTP/1.1 200 \x00\r\n\r\n", false, 0, 0, false, false},
		{"bare CR in reason", "HTTP/1.1 200 a\rb\r\n\r\n", false, 0, 0, false, false},
		{"empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", false, 0, 0, false, false},
		{"two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", false, 0, 0, false, false},
		{"many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 300) + "\r\n", false, 0, 0, false, false},
	} {
		p, done, err := parseResponse(r.text)
		if (err == nil && done) != r.ok {
			t.Errorf("%s: got done %v, %v; want %v", r.name, done, err, r.ok)
			continue
		}
		if r.ok && (p.status != r.status || p.length != r.length || p.chunked != r.chunked || p.close != r.close) {
			t.Errorf("%s: got %d, length %d, chunked %v, close %v", r.name, p.status, p.length, p.chunked, p.close)
		}
	}
}

func TestBodiless(t *testing.T) {
	for _, r := range []struct {
		method string
		status int
		want   bool
	}{
		{"GET", 200, false}, {"HEAD", 200, true}, {"GET", 204, true}, {"GET", 304, true}, {"POST", 205, false}, {"HEAD", 500, true},
	} {
		p := response{status: r.status}
		if got := p.bodiless(r.method); got != r.want {
			t.Errorf("%s %d: got %v, want %v", r.method, r.status, got, r.want)
		}
	}
}

// What is accepted, net/http accepts too and reads the same; and it is the same
// however it is cut.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.0 404\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
	} {
		f.Add([]byte(s), 5)
	}
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		p := &response{}
		p.reset()
		done, err := p.parse(text)
		q := &response{}
		q.reset()
		done2, err2 := q.parse(bytes.Clone(text[:min(max(cut, 0), len(text))]))
		if !done2 && err2 == nil {
			done2, err2 = q.parse(bytes.Clone(text))
		}
		if done != done2 || (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %v %v; in two pieces: %v %v", done, err, done2, err2)
		}
		if !done {
			return
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil {
			t.Skip() // net/http is stricter in some places that don't matter here
		}
		if res.StatusCode != p.status {
			t.Fatalf("got status %d, net/http reads %d", p.status, res.StatusCode)
		}
		if p.length >= 0 && res.ContentLength >= 0 && !p.bodiless("GET") && res.ContentLength != p.length {
			t.Fatalf("got length %d, net/http reads %d", p.length, res.ContentLength)
		}
	})
}

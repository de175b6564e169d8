package load

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// read reads one answer from text and returns what is left of it.
func read(method, text string) (a answer, rest string, err error) {
	r := newAnswerReader()
	r.br.Reset(strings.NewReader(text))
	err = r.next(method, &a)
	left, _ := io.ReadAll(r.br)
	return a, string(left), err
}

func TestAnswer(t *testing.T) {
	const next = "HTTP/1.1 "
	tests := []struct {
		name, method, text string
		status             int
		again              bool
		body, rest         string
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + next, 200, true, "", next},
		{"body kept", "GET", "HTTP/1.1 429 Slow Down\r\ncontent-LENGTH:2\r\n\r\nno" + next, 429, true, "no", next},
		{"no reason", "GET", "HTTP/1.1 204\r\n\r\n" + next, 204, true, "", next},
		{"not modified", "GET", "HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n" + next, 304, true, "", next},
		{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + next, 200, true, "", next},
		{"bare LF", "GET", "HTTP/1.1 200 OK\nContent-Length: 0\n\n" + next, 200, true, "", next},
		{"says close", "GET", "HTTP/1.1 200 OK\r\nConnection: Keep-Alive , Close\r\nContent-Length: 0\r\n\r\n", 200, false, "", ""},
		{"old", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, false, "", ""},
		{"until the end", "GET", "HTTP/1.1 503 Busy\r\n\r\nall of it", 503, false, "all of it", ""},
		{"informed first", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + next, 200, true, "", next},
		{
			"chunks", "GET", "HTTP/1.1 429 x\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA ; x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n" + next,
			429, true, "abc0123456789", next,
		},
		{"length twice", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx" + next, 200, true, "", next},
	}
	for _, tt := range tests {
		a, rest, err := read(tt.method, tt.text)
		if err != nil || a.status != tt.status || a.again != tt.again || string(a.body) != tt.body || rest != tt.rest {
			t.Errorf("%s: got %d, again %v, %q, then %q, error %v; want %d, %v, %q, %q",
				tt.name, a.status, a.again, a.body, rest, err, tt.status, tt.again, tt.body, tt.rest)
		}
	}
}

func TestGarbage(t *testing.T) {
	for _, text := range []string{
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.x 200 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 600 OK\r\n\r\n",
		"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxLine) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 70) + "\r\n",
	} {
		if _, _, err := read(http.MethodGet, text); !errors.Is(err, errMalformed) {
			t.Errorf("%.60q: got %v, want a malformed answer", text, err)
		}
	}
}

// An answer that ends too early is an error, wherever it ends.
func TestCutOff(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
		"HTTP/1.1 429 No\r\nContent-Length: 5\r\n\r\nabcde",
		"HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	} {
		for n := range len(text) {
			_, _, err := read(http.MethodGet, text[:n])
			switch {
			case n == 0 && !errors.Is(err, io.EOF):
				t.Errorf("nothing: got %v, want EOF", err)
			case n > 0 && !errors.Is(err, io.ErrUnexpectedEOF):
				t.Errorf("%q: got %v, want an unexpected EOF", text[:n], err)
			}
		}
	}
}

// A body of any length is read whole and kept in part.
func TestLongBody(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	for _, text := range []string{
		"HTTP/1.1 500 No\r\nContent-Length: 3145728\r\n\r\n" + long + "!",
		"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n300000\r\n" + long + "\r\n0\r\n\r\n!",
	} {
		a, rest, err := read(http.MethodGet, text)
		if err != nil || rest != "!" || len(a.body) != maxKept {
			t.Errorf("%.50q: kept %d bytes, then %.10q, error %v", text, len(a.body), rest, err)
		}
	}
}

// However the bytes come, the answer is the same, and reading ends.
func FuzzAnswer(f *testing.F) {
	f.Add("GET", []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add("HEAD", []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"))
	f.Add("GET", []byte("HTTP/1.1 429 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n"))
	f.Add("GET", []byte("HTTP/1.1 100 x\r\n\r\nHTTP/1.0 503 x\r\n\r\nrest"))
	f.Fuzz(func(t *testing.T, method string, text []byte) {
		var whole, single answer
		r := newAnswerReader()
		r.br.Reset(bytes.NewReader(text))
		err := r.next(method, &whole)
		body := string(whole.body)
		r.br.Reset(iotest.OneByteReader(bytes.NewReader(text)))
		again := r.next(method, &single)
		if (err == nil) != (again == nil) || err == nil && (whole.status != single.status || whole.again != single.again || body != string(single.body)) {
			t.Errorf("at once %+v %v, byte by byte %+v %v", whole, err, single, again)
		}
		if err == nil && (whole.status < 200 || whole.status > 599) {
			t.Errorf("status %d", whole.status)
		}
	})
}

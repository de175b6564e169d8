package http1

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

// decode takes the framing off text, given in pieces of size.
func decode(text string, size int) (data string, used int, done bool, err error) {
	var d chunked
	var b strings.Builder
	for used < len(text) && !d.done() {
		raw := []byte(text[used:min(used+size, len(text))])
		for len(raw) > 0 && !d.done() {
			piece, n, err := d.next(raw)
			if err != nil {
				return b.String(), used, false, err
			}
			b.Write(piece)
			raw = raw[n:]
			used += n
		}
	}
	return b.String(), used, d.done(), nil
}

func TestChunked(t *testing.T) {
	for _, r := range []struct {
		name, text, data, rest string
		ok                     bool
	}{
		{"empty", "0\r\n\r\n", "", "", true},
		{"one", "3\r\nabc\r\n0\r\n\r\n", "abc", "", true},
		{"two", "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", "abcd", "", true},
		{"zeros", "0003\r\nabc\r\n00\r\n\r\n", "abc", "", true},
		{"capitals", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", "", true},
		{"what comes after", "1\r\na\r\n0\r\n\r\nGET /", "a", "GET /", true},
		{"trailers", "1\r\na\r\n0\r\nA: b\r\nC:\r\n\r\nx", "a", "x", true},
		{"extensions", "1;a\r\na\r\n1;b=c;d=\"e\\\"; f\"\r\nb\r\n0;g\r\n\r\n", "ab", "", true},
		{"no size", "\r\nabc", "", "", false},
		{"only an extension", ";a\r\nabc", "", "", false},
		{"16 digits", "0000000000000001\r\na\r\n0\r\n\r\n", "", "", false},
		{"space in extension", "1; a\r\na\r\n0\r\n\r\n", "", "", false},
		{"open quotes", "1;a=\"b\r\na\r\n0\r\n\r\n", "", "", false},
		{"long extension", "1;" + strings.Repeat("a", maxExtra) + "\r\na\r\n0\r\n\r\n", "", "", false},
		{"many extensions", strings.Repeat("1;aaaaaaa\r\na\r\n", 2000) + "0\r\n\r\n", "", "", false},
		{"long trailers", "0\r\n" + strings.Repeat("A: b\r\n", 2000) + "\r\n", "", "", false},
		{"trailer without name", "0\r\n: b\r\n\r\n", "", "", false},
		{"space in trailer's name", "0\r\nA : b\r\n\r\n", "", "", false},
		{"CR without LF at the end", "0\r\n\rx", "", "", false},
	} {
		for _, size := range []int{1, 2, 3, len(r.text)} {
			data, used, done, err := decode(r.text, size)
			if (err == nil && done) != r.ok {
				t.Errorf("%s, in pieces of %d: got done %v, %v; want %v", r.name, size, done, err, r.ok)
			}
			if r.ok && (data != r.data || r.text[used:] != r.rest) {
				t.Errorf("%s, in pieces of %d: got %q and rest %q, want %q and %q", r.name, size, data, r.text[used:], r.data, r.rest)
			}
		}
	}
}

// What is accepted is understood as net/http's reader does, and the same however
// it is cut.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\nGET", "x", "1\r\na\n0\r\n\r\n", "ffffffffffffffff\r\n"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		size = min(max(size, 1), len(text)+1)
		data, used, done, err := decode(text, len(text)+1)
		data2, used2, done2, err2 := decode(text, size)
		if data != data2 || used != used2 && err == nil || done != done2 || (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %q %d %v %v; in pieces of %d: %q %d %v %v", data, used, done, err, size, data2, used2, done2, err2)
		}
		if !done {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(text)))
		if err != nil {
			t.Fatalf("accepted %q, which net/http refuses: %v", text, err)
		}
		if data != string(want) {
			t.Fatalf("got %q, net/http reads %q", data, want)
		}
		if !bytes.HasSuffix([]byte(text[:used]), []byte("\r\n")) {
			t.Fatalf("the body ends with %q", text[:used])
		}
	})
}

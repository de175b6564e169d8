package http1

import (
	"fmt"
	"strings"
	"testing"
)

var testLimits = limits{head: 32 << 10, fields: 100, uri: 8 << 10}

// parseRequest parses text as a whole.
func parseRequest(text string) (*request, bool, int) {
	q := &request{}
	q.reset()
	done, status := q.parse([]byte(text), &testLimits)
	return q, done, status
}

// requests is the table of what is refused, and with what. It is used for the
// parser alone, over sockets, and as the corpus of the fuzz test.
var requests = []struct {
	name   string
	text   string
	status int // 0: accepted
}{
	{"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
	{"one empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
	{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"http 1.0 without host", "GET / HTTP/1.0\r\n\r\n", 0},
	{"obs-text", "GET / HTTP/1.1\r\nHost: a\r\nA: caf\xc3\xa9\r\n\r\n", 0},
	{"tab in a value", "GET / HTTP/1.1\r\nHost: a\r\nA: b\tc\r\n\r\n", 0},
	{"empty value", "GET / HTTP/1.1\r\nHost: a\r\nA:\r\n\r\n", 0},
	{"absolute", "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 0},
	{"absolute, other case", "GET http://A:80/b HTTP/1.1\r\nHost: a:80\r\n\r\n", 0},
	{"options *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
	{"host v6", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 0},

	// Lines.
	{"bare LF after request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
	{"bare LF after field", "GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n", 400},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
	{"bare LF only", "GET / HTTP/1.1\nHost: a\n\n", 400},
	{"bare CR in value", "GET / HTTP/1.1\r\nHost: a\r\nA: b\rC: d\r\n\r\n", 400},
	{"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400},
	{"obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400},
	{"obs-fold with tab", "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc\r\n\r\n", 400},
	{"space before first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},

	// The request line.
	{"no version", "GET /\r\n\r\n", 400},
	{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"tab for space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"space before method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"space after version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
	{"method of no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"long method", strings.Repeat("G", 8<<10) + " / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
	{"method without end", strings.Repeat("G", 9<<10), 501},
	{"longish method", strings.Repeat("G", 30) + " / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
	{"connect", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501},
	{"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"NUL in target", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"obs-text in target", "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"* for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"absolute, other host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"absolute, other port", "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"absolute with user", "GET http://x@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"absolute without path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"absolute, query for path", "GET http://a?x/y HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"absolute, other scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"version 0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
	{"version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
	{"version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
	{"version 1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
	{"version in small letters", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
	{"tls on the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400},

	// Names and values.
	{"space before colon", "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", 400},
	{"tab before colon", "GET / HTTP/1.1\r\nHost: a\r\nA\t: b\r\n\r\n", 400},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", 400},
	{"no name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
	{"NUL in name", "GET / HTTP/1.1\r\nHost: a\r\nA\x00: b\r\n\r\n", 400},
	{"obs-text in name", "GET / HTTP/1.1\r\nHost: a\r\nA\xe9: b\r\n\r\n", 400},
	{"NUL in value", "GET / HTTP/1.1\r\nHost: a\r\nA: b\x00\r\n\r\n", 400},
	{"VT in value", "GET / HTTP/1.1\r\nHost: a\r\nA: bcdefghi\vjklmnop\r\n\r\n", 400},
	{"DEL in value", "GET / HTTP/1.1\r\nHost: a\r\nA: b\x7f\r\n\r\n", 400},
	{"VT before value", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\vchunked\r\n\r\n", 400},

	// Underscores.
	{"harmless underscore", "GET / HTTP/1.1\r\nHost: a\r\nmy_field: b\r\n\r\n", 0},
	{"X_Forwarded_For", "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n", 400},
	{"X-Forwarded_For", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded_For: 1.2.3.4\r\n\r\n", 400},
	{"X_Real_IP", "GET / HTTP/1.1\r\nHost: a\r\nx_real_ip: 1.2.3.4\r\n\r\n", 400},
	{"Content_Length", "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", 400},
	{"Transfer_Encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n", 400},

	// Host.
	{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
	{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
	{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
	{"host with user", "GET / HTTP/1.1\r\nHost: x@y\r\n\r\n", 400},
	{"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
	{"host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
	{"host with space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
	{"host with bad port", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400},
	{"host with large port", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400},
	{"host with empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400},
	{"host with encoding", "GET / HTTP/1.1\r\nHost: a%2fb\r\n\r\n", 400},
	{"host of an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
	{"long host", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", 300) + "\r\n\r\n", 400},

	// The length of the body.
	{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 0},
	{"length and coding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"coding and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", 400},
	{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", 400},
	{"two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n", 400},
	{"length list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\n", 400},
	{"empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
	{"signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n", 400},
	{"negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\n", 400},
	{"hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\n", 400},
	{"length with space", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4 4\r\n\r\n", 400},
	{"length with underscore", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n", 400},
	{"huge length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},

	// Transfer codings.
	{"xchunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
	{"gzip", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
	{"identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501},
	{"chunked, identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400},
	{"chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400},
	{"chunked in quotes", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 400},
	{"chunked with parameter", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n", 400},
	{"two codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"two codings, one unknown", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n", 400},
	{"empty coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400},
	{"http 1.0 with coding", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},

	// Connection.
	{"32 options", "GET / HTTP/1.1\r\nHost: a\r\nConnection: " + strings.Repeat("a,", 32) + "\r\n\r\n", 0},
	{"33 options", "GET / HTTP/1.1\r\nHost: a\r\nConnection: " + strings.Repeat("a,", 33) + "\r\n\r\n", 400},
	{"option that is no token", "GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n", 400},

	// Expect.
	{"other expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417},
	{"two expectations", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", 400},

	// Bounds.
	{"100 fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 99) + "\r\n", 0},
	{"101 fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 100) + "\r\n", 431},
	{"32 KiB", "GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 32<<10) + "\r\n\r\n", 431},
	{"nearly 32 KiB", "GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 32<<10-50) + "\r\n\r\n", 0},
	{"32 KiB without end", "GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 32<<10), 431},
	{"URI of 8 KiB", "GET /" + strings.Repeat("a", 8<<10-1) + " HTTP/1.1\r\nHost: a\r\n\r\n", 0},
	{"URI over 8 KiB", "GET /" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
	{"URI without end", "GET /" + strings.Repeat("a", 9<<10), 414},
}

func TestParseRequest(t *testing.T) {
	for _, r := range requests {
		t.Run(r.name, func(t *testing.T) {
			_, done, status := parseRequest(r.text)
			if status != r.status {
				t.Errorf("got status %d, want %d", status, r.status)
			}
			if r.status == 0 && !done {
				t.Error("the head is not complete")
			}
		})
	}
}

// However a head is cut into pieces, the outcome is that of the whole.
func TestParseRequestInPieces(t *testing.T) {
	for _, r := range requests {
		if len(r.text) > 1000 {
			continue
		}
		q := &request{}
		q.reset()
		var done bool
		var status int
		for n := 1; n <= len(r.text) && !done && status == 0; n++ {
			// A new array each time, as when the buffer moves.
			done, status = q.parse([]byte(r.text[:n]), &testLimits)
		}
		if status != r.status {
			t.Errorf("%s: got status %d, want %d", r.name, status, r.status)
		}
	}
}

func TestRequestParts(t *testing.T) {
	q, done, status := parseRequest("POST http://a.b:81/p/q?r=s&t HTTP/1.1\r\nHost: a.b:81\r\nX:  y \t\r\nx: z\r\nContent-Length: 12\r\n\r\nrest")
	if !done || status != 0 {
		t.Fatalf("got done %v, status %d", done, status)
	}
	got := fmt.Sprintf("%s|%s|%s|%d|%d", q.text(q.method), q.text(q.path), q.text(q.query), q.length, q.minor)
	if want := "POST|/p/q|r=s&t|12|1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if v, ok := q.Value("x"); v != "y" || !ok {
		t.Errorf("Value(x): got %q, %v; want y, true", v, ok)
	}
	if v, ok := q.Value("missing"); v != "" || ok {
		t.Errorf("Value(missing): got %q, %v", v, ok)
	}
	var all []string
	q.Each("X", func(v string) bool {
		all = append(all, v)
		return true
	})
	if got := strings.Join(all, ","); got != "y,z" {
		t.Errorf("Each(X): got %s, want y,z", got)
	}
	all = nil
	q.Each("X", func(v string) bool {
		all = append(all, v)
		return false
	})
	if len(all) != 1 {
		t.Errorf("Each goes on after false: %q", all)
	}
}

func TestConnectionOptions(t *testing.T) {
	for _, r := range []struct {
		version, fields string
		close, upgrade  bool
	}{
		{"1.1", "", false, false},
		{"1.1", "Connection: close\r\n", true, false},
		{"1.1", "Connection: keep-alive, Close\r\n", true, false},
		{"1.1", "Connection: keep-alive\r\nConnection: close\r\n", true, false},
		{"1.0", "", true, false},
		{"1.0", "Connection: Keep-Alive\r\n", false, false},
		{"1.0", "Connection: keep-alive, close\r\n", true, false},
		{"1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n", false, true},
		{"1.1", "Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n", false, true},
		{"1.1", "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n", false, false},
		{"1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Key: k\r\n", false, false},
		{"1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", false, false},
		{"1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nContent-Length: 3\r\n", false, false},
		{"1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n", true, false},
	} {
		q, done, status := parseRequest("GET / HTTP/" + r.version + "\r\nHost: a\r\n" + r.fields + "\r\n")
		if !done || status != 0 {
			t.Fatalf("%s %q: got done %v, status %d", r.version, r.fields, done, status)
		}
		if q.close != r.close || q.wantsSocket() != r.upgrade {
			t.Errorf("%s %q: got close %v, upgrade %v; want %v, %v", r.version, r.fields, q.close, q.wantsSocket(), r.close, r.upgrade)
		}
	}
}

func TestSameHost(t *testing.T) {
	for _, r := range []struct {
		host, server string
		want         bool
	}{
		{"a.b", "a.b", true},
		{"A.B:443", "a.b", true},
		{"a.b.", "a.b", true},
		{"a.b.:8443", "a.b", true},
		{"b.a", "a.b", false},
		{"", "a.b", false},
		{"a.b.c", "a.b", false},
		{"[::1]", "a.b", false},
	} {
		if got := sameHost(r.host, r.server); got != r.want {
			t.Errorf("sameHost(%q, %q): got %v, want %v", r.host, r.server, got, r.want)
		}
	}
}

// What is accepted, in one piece or in two, has a form that nobody reads in
// another way.
func FuzzRequest(f *testing.F) {
	for _, r := range requests {
		if len(r.text) < 1000 {
			f.Add([]byte(r.text), 10)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		q := &request{}
		q.reset()
		done, status := q.parse(text, &testLimits)
		p := &request{}
		p.reset()
		cut = min(max(cut, 0), len(text))
		done2, status2 := p.parse(append([]byte(nil), text[:cut]...), &testLimits)
		if !done2 && status2 == 0 {
			done2, status2 = p.parse(append([]byte(nil), text...), &testLimits)
		}
		// What is wrong first may depend on the cut, but not whether.
		if done != done2 || (status == 0) != (status2 == 0) {
			t.Fatalf("whole: %v %d, in two pieces: %v %d", done, status, done2, status2)
		}
		if !done || status != 0 {
			return
		}
		head := string(text[:q.pos])
		if strings.Count(head, "\n") != strings.Count(head, "\r\n") || strings.Count(head, "\r") != strings.Count(head, "\r\n") {
			t.Errorf("accepted a bare CR or LF: %q", head)
		}
		if strings.ContainsAny(head, "\x00\v\x7f") {
			t.Errorf("accepted a control character: %q", head)
		}
		if path := q.text(q.path); path != "*" && (path == "" || path[0] != '/') {
			t.Errorf("accepted the path %q", path)
		}
		lower := strings.ToLower(head)
		if strings.Contains(lower, "\ncontent-length:") && strings.Contains(lower, "\ntransfer-encoding:") {
			t.Errorf("accepted two lengths: %q", head)
		}
	})
}

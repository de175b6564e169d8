package http1

import (
	"bytes"
	"net/http"
)

// A request is the head of a request, parsed by the strictest reading: what two
// readers could understand differently is refused.
type request struct {
	head
	started bool // the request line has been read

	method, path, query span
	absolute            span // the authority of a target in absolute form
	hostField           int  // index of the Host field, -1 if there is none
	minor               int8 // of HTTP/1.x

	length  int64 // of the body: 0 if there is none, -1 if it is chunked
	seen    uint8 // which of the fields that may stand once have been seen
	close   bool  // the client wants the connection closed after this
	keep    bool  // it asks to keep it
	named   int   // options of Connection that may be names of fields
	upgrade bool  // Connection: upgrade
	socket  bool  // Upgrade: websocket
	key     bool  // Sec-WebSocket-Key
	expect  bool  // Expect: 100-continue
	events  bool  // Accept: text/event-stream
}

// The bits of request.seen.
const (
	seenLength = 1 << iota
	seenCoding
	seenHost
	seenExpect
)

// limits bound a request's head.
type limits struct {
	head, fields, uri int
}

// maxMethod is the length of the longest method that anybody has registered
// (UPDATEREDIRECTREF), and some.
const maxMethod = 24

// reset makes q ready for the next request.
func (q *request) reset() {
	h := q.head
	h.reset()
	*q = request{head: h, hostField: -1}
}

// parse reads on in b, the bytes from the head's first one on. It returns true
// once the head is complete; q.pos is then its length. A status other than 0 is
// what is wrong with it.
func (q *request) parse(b []byte, lim *limits) (bool, int) {
	q.buf = b
	for {
		line, ok, valid := q.line()
		switch {
		case !valid:
			return false, http.StatusBadRequest
		case !ok:
			return false, q.tooLong(lim)
		case q.pos > lim.head:
			return false, http.StatusRequestHeaderFieldsTooLarge
		case !q.started:
			if len(line) == 0 && q.pos == 2 {
				continue // one empty line before a request is harmless
			}
			if status := q.requestLine(line, lim); status != 0 {
				return false, status
			}
			q.started = true
		case len(line) == 0:
			return true, q.finish()
		default:
			if status := q.requestField(line, lim); status != 0 {
				return false, status
			}
		}
	}
}

// tooLong returns the status for a head that can't become valid any more,
// however it goes on, or 0.
func (q *request) tooLong(lim *limits) int {
	method := q.buf[min(q.pos, len(q.buf)):]
	switch {
	case !q.started && len(method) > maxMethod && bytes.IndexByte(method[:maxMethod+1], ' ') < 0:
		return http.StatusNotImplemented
	case !q.started && len(q.buf) > lim.uri+maxMethod+len("  HTTP/1.1\r\n\r\n"):
		return http.StatusRequestURITooLong
	case len(q.buf) > lim.head:
		return http.StatusRequestHeaderFieldsTooLarge
	}
	return 0
}

// requestLine reads the method, the target and the version. Its parts are
// separated by one space each.
func (q *request) requestLine(line []byte, lim *limits) int {
	at := int32(q.pos - len(line) - 2)
	n := 0
	for n < len(line) && token[line[n]] {
		n++
	}
	if n == 0 || n == len(line) || line[n] != ' ' {
		return http.StatusBadRequest
	}
	q.method = span{at, at + int32(n)}
	last := bytes.LastIndexByte(line, ' ')
	target := line[n+1 : max(last, n+1)]
	version := line[last+1:]
	switch {
	case len(target) > lim.uri:
		return http.StatusRequestURITooLong
	case last == n || !validTarget(target):
		return http.StatusBadRequest
	case n > maxMethod:
		return http.StatusNotImplemented
	case len(version) != 8 || string(version[:5]) != "HTTP/" || !digit(version[5]) || version[6] != '.' || !digit(version[7]):
		return http.StatusBadRequest
	case version[5] != '1' || version[7] > '1':
		return http.StatusHTTPVersionNotSupported
	case string(line[:n]) == "CONNECT":
		return http.StatusNotImplemented
	}
	q.minor = int8(version[7] - '0')
	return q.target(target, at+int32(n)+1)
}

// target reads the request target, which begins at offset at: in origin form, in
// absolute form, or the asterisk of OPTIONS.
func (q *request) target(t []byte, at int32) int {
	switch {
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*' && string(q.bytes(q.method)) == "OPTIONS":
	default:
		n := 0
		switch {
		case len(t) > 7 && equalFold(t[:7], "http://"):
			n = 7
		case len(t) > 8 && equalFold(t[:8], "https://"):
			n = 8
		default:
			return http.StatusBadRequest
		}
		slash := bytes.IndexByte(t[n:], '/')
		if slash < 0 || bytes.IndexByte(t[n:n+slash], '?') >= 0 {
			return http.StatusBadRequest // an empty path could be meant in two ways
		}
		q.absolute = span{at + int32(n), at + int32(n+slash)}
		t, at = t[n+slash:], at+int32(n+slash)
	}
	end := at + int32(len(t))
	q.path = span{at, end}
	q.query = span{end, end}
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		q.path.to = at + int32(i)
		q.query.from = at + int32(i) + 1
	}
	return 0
}

// validTarget reports whether t has only bytes that a target may have. What else
// may not stand in a path is for the gateway to say.
func validTarget(t []byte) bool {
	for _, c := range t {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return len(t) > 0
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// requestField reads one field.
func (q *request) requestField(line []byte, lim *limits) int {
	if len(q.fields) == lim.fields {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	f, ok := q.field(line)
	if !ok {
		return http.StatusBadRequest
	}
	f.kind = requestKind(q.bytes(f.name))
	switch f.kind {
	case plain, dropped:
		return 0
	case forbidden:
		return http.StatusBadRequest
	}
	return q.meaning(f, q.bytes(f.value))
}

// meaning takes up what a field says to the gateway.
func (q *request) meaning(f *field, value []byte) int {
	switch f.kind {
	case host:
		if !q.once(seenHost) || !validHost(value) {
			return http.StatusBadRequest
		}
		q.hostField = len(q.fields) - 1
	case contentLength:
		n, ok := parseLength(value)
		if !ok || !q.once(seenLength) {
			return http.StatusBadRequest
		}
		q.length = n
	case transferEncoding:
		if !q.once(seenCoding) {
			return http.StatusBadRequest
		}
		q.length = -1
		return codingStatus(value)
	case expect:
		if !q.once(seenExpect) {
			return http.StatusBadRequest
		}
		if !equalFold(value, "100-continue") {
			return http.StatusExpectationFailed
		}
		q.expect = true
	case connection:
		if !eachOption(value, q.option) || q.named > maxNamed {
			return http.StatusBadRequest
		}
	case upgrade:
		q.socket = equalFold(value, "websocket")
	case socketKey:
		q.key = true
	case accept:
		q.events = q.events || bytes.Contains(value, []byte("text/event-stream"))
	}
	return 0
}

// once reports whether a field that may stand once has not been seen before.
func (q *request) once(bit uint8) bool {
	first := q.seen&bit == 0
	q.seen |= bit
	return first
}

// codingStatus returns 0 for the one transfer coding that is known.
func codingStatus(value []byte) int {
	if equalFold(value, "chunked") {
		return 0
	}
	if len(value) == 0 {
		return http.StatusBadRequest
	}
	for _, c := range value {
		if !token[c] {
			return http.StatusBadRequest
		}
	}
	return http.StatusNotImplemented
}

// option takes up one option of a Connection field.
func (q *request) option(t []byte) {
	switch {
	case equalFold(t, "close"):
		q.close = true
	case equalFold(t, "keep-alive"):
		q.keep = true
	case equalFold(t, "upgrade"):
		q.upgrade = true
	default:
		q.named++
	}
}

// finish judges the head as a whole.
func (q *request) finish() int {
	switch {
	case q.seen&seenLength != 0 && q.seen&seenCoding != 0:
		return http.StatusBadRequest
	case q.seen&seenCoding != 0 && q.minor == 0:
		return http.StatusBadRequest
	case q.seen&seenHost == 0 && q.minor > 0:
		return http.StatusBadRequest
	case q.absolute.to > 0 && !q.absoluteAgrees():
		return http.StatusBadRequest
	}
	if q.minor == 0 {
		q.close = q.close || !q.keep
		q.expect = false
	}
	if q.named > 0 {
		q.dropNamed()
	}
	return 0
}

// absoluteAgrees reports whether the target's authority is what Host says.
func (q *request) absoluteAgrees() bool {
	authority := q.bytes(q.absolute)
	return q.hostField >= 0 && validHost(authority) &&
		equalFold(authority, q.text(q.fields[q.hostField].value))
}

// wantsSocket reports whether the client asks for a WebSocket as it should.
func (q *request) wantsSocket() bool {
	return q.upgrade && q.socket && q.key && q.minor == 1 && q.length == 0 && string(q.bytes(q.method)) == "GET"
}

// parseLength reads a Content-Length: digits, and nothing else.
func parseLength(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range v {
		if !digit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

package http1

import (
	"errors"
	"net/http"
)

// A response is the head of a backend's answer.
type response struct {
	head
	started bool

	status  int
	minor   int8
	reason  span
	length  int64 // of the body as declared; -1 not declared
	seen    uint8
	chunked bool
	close   bool // the connection ends with this answer
	keep    bool
	named   int  // options of Connection that may be names of fields
	upgrade bool // Connection: upgrade
	socket  bool // Upgrade: websocket
	events  bool // Content-Type: text/event-stream
	encoded bool // there is a Content-Encoding
}

// errMalformed is what a backend's answer can be that is not HTTP/1.
var errMalformed = errors.New("malformed answer")

// reset makes p ready for the next answer.
func (p *response) reset() {
	h := p.head
	h.reset()
	*p = response{head: h, length: -1}
}

// Bounds of an answer's head.
const (
	maxAnswerHead   = 64 << 10
	maxAnswerFields = 200
)

// parse reads on in b, the bytes from the head's first one on. It returns true
// once the head is complete; p.pos is then its length.
func (p *response) parse(b []byte) (bool, error) {
	p.buf = b
	for {
		line, ok, valid := p.line()
		switch {
		case !valid || p.pos > maxAnswerHead || len(p.fields) > maxAnswerFields:
			return false, errMalformed
		case !ok:
			if len(b) > maxAnswerHead {
				return false, errMalformed
			}
			return false, nil
		case !p.started:
			if !p.statusLine(line) {
				return false, errMalformed
			}
			p.started = true
		case len(line) == 0:
			if !p.finish() {
				return false, errMalformed
			}
			return true, nil
		default:
			if !p.responseField(line) {
				return false, errMalformed
			}
		}
	}
}

// statusLine reads the version, the status and the reason.
func (p *response) statusLine(line []byte) bool {
	const least = len("HTTP/1.1 200")
	if len(line) < least || string(line[:7]) != "HTTP/1." || line[7] > '1' || !digit(line[7]) || line[8] != ' ' {
		return false
	}
	for _, c := range line[9:12] {
		if !digit(c) {
			return false
		}
		p.status = p.status*10 + int(c-'0')
	}
	if len(line) > least && line[12] != ' ' || p.status < 100 || p.status > 599 || !validValue(line[12:]) {
		return false
	}
	p.minor = int8(line[7] - '0')
	end := int32(p.pos - 2)
	p.reason = span{min(end-int32(len(line))+13, end), end}
	return true
}

// responseField reads one field.
func (p *response) responseField(line []byte) bool {
	f, ok := p.field(line)
	if !ok {
		return false
	}
	f.kind = lookUp(&responseKinds, p.bytes(f.name))
	value := p.bytes(f.value)
	switch f.kind {
	case contentLength:
		p.length, ok = parseLength(value)
		if p.seen&seenLength != 0 {
			ok = false
		}
		p.seen |= seenLength
	case transferEncoding:
		ok = p.seen&seenCoding == 0 && equalFold(value, "chunked")
		p.seen |= seenCoding
		p.chunked = true
	case connection:
		ok = eachOption(value, p.option) && p.named <= maxNamed
	case upgrade:
		p.socket = equalFold(value, "websocket")
	case contentType:
		const stream = "text/event-stream"
		p.events = len(value) >= len(stream) && equalFold(value[:len(stream)], stream)
	case contentEncoding:
		p.encoded = !equalFold(value, "identity")
	}
	return ok
}

// option takes up one option of a Connection field.
func (p *response) option(t []byte) {
	switch {
	case equalFold(t, "close"):
		p.close = true
	case equalFold(t, "keep-alive"):
		p.keep = true
	case equalFold(t, "upgrade"):
		p.upgrade = true
	default:
		p.named++
	}
}

// finish judges the head as a whole.
func (p *response) finish() bool {
	if p.seen&seenCoding != 0 && (p.seen&seenLength != 0 || p.minor == 0) {
		return false
	}
	if p.minor == 0 {
		p.close = p.close || !p.keep
	}
	if p.named > 0 {
		p.dropNamed()
	}
	return true
}

// bodiless reports whether an answer with p's head has no body, to a request with
// the method.
func (p *response) bodiless(method string) bool {
	return method == http.MethodHead || p.status < 200 || p.status == http.StatusNoContent || p.status == http.StatusNotModified
}

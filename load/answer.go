package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Bounds of an answer. A body may have any length: all but its beginning is read
// and forgotten.
const (
	maxHead = 64 << 10 // bytes of a head, and of a chunked body's trailer
	maxKept = 4 << 10  // bytes of a body that are kept
	maxLine = 16 << 10
)

// errMalformed is in the chain of every error about an answer that is no HTTP.
var errMalformed = errors.New("malformed answer")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// An answer is what was read of one answer.
type answer struct {
	status int
	again  bool   // the connection is good for another request
	body   []byte // beginning of the body of a status from 400 on; valid until the next answer
}

// A framing is how the end of an answer's body is found.
type framing struct {
	version int   // the minor one of HTTP/1
	length  int64 // -1: not said
	chunked bool
	closes  bool
}

// An answerReader reads one answer after the other off a connection.
type answerReader struct {
	br   *bufio.Reader
	left int // bytes that the head or the trailer may still have
	kept []byte
}

func newAnswerReader() *answerReader {
	return &answerReader{br: bufio.NewReaderSize(nil, maxLine), kept: make([]byte, 0, maxKept)}
}

// next reads one answer to a request of method. An error means that the
// connection can't be used again.
func (r *answerReader) next(method string, a *answer) error {
	var f framing
	for {
		r.left = maxHead
		if err := r.head(a, &f); err != nil {
			return err
		}
		if a.status >= 200 {
			break
		}
		if a.status == http.StatusSwitchingProtocols {
			return malformed("status 101, which nobody asked for")
		}
	}
	r.kept = r.kept[:0]
	keep := a.status >= 400
	var err error
	a.again = !f.closes && f.version > 0
	switch {
	case method == http.MethodHead || a.status == http.StatusNoContent || a.status == http.StatusNotModified:
	case f.chunked:
		err = r.chunks(keep)
	case f.length >= 0:
		err = r.body(f.length, keep)
	default:
		a.again = false
		err = r.rest(keep)
	}
	a.body = r.kept
	return err
}

// head reads a status line and header fields.
func (r *answerReader) head(a *answer, f *framing) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	// HTTP/1.1 200 OK
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return malformed("it begins with %.40q", line)
	}
	*f = framing{length: -1, version: int(line[7] - '0')}
	if f.version > 9 {
		return malformed("it begins with %.40q", line)
	}
	a.status = 0
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return malformed("it begins with %.40q", line)
		}
		a.status = a.status*10 + int(c-'0')
	}
	if a.status < 100 || a.status > 599 {
		return malformed("status %d", a.status)
	}
	for {
		line, err := r.line()
		if err != nil {
			return noEnd(err)
		}
		if len(line) == 0 {
			return nil
		}
		if err := f.field(line); err != nil {
			return err
		}
	}
}

// field takes in a header field, if it says how the body ends.
func (f *framing) field(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return malformed("header field %.40q", line)
	}
	switch value = bytes.TrimSpace(value); {
	case equalFold(name, "content-length"):
		n, err := strconv.ParseUint(string(value), 10, 63)
		if err != nil || f.length >= 0 && f.length != int64(n) {
			return malformed("Content-Length %.40q", value)
		}
		f.length = int64(n)
	case equalFold(name, "transfer-encoding"):
		if f.chunked || !equalFold(value, "chunked") {
			return malformed("Transfer-Encoding %.40q", value)
		}
		f.chunked = true
	case equalFold(name, "connection"):
		for token := range bytes.SplitSeq(value, []byte(",")) {
			f.closes = f.closes || equalFold(bytes.TrimSpace(token), "close")
		}
	}
	return nil
}

// equalFold reports whether b is lower but for the case of its letters.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c != lower[i] && (c|0x20 != lower[i] || c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// line reads a line of the head, without its end. It is valid until the next read.
func (r *answerReader) line() ([]byte, error) {
	line, err := r.br.ReadSlice('\n')
	if r.left -= len(line); r.left < 0 || errors.Is(err, bufio.ErrBufferFull) {
		return nil, malformed("a line or a head without end")
	}
	if err != nil {
		if len(line) > 0 {
			err = noEnd(err)
		}
		return nil, err
	}
	line = line[:len(line)-1]
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// noEnd returns the error for a connection that ended within an answer.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// body reads n bytes of a body.
func (r *answerReader) body(n int64, keep bool) error {
	if keep {
		first := min(n, int64(cap(r.kept)-len(r.kept)))
		at := len(r.kept)
		r.kept = r.kept[:at+int(first)]
		m, err := io.ReadFull(r.br, r.kept[at:])
		if err != nil {
			r.kept = r.kept[:at+m]
			return noEnd(err)
		}
		n -= first
	}
	for n > 0 {
		m, err := r.br.Discard(int(min(n, 1<<20)))
		if err != nil {
			return noEnd(err)
		}
		n -= int64(m)
	}
	return nil
}

// rest reads a body that lasts until the connection is closed.
func (r *answerReader) rest(keep bool) error {
	for {
		if _, err := r.br.Peek(1); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := r.body(int64(r.br.Buffered()), keep); err != nil {
			return err
		}
	}
}

// chunks reads a chunked body with its trailer.
func (r *answerReader) chunks(keep bool) error {
	for {
		r.left = maxHead // a chunk's line; the trailer has as much for all its lines
		line, err := r.line()
		if err != nil {
			return noEnd(err)
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 63)
		if err != nil {
			return malformed("chunk of size %.40q", line)
		}
		if n == 0 {
			return r.trailer()
		}
		if err := r.body(int64(n), keep); err != nil {
			return err
		}
		if line, err = r.line(); err != nil {
			return noEnd(err)
		}
		if len(line) != 0 {
			return malformed("a chunk is longer than it says")
		}
	}
}

func (r *answerReader) trailer() error {
	for {
		line, err := r.line()
		if err != nil {
			return noEnd(err)
		}
		if len(line) == 0 {
			return nil
		}
	}
}

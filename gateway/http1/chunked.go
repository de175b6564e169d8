package http1

import "errors"

// errChunk is what a chunked body can be that is not one.
var errChunk = errors.New("malformed chunked body")

// A chunked takes the framing off a chunked body, whatever pieces it comes in.
// Extensions and trailers are checked and left out. The zero value is ready.
type chunked struct {
	state chunkState
	left  int64 // of this chunk
	size  int   // digits of its size so far
	extra int   // bytes of extensions and trailers so far
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkQuoted
	chunkEscaped
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerName
	trailerValue
	trailerLF
	chunkLastLF
	chunkDone
)

// maxExtra bounds what a body may have of extensions and trailers: both are
// thrown away, and cost the sender more than us only if they are few.
const maxExtra = 8 << 10

// done reports whether the body is at its end.
func (d *chunked) done() bool { return d.state == chunkDone }

// next returns the next piece of data in b and how many bytes of b came before
// its end. There is none in b if data is empty. It must not be called once done.
func (d *chunked) next(b []byte) (data []byte, n int, err error) {
	for n < len(b) {
		if d.state == chunkData {
			size := int(min(d.left, int64(len(b)-n)))
			d.left -= int64(size)
			if d.left == 0 {
				d.state = chunkDataCR
			}
			return b[n : n+size], n + size, nil
		}
		if !d.step(b[n]) {
			return nil, n, errChunk
		}
		n++
		if d.state == chunkDone {
			break
		}
	}
	return nil, n, nil
}

// step takes one byte of framing.
func (d *chunked) step(c byte) bool {
	switch d.state {
	case chunkSize:
		return d.sizeByte(c)
	case chunkExtension, chunkQuoted, chunkEscaped:
		return d.extensionByte(c)
	case chunkSizeLF:
		d.size = 0
		d.state = chunkData
		if d.left == 0 {
			d.state = trailerStart
		}
		return c == '\n'
	case chunkDataCR:
		d.state = chunkDataLF
		return c == '\r'
	case chunkDataLF:
		d.state = chunkSize
		return c == '\n'
	}
	return d.trailerByte(c)
}

// sizeByte takes a byte of a chunk's size: hexadecimal digits, right up to the
// end of the line or an extension.
func (d *chunked) sizeByte(c byte) bool {
	var digit int64
	switch l := lower(c); {
	case '0' <= c && c <= '9':
		digit = int64(c - '0')
	case 'a' <= l && l <= 'f':
		digit = int64(l-'a') + 10
	case d.size == 0:
		return false
	case c == '\r':
		d.state = chunkSizeLF
		return true
	case c == ';':
		d.state = chunkExtension
		return true
	default:
		return false
	}
	d.size++
	d.left = d.left<<4 | digit
	return d.size <= 15 // so it can't overflow
}

// extensionByte takes a byte of an extension: name=token or name="quoted text".
// Where it ends must not be in doubt, the rest does not matter.
func (d *chunked) extensionByte(c byte) bool {
	d.extra++
	if d.extra > maxExtra {
		return false
	}
	switch d.state {
	case chunkEscaped:
		d.state = chunkQuoted
		return c == '\t' || c >= ' ' && c != 0x7f
	case chunkQuoted:
		switch c {
		case '"':
			d.state = chunkExtension
		case '\\':
			d.state = chunkEscaped
		}
		return c == '\t' || c >= ' ' && c != 0x7f
	}
	switch {
	case c == '\r':
		d.state = chunkSizeLF
	case c == '"':
		d.state = chunkQuoted
	default:
		return token[c] || c == '=' || c == ';'
	}
	return true
}

// trailerByte takes a byte of the fields after the last chunk.
func (d *chunked) trailerByte(c byte) bool {
	d.extra++
	if d.extra > maxExtra {
		return false
	}
	switch d.state {
	case trailerStart:
		if c == '\r' {
			d.state = chunkLastLF
			return true
		}
		d.state = trailerName
		return token[c]
	case trailerName:
		if c == ':' {
			d.state = trailerValue
			return true
		}
		return token[c]
	case trailerValue:
		if c == '\r' {
			d.state = trailerLF
			return true
		}
		return c == '\t' || c >= ' ' && c != 0x7f
	case trailerLF:
		d.state = trailerStart
		return c == '\n'
	case chunkLastLF:
		d.state = chunkDone
		return c == '\n'
	}
	return false
}

package http1

import (
	"bytes"
	"encoding/binary"
	"unsafe"
)

// A span is a part of a head, by its offsets.
type span struct{ from, to int32 }

// A field is one field of a head.
type field struct {
	name, value span
	line        int32 // where its line begins; it ends with the next one's
	kind        kind
}

// A head is the start line and the fields of a message, as far as they have been
// read. Its parts are offsets into buf, which may move while it is incomplete.
type head struct {
	buf    []byte  // all that has been read, from the head's first byte on
	pos    int     // where the next line begins
	scan   int     // up to where buf has been searched for the end of that line
	fields []field // reused
}

// reset makes h ready for the next message.
func (h *head) reset() {
	h.buf, h.pos, h.scan, h.fields = nil, 0, 0, h.fields[:0]
}

// line returns the next line of h, without its end, or false if it is not
// complete. A line that does not end in CR LF, or has a CR elsewhere, is refused
// here: where the next message begins must never be in doubt.
func (h *head) line() (line []byte, ok, valid bool) {
	i := bytes.IndexByte(h.buf[h.scan:], '\n')
	if i < 0 {
		h.scan = len(h.buf)
		return nil, false, true
	}
	end := h.scan + i
	if end == h.pos || h.buf[end-1] != '\r' {
		return nil, false, false
	}
	line = h.buf[h.pos : end-1]
	h.pos, h.scan = end+1, end+1
	return line, true, true
}

// field adds the field in line, the last that h.line returned, without its kind.
// It reports whether it is valid: a name of token characters right before the
// colon, a value without control characters. A folded line has no name.
func (h *head) field(line []byte) (*field, bool) {
	colon := 0
	for colon < len(line) && token[line[colon]] {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return nil, false
	}
	from, to := colon+1, len(line)
	for from < to && (line[from] == ' ' || line[from] == '\t') {
		from++
	}
	for from < to && (line[to-1] == ' ' || line[to-1] == '\t') {
		to--
	}
	if !validValue(line[from:to]) {
		return nil, false
	}
	at := int32(h.pos - len(line) - 2)
	h.fields = append(h.fields, field{
		name:  span{at, at + int32(colon)},
		value: span{at + int32(from), at + int32(to)},
		line:  at,
	})
	return &h.fields[len(h.fields)-1], true
}

// bytes returns the text of s.
func (h *head) bytes(s span) []byte { return h.buf[s.from:s.to] }

// text returns the text of s. It shares memory with the buffer.
func (h *head) text(s span) string { return view(h.buf[s.from:s.to]) }

// Value implements weir.Values.
func (h *head) Value(name string) (string, bool) {
	for i := range h.fields {
		f := &h.fields[i]
		if equalFold(h.bytes(f.name), name) {
			return h.text(f.value), true
		}
	}
	return "", false
}

// Each implements gateway.Headers.
func (h *head) Each(name string, f func(value string) bool) {
	for i := range h.fields {
		at := &h.fields[i]
		if equalFold(h.bytes(at.name), name) && !f(h.text(at.value)) {
			return
		}
	}
}

// view returns b as a string that shares its memory.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// token tells which bytes may stand in a name or a method (RFC 9110, 5.6.2).
var token = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// lower returns the small letter for a capital one, and every other byte as it is.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// equalFold reports whether a and b are equal but for the case of ASCII letters.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// validValue reports whether v has no control character but tabs. It looks at
// eight bytes at a time, since it sees most of what a client sends.
func validValue(v []byte) bool {
	for len(v) >= 8 {
		x := binary.LittleEndian.Uint64(v)
		control := (x - 0x20*ones) & ^x
		del := x ^ 0x7f*ones
		del = (del - ones) & ^del
		if (control|del)&highs != 0 && !validBytes(v[:8]) {
			return false
		}
		v = v[8:]
	}
	return validBytes(v)
}

func validBytes(v []byte) bool {
	for _, c := range v {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// maxNamed bounds the options of Connection that may be names of fields: each is
// held against every field.
const maxNamed = 32

// eachOption calls f with each option in a Connection field's value. It reports
// whether all are tokens; empty ones are left out.
func eachOption(list []byte, f func(option []byte)) bool {
	for len(list) > 0 {
		var one []byte
		if i := bytes.IndexByte(list, ','); i >= 0 {
			one, list = list[:i], list[i+1:]
		} else {
			one, list = list, nil
		}
		one = bytes.Trim(one, " \t")
		for _, c := range one {
			if !token[c] {
				return false
			}
		}
		if len(one) > 0 {
			f(one)
		}
	}
	return true
}

// dropNamed drops the fields that Connection names: they are for this connection
// only.
func (h *head) dropNamed() {
	for i := range h.fields {
		if h.fields[i].kind != connection {
			continue
		}
		eachOption(h.bytes(h.fields[i].value), func(option []byte) {
			for j := range h.fields {
				f := &h.fields[j]
				if f.kind.passes() && equalFold(h.bytes(f.name), view(option)) {
					f.kind = dropped
				}
			}
		})
	}
}

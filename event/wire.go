package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// The codecs are written by hand, upon encoding/binary. Messages as generated
// code has them would be made and thrown away for each of thousands of events a
// second; and the little that there is of tags and lengths is not worth a
// dependency of every gateway. Tests hold it against google.golang.org/protobuf.

// A kind is how the value of a field is written.
type kind = uint64

const (
	varint  kind = 0
	fixed64 kind = 1
	length  kind = 2 // bytes, a text or a message, after their length
	group   kind = 3 // fields until the tag of its end; not used any more, but allowed
	end     kind = 4
	fixed32 kind = 5
)

// field returns the tag of a field.
func field(number uint64, k kind) uint64 { return number<<3 | k }

const (
	maxField  = 1<<29 - 1 // number of a field
	maxGroups = 16        // that stand in each other, in fields that are skipped
)

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// The functions below append a field, unless it has the value that a missing one has.

func appendUint(dst []byte, number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.AppendUvarint(binary.AppendUvarint(dst, field(number, varint)), v)
}

func appendSint(dst []byte, number uint64, v int64) []byte {
	return appendUint(dst, number, zigzag(v))
}

func appendBool(dst []byte, number uint64, v bool) []byte {
	if !v {
		return dst
	}
	return appendUint(dst, number, 1)
}

func appendFixed(dst []byte, number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(dst, field(number, fixed64)), v)
}

func appendText[T string | []byte](dst []byte, number uint64, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	return append(appendLength(dst, number, len(v)), v...)
}

// appendLength appends the tag and the length of what is n bytes long.
func appendLength(dst []byte, number uint64, n int) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, field(number, length)), uint64(n))
}

// A reader reads the fields of one message: s[i:]; what is before is what came
// before the message. What is wrong is kept in err, and ends the message; the
// reads after it return zeros.
type reader struct {
	s   string
	i   int
	err error
}

var (
	errShort   = errors.New("it ends within a field")
	errVarint  = errors.New("a number has more than 64 bits")
	errField   = errors.New("there is no field of that number")
	errKind    = errors.New("there is no field of that kind")
	errUTF8    = errors.New("a text is no UTF-8")
	errNesting = errors.New("groups are nested too deep")
)

// more reports whether there is another field.
func (r *reader) more() bool { return r.i < len(r.s) }

// fail ends the message.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("at byte %d: %w", r.i, err)
	}
	r.i = len(r.s)
}

// uint reads a varint.
func (r *reader) uint() uint64 {
	if r.i < len(r.s) && r.s[r.i] < 0x80 {
		v := r.s[r.i]
		r.i++
		return uint64(v)
	}
	return r.longUint()
}

func (r *reader) longUint() uint64 {
	var v uint64
	for n := range binary.MaxVarintLen64 {
		if r.i+n >= len(r.s) {
			r.fail(errShort)
			return 0
		}
		b := r.s[r.i+n]
		if n == binary.MaxVarintLen64-1 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << (7 * n)
		if b < 0x80 {
			r.i += n + 1
			return v
		}
	}
	r.fail(errVarint)
	return 0
}

func (r *reader) sint() int64 { return unzigzag(r.uint()) }

// tag reads the tag of a field; 0 if it is wrong.
func (r *reader) tag() uint64 {
	if r.i < len(r.s) && r.s[r.i] >= 1<<3 && r.s[r.i] < 0x80 {
		v := r.s[r.i]
		r.i++
		return uint64(v)
	}
	return r.longTag()
}

func (r *reader) longTag() uint64 {
	at := r.i
	tag := r.uint()
	if n := tag >> 3; n == 0 || n > maxField {
		if r.err == nil {
			r.i = at
			r.fail(errField)
		}
		return 0
	}
	return tag
}

func (r *reader) fixed64() uint64 {
	if len(r.s)-r.i < 8 {
		r.fail(errShort)
		return 0
	}
	s := r.s[r.i : r.i+8]
	r.i += 8
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// text reads what stands after its length. It is a part of the reader's string.
func (r *reader) text() string {
	n := r.uint()
	if n > uint64(len(r.s)-r.i) {
		r.fail(errShort)
		return ""
	}
	r.i += int(n)
	return r.s[r.i-int(n) : r.i]
}

// utf8 reads a text that must be UTF-8.
func (r *reader) utf8() string {
	s := r.text()
	if !utf8.ValidString(s) {
		r.fail(errUTF8)
	}
	return s
}

// message reads a message.
func (r *reader) message() reader {
	s := r.text()
	return reader{s: r.s[:r.i], i: r.i - len(s)}
}

// within ends r if the message inner, which is a part of it, is wrong.
func (r *reader) within(inner *reader) {
	if inner.err != nil && r.err == nil {
		r.i, r.err = len(r.s), inner.err
	}
}

// skip passes over the value of a field.
func (r *reader) skip(tag uint64) { r.skipIn(tag, 0) }

func (r *reader) skipIn(tag uint64, depth int) {
	switch tag & 7 {
	case varint:
		r.uint()
	case fixed64:
		r.fixed64()
	case length:
		r.text()
	case fixed32:
		if len(r.s)-r.i < 4 {
			r.fail(errShort)
			return
		}
		r.i += 4
	case group:
		if depth == maxGroups {
			r.fail(errNesting)
			return
		}
		for r.more() {
			inner := r.tag()
			if inner == tag-group+end {
				return
			}
			r.skipIn(inner, depth+1)
		}
		r.fail(errShort)
	default:
		r.fail(errKind)
	}
}

// quote returns s as it can stand in a message: in quotes, and not too long.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

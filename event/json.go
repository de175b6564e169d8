package event

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep JSON may be nested.
const maxDepth = 16

// A scanner reads JSON as RFC 8259 has it, and nothing else, but for one thing:
// that texts are UTF-8 is for others to look at. What is wrong is kept in fault and
// where in at, and ends all reading.
//
// It is written by hand because encoding/json alone takes longer for an event than
// there is time for all that is done with it.
type scanner struct {
	p     []byte
	i     int
	at    int
	fault string
}

// A token is a value: p[from:to]. Of a text that is what stands between the quotes.
type token struct {
	from, to int
	kind     byte // the first byte of a value of its kind; '0' for numbers, 0 for none
	escaped  bool // the text has escapes
}

func (s *scanner) fail(fault string) {
	if s.fault == "" {
		s.at, s.fault = s.i, fault
	}
}

// space skips white space, and returns the byte after it, which stays; 0 at the end.
func (s *scanner) space() byte {
	for ; s.i < len(s.p); s.i++ {
		switch c := s.p[s.i]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

// next reports whether an object or an array, which was begun and ends with a
// byte, has another element, and goes there; and past its end if there is none.
func (s *scanner) next(first bool, end byte) bool {
	if s.fault != "" {
		return false
	}
	switch c := s.space(); {
	case c == end:
		s.i++
		return false
	case first:
		return true
	case c != ',':
		s.fail("a comma is missing, or the end")
		return false
	}
	s.i++
	return true
}

// key reads the name of a member, and the colon.
func (s *scanner) key() token {
	if s.space() != '"' {
		s.fail("a name in quotes is missing")
		return token{}
	}
	k := s.text()
	if s.space() != ':' {
		s.fail("a colon is missing")
		return token{}
	}
	s.i++
	return k
}

// value reads a value, which stands in so many others.
func (s *scanner) value(depth int) token {
	t := token{from: s.i, kind: s.space()}
	t.from = s.i
	switch c := t.kind; {
	case s.fault != "":
		return token{}
	case c == '"':
		return s.text()
	case c == '-' || '0' <= c && c <= '9':
		t.kind = '0'
		s.number()
	case c == '{' || c == '[':
		s.container(c, depth+1)
	case c == 't':
		s.word("true")
	case c == 'f':
		s.word("false")
	case c == 'n':
		s.word("null")
	default:
		s.fail("a value is missing")
	}
	t.to = s.i
	return t
}

// container reads an object or an array.
func (s *scanner) container(c byte, depth int) {
	if depth > maxDepth {
		s.fail("it is nested too deep")
		return
	}
	s.i++
	for first := true; s.next(first, c+2); first = false { // ] and } come two after [ and {
		if c == '{' {
			s.key()
		}
		s.value(depth)
	}
}

func (s *scanner) word(w string) {
	if len(s.p)-s.i < len(w) || string(s.p[s.i:s.i+len(w)]) != w {
		s.fail("a value is missing")
		return
	}
	s.i += len(w)
}

func (s *scanner) number() {
	if s.p[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.p) && s.p[s.i] == '0' {
		s.i++
	} else if s.digits() == 0 {
		s.fail("a number lacks digits")
	}
	if s.i < len(s.p) && s.p[s.i] == '.' {
		s.i++
		if s.digits() == 0 {
			s.fail("a number lacks digits")
		}
	}
	if s.i < len(s.p) && s.p[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.p) && (s.p[s.i] == '+' || s.p[s.i] == '-') {
			s.i++
		}
		if s.digits() == 0 {
			s.fail("a number lacks digits")
		}
	}
}

// digits skips digits and returns how many.
func (s *scanner) digits() int {
	from := s.i
	for s.i < len(s.p) && '0' <= s.p[s.i] && s.p[s.i] <= '9' {
		s.i++
	}
	return s.i - from
}

// text reads a text, of which the quote is next.
func (s *scanner) text() token {
	t := token{from: s.i + 1, kind: '"'}
	for s.i = plainEnd(s.p, s.i+1); s.i < len(s.p); s.i = plainEnd(s.p, s.i) {
		switch c := s.p[s.i]; {
		case c == '"':
			t.to = s.i
			s.i++
			return t
		case c < ' ':
			s.fail("a control character stands in a text")
			return token{}
		}
		t.escaped = true
		n := escapeSize(s.p[s.i:])
		if n == 0 {
			s.fail("there is no such escape")
			return token{}
		}
		s.i += n
	}
	s.fail("a text has no end")
	return token{}
}

// plainEnd returns the index of the first byte from i on that is a quote, a
// backslash or a control character. It looks at eight bytes at a time.
func plainEnd(p []byte, i int) int {
	const (
		ones   = 0x0101010101010101
		quote  = ones * '"'
		back   = ones * '\\'
		spaces = ones * ' '
		highs  = ones * 0x80
	)
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		// Of each byte that is sought, the highest bit; above the lowest of
		// them perhaps of others, too.
		found := ((w^quote-ones)&^(w^quote) | (w^back-ones)&^(w^back) | (w-spaces)&^w) & highs
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(p); i++ {
		if c := p[i]; c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return i
}

// escapeSize returns how long the escape at the beginning of p is; 0: it is none.
func escapeSize(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	switch p[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(p); ok {
			return 6
		}
	}
	return 0
}

// hex4 returns the code of an escape like \u00e4.
func hex4(p []byte) (rune, bool) {
	if len(p) < 6 || p[0] != '\\' || p[1] != 'u' {
		return 0, false
	}
	var v rune
	for _, c := range p[2:6] {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			v = v<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// unescape appends a text without its escapes. Halves of a character that stand
// alone become U+FFFD.
func unescape(dst, p []byte) []byte {
	for len(p) > 0 {
		i := plainEnd(p, 0)
		dst, p = append(dst, p[:i]...), p[i:]
		if len(p) < 2 {
			break
		}
		if p[1] != 'u' {
			dst = append(dst, unescaped(p[1]))
			p = p[2:]
			continue
		}
		r, _ := hex4(p)
		p = p[6:]
		if utf16.IsSurrogate(r) {
			low, _ := hex4(p)
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				p = p[6:]
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// unescaped returns the character of an escape of two bytes.
func unescaped(c byte) byte {
	if i := strings.IndexByte("bfnrt", c); i >= 0 {
		return "\b\f\n\r\t"[i]
	}
	return c
}

// appendQuoted appends a text in quotes.
func appendQuoted(dst []byte, s string) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped appends a text as it stands between quotes. What is no UTF-8
// becomes U+FFFD.
func appendEscaped(dst []byte, s string) []byte {
	const hexes = "0123456789abcdef"
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexes[c>>4], hexes[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return dst
}

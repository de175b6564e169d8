package route

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPath is the length in bytes of the longest path that is accepted, as
// received and in canonical form.
const MaxPath = 8 << 10

// The reasons to refuse a path.
const (
	errPathStart   = Ambiguity("path does not start with a slash")
	errPathEmpty   = Ambiguity("path has an empty segment")
	errPathDots    = Ambiguity("path has a dot segment")
	errPathSlash   = Ambiguity("path has an escaped slash or a backslash")
	errPathControl = Ambiguity("path has a control character")
	errPathByte    = Ambiguity("path has a character that must be escaped")
	errPathParam   = Ambiguity("path has a semicolon")
	errPathEscape  = Ambiguity("path has an invalid escape")
	errPathTwice   = Ambiguity("path is escaped twice")
	errPathUTF8    = Ambiguity("path is not valid UTF-8")
)

// Canonical returns the one form of path, still escaped, that is matched,
// counted and forwarded. It allocates only if path is not in that form
// already, and what it returns it returns unchanged when given it again.
//
// Escapes of unreserved characters are decoded (%61 is a), the digits of others
// are put in capitals, and the few characters that clients send as they are
// although they may not ("<>[]^`{|} and the quotation mark) are escaped. Case
// and a trailing slash are kept: they make another path.
//
// Refused are an empty path or one that does not begin with a slash; empty
// segments ("//"); dot segments, plain, escaped, or before a parameter
// ("..%3B"); slashes and backslashes in disguise; control characters, "#", "?",
// space and bytes above 127; escapes that are invalid, that are not UTF-8, or
// that would make another escape if they were decoded twice (%252f).
//
// A semicolon is refused too. Some servers cut a segment off at it and others
// do not, so /admin;x would be one path here and another behind. As data it
// can be sent as %3B.
func Canonical(path string) (string, error) {
	if path == "" || path[0] != '/' {
		return "", errPathStart
	}
	if len(path) > MaxPath {
		return "", ErrPathTooLong
	}
	canonical, err := scanPath(path)
	if err != nil {
		return "", err
	}
	if canonical {
		return path, nil
	}
	path, ok := rewritePath(path)
	if !ok {
		return "", errPathEscape
	}
	if len(path) > MaxPath {
		return "", ErrPathTooLong
	}
	if _, err := scanPath(path); err != nil {
		return "", err
	}
	return path, nil
}

// scanPath reports whether path is in canonical form. It stops at the first
// thing that rewritePath would change, so a path must be scanned again after it.
func scanPath(path string) (canonical bool, err error) {
	start, wide := 1, false
	for i := 1; i < len(path); i++ {
		switch byteClass[path[i]] {
		case byteUnreserved, byteReserved:
		case byteSlash:
			if i == start {
				return false, errPathEmpty
			}
			if isDots(path[start:i]) {
				return false, errPathDots
			}
			start = i + 1
		case bytePercent:
			c, ok := unhex(path, i)
			if !ok {
				return false, errPathEscape
			}
			if byteClass[c] == byteUnreserved || !isUpperHex(path[i+1]) || !isUpperHex(path[i+2]) {
				return false, nil
			}
			if err := checkEscape(path, i, c); err != nil {
				return false, err
			}
			wide = wide || c >= utf8.RuneSelf
			i += 2
		case byteEscaped:
			return false, nil
		default:
			return false, badPathByte(path[i])
		}
	}
	if isDots(path[start:]) {
		return false, errPathDots
	}
	if wide && !isTextUTF8(path) {
		return false, errPathUTF8
	}
	return true, nil
}

// checkEscape says whether c may stand escaped in a path, at path[i:].
func checkEscape(path string, i int, c byte) error {
	switch {
	case c == '/' || c == '\\':
		return errPathSlash
	case c < ' ' || c == 0x7f:
		return errPathControl
	case c == '%' && i+4 < len(path) && hexValue[path[i+3]] < 16 && hexValue[path[i+4]] < 16:
		return errPathTwice
	}
	return nil
}

// badPathByte says why c may not stand in a path.
func badPathByte(c byte) error {
	switch {
	case c == ';':
		return errPathParam
	case c == '\\':
		return errPathSlash
	case c < ' ' || c == 0x7f:
		return errPathControl
	}
	return errPathByte
}

// isDots reports whether seg is "." or "..", or is to a server that cuts
// segments off at a semicolon.
func isDots(seg string) bool {
	if seg == "" || seg[0] != '.' {
		return false
	}
	seg = seg[1:]
	if seg != "" && seg[0] == '.' {
		seg = seg[1:]
	}
	return seg == "" || strings.HasPrefix(seg, "%3B")
}

// isUpperHex reports whether the hexadecimal digit c is not in lower case.
func isUpperHex(c byte) bool { return c <= 'F' }

// isTextUTF8 reports whether the escapes above 127 in path make UTF-8 without
// control characters. All escapes in path are valid.
func isTextUTF8(path string) bool {
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		var buf [utf8.UTFMax]byte
		n := 0
		for n < len(buf) && i+3*n < len(path) && path[i+3*n] == '%' {
			buf[n], _ = unhex(path, i+3*n)
			n++
		}
		r, size := utf8.DecodeRune(buf[:n])
		if (r == utf8.RuneError && size == 1) || unicode.IsControl(r) {
			return false
		}
		i += 3*size - 1
	}
	return true
}

// rewritePath brings the escapes of path into canonical form. What may not
// stand in a path at all it leaves in place. It reports false for an invalid
// escape, which must not become a valid one when what follows it is decoded
// (%0%61).
func rewritePath(path string) (string, bool) {
	out := make([]byte, 0, len(path)+16)
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch byteClass[c] {
		case bytePercent:
			v, ok := unhex(path, i)
			if !ok {
				return "", false
			}
			i += 2
			if byteClass[v] == byteUnreserved {
				out = append(out, v)
			} else {
				out = appendEscape(out, v)
			}
		case byteEscaped:
			out = appendEscape(out, c)
		default:
			out = append(out, c)
		}
	}
	return string(out), true
}

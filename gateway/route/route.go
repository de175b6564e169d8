// Package route brings a request's path, method, host and query into the one
// form that is matched, counted and forwarded, and finds the API and resource
// that a canonical path names.
//
// What could be read in two ways is not guessed at: it is an [Ambiguity], and
// the caller answers 400. So a backend behind the gateway cannot be shown
// another request than the one that was held to its limits.
package route

// An Ambiguity is the reason why a path, host or query is refused. The texts
// are fixed and hold nothing of the request, so they may be shown to clients.
type Ambiguity string

// Error returns the reason.
func (a Ambiguity) Error() string { return string(a) }

// ErrPathTooLong is the refusal of a path of more than [MaxPath] bytes, to be
// answered with 414 where every other Ambiguity gets 400.
const ErrPathTooLong = Ambiguity("path is too long")

// What a byte is to a path, host or query.
const (
	byteBad        = iota // never allowed as itself
	byteUnreserved        // the same with and without an escape: RFC 3986, 2.3
	byteReserved          // allowed, and not the same as its escape
	byteEscaped           // written by some clients as itself, always escaped in canonical form
	bytePercent
	byteSlash
)

// byteClass tells the class of each byte in a path.
var byteClass = makeByteClass()

func makeByteClass() (class [256]uint8) {
	for c := range class {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			class[c] = byteUnreserved
		}
	}
	for _, set := range []struct {
		bytes string
		class uint8
	}{
		{"-._~", byteUnreserved},
		{"!$&'()*+,=:@", byteReserved},
		{"\"<>[]^`{|}", byteEscaped},
		{"%", bytePercent},
		{"/", byteSlash},
	} {
		for i := range len(set.bytes) {
			class[set.bytes[i]] = set.class
		}
	}
	return class
}

// unhex returns the byte of the escape at s[i:], which begins with "%".
func unhex(s string, i int) (c byte, ok bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	hi, lo := hexValue[s[i+1]], hexValue[s[i+2]]
	return hi<<4 | lo&15, hi < 16 && lo < 16
}

// hexValue is the value of each hexadecimal digit, 255 for other bytes.
var hexValue = makeHexValue()

func makeHexValue() (value [256]byte) {
	for c := range value {
		switch {
		case c >= '0' && c <= '9':
			value[c] = byte(c) - '0'
		case c >= 'a' && c <= 'f':
			value[c] = byte(c) - 'a' + 10
		case c >= 'A' && c <= 'F':
			value[c] = byte(c) - 'A' + 10
		default:
			value[c] = 255
		}
	}
	return value
}

const upperHex = "0123456789ABCDEF"

// appendEscape appends the escape of c in canonical form.
func appendEscape(dst []byte, c byte) []byte {
	return append(dst, '%', upperHex[c>>4], upperHex[c&15])
}

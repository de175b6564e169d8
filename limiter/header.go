package limiter

import (
	"math/bits"
	"strconv"
	"time"
)

// What an answer says of limits, as structured fields of RFC 9651 in the form
// of draft-ietf-httpapi-ratelimit-headers. All of it is appended to what the
// caller has, and allocates nothing where that is long enough.

// AppendPolicy appends a limit, under a name, to a value of the RateLimit-Policy
// field: "burst";q=100;w=60. It is separated from what dst holds already.
// Windows are told in seconds where they have a whole one: those of the calendar
// in their usual length.
func AppendPolicy(dst []byte, name string, l *Limit) []byte {
	dst = appendItem(dst, name)
	dst = appendInteger(append(dst, ";q="...), l.Count)
	switch l.Cost {
	case Bytes:
		dst = append(dst, `;qu="content-bytes"`...)
	case Events:
		dst = append(dst, `;qu="events"`...)
	}
	if w := l.Window.usual() / int64(time.Second); w > 0 {
		dst = appendInteger(append(dst, ";w="...), w)
	}
	return dst
}

// AppendState appends what is left of a check's limit, under the limit's name,
// to a value of the RateLimit field: "burst";r=50;t=30. It is separated from
// what dst holds already.
func AppendState(dst []byte, name string, c *Check) []byte {
	dst = appendItem(dst, name)
	dst = appendInteger(append(dst, ";r="...), c.Remaining)
	return appendInteger(append(dst, ";t="...), Seconds(c.Reset))
}

// appendItem begins an item of a list of strings.
func appendItem(dst []byte, name string) []byte {
	if len(dst) > 0 {
		dst = append(dst, ", "...)
	}
	dst = append(dst, '"')
	for i := range len(name) {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c > '~':
			dst = append(dst, '_')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// appendInteger appends n, or the largest integer that a structured field may hold.
func appendInteger(dst []byte, n int64) []byte {
	return strconv.AppendInt(dst, min(n, 999_999_999_999_999), 10)
}

// Seconds returns d in whole seconds, rounded up and never negative: a client
// that waits for so long has not come too early.
func Seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d > 0 && d%time.Second != 0 {
		s++
	}
	return max(s, 0)
}

// RetryAfter returns the value of the Retry-After field of a refusal: the
// seconds, at least one, after which no check that refuses now will do so, as
// far as this node knows.
func RetryAfter(checks []Check) int64 {
	wait := int64(1)
	for i := range checks {
		if c := &checks[i]; c.Over && !c.Limit.Shadow {
			wait = max(wait, Seconds(c.Reset))
		}
	}
	return wait
}

// Tightest returns the index of the check whose limit is nearest to being
// spent: the first that refuses, or else that with the smallest part
// remaining, the longer Reset deciding between equals. Shadows are left out; it
// is -1 if there is nothing else.
func Tightest(checks []Check) int {
	tightest := -1
	for i := range checks {
		c := &checks[i]
		switch {
		case c.Limit.Shadow:
		case c.Over:
			return i
		case tightest < 0 || tighter(c, &checks[tightest]):
			tightest = i
		}
	}
	return tightest
}

// tighter reports whether a smaller part of a than of b remains.
func tighter(a, b *Check) bool {
	// a/A < b/B if a*B < b*A.
	ahi, alo := bits.Mul64(uint64(a.Remaining), uint64(b.Limit.Count))
	bhi, blo := bits.Mul64(uint64(b.Remaining), uint64(a.Limit.Count))
	if ahi != bhi {
		return ahi < bhi
	}
	if alo != blo {
		return alo < blo
	}
	return a.Reset > b.Reset
}

package gateway

import (
	"strconv"
	"time"

	"github.com/weir-project/weir/limiter"
)

// limitFields adds the rate limit fields to x.Fields: RateLimit-Policy and
// RateLimit (draft-ietf-httpapi-ratelimit-headers) with every limit the request
// was held to, and the X-RateLimit fields of one: the limit that refused, or
// else that of which the smallest part is left. Shadow limits stay out of sight.
func (x *Exchange) limitFields() {
	checks, sources := x.Match.Checks, x.Match.Sources
	tightest := limiter.Tightest(checks)
	if tightest < 0 {
		return
	}
	b := x.scratch.fields[:0]
	for i, s := range sources {
		if checks[i].Limit.Shadow {
			continue
		}
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, s.Item...)
	}
	b = x.field(b, 0, "RateLimit-Policy")

	from := len(b)
	var reset [20]byte // in seconds: the same for most, since windows end together
	last, seconds := time.Duration(-1), reset[:0]
	for i, s := range sources {
		c := &checks[i]
		if c.Limit.Shadow {
			continue
		}
		if len(b) > from {
			b = append(b, ", "...)
		}
		b = append(append(b, s.Name...), ";r="...)
		b = appendInt(b, c.Remaining)
		if c.Reset != last {
			last, seconds = c.Reset, appendInt(reset[:0], limiter.Seconds(c.Reset))
		}
		b = append(append(b, ";t="...), seconds...)
	}
	b = x.field(b, from, "RateLimit")

	c := &checks[tightest]
	b = x.number(b, "X-RateLimit-Limit", c.Limit.Count)
	b = x.number(b, "X-RateLimit-Remaining", c.Remaining)
	x.scratch.fields = x.number(b, "X-RateLimit-Reset", limiter.Seconds(c.Reset))
}

// field adds the field whose value is what b holds from an offset on.
func (x *Exchange) field(b []byte, from int, name string) []byte {
	x.Fields = append(x.Fields, Field{name, b[from:len(b):len(b)]})
	return b
}

// number adds a field whose value is n, written at the end of b.
func (x *Exchange) number(b []byte, name string, n int64) []byte {
	return x.field(appendInt(b, n), len(b), name)
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

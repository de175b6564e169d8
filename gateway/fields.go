package gateway

import (
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// limitFields adds the rate limit fields to x.Fields: RateLimit-Policy and
// RateLimit (draft-ietf-httpapi-ratelimit-headers) with every limit the request
// was held to, and the X-RateLimit fields of one: the limit that refused, or the
// one of which the least is left. Shadow limits stay out of sight.
func (x *Exchange) limitFields(refused int) {
	checks, sources := x.Match.Checks, x.Match.Sources
	b := x.scratch.fields[:0]
	tightest := -1
	for i := range checks {
		if sources[i].Limit.Shadow {
			continue
		}
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = appendPolicyItem(b, sources[i])
		if tightest < 0 || share(&checks[i]) < share(&checks[tightest]) {
			tightest = i
		}
	}
	if tightest < 0 {
		return
	}
	if refused >= 0 {
		tightest = refused
	}
	x.Fields = append(x.Fields, Field{"RateLimit-Policy", b})

	from := len(b)
	for i := range checks {
		if sources[i].Limit.Shadow {
			continue
		}
		if len(b) > from {
			b = append(b, ", "...)
		}
		b = appendStateItem(b, sources[i], &checks[i])
	}
	x.Fields = append(x.Fields, Field{"RateLimit", b[from:]})

	c := &checks[tightest]
	b = x.number(b, "X-RateLimit-Limit", c.Limit.Count)
	b = x.number(b, "X-RateLimit-Remaining", c.Remaining)
	b = x.number(b, "X-RateLimit-Reset", seconds(c.Reset))
	x.scratch.fields = b
}

// number adds a field whose value is n, written at the end of b.
func (x *Exchange) number(b []byte, name string, n int64) []byte {
	from := len(b)
	b = appendInt(b, n)
	x.Fields = append(x.Fields, Field{name, b[from:]})
	return b
}

// share is the part of a limit that is left, from 0 to 1.
func share(c *limiter.Check) float64 {
	return float64(c.Remaining) / float64(max(1, c.Limit.Count))
}

// appendPolicyItem appends a quota policy: "subscription:Gold";q=5000;w=60.
func appendPolicyItem(b []byte, s *policy.Source) []byte {
	b = appendItemName(b, s)
	b = append(b, ";q="...)
	b = appendInt(b, s.Limit.Count)
	switch s.Limit.Cost {
	case limiter.Bytes:
		b = append(b, `;qu="content-bytes"`...)
	case limiter.Events:
		b = append(b, `;qu="events"`...)
	}
	// The draft has whole seconds only; a window that is none goes without.
	if w := s.Limit.Window; w.Calendar == limiter.NoCalendar && w.Length%time.Second == 0 {
		b = append(b, ";w="...)
		b = appendInt(b, int64(w.Length/time.Second))
	}
	return b
}

// appendStateItem appends a service limit: "subscription:Gold";r=4999;t=12.
func appendStateItem(b []byte, s *policy.Source, c *limiter.Check) []byte {
	b = appendItemName(b, s)
	b = append(b, ";r="...)
	b = appendInt(b, c.Remaining)
	b = append(b, ";t="...)
	return appendInt(b, seconds(c.Reset))
}

// appendItemName appends the level and the policy as a structured-field string
// (RFC 9651), in which only printable ASCII may stand.
func appendItemName(b []byte, s *policy.Source) []byte {
	b = append(b, '"')
	b = append(b, s.Level.String()...)
	b = append(b, ':')
	for i := range len(s.Policy) {
		switch c := s.Policy[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c > 0x7e:
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

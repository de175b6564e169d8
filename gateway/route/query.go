package route

import "strings"

// MaxParams is the greatest number of parameters in a query. Servers stop
// looking at different counts; nobody may hide a parameter behind one of them.
const MaxParams = 1000

// The reasons to refuse a query.
const (
	errQueryMany      = Ambiguity("query has too many parameters")
	errQuerySemicolon = Ambiguity("query has a semicolon")
	errQueryEscape    = Ambiguity("query has an invalid escape")
	errQueryByte      = Ambiguity("query has a character that must be escaped")
)

// A Query is the query string of a request: the text after "?", still escaped.
// The zero value is an empty query. Its methods take names decoded and match
// them exactly, whatever escapes the request used. A *Query is a weir.Values.
type Query struct{ raw string }

// ParseQuery checks raw as a whole. It refuses what servers read differently:
// ";", which separates parameters for some; invalid escapes; more than
// [MaxParams] parameters; and "#", space, control characters and bytes above
// 127. The Query shares raw's memory.
func ParseQuery(raw string) (Query, error) {
	params := 1
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '&':
			if params++; params > MaxParams {
				return Query{}, errQueryMany
			}
		case c == '%':
			if _, ok := unhex(raw, i); !ok {
				return Query{}, errQueryEscape
			}
			i += 2
		case c == ';':
			return Query{}, errQuerySemicolon
		case c <= ' ' || c >= 0x7f || c == '#':
			return Query{}, errQueryByte
		}
	}
	return Query{raw}, nil
}

// String returns the query as it was received.
func (q *Query) String() string { return q.raw }

// Value returns the first value under name and whether there is one; a
// parameter without "=" has an empty value. It allocates only to decode a value
// with escapes.
func (q *Query) Value(name string) (string, bool) {
	for rest := q.raw; rest != ""; {
		var param string
		param, rest = cutParam(rest)
		if value, ok := paramValue(param, name); ok {
			return decodeParam(value), true
		}
	}
	return "", false
}

// Each calls f with every value under name, in order, until f returns false.
func (q *Query) Each(name string, f func(value string) bool) {
	for rest := q.raw; rest != ""; {
		var param string
		param, rest = cutParam(rest)
		if value, ok := paramValue(param, name); ok && !f(decodeParam(value)) {
			return
		}
	}
}

// Without returns the query, as it was received, without the parameters of that
// name. It allocates only if some were taken from its middle.
func (q *Query) Without(name string) string {
	// Most often the parameter stands alone or at one of the ends, and what is
	// left is a part of raw: keep it as one for as long as that is so.
	var (
		kept           string
		built          []byte
		at             int // where kept begins in raw
		found, removed bool
	)
	for pos := 0; pos < len(q.raw); {
		param, rest := cutParam(q.raw[pos:])
		start, end := pos, pos+len(param)
		pos = len(q.raw) - len(rest)
		if _, ok := paramValue(param, name); ok {
			removed = true
			continue
		}
		switch {
		case built != nil:
			built = append(append(built, '&'), param...)
		case !found:
			kept, at, found = param, start, true
		case start == at+len(kept)+1:
			kept = q.raw[at:end]
		default:
			built = append(make([]byte, 0, len(q.raw)), kept...)
			built = append(append(built, '&'), param...)
		}
	}
	switch {
	case !removed:
		return q.raw
	case built != nil:
		return string(built)
	}
	return kept
}

// cutParam cuts the first parameter off raw.
func cutParam(raw string) (param, rest string) {
	if i := strings.IndexByte(raw, '&'); i >= 0 {
		return raw[:i], raw[i+1:]
	}
	return raw, ""
}

// paramValue returns the value of param, still escaped, if its name is name.
func paramValue(param, name string) (value string, ok bool) {
	raw := param
	if i := strings.IndexByte(param, '='); i >= 0 {
		raw, value = param[:i], param[i+1:]
	}
	if raw == name && !hasEscape(raw) {
		return value, param != ""
	}
	return value, hasEscape(raw) && decodesTo(raw, name)
}

// hasEscape reports whether raw differs from what it stands for.
func hasEscape(raw string) bool { return strings.ContainsAny(raw, "%+") }

// decodesTo reports whether raw stands for text.
func decodesTo(raw, text string) bool {
	n := 0
	for i := 0; i < len(raw); i, n = i+1, n+1 {
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			c, _ = unhex(raw, i)
			i += 2
		}
		if n >= len(text) || text[n] != c {
			return false
		}
	}
	return n == len(text)
}

// decodeParam returns what raw, whose escapes are valid, stands for.
func decodeParam(raw string) string {
	if !hasEscape(raw) {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			c, _ = unhex(raw, i)
			i += 2
		}
		out = append(out, c)
	}
	return string(out)
}

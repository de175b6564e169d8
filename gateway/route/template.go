package route

import (
	"errors"
	"fmt"
	"strings"
)

// maxSegments bounds the depth of templates and contexts, and so of a look-up.
const maxSegments = 64

// A segmentKind is what one segment of a template matches.
type segmentKind uint8

const (
	literal  segmentKind = iota // exactly its text
	pattern                     // text with parameters in it: {name}.json
	param                       // any segment that is not empty: {id}
	wildcard                    // whatever is left, nothing included: the last "*"
)

// A segment is one part of a template between slashes.
type segment struct {
	kind segmentKind
	text string // of a literal, decoded
	// parts of a pattern are the texts around its parameters, decoded: one
	// before the first, one between each two, one after the last. The first and
	// the last may be empty.
	parts []string
}

// parseTemplate takes a path template of OpenAPI apart. "/" is one empty
// literal, as is the end of a template with a trailing slash.
func parseTemplate(template string) ([]segment, error) {
	if template == "" || template[0] != '/' {
		return nil, errors.New("does not start with a slash")
	}
	texts := strings.Split(template[1:], "/")
	if len(texts) > maxSegments {
		return nil, fmt.Errorf("has more than %d segments", maxSegments)
	}
	segments := make([]segment, len(texts))
	for i, text := range texts {
		last := i == len(texts)-1
		if text == "" && !last {
			return nil, errors.New(`has an empty segment ("//")`)
		}
		s, err := parseSegment(text)
		if err != nil {
			return nil, fmt.Errorf("segment %q %w", text, err)
		}
		if s.kind == wildcard && !last {
			return nil, errors.New(`has a "*" before its last segment`)
		}
		segments[i] = s
	}
	return segments, nil
}

// parseSegment takes one segment of a template apart.
func parseSegment(text string) (segment, error) {
	if text == "*" {
		return segment{kind: wildcard}, nil
	}
	var parts []string
	rest := text
	for {
		before, after, found := strings.Cut(rest, "{")
		part, err := decodeLiteral(before)
		if err != nil {
			return segment{}, err
		}
		if len(parts) > 0 && part == "" && found {
			return segment{}, errors.New("has two parameters with nothing between them")
		}
		parts = append(parts, part)
		if !found {
			break
		}
		name, after, found := strings.Cut(after, "}")
		if err := checkParam(name, found); err != nil {
			return segment{}, err
		}
		rest = after
	}
	switch {
	case len(parts) == 1 && isDots(parts[0]):
		return segment{}, errors.New("is a dot segment")
	case len(parts) == 1:
		return segment{kind: literal, text: parts[0]}, nil
	case len(parts) == 2 && parts[0] == "" && parts[1] == "":
		return segment{kind: param}, nil
	}
	return segment{kind: pattern, parts: parts}, nil
}

// checkParam says whether name may stand between braces.
func checkParam(name string, closed bool) error {
	switch {
	case !closed:
		return errors.New(`has a "{" without a "}"`)
	case name == "":
		return errors.New("has a parameter without a name")
	case strings.Contains(name, "{"):
		return errors.New("has a parameter within a parameter")
	case strings.HasSuffix(name, "+"), strings.HasSuffix(name, "*"):
		return fmt.Errorf(`has a parameter {%s} for several segments; end the template with "/*" instead`, name)
	}
	return nil
}

// decodeLiteral returns what text, a literal part of a template, stands for. It
// refuses what no canonical path can hold, since it would never match.
func decodeLiteral(text string) (string, error) {
	var out []byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '%':
			v, ok := unhex(text, i)
			if !ok {
				return "", errors.New("has an invalid escape")
			}
			c = v
			i += 2
			if c == '/' || c == '\\' {
				return "", errors.New("has an escaped slash or backslash")
			}
		case '}':
			return "", errors.New(`has a "}" without a "{"`)
		case '*':
			return "", errors.New(`has a "*", which stands only for a whole last segment`)
		case '?', '#', ';', '\\':
			return "", fmt.Errorf("has a %q, which no path that is let in has", c)
		}
		if c < ' ' || c == 0x7f {
			return "", errors.New("has a control character")
		}
		out = append(out, c)
	}
	return string(out), nil
}

// matches reports whether seg, decoded, fits the parts of a pattern. Every
// parameter takes at least one byte.
func matchesPattern(seg string, parts []string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(seg) < len(first)+len(last)+1 || !strings.HasPrefix(seg, first) || !strings.HasSuffix(seg, last) {
		return false
	}
	// What lies between is taken from the left: the earliest place of a text
	// leaves the most for those after it.
	seg = seg[len(first) : len(seg)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(seg[1:], part)
		if i < 0 {
			return false
		}
		if seg = seg[1+i+len(part):]; seg == "" {
			return false
		}
	}
	return true
}

// compareParts orders patterns: the one with more text in it stands first.
func compareParts(a, b []string) int {
	at, bt := strings.Join(a, "{}"), strings.Join(b, "{}")
	an, bn := len(at)-2*len(a), len(bt)-2*len(b)
	if an != bn {
		return bn - an
	}
	return strings.Compare(at, bt)
}

// decodeSegment returns what a segment of a canonical path stands for. It
// allocates if there are escapes in it.
func decodeSegment(seg string) string {
	if strings.IndexByte(seg, '%') < 0 {
		return seg
	}
	out := make([]byte, 0, len(seg))
	for i := 0; i < len(seg); i++ {
		c := seg[i]
		if c == '%' {
			c, _ = unhex(seg, i)
			i += 2
		}
		out = append(out, c)
	}
	return string(out)
}

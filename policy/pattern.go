package policy

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// A pattern is a compiled regular expression. Those that are only text, with or
// without anchors, are compared as text: most are, and it is ten times as fast.
type pattern struct {
	mode mode
	text string
	re   *regexp.Regexp
}

type mode uint8

const (
	matchAll mode = iota
	matchContains
	matchPrefix
	matchSuffix
	matchEqual
	matchRegexp
)

// maxPattern bounds the length of a pattern.
const maxPattern = 1000

// compilePattern compiles a regular expression in RE2 syntax.
func compilePattern(s string) (pattern, error) {
	if s == "" {
		return pattern{}, nil
	}
	if len(s) > maxPattern {
		return pattern{}, fmt.Errorf("is longer than %d bytes", maxPattern)
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return pattern{}, err
	}
	parsed, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return pattern{}, err
	}
	if p, ok := literal(parsed.Simplify()); ok {
		return p, nil
	}
	return pattern{mode: matchRegexp, re: re}, nil
}

// literal returns the pattern for a regular expression that is only text.
func literal(re *syntax.Regexp) (pattern, bool) {
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	k := matchContains
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		k, parts = matchPrefix, parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		parts = parts[:n-1]
		if k == matchPrefix {
			k = matchEqual
		} else {
			k = matchSuffix
		}
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Op != syntax.OpLiteral || p.Flags&syntax.FoldCase != 0 {
			return pattern{}, false
		}
		b.WriteString(string(p.Rune))
	}
	// The replacement character matches bytes that are not UTF-8, too.
	if strings.ContainsRune(b.String(), '\uFFFD') {
		return pattern{}, false
	}
	return pattern{mode: k, text: b.String()}, true
}

// match reports whether p matches somewhere in s.
func (p *pattern) match(s string) bool {
	switch p.mode {
	case matchContains:
		return strings.Contains(s, p.text)
	case matchPrefix:
		return strings.HasPrefix(s, p.text)
	case matchSuffix:
		return strings.HasSuffix(s, p.text)
	case matchEqual:
		return s == p.text
	case matchRegexp:
		return p.re.MatchString(s)
	}
	return true
}

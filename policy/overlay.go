package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/weir-project/weir"
)

// WithDenies returns a Set like s that has also the deny policies of extra, which
// take the place of those of s with the same ID. s stays as it is. If one is
// wrong, the error is [Faults] and there is no new Set.
func (s *Set) WithDenies(extra []Deny) (*Set, error) {
	ids := make(map[string]bool, len(extra))
	for i := range extra {
		ids[extra[i].ID] = true
	}
	var all []Deny
	for _, d := range s.denied {
		if d.ID == "" || !ids[d.ID] {
			all = append(all, d)
		}
	}
	c := compiler{set: s}
	denies := c.denials(append(all, extra...))
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	next := *s
	next.denies = denies // denied stays what the definition had
	return &next, nil
}

// Denies returns the deny policies that s was compiled from. They must not be
// changed.
func (s *Set) Denies() []Deny { return s.denied }

// KeyTemplates returns the key templates of the custom rules, each once.
func (s *Set) KeyTemplates() []string {
	var all []string
	seen := make(map[string]bool, len(s.rules))
	for i := range s.rules {
		if t := s.rules[i].text; !seen[t] {
			seen[t] = true
			all = append(all, t)
		}
	}
	return all
}

// A KeyTemplate is the key of a custom rule that somebody else evaluates: a
// decision may be about its text.
type KeyTemplate struct {
	text     string
	template *template
	ipv6Bits int
}

// ParseKeyTemplate parses the key of a custom rule, as in [CustomRule]. ipv6Bits is
// as in [Options].
func ParseKeyTemplate(text string, ipv6Bits int) (*KeyTemplate, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return nil, fmt.Errorf("key template %s: %w", quoted(text), err)
	}
	if ipv6Bits == 0 {
		ipv6Bits = 64
	}
	if ipv6Bits < 0 || ipv6Bits > 128 {
		return nil, errors.New("key template: IPv6Bits is from 1 to 128, 0 means 64")
	}
	return &KeyTemplate{strings.Clone(text), t, ipv6Bits}, nil
}

// String returns the template as it was written.
func (t *KeyTemplate) String() string { return t.text }

// AppendKey appends the text of the key of req to dst.
func (t *KeyTemplate) AppendKey(dst []byte, req *weir.Request) []byte {
	return t.template.append(dst, &form{ipv6Bits: t.ipv6Bits}, req)
}

package route

import (
	"slices"
	"strings"
	"testing"
)

// words returns a template's segments in words.
func words(segments []segment) string {
	var out []string
	for _, s := range segments {
		switch s.kind {
		case literal:
			out = append(out, "="+s.text)
		case pattern:
			out = append(out, "~"+strings.Join(s.parts, "|"))
		case param:
			out = append(out, "{}")
		case wildcard:
			out = append(out, "*")
		}
	}
	return strings.Join(out, " ")
}

func TestParseTemplate(t *testing.T) {
	for _, test := range []struct{ template, want string }{
		{"/", "="},
		{"/pets", "=pets"},
		{"/pets/", "=pets ="},
		{"/pets/{id}", "=pets {}"},
		{"/pets/{pet id}/x", "=pets {} =x"},
		{"/{a}/{b}", "{} {}"},
		{"/*", "*"},
		{"/a/*", "=a *"},
		{"/{name}.json", "~|.json"},
		{"/v{version}", "~v|"},
		{"/{from}:{to}", "~|:|"},
		{"/a{b}c{d}e", "~a|c|e"},
		{"/users:batch", "=users:batch"},
		{"/caf%C3%A9", "=café"},
		{"/café", "=café"},
		{"/%7Euser", "=~user"},
		{"/a b", "=a b"},
		{"/50%25", "=50%"},
		{"/...", "=..."},
		{"/.well-known", "=.well-known"},
		{"/{a}..{b}", "~|..|"},
		{"/..{a}", "~..|"},
		{"/a%2Bb", "=a+b"},
		{strings.Repeat("/a", maxSegments), strings.TrimSpace(strings.Repeat(" =a", maxSegments))},
	} {
		segments, err := parseTemplate(test.template)
		if got := words(segments); err != nil || got != test.want {
			t.Errorf("%s: %s, %v, want %s", test.template, got, err, test.want)
		}
	}
}

func TestCompareParts(t *testing.T) {
	parts := func(template string) []string {
		s, err := parseSegment(template)
		if err != nil || s.kind != pattern {
			t.Fatalf("%s: %v, %v", template, s, err)
		}
		return s.parts
	}
	ordered := []string{"{a}.min.json", "long{a}", "{a}.json", "{a}.txt", "v{a}", "{a}-{b}-{c}", "{a}v", "{a}:{b}"}
	var sorted [][]string
	for _, template := range ordered {
		sorted = append(sorted, parts(template))
	}
	slices.SortFunc(sorted, compareParts)
	for i := 1; i < len(sorted); i++ {
		if compareParts(sorted[i-1], sorted[i]) >= 0 || compareParts(sorted[i], sorted[i-1]) <= 0 {
			t.Errorf("%q and %q are in no order", sorted[i-1], sorted[i])
		}
		if text := func(p []string) int { return len(strings.Join(p, "")) }; text(sorted[i-1]) < text(sorted[i]) {
			t.Errorf("%q, with less text, goes before %q", sorted[i-1], sorted[i])
		}
	}
	if compareParts(parts("{a}.x"), parts("{b}.x")) != 0 {
		t.Error("names of parameters make a difference")
	}
}

func TestDecodeSegment(t *testing.T) {
	for seg, want := range map[string]string{
		"": "", "abc": "abc", "a%20b": "a b", "%C3%A9": "é", "%25": "%", "a%3A": "a:",
	} {
		if got := decodeSegment(seg); got != want {
			t.Errorf("%q is %q, want %q", seg, got, want)
		}
	}
}

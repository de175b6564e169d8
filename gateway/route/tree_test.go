package route

import (
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// slowMatch reports whether a template matches path, the plain way.
func slowMatch(template, path string) bool {
	want, _ := parseTemplate(template)
	if template == "/" && path == "" {
		return true
	}
	got := strings.Split(path, "/")[1:]
	if path == "" {
		got = nil
	}
	for i, s := range want {
		if s.kind == wildcard {
			return true
		}
		if i >= len(got) {
			return false
		}
		text, _ := url.PathUnescape(got[i])
		switch {
		case s.kind == literal && text != s.text,
			s.kind == param && text == "",
			s.kind == pattern && !slowPattern(text, s.parts):
			return false
		}
	}
	return len(got) == len(want)
}

// slowPattern tries every way to cut text.
func slowPattern(text string, parts []string) bool {
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	if len(parts) == 1 {
		return rest == ""
	}
	for n := 1; n <= len(rest); n++ {
		if slowPattern(rest[n:], parts[1:]) {
			return true
		}
	}
	return false
}

// moreSpecific orders templates that match the same path as Lookup promises.
func moreSpecific(a, b string) int {
	x, _ := parseTemplate(a)
	y, _ := parseTemplate(b)
	for i := range min(len(x), len(y)) {
		if x[i].kind != y[i].kind {
			return int(x[i].kind) - int(y[i].kind)
		}
		if x[i].kind == pattern {
			if c := compareParts(x[i].parts, y[i].parts); c != 0 {
				return c
			}
		}
	}
	return len(x) - len(y) // the end goes before a wildcard for nothing
}

// The tree finds what going over all templates finds, for random sets of
// templates and paths out of few words, so that they meet often.
func TestTreeAgainstScan(t *testing.T) {
	words := []string{"a", "b", "ab", "a.b", "{p}", "a{p}", "{p}b", "{p}.{q}", "x%3Ay", "b{p}a"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		var api API
		api.Context = "/"
		for range 1 + random.IntN(12) {
			var template strings.Builder
			for range 1 + random.IntN(4) {
				template.WriteString("/" + words[random.IntN(len(words))])
			}
			template.WriteString([]string{"", "", "/", "/*"}[random.IntN(4)])
			api.Resources = append(api.Resources, Resource{methodNames[random.IntN(3)], template.String()})
		}
		api.Resources = withoutTwins(api.Resources)
		r := build(t, api)
		for range 100 {
			var path strings.Builder
			for range 1 + random.IntN(5) {
				path.WriteString("/" + []string{"a", "b", "ab", "a.b", "a.", "c", "aab", "x:y", "x%3Ay", "b%20a", "ba", "bca"}[random.IntN(12)])
			}
			path.WriteString([]string{"", "", "/"}[random.IntN(3)])
			checkAgainstScan(t, r, api.Resources, path.String(), Method(random.IntN(3)))
		}
	}
}

// withoutTwins drops resources that Build would refuse as the same.
func withoutTwins(all []Resource) []Resource {
	var kept []Resource
	for _, r := range all {
		if _, err := Build([]API{{"a", "/", append(slices.Clone(kept), r)}}); err == nil {
			kept = append(kept, r)
		}
	}
	return kept
}

func checkAgainstScan(t *testing.T, r *Router, all []Resource, path string, m Method) {
	t.Helper()
	want := Match{Resource: -1, Rest: path}
	for i, resource := range all {
		if !slowMatch(resource.Template, path) {
			continue
		}
		method, _ := ParseMethod(resource.Method)
		if method != m {
			want.Allowed = want.Allowed.With(method)
		} else if want.Resource < 0 || moreSpecific(resource.Template, all[want.Resource].Template) < 0 {
			want.Resource = i
		}
	}
	if want.Resource >= 0 {
		want.Allowed = 0
	}
	if got := r.Lookup(path, m); got != want {
		t.Fatalf("%v %s in %v: got %+v, want %+v", m, path, all, got, want)
	}
}

func TestMatchesPattern(t *testing.T) {
	for _, test := range []struct {
		template, seg string
		want          bool
	}{
		{"{n}.json", "a.json", true},
		{"{n}.json", ".json", false},
		{"{n}.json", "a.json.json", true},
		{"{n}.json", "a.jsonx", false},
		{"v{n}", "v1", true},
		{"v{n}", "v", false},
		{"{a}:{b}", "1:2", true},
		{"{a}:{b}", "::2", true},
		{"{a}:{b}", "::", false},
		{"{a}:{b}", ":::", true},
		{"{a}-{b}-{c}", "1-2-3", true},
		{"{a}-{b}-{c}", "1-2", false},
		{"{a}-{b}-{c}", "1---3", true},
		{"{a}-{b}-{c}", "----", false},
		{"{a}-{b}-{c}", "-----", true},
		{"({a},{b})", "(1,2)", true},
		{"({a},{b})", "(,2)", false},
		{"aa{x}aa", "aaaa", false},
		{"aa{x}aa", "aaaaa", true},
	} {
		s, err := parseSegment(test.template)
		if err != nil || s.kind != pattern {
			t.Fatalf("%s: %+v, %v", test.template, s, err)
		}
		if got := matchesPattern(test.seg, s.parts); got != test.want {
			t.Errorf("%s on %q: %v, want %v", test.template, test.seg, got, test.want)
		}
		if got := slowPattern(test.seg, s.parts); got != test.want {
			t.Errorf("%s on %q, the slow way: %v, want %v", test.template, test.seg, got, test.want)
		}
	}
}

// FuzzRouter builds a router of any template and looks any path up in it.
func FuzzRouter(f *testing.F) {
	for _, seed := range [][2]string{
		{"/pets/{id}", "/pets/1"},
		{"/{a}.{b}", "/x.y"},
		{"/*", "/"},
		{"/a/*", "/a"},
		{"/", ""},
		{"/a%3Ab", "/a:b"},
		{"/{a}-{b}-{c}", "/----"},
		{"/grö", "/gr%C3%B6"},
		{"/a/", "/a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, template, path string) {
		if len(template) > 200 || len(path) > 200 {
			return
		}
		r, err := Build([]API{{"a", "/", resources("GET /fixed")}, {"b", "/b", []Resource{{"GET", template}}}})
		if err != nil {
			return
		}
		path, err = Canonical("/b" + path)
		if err != nil || (path != "/b" && !strings.HasPrefix(path, "/b/")) {
			return
		}
		m := r.Lookup(path, GET)
		if want := slowMatch(template, strings.TrimPrefix(path, "/b")); (m.Resource == 0) != want || m.API != 1 {
			t.Fatalf("%q on %q: %+v, want a match: %v", template, path, m, want)
		}
		if m := r.Lookup(path, PUT); m.Resource != -1 || m.Allowed.Has(GET) != slowMatch(template, strings.TrimPrefix(path, "/b")) {
			t.Fatalf("PUT of %q on %q: %+v", template, path, m)
		}
	})
}

package route

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/weir-project/weir"
)

var _ weir.Values = (*Query)(nil)

func parseQuery(t *testing.T, raw string) *Query {
	t.Helper()
	q, err := ParseQuery(raw)
	if err != nil {
		t.Fatalf("ParseQuery(%q): %v", raw, err)
	}
	return &q
}

func TestQueryValue(t *testing.T) {
	for _, test := range []struct {
		raw, name, want string
		found           bool
	}{
		{"", "a", "", false},
		{"", "", "", false},
		{"a=1", "a", "1", true},
		{"a=1&b=2&a=3", "b", "2", true},
		{"a=1&b=2&a=3", "a", "1", true},
		{"a", "a", "", true},
		{"a=", "a", "", true},
		{"a=b=c", "a", "b=c", true},
		{"=x", "", "x", true},
		{"&&a=1&&", "a", "1", true},
		{"&&", "", "", false},
		{"A=1", "a", "", false},
		{"ab=1", "a", "", false},
		{"%61=1", "a", "1", true}, // the name in disguise
		{"ap%69key=x", "apikey", "x", true},
		{"a+b=c+d%2Be", "a b", "c d+e", true},
		{"a%20b=1", "a b", "1", true},
		{"a%00=1", "a", "", false},
		{"a%26b=1", "a", "", false},
		{"a%3D=1", "a=", "1", true},
		{"x=%C3%A9", "x", "é", true},
		{"x=a%26apikey=y", "apikey", "", false},
		{"filter[name]=x|y", "filter[name]", "x|y", true},
		{"a+b=1", "a+b", "", false}, // a plus is a space
		{"a%2Bb=1", "a+b", "1", true},
	} {
		q := parseQuery(t, test.raw)
		got, found := q.Value(test.name)
		if got != test.want || found != test.found {
			t.Errorf("%q: Value(%q) = %q, %v, want %q, %v", test.raw, test.name, got, found, test.want, test.found)
		}
	}
}

func TestQueryEach(t *testing.T) {
	q := parseQuery(t, "a=1&b=2&%61=3&a&a=4")
	var got []string
	q.Each("a", func(v string) bool { got = append(got, v); return true })
	if want := []string{"1", "3", "", "4"}; !slices.Equal(got, want) {
		t.Errorf("Each = %q, want %q", got, want)
	}
	got = nil
	q.Each("a", func(v string) bool { got = append(got, v); return len(got) < 2 })
	if want := []string{"1", "3"}; !slices.Equal(got, want) {
		t.Errorf("Each, stopped = %q, want %q", got, want)
	}
}

func TestQueryWithout(t *testing.T) {
	for _, test := range []struct{ raw, want string }{
		{"", ""},
		{"a=1", "a=1"},
		{"k=1", ""},
		{"k", ""},
		{"k=1&k=2", ""},
		{"k=1&a=2", "a=2"},
		{"a=2&k=1", "a=2"},
		{"a=1&k=2&b=3", "a=1&b=3"},
		{"k=0&a=1&k=2&b=3&k=4&c=%5B&k", "a=1&b=3&c=%5B"},
		{"%6B=1&a=2", "a=2"},
		{"k%3D=1", "k%3D=1"},
		{"kk=1&K=2", "kk=1&K=2"},
		{"&&a=1&", "&&a=1&"}, // nothing to take away: as it was
		{"a=1&&k=2&b", "a=1&&b"},
		{"a=k=1", "a=k=1"},
	} {
		q := parseQuery(t, test.raw)
		if got := q.Without("k"); got != test.want {
			t.Errorf("%q without k = %q, want %q", test.raw, got, test.want)
		}
		if got := q.String(); got != test.raw {
			t.Errorf("query %q changed to %q", test.raw, got)
		}
	}
}

func TestParseQueryRefuses(t *testing.T) {
	for _, test := range []struct {
		raw  string
		want Ambiguity
	}{
		{"a=1;apikey=x", errQuerySemicolon},
		{";", errQuerySemicolon},
		{"a=%", errQueryEscape},
		{"a=%4", errQueryEscape},
		{"%zz=1", errQueryEscape},
		{"a=%u0041", errQueryEscape},
		{"a=1#b", errQueryByte},
		{"a b", errQueryByte},
		{"a=\x00", errQueryByte},
		{"a=\r\nX: y", errQueryByte},
		{"a=é", errQueryByte},
		{"a=\x7f", errQueryByte},
		{strings.Repeat("a&", MaxParams), errQueryMany},
		{strings.Repeat("x=1&", 10_000) + "apikey=x", errQueryMany},
		{strings.Repeat("&", MaxParams), errQueryMany},
	} {
		if _, err := ParseQuery(test.raw); !errors.Is(err, test.want) {
			t.Errorf("ParseQuery(%.30q): %v, want %v", test.raw, err, test.want)
		}
	}
	q := parseQuery(t, strings.Repeat("a&", MaxParams-1)+"last=1")
	if v, ok := q.Value("last"); !ok || v != "1" {
		t.Errorf("last of %d parameters = %q, %v", MaxParams, v, ok)
	}
}

func TestQueryAllocates(t *testing.T) {
	const raw = "limit=10&offset=200&apikey=weir_abc"
	var values weir.Values
	n := testing.AllocsPerRun(100, func() {
		q, _ := ParseQuery(raw)
		q.Value("apikey")
		q.Value("missing")
		q.Without("apikey")
		q.Without("limit")
	})
	if n != 0 {
		t.Errorf("query allocates %v times", n)
	}
	q := parseQuery(t, raw)
	if n := testing.AllocsPerRun(100, func() { values = q }); n != 0 || values == nil {
		t.Errorf("query as values allocates %v times", n)
	}
}

// FuzzQuery holds the query against net/url's reading of the same.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"a=1&b=2", "a", "%61=x&a=y", "a=1;b=2", "&&=&", "a=%", "x+y=a%2Bb", "k=1&a&k=2&b", "k&k"} {
		f.Add(raw, "k")
		f.Add(raw, "a")
	}
	f.Fuzz(func(t *testing.T, raw, name string) {
		q, err := ParseQuery(raw)
		if err != nil {
			return
		}
		want, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("ParseQuery(%q) accepts what net/url does not: %v", raw, err)
		}
		var got []string
		q.Each(name, func(v string) bool { got = append(got, v); return true })
		if !slices.Equal(got, want[name]) {
			t.Fatalf("%q: values of %q = %q, want %q", raw, name, got, want[name])
		}
		if first, ok := q.Value(name); ok != (len(got) > 0) || (ok && first != got[0]) {
			t.Fatalf("%q: Value(%q) = %q, %v, want %q", raw, name, first, ok, got)
		}
		left, err := url.ParseQuery(q.Without(name))
		if err != nil {
			t.Fatalf("%q without %q = %q: %v", raw, name, q.Without(name), err)
		}
		delete(want, name)
		if left.Encode() != want.Encode() {
			t.Fatalf("%q without %q = %q", raw, name, q.Without(name))
		}
	})
}

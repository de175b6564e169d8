package http2

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

func TestHeaders(t *testing.T) {
	long := "X-" + strings.Repeat("Long", 20)
	h := &headers{fields: http.Header{
		"Accept": {"a", "b"}, "Apikey": {"k"}, "X-Ratelimit-Limit": {"1"}, "X_y": {"u"}, textproto.CanonicalMIMEHeaderKey(long): {"l"},
	}, host: "weir.test"}
	for _, tt := range []struct {
		name, want string
		ok         bool
	}{
		{"Accept", "a", true},
		{"accept", "a", true},
		{"ACCEPT", "a", true},
		{"ApiKey", "k", true},
		{"X-RateLimit-Limit", "1", true},
		{"x_Y", "u", true},
		{long, "l", true},
		{strings.ToUpper(long), "l", true},
		{long + "x", "", false},
		{"Host", "weir.test", true},
		{"host", "weir.test", true},
		{"Missing", "", false},
		{"", "", false},
	} {
		if got, ok := h.Value(tt.name); got != tt.want || ok != tt.ok {
			t.Errorf("Value(%q) = %q, %v, want %q, %v", tt.name, got, ok, tt.want, tt.ok)
		}
		var all []string
		h.Each(tt.name, func(v string) bool { all = append(all, v); return true })
		if len(all) > 0 != tt.ok || tt.ok && all[0] != tt.want {
			t.Errorf("Each(%q) gave %q", tt.name, all)
		}
	}
	var some []string
	h.Each("accept", func(v string) bool { some = append(some, v); return false })
	if !slices.Equal(some, []string{"a"}) {
		t.Errorf("Each went on: %q", some)
	}
}

func TestHeadersAllocateNothing(t *testing.T) {
	h := &headers{fields: http.Header{"Accept": {"a", "b"}, "Apikey": {"k"}}, host: "weir.test"}
	each := func(string) bool { return true }
	if n := testing.AllocsPerRun(100, func() {
		for _, name := range []string{"accept", "ApiKey", "APIKEY", "missing", "host", "X-Not-There-At-All"} {
			h.Value(name)
			h.Each(name, each)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzCanonical holds that names are found as net/http keeps them.
func FuzzCanonical(f *testing.F) {
	for _, name := range []string{"accept", "x-forwarded-for", "X--a", "-", "x_y-z", "a!b", "é"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for i := range len(name) {
			if c := name[i]; !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				t.Skip("no name has such a byte")
			}
		}
		if got, want := string(canonical(nil, name)), textproto.CanonicalMIMEHeaderKey(name); got != want {
			t.Errorf("canonical(%q) = %q, want %q", name, got, want)
		}
	})
}

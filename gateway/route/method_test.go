package route

import (
	"strings"
	"testing"
)

func TestParseMethod(t *testing.T) {
	for m := GET; int(m) < methodCount; m++ {
		got, ok := ParseMethod(m.String())
		if got != m || !ok {
			t.Errorf("ParseMethod(%q) = %v, %v", m.String(), got, ok)
		}
	}
	for _, text := range []string{
		"", "get", "GeT", "Get", "GET ", " GET", "GET\x00", "GETX", "TRACE", "CONNECT", "PROPFIND", "PRI", "QUERY", "*",
		strings.Repeat("A", 8<<10), "other",
	} {
		if m, ok := ParseMethod(text); ok {
			t.Errorf("ParseMethod(%.20q) = %v, want none", text, m)
		}
	}
	if got := Method(200).String(); got != "other" {
		t.Errorf("unknown method is %q", got)
	}
}

func TestMethods(t *testing.T) {
	for _, test := range []struct {
		set  Methods
		want string
	}{
		{0, ""},
		{Methods(0).With(GET), "GET"},
		{Methods(0).With(OPTIONS).With(POST).With(POST), "POST, OPTIONS"},
		{1<<methodCount - 1, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
	} {
		if got := test.set.String(); got != test.want {
			t.Errorf("Methods(%b) = %q, want %q", test.set, got, test.want)
		}
		for m := GET; int(m) < methodCount; m++ {
			if got, want := test.set.Has(m), strings.Contains(test.want, m.String()); got != want {
				t.Errorf("%q has %v: %v", test.want, m, got)
			}
		}
	}
	set := Methods(0).With(GET).With(PUT)
	if n := testing.AllocsPerRun(100, func() { _ = set.String(); _, _ = ParseMethod("PATCH") }); n != 0 {
		t.Errorf("methods allocate %v times", n)
	}
}

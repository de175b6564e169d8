package identity

import (
	"net/netip"
	"strings"
	"testing"
)

func TestPermits(t *testing.T) {
	for _, test := range []struct {
		claims, client, referer string
		want                    bool
	}{
		{`"x":1`, "1.2.3.4", "", true},
		{`"permittedIP":""`, "1.2.3.4", "", true},
		{`"permittedIP":null`, "1.2.3.4", "", true},
		{`"permittedIP":"1.2.3.4"`, "1.2.3.4", "", true},
		{`"permittedIP":"1.2.3.4"`, "1.2.3.5", "", false},
		{`"permittedIP":"1.2.3.4"`, "::ffff:1.2.3.4", "", true},
		{`"permittedIP":"::ffff:1.2.3.4"`, "1.2.3.4", "", true},
		{`"permittedIP":"9.9.9.9, 10.0.0.0/8 ,2001:db8::/32"`, "10.1.2.3", "", true},
		{`"permittedIP":"9.9.9.9, 10.0.0.0/8 ,2001:db8::/32"`, "2001:db8::7", "", true},
		{`"permittedIP":"9.9.9.9, 10.0.0.0/8 ,2001:db8::/32"`, "11.0.0.1", "", false},
		{`"permittedIP":["10.0.0.0/8","9.9.9.9"]`, "9.9.9.9", "", true},
		{`"permittedIP":["10.0.0.0/8","9.9.9.9"]`, "9.9.9.8", "", false},
		{`"permittedReferer":"https://a.example/x"`, "1.2.3.4", "https://a.example/x", true},
		{`"permittedReferer":"https://a.example/x"`, "1.2.3.4", "https://a.example/xy", false},
		{`"permittedReferer":"https://a.example/x"`, "1.2.3.4", "", false},
		{`"permittedReferer":"https://a.example/*, *.b.example/*"`, "1.2.3.4", "https://www.b.example/y", true},
		{`"permittedReferer":"https://a.example/*, *.b.example/*"`, "1.2.3.4", "https://b.example.evil/", false},
		{`"permittedReferer":"*"`, "1.2.3.4", "", true},
		{`"permittedIP":"1.2.3.4","permittedReferer":"a"`, "1.2.3.4", "a", true},
		{`"permittedIP":"1.2.3.4","permittedReferer":"a"`, "1.2.3.4", "b", false},
		{`"permittedIP":"1.2.3.4","permittedReferer":"a"`, "1.2.3.5", "a", false},
	} {
		p := Principal{permits: token(t, nil, test.claims).permits}
		if got := p.Permits(netip.MustParseAddr(test.client), test.referer); got != test.want {
			t.Errorf("%s from %s, %q: %v", test.claims, test.client, test.referer, got)
		}
	}
	p := Principal{permits: token(t, nil, `"permittedIP":"10.0.0.0/8"`).permits}
	if p.Permits(netip.Addr{}, "") {
		t.Error("a token for some addresses may be used from none")
	}
}

func TestMatchesGlob(t *testing.T) {
	for _, test := range []struct {
		text, pattern string
		want          bool
	}{
		{"", "", true},
		{"", "*", true},
		{"a", "", false},
		{"abc", "abc", true},
		{"abc", "a*c", true},
		{"ac", "a*c", true},
		{"abcd", "a*c", false},
		{"aXbXc", "a*b*c", true},
		{"abab", "*ab", true},
		{"ab", "ab*ab", false},
		{"aab", "a*ab", true},
		{"ab", "a*ab", false},
		{"xayaz", "*a*a*", true},
		{"xaz", "*a*a*", false},
		{strings.Repeat("a", 10_000), strings.Repeat("a*", 200) + "b", false},
	} {
		if got := matchesGlob(test.text, test.pattern); got != test.want {
			t.Errorf("%.20q fits %.20q: %v, want %v", test.text, test.pattern, got, test.want)
		}
	}
}

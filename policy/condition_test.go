package policy

import (
	"net/netip"
	"regexp"
	"testing"

	"github.com/weir-project/weir"
)

func compiled(t testing.TB, c Condition) condition {
	t.Helper()
	var faults Faults
	out := compileCondition(&c, scope{&faults, Policies, 0, 0, 0, "policy"})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return out
}

func TestCondition(t *testing.T) {
	prefix := func(s string) Condition { return ip(IPCondition{Prefix: netip.MustParsePrefix(s)}) }
	from := func(a, b string) Condition { return ip(IPCondition{From: addr(a), To: addr(b)}) }
	query := func(name, pattern string) Condition {
		return Condition{Query: &ValueCondition{Name: name, Pattern: pattern}}
	}
	claim := func(name, pattern string) Condition {
		return Condition{Claim: &ValueCondition{Name: name, Pattern: pattern}}
	}
	for _, tt := range []struct {
		name string
		c    Condition
		ip   string
		want bool
	}{
		{"address", prefix("10.1.2.3/32"), "10.1.2.3", true},
		{"other address", prefix("10.1.2.3/32"), "10.1.2.4", false},
		{"mapped client", prefix("10.1.2.3/32"), "::ffff:10.1.2.3", true},
		{"mapped prefix", prefix("::ffff:10.1.0.0/112"), "10.1.255.255", true},
		{"network, first", prefix("10.1.2.3/8"), "10.0.0.0", true},
		{"network, last", prefix("10.1.2.3/8"), "10.255.255.255", true},
		{"network, before", prefix("10.1.2.3/8"), "9.255.255.255", false},
		{"network, after", prefix("10.1.2.3/8"), "11.0.0.0", false},
		{"all of IPv4", prefix("0.0.0.0/0"), "255.255.255.255", true},
		{"all of IPv4 is no IPv6", prefix("0.0.0.0/0"), "::1", false},
		{"all of IPv6 is no IPv4", prefix("::/0"), "10.0.0.1", false},
		{"exact IPv6, not its network", prefix("2001:db8::1/128"), "2001:db8::2", false},
		{"IPv6 network", prefix("2001:db8::/65"), "2001:db8::7fff:ffff:ffff:ffff", true},
		{"after IPv6 network", prefix("2001:db8::/65"), "2001:db8::8000:0:0:0", false},
		{"zone", prefix("fe80::/10"), "fe80::1%eth0", true},
		{"range, first", from("10.0.0.1", "10.0.0.9"), "10.0.0.1", true},
		{"range, last", from("10.0.0.1", "10.0.0.9"), "10.0.0.9", true},
		{"range, before", from("10.0.0.1", "10.0.0.9"), "10.0.0.0", false},
		{"range, after", from("10.0.0.1", "10.0.0.9"), "10.0.0.10", false},
		{"range of one", from("10.0.0.1", "10.0.0.1"), "10.0.0.1", true},
		{"range of mapped", from("::ffff:10.0.0.1", "10.0.0.9"), "10.0.0.5", true},
		{"range of IPv6", from("::1", "::ffff"), "::abc", true},
		{"range of the other family", from("0.0.0.0", "255.255.255.255"), "::1", false},

		{"header in any case", header("X-Plan", "^gold$"), "", true},
		{"header, found within", header("x-plan", "ol"), "", true},
		{"header, anything", header("x-plan", ""), "", true},
		{"header, other value", header("x-plan", "silver"), "", false},
		{"header, empty, anything", header("empty", ""), "", true},
		{"header, absent, anything", header("none", ""), "", false},
		{"header, absent, empty", header("none", "^$"), "", false},
		{"query", query("page", "^[0-9]+$"), "", true},
		{"query in another case", query("PAGE", ""), "", false},
		{"claim", claim("role", "^(admin|root)$"), "", true},
		{"claim, absent", claim("none", "^(admin|root)$"), "", false},
	} {
		req := request()
		req.Headers = fields{"x-plan": "gold", "empty": ""}
		req.Query, req.Claims = values{"page": "12"}, values{"role": "admin"}
		if tt.ip != "" {
			req.ClientIP = netip.MustParseAddr(tt.ip)
		}
		c := compiled(t, tt.c)
		if got := c.holds(req); got != tt.want {
			t.Errorf("%s: holds %v, want %v", tt.name, got, tt.want)
		}
		tt.c.Invert = true
		c = compiled(t, tt.c)
		if got := c.holds(req); got == tt.want {
			t.Errorf("%s, inverted: holds %v, want %v", tt.name, got, !tt.want)
		}
	}
}

// Of a request of which nothing is known no condition holds, and each inverted one.
func TestConditionOfNothing(t *testing.T) {
	for _, c := range []Condition{
		ip(IPCondition{Prefix: netip.MustParsePrefix("::/0")}),
		ip(IPCondition{Prefix: netip.MustParsePrefix("0.0.0.0/0")}),
		header("x", ""),
		{Query: &ValueCondition{Name: "x"}},
		{Claim: &ValueCondition{Name: "x"}},
	} {
		for _, invert := range []bool{false, true} {
			c.Invert = invert
			x := compiled(t, c)
			if got := x.holds(new(weir.Request)); got != invert {
				t.Errorf("%+v: holds %v, want %v", c, got, invert)
			}
		}
	}
}

// Groups: all conditions of one, the first of several, several of a kind.
func TestGroups(t *testing.T) {
	net := func(s string, invert bool) Condition {
		return Condition{IP: &IPCondition{Prefix: netip.MustParsePrefix(s)}, Invert: invert}
	}
	s := compile(t, policies(Policy{Name: "A", Limit: perMinute(100), Groups: []Group{
		{Limit: perMinute(1), Conditions: []Condition{net("10.0.0.0/8", false), net("10.1.0.0/16", true), header("x-plan", "^gold$")}},
		{Limit: perMinute(2), Conditions: []Condition{net("10.1.0.0/16", false)}},
		{Limit: nil, Conditions: []Condition{header("x-plan", "^free$")}},
		{Limit: perMinute(4), Conditions: []Condition{header("x-plan", ""), {Claim: &ValueCondition{Name: "role"}, Invert: true}}},
		{Limit: perMinute(5), Conditions: []Condition{header("x-plan", "")}},
	}}))
	for _, tt := range []struct {
		ip, plan, role string
		group          int
		count          int64 // -1: unlimited
	}{
		{"10.2.0.1", "gold", "admin", 0, 1},
		{"10.1.0.1", "gold", "admin", 1, 2},
		{"11.0.0.1", "free", "admin", 2, -1},
		{"11.0.0.1", "gold", "", 3, 4},
		{"11.0.0.1", "gold", "admin", 4, 5},
		{"11.0.0.1", "", "admin", -1, 100},
	} {
		req := onlyRules(request())
		req.ResourceTier, req.ClientIP, req.Verb = "A", addr(tt.ip), "DELETE"
		req.Headers, req.Claims = fields{}, values{}
		if tt.plan != "" {
			req.Headers = fields{"x-plan": tt.plan}
		}
		if tt.role != "" {
			req.Claims = values{"role": tt.role}
		}
		var m Match
		s.Match(&m, req)
		switch {
		case tt.count < 0 && len(m.Checks) != 0:
			t.Errorf("%+v: %d checks, want none", tt, len(m.Checks))
		case tt.count >= 0 && (len(m.Checks) != 1 || m.Sources[0].Group != tt.group || m.Checks[0].Limit.Count != tt.count):
			t.Errorf("%+v: got %+v", tt, m.Sources)
		}
	}
}

var patternCases = []string{
	"", "a", "^a", "a$", "^a$", "^", "$", "^$", "a.b", "a|b", "[ab]c", "(?i)abc", "a+", "(a)(b)", "a\\.b", "\\Qa.b\\E",
	"(?m)^a$", "(?s)a.b", "é", "^\\x{FFFD}$", "\\z", "\\Aa", "a\\z", "\\ba", "(?:ab)", "(?i:a)b", "^(a|b)$", "a{3}", "\\", "(",
}

func TestPatternIsItsExpression(t *testing.T) {
	for _, p := range patternCases {
		for _, s := range []string{"", "a", "b", "ab", "ba", "abc", "ABC", "a.b", "aXb", "x\na\ny", "é", "\xff", "aaa", "x a"} {
			checkPattern(t, p, s)
		}
	}
}

func checkPattern(t *testing.T, text, s string) {
	t.Helper()
	p, err := compilePattern(text)
	re, want := regexp.Compile(text)
	if (err == nil) != (want == nil) {
		if len(text) <= maxPattern {
			t.Errorf("compile %q: %v, want %v", text, err, want)
		}
		return
	}
	if err == nil && p.match(s) != re.MatchString(s) {
		t.Errorf("%q matches %q: %v, want %v", text, s, p.match(s), !p.match(s))
	}
}

func TestPatternOfTextIsText(t *testing.T) {
	for _, tt := range []struct {
		text string
		want mode
	}{
		{"", matchAll},
		{"gold", matchContains},
		{"^gold", matchPrefix},
		{"gold$", matchSuffix},
		{"^gold$", matchEqual},
		{"^a\\.b$", matchEqual},
		{"^$", matchEqual},
		{"go.d", matchRegexp},
		{"(?i)gold", matchRegexp},
	} {
		p, err := compilePattern(tt.text)
		if err != nil || p.mode != tt.want {
			t.Errorf("%q: mode %d, %v, want %d", tt.text, p.mode, err, tt.want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, p := range patternCases {
		f.Add(p, "ab")
	}
	f.Fuzz(func(t *testing.T, text, s string) { checkPattern(t, text, s) })
}

func FuzzCondition(f *testing.F) {
	f.Add("x-plan", "^gold$", "gold", "10.0.0.0/8", "10.1.2.3")
	f.Add("x", "(", "", "::/0", "::1%a")
	f.Fuzz(func(t *testing.T, name, pattern, value, network, client string) {
		var faults Faults
		at := scope{&faults, Policies, 0, 0, 0, "policy"}
		req := &weir.Request{Headers: values{name: value}, Claims: values{}}
		req.ClientIP, _ = netip.ParseAddr(client)
		c := compileCondition(&Condition{Header: &ValueCondition{Name: name, Pattern: pattern}}, at)
		if len(faults) == 0 && c.holds(req) != regexp.MustCompile(pattern).MatchString(value) {
			t.Errorf("pattern %q of %q holds %v", pattern, value, c.holds(req))
		}
		p, err := netip.ParsePrefix(network)
		if err != nil {
			return
		}
		faults = nil
		c = compileCondition(&Condition{IP: &IPCondition{Prefix: p}, Invert: true}, at)
		if len(faults) > 0 {
			t.Fatalf("prefix %s: %v", p, faults)
		}
		want := plainPrefix(p).Contains(plain(req.ClientIP))
		if got := !c.holds(req); got != want {
			t.Errorf("%s in %s: %v, want %v", req.ClientIP, p, got, want)
		}
	})
}

package rule

import (
	"strings"
	"testing"
)

// refusedCases are expressions that Compile refuses, and how its error begins.
var refusedCases = []struct{ expr, want string }{
	{"", "1:1: empty"},
	{" \n", "1:1: empty"},
	{"user", "1:1: is of type string, not bool"},
	{"dyn(user)", "1:1: is of type dyn, not bool"},
	{"request.headers", "1:1: is of type map(string, string), not bool"},
	{"user ==", "1:8: Syntax error: mismatched input '<EOF>'"},
	{"user == 1", "1:6: found no matching overload for '_==_'"},
	{"usr == 'x'", "1:1: undeclared reference to 'usr' (did you mean 'user'?)"},
	{"true\n  && foo", "2:6: undeclared reference to 'foo'"},
	{"foo && bar", "1:1: undeclared reference to 'foo'; 1:8: undeclared reference to 'bar'"},
	{"claims[1] == 'x'", "1:7: found no matching overload for '_[_]'"},
	{"has(user.x)", "1:4: type 'string' does not support field selection"},

	{"request.headers == claims", "1:8: request.headers can only be asked for a name"},
	{"size(request.headers) > 1", "1:13: request.headers can only be asked for a name"},
	{"claims.exists(k, k == 'x')", "1:1: claims can only be asked for a name"},
	{"[claims][0]['x'] == 'a'", "1:2: claims can only be asked for a name"},
	{"{'a': claims}['a']['b'] == 'c'", "1:7: claims can only be asked for a name"},
	{"(true ? claims : request.query)['a'] == ''", "1:9: claims can only be asked for a name"},
	{"optional.of(claims).hasValue()", "1:13: claims can only be asked for a name"},
	{"user.matches(claims['x'])", "1:20: a pattern must be a literal"},
	{"matches('a', user)", "1:14: a pattern must be a literal"},
	{"user.matches('(')", "1:14: error parsing regexp: missing closing )"},
	{"client_ip.inNetwork(user)", "1:21: a network must be a literal"},
	{"client_ip.inNetwork('10.0.0.0/33')", "1:21: netip.ParsePrefix"},
	{"client_ip.inNetwork('10.0.0')", "1:21: ParseAddr"},
	{"client_ip == '10.0.0.0/8'", "1:14: client_ip is never"},
	{"'2001:DB8::1' != client_ip", `1:1: client_ip is never "2001:DB8::1"; it is written "2001:db8::1"`},
	{"client_ip in ['10.0.0.1', '::ffff:1.2.3.4']", `1:27: client_ip is never "::ffff:1.2.3.4"; it is written "1.2.3.4"`},
	{"request.time.getHours(user) == 1", "1:23: a time zone must be a literal"},
	{"request.time.getHours('Mars/Base') == 1", "1:23: unknown time zone"},
	{"timestamp('x') > request.time", "1:11: invalid timestamp"},
	{"duration('x') > duration('1s')", "1:10: invalid duration"},

	{"request.query['q'].matches('" + strings.Repeat("x", 900) + "')", "1:1: too expensive"},
	{"[1,2].all(x, [1,2].all(y, [1,2].all(z, x+y+z > 0)))", "1:36: comprehension exceeds nesting limit"},
	{strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), "1:1: expression recursion limit"},
	{strings.Repeat("true && ", 600) + "true", "1:1: expression code point size exceeds limit"},
}

func TestCompileRefuses(t *testing.T) {
	c := New()
	for _, tt := range refusedCases {
		x, err := c.Compile(tt.expr)
		if err == nil {
			t.Errorf("Compile(%.60q): no error, want %q", tt.expr, tt.want)
			continue
		}
		if x != nil {
			t.Errorf("Compile(%.60q): error and an expression", tt.expr)
		}
		if got := err.Error(); !strings.HasPrefix(got, tt.want) || strings.ContainsAny(got, "\n{") && !strings.Contains(tt.expr, "{") {
			t.Errorf("Compile(%.60q): %s\nwant one line beginning %s", tt.expr, got, tt.want)
		}
	}
}

// What is absent is an error, of both kinds of expression.
func TestAbsentIsAnError(t *testing.T) {
	c := New()
	for _, expr := range []string{
		"claims['none'] == 'x'", "claims['none'] != 'x'", "!(claims.none == 'x')",
		"request.headers['x-none'].startsWith('a')", "request.query.none in ['a']",
		"size(claims['none']) == 0", "claims[claims['none']] == 'x'",
		"claims['none'] == 'x' || user == 'bob'", "claims['none'] == 'x' && user == 'alice'",
		"claims['none'] == 'x' ? true : true",
		"claims['none'] + '' == 'x'", "claims['none'].lowerAscii() == 'x' || false",
	} {
		x, err := c.Compile(expr)
		if err != nil {
			if strings.Contains(expr, "lowerAscii") {
				continue // no function of CEL's core
			}
			t.Errorf("Compile(%q): %v", expr, err)
			continue
		}
		got, err := x.Holds(request())
		if got || err == nil {
			t.Errorf("%q holds: %v, %v, want an error", expr, got, err)
		} else if !strings.Contains(err.Error(), "no such key") {
			t.Errorf("%q: error %q does not say no such key", expr, err)
		}
	}
}

// Expressions hold of requests that have nothing, too.
func TestHoldsOfNothing(t *testing.T) {
	c := New()
	for _, tt := range holdsCases {
		tree, program, err := c.program(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, tt.expr, tree, program, empty())
	}
}

func TestCompileKinds(t *testing.T) {
	c := New()
	for _, tt := range []struct {
		expr   string
		native bool
	}{
		{"user == 'alice'", true},
		{"request.headers[?'x'].orValue('') != 'gold'", true},
		{"request.time.getHours('Europe/Berlin') >= 8", true},
		{"client_ip.inNetwork('10.0.0.0/8') || has(claims.admin)", true},
		{"client_ip.startsWith('10.')", false},
		{"user + 'x' == 'alicex'", false},
		{"['a'].exists(p, p == user)", false},
	} {
		x, err := c.Compile(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := x.(*expression).Expression.(native); got != tt.native {
			t.Errorf("%q is native: %v, want %v", tt.expr, got, tt.native)
		}
	}
}

// A macro's variable may be named like a map of the request.
func TestShadowedName(t *testing.T) {
	x, err := New().Compile("['a', 'b'].exists(claims, claims == 'b')")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := x.Holds(request()); !got || err != nil {
		t.Errorf("holds: %v, %v, want true", got, err)
	}
}

func TestConcurrentUse(t *testing.T) {
	c := New()
	done := make(chan error)
	for range 4 {
		go func() {
			x, err := c.Compile("user + 'x' == 'alicex' && claims.plan == 'Größe'")
			for range 100 {
				if err == nil {
					_, err = x.Holds(request())
				}
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

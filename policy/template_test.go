package policy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

func TestParseTemplate(t *testing.T) {
	for _, tt := range []struct {
		text, err string
		parts     int
	}{
		{"all", "", 1},
		{"$userId", "", 1},
		{"$userId:$apiContext:$apiVersion", "", 5},
		{"${userId}s", "", 2},
		{"$userId$apiContext", "", 2},
		{"$apiContext_$userId", "", 3},
		{"cost: 5$$", "", 1},
		{"$$userId", "", 1},
		{"$header.x-plan:$query.page", "", 3},
		{"$customProperty.tenant_id.rest", "", 2},
		{"${claim.https://x/role}", "", 1},
		{"$claim.a.b", "", 2},
		{"é$clientIp€", "", 3},

		{"", "is empty", 0},
		{strings.Repeat("a", 1001), "is longer than 1000 bytes", 0},
		{"$", "column 1: $ without the name", 0},
		{"a $ b", "column 3: $ without the name", 0},
		{"a:${userId", "column 3: ${ without }", 0},
		{"${}", "column 1: $ without the name", 0},
		{"$userIds", "column 1: unknown variable $userIds", 0},
		{"$userid", "column 1: unknown variable $userid", 0},
		{"$header", "column 1: $header needs a name: $header.name", 0},
		{"$header.", "column 1: $header needs a name", 0},
		{"${claim.}", "column 1: $claim needs a name", 0},
		{"${ userId }", "column 1: unknown variable $ userId ", 0},
		{"${userId.x}", "column 1: unknown variable $userId.x", 0},
		{"$userId:$customProperty", "column 9: $customProperty needs a name", 0},
	} {
		got, err := parseTemplate(tt.text)
		switch {
		case tt.err == "" && err != nil:
			t.Errorf("%q: %v", tt.text, err)
		case tt.err == "" && len(got.parts) != tt.parts:
			t.Errorf("%q: parts %v, want %d", tt.text, got.parts, tt.parts)
		case tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)):
			t.Errorf("%q: error %v, want %q", tt.text, err, tt.err)
		}
	}
}

// ruleSet returns a Set of one rule with a key.
func ruleSet(t testing.TB, key string) *Set {
	t.Helper()
	return compile(t, rules(CustomRule{Name: "r", Key: key, Limit: *perMinute(1)}))
}

func TestTemplateText(t *testing.T) {
	req := request()
	req.Headers, req.Query = fields{"x-plan": "g$userId\\1"}, values{"page": "7"}
	req.Claims = values{"a": "A", "https://x/role": "admin"}
	for _, tt := range []struct{ key, want string }{
		{"$userId:$apiContext:$apiVersion:$apiName", "alice@carbon.super:/pizza/1:1:Pizza"},
		{"$resourceKey", "/pizza/1/1/menu:GET"},
		{"$resource $method $keyType", "/menu GET PRODUCTION"},
		{"$appTenant/$apiTenant", "carbon.super/carbon.super"},
		{"$appId $applicationName $applicationOwner", "5 Shop bob"},
		{"$clientIp", "167838211"},
		{"$header.X-Plan", "g$userId\\1"},
		{"$query.page:$query.none:", "7::"},
		{"$customProperty.a=$claim.a=${claim.https://x/role}", "A=A=admin"},
		{"$$userId costs 5$$", "$userId costs 5$"},
	} {
		s := ruleSet(t, tt.key)
		var m Match
		s.Match(&m, onlyRules(req))
		if got := string(s.AppendKey([]byte("> "), &m, 0, req)); got != "> "+tt.want {
			t.Errorf("%q: got %q, want %q", tt.key, got, tt.want)
		}
	}
}

// onlyRules returns req without tiers.
func onlyRules(req *weir.Request) *weir.Request {
	r := *req
	r.APITier, r.ResourceTier, r.SubscriptionTier, r.Application.Tier = "", "", "", ""
	return &r
}

func TestClientIPText(t *testing.T) {
	s := ruleSet(t, "$clientIp")
	for _, tt := range []struct{ ip, want string }{
		{"0.0.0.0", "0"},
		{"255.255.255.255", "4294967295"},
		{"::ffff:1.2.3.4", "16909060"},
		{"::1", "0"}, // of the network
		{"2001:db8::1", "42540766411282592856903984951653826560"},
		{"2001:db8::ffff:ffff:ffff:ffff", "42540766411282592856903984951653826560"},
		{"ffff:ffff:ffff:ffff::", "340282366920938463444927863358058659840"},
		{"0:0:0:1::", "18446744073709551616"},
	} {
		req := onlyRules(request())
		req.ClientIP = netip.MustParseAddr(tt.ip)
		var m Match
		s.Match(&m, req)
		if got := string(s.AppendKey(nil, &m, 0, req)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.ip, got, tt.want)
		}
	}
	req := onlyRules(request())
	req.ClientIP = netip.Addr{}
	var m Match
	s.Match(&m, req)
	if got := string(s.AppendKey(nil, &m, 0, req)); got != "" {
		t.Errorf("unknown address: got %q, want nothing", got)
	}
}

// key returns the key under which a rule counts req.
func key(t testing.TB, s *Set, req *weir.Request) limiter.Key {
	t.Helper()
	var m Match
	s.Match(&m, onlyRules(req))
	if len(m.Checks) != 1 {
		t.Fatalf("%d checks, want 1", len(m.Checks))
	}
	return m.Checks[0].Key
}

// What is absent, what is empty and what moves from one value into the next all
// count apart, though the text is the same.
func TestTemplateKeysAreApart(t *testing.T) {
	s := ruleSet(t, "$header.x:$query.x")
	seen := map[limiter.Key]string{}
	for _, headers := range []weir.Values{nil, values{}, values{"x": ""}, values{"x": ":"}, values{"x": "a"}, values{"x": "a:"}} {
		for _, query := range []weir.Values{values{"y": ""}, values{"x": ""}, values{"x": ":"}, values{"x": "a"}, values{"x": ":a"}} {
			req := request()
			req.Headers, req.Query = headers, query
			name := ""
			for _, v := range []weir.Values{headers, query} {
				if s, ok := lookup(v, "x"); ok {
					name += "=" + s + "\n"
				} else {
					name += "absent\n"
				}
			}
			k := key(t, s, req)
			if was, ok := seen[k]; ok && was != name {
				t.Errorf("one key for %q and %q", was, name)
			}
			seen[k] = name
		}
	}
	if got, want := len(seen), 5*5; got != want {
		t.Errorf("%d keys, want %d", got, want)
	}
}

// Two rules, or one whose template is another, never share a counter.
func TestRulesCountApart(t *testing.T) {
	req := request()
	seen := map[limiter.Key]string{}
	for _, r := range []CustomRule{
		{Name: "a", Key: "$userId"},
		{Name: "b", Key: "$userId"},
		{Name: "a", Key: "${userId}"},
		{Name: "a", Key: "all"},
		{Name: "a", Key: "all of them"},
		{Name: "b", Key: "all"},
	} {
		r.Limit = *perMinute(1)
		k := key(t, compile(t, rules(r)), req)
		if was, ok := seen[k]; ok {
			t.Errorf("one key for %s and %s %s", was, r.Name, r.Key)
		}
		seen[k] = r.Name + " " + r.Key
	}
}

func FuzzParseTemplate(f *testing.F) {
	for _, s := range []string{"$userId:$apiContext", "${claim.a b}$$", "$header.x-y", "$", "${", "$customProperty.", "é$"} {
		f.Add(s, "v:$1")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		tmpl, err := parseTemplate(text)
		if err != nil {
			if strings.Contains(err.Error(), "%!") || err.Error() == "" {
				t.Errorf("%q: error %q", text, err)
			}
			return
		}
		req := &weir.Request{User: value, Context: value, Headers: values{"x": value}, Query: values{}, Claims: values{"x": value}}
		s := &Set{ipv6Bits: 64}
		got := string(tmpl.append(nil, &form{ipv6Bits: 64}, req))
		// Literal text stands in the key in its order.
		rest := got
		for _, p := range tmpl.parts {
			if p.variable != varText {
				continue
			}
			i := strings.Index(rest, p.text)
			if i < 0 {
				t.Fatalf("%q: key %q lacks %q", text, got, p.text)
			}
			rest = rest[i+len(p.text):]
		}
		h := limiter.Seed{}.Hash()
		if k := tmpl.hash(h, s, req); k != tmpl.hash(h, s, req) {
			t.Errorf("%q: two keys for one request", text)
		}
	})
}

package rule

import (
	"net/netip"
	"reflect"
	"testing"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/weir-project/weir"
)

// Every expression that is native gives the same when it is interpreted.
func TestHoldsInterpreted(t *testing.T) {
	c := New()
	natives := 0
	for _, tt := range holdsCases {
		tree, program, err := c.program(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := newInterpreted(program).Holds(request()); got != tt.want || err != nil {
			t.Errorf("%q holds: %v, %v, want %v", tt.expr, got, err, tt.want)
		}
		if agree(t, tt.expr, tree, program, request()) {
			natives++
		}
	}
	if natives < len(holdsCases)*3/4 {
		t.Errorf("%d of %d expressions are native, want most", natives, len(holdsCases))
	}
}

// Each variable is that of the request, in both kinds of expression.
func TestVariables(t *testing.T) {
	c := New()
	req := &weir.Request{}
	set := map[string]func(string){
		"request.method":    func(s string) { req.Verb = s },
		"request.resource":  func(s string) { req.Resource = s },
		"api.name":          func(s string) { req.API = s },
		"api.version":       func(s string) { req.Version = s },
		"api.context":       func(s string) { req.Context = s },
		"application.id":    func(s string) { req.Application.ID = s },
		"application.name":  func(s string) { req.Application.Name = s },
		"application.owner": func(s string) { req.Application.Owner = s },
		"application.tier":  func(s string) { req.Application.Tier = s },
		"subscription.tier": func(s string) { req.SubscriptionTier = s },
		"user":              func(s string) { req.User = s },
		"key_type": func(s string) {
			if req.KeyType = weir.Production; s == "SANDBOX" {
				req.KeyType = weir.Sandbox
			}
		},
	}
	if len(set) != len(strs) {
		t.Errorf("%d variables are tested, want %d", len(set), len(strs))
	}
	for name, change := range set {
		for _, form := range []string{" == 'SANDBOX'", " + '' == 'SANDBOX'"} {
			x, err := c.Compile(name + form)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, value := range []string{"SANDBOX", ""} {
				change(value)
				if got, err := x.Holds(req); got != (value == "SANDBOX") || err != nil {
					t.Errorf("%s%s of %q: %v, %v", name, form, value, got, err)
				}
			}
		}
	}
}

// The client's address is its canonical text, empty if it is not known.
func TestClientIP(t *testing.T) {
	c := New()
	for _, tt := range []struct{ ip, want string }{
		{"10.1.2.3", "10.1.2.3"},
		{"::ffff:10.1.2.3", "10.1.2.3"},
		{"2001:DB8:0::1", "2001:db8::1"},
		{"fe80::1%eth0", "fe80::1"},
		{"", ""},
	} {
		req := &weir.Request{}
		if tt.ip != "" {
			req.ClientIP = netip.MustParseAddr(tt.ip)
		}
		for _, form := range []string{
			"client_ip == '" + tt.want + "'", "client_ip + '' == '" + tt.want + "'", "client_ip in ['" + tt.want + "']",
			"client_ip.startsWith('" + tt.want + "') && size(client_ip) == size('" + tt.want + "')",
		} {
			x, err := c.Compile(form)
			if err != nil {
				t.Errorf("%s: %v", form, err)
				continue
			}
			if got, err := x.Holds(req); !got || err != nil {
				t.Errorf("%q: %s holds: %v, %v, want true", tt.ip, form, got, err)
			}
		}
	}
}

func TestInNetwork(t *testing.T) {
	c := New()
	for _, tt := range []struct {
		ip, network string
		want        bool
	}{
		{"10.1.2.3", "10.0.0.0/8", true},
		{"11.1.2.3", "10.0.0.0/8", false},
		{"10.1.2.3", "10.1.2.99/24", true},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.4", false},
		{"10.1.2.3", "0.0.0.0/0", true},
		{"10.1.2.3", "::/0", false},
		{"::1", "0.0.0.0/0", false},
		{"::1", "::/0", true},
		{"::1", "::1", true},
		{"10.1.2.3", "::ffff:10.0.0.0/104", true},
		{"::ffff:10.1.2.3", "10.0.0.0/8", true},
		{"fe80::1%eth0", "fe80::/10", true},
		{"10.1.2.3", "::ffff:10.1.2.3", true},
	} {
		req := &weir.Request{ClientIP: netip.MustParseAddr(tt.ip), Headers: headers{"via": tt.ip}}
		for _, of := range []string{"client_ip", "request.headers['via']", "(client_ip + '')"} {
			x, err := c.Compile(of + ".inNetwork('" + tt.network + "')")
			if err != nil {
				t.Errorf("network %s: %v", tt.network, err)
				continue
			}
			if got, err := x.Holds(req); got != tt.want || err != nil {
				t.Errorf("%s of %s in %s: %v, %v, want %v", of, tt.ip, tt.network, got, err, tt.want)
			}
		}
	}
	if v := interpretInNetwork(types.String("10.0.0.1"), types.String("nonsense")); !types.IsError(v) {
		t.Errorf("a network that is none: %v, want an error", v)
	}
}

// A lookup can be asked for one name, and fails at all else rather than panic.
func TestLookup(t *testing.T) {
	l := &lookup{named{"a": "1"}}
	none := &lookup{}
	for _, tt := range []struct {
		name string
		got  ref.Val
		want any
	}{
		{"Get", l.Get(types.String("a")), "1"},
		{"Get of what is absent", l.Get(types.String("b")), nil},
		{"Get of a number", l.Get(types.Int(1)), nil},
		{"Get of nothing", none.Get(types.String("a")), nil},
		{"Contains", l.Contains(types.String("a")), true},
		{"Contains what is absent", l.Contains(types.String("b")), false},
		{"Contains of nothing", none.Contains(types.String("a")), false},
		{"Size", l.Size(), nil},
		{"Equal", l.Equal(l), nil},
		{"ConvertToType", l.ConvertToType(types.StringType), nil},
	} {
		if tt.want == nil {
			if !types.IsError(tt.got) {
				t.Errorf("%s: %v, want an error", tt.name, tt.got)
			}
		} else if tt.got.Value() != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, tt.got.Value(), tt.want)
		}
	}
	if l.Iterator().HasNext() != types.False {
		t.Error("there is something to iterate over")
	}
	if _, err := l.ConvertToNative(reflect.TypeFor[map[string]string]()); err == nil {
		t.Error("a lookup became a map")
	}
	if l.Type() != types.MapType || l.Value() == nil {
		t.Errorf("a %v of value %v", l.Type(), l.Value())
	}
}

// An activation knows what it was bound to, keeps nothing after, and has no more.
func TestActivation(t *testing.T) {
	a := new(activation)
	a.bind(request())
	for name := range strs {
		if _, ok := a.ResolveName(name); !ok {
			t.Errorf("%s is not known", name)
		}
	}
	for name := range maps {
		if v, ok := a.ResolveName(name); !ok || v.(*lookup).values == nil {
			t.Errorf("%s is not known", name)
		}
	}
	if v, ok := a.ResolveName("something"); ok || v != nil || a.Parent() != nil {
		t.Errorf("something is %v", v)
	}
	a.bind(nil)
	if a.req != nil || a.headers.values != nil || a.query.values != nil || a.claims.values != nil {
		t.Error("the request is kept")
	}
}

// An error of evaluation is told, whatever it is, and the next request is fine.
func TestInterpretedErrors(t *testing.T) {
	c := New()
	for _, expr := range []string{
		"int(user) == 1", "100 / (request.size - 512) == 1", "[1][request.size] == 1",
		"timestamp(user) > request.time", "duration(user) > duration('1s')", "{'a': 1}[user] == 1",
	} {
		x, err := c.Compile(expr)
		if err != nil {
			t.Errorf("Compile(%q): %v", expr, err)
			continue
		}
		for range 2 {
			if got, err := x.Holds(request()); got || err == nil {
				t.Errorf("%q holds: %v, %v, want an error", expr, got, err)
			}
		}
	}
	x, err := c.Compile("int(user) == 1")
	if err != nil {
		t.Fatal(err)
	}
	req := request()
	x.Holds(req)
	req.User = "1"
	if got, err := x.Holds(req); !got || err != nil {
		t.Errorf("after an error holds: %v, %v, want true", got, err)
	}
}

// The estimate of the cost grows with what is done, and lets ordinary rules be.
func TestCost(t *testing.T) {
	c := New()
	for _, tt := range []struct {
		expr string
		ok   bool
	}{
		{"request.headers['user-agent'].matches('(?i)bot|crawler|spider')", true},
		{"request.headers['a'].matches('x') && request.headers['b'].matches('x') && claims['c'].matches('x')", true},
		{"['a', 'b', 'c', 'd'].exists(p, request.headers['a'].startsWith(p))", true},
		{"['a', 'b', 'c', 'd'].all(p, ['e', 'f'].exists(q, p + q == user))", true},
		{"request.headers['a'].matches('" + pattern(400) + "') || request.headers['b'].matches('" + pattern(400) + "')", false},
		{"[1,2,3,4,5,6,7,8,9].all(x, request.headers['a'].matches('" + pattern(80) + "'))", false},
		{"[1,2,3,4,5,6,7,8,9].map(x, request.headers['a'] + request.headers['a'] + request.headers['a']).all(s, s + s + s + s == s)", false},
	} {
		_, err := c.Compile(tt.expr)
		if (err == nil) != tt.ok {
			t.Errorf("Compile(%.80q): %v, want ok %v", tt.expr, err, tt.ok)
		}
	}
}

// pattern returns a pattern of n letters.
func pattern(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abc"[i%3]
	}
	return string(b)
}

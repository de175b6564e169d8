package gateway

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// t0 is the beginning of a minute, an hour and a day.
var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func perMinute(n int64) *limiter.Limit {
	return &limiter.Limit{Count: n, Window: limiter.Window{Length: time.Minute}}
}

// A world is a gateway with one API, /pizza/1, and an application, shop.
type world struct {
	*Gateway
	definition Definition
	production string // keys of shop
	sandbox    string
	stranger   string // the key of an application without subscriptions
}

func newWorld(t testing.TB) *world { return newWorldTold(t, EventOptions{}) }

// newWorldTold is newWorld that tells somebody of accepted calls.
func newWorldTold(t testing.TB, events EventOptions) *world {
	t.Helper()
	w := &world{}
	var hashes [3]string
	for i, key := range []*string{&w.production, &w.sandbox, &w.stranger} {
		*key, hashes[i] = identity.NewKey()
	}
	w.definition = Definition{
		APIs: []API{{
			Name: "pizza", Version: "1", Context: "/pizza/1",
			Production: &Endpoints{URLs: []string{"http://127.0.0.1:1/base"}},
			Sandbox:    &Endpoints{URLs: []string{"http://127.0.0.1:2"}},
			CORS:       &CORS{AllowOrigins: []string{"https://shop.example"}, AllowHeaders: []string{"ApiKey"}, MaxAge: time.Hour},
			Resources: []Resource{
				{Method: "GET", Template: "/menu"},
				{Method: "POST", Template: "/orders/{id}", Tier: "Two"},
				{Method: "GET", Template: "/open", DisableSecurity: true},
				{Method: "GET", Template: "/heavy", Weight: 5},
			},
		}},
		Applications: []identity.Application{
			{
				ID: "1", Name: "shop", Owner: "alice", Tier: "Ten",
				Keys:          []identity.Key{{Type: weir.Production, Hash: hashes[0]}, {Type: weir.Sandbox, Hash: hashes[1]}},
				Subscriptions: []identity.Subscription{{API: "pizza", Version: "1", Tier: "Gold"}},
			},
			{ID: "2", Name: "stranger", Owner: "bob", Keys: []identity.Key{{Hash: hashes[2]}}},
		},
		Policies: policy.Definition{
			Policies: policy.Merge(policy.Defaults(), []policy.Policy{
				{Kind: policy.Advanced, Name: "Two", Limit: perMinute(2)},
				{Kind: policy.Application, Name: "Ten", Limit: perMinute(10)},
			}),
			Backends: []policy.Backend{{Context: "/pizza/1", Version: "1", Production: perMinute(600)}},
			Denies:   []policy.Deny{{ID: "d1", Kind: policy.DenyIP, IP: policy.IPCondition{Prefix: netip.MustParsePrefix("192.0.2.66/32")}}},
		},
	}
	targets, err := upstream.New(upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.Gateway, err = New(Options{Limiter: limiter.New(limiter.Options{}), Seed: limiter.NewSeed(), Targets: targets, Events: events})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Apply(w.definition); err != nil {
		t.Fatal(err)
	}
	return w
}

// call returns an exchange as a front door would make it.
func call(method, target string, fields ...string) *Exchange {
	path, query, _ := strings.Cut(target, "?")
	return &Exchange{
		Time: t0, Method: method, Host: "api.example", Path: path, RawQuery: query,
		Peer: netip.MustParseAddrPort("192.0.2.1:4711"), Headers: headers(fields),
	}
}

// fieldOf returns the value of a field of x's answer.
func (x *Exchange) fieldOf(name string) string {
	for _, f := range x.Fields {
		if f.Name == name {
			return string(f.Value)
		}
	}
	return ""
}

func TestAdmitRejects(t *testing.T) {
	w := newWorld(t)
	rows := []struct {
		name   string
		x      *Exchange
		status int
		code   string
	}{
		{"no credentials", call("GET", "/pizza/1/menu"), 401, "900902"},
		{"a wrong key", call("GET", "/pizza/1/menu", "ApiKey", "nonsense"), 401, "900901"},
		{"a key that nobody has", call("GET", "/pizza/1/menu", "ApiKey", first(identity.NewKey())), 401, "900901"},
		{"a token where no issuer is trusted", call("GET", "/pizza/1/menu", "Authorization", "Bearer a.b.c"), 401, "900901"},
		{"two keys", call("GET", "/pizza/1/menu?ApiKey="+w.production, "ApiKey", w.production), 401, "900901"},
		{"no subscription", call("GET", "/pizza/1/menu", "ApiKey", w.stranger), 403, "900908"},
		{"no such path", call("GET", "/pizza/1/nothing", "ApiKey", w.production), 404, "404"},
		{"no such API", call("GET", "/pasta/1/menu", "ApiKey", w.production), 404, "404"},
		{"no such method", call("DELETE", "/pizza/1/menu", "ApiKey", w.production), 405, "405"},
		{"a small method", call("get", "/pizza/1/menu", "ApiKey", w.production), 501, "501"},
		{"TRACE", call("TRACE", "/pizza/1/menu", "ApiKey", w.production), 501, "501"},
		{"two slashes", call("GET", "/pizza/1//menu", "ApiKey", w.production), 400, "400"},
		{"dots", call("GET", "/pizza/1/open/../menu", "ApiKey", w.production), 400, "400"},
		{"an encoded slash", call("GET", "/pizza/1%2Fmenu", "ApiKey", w.production), 400, "400"},
		{"a semicolon in the query", call("GET", "/pizza/1/menu?a=1;b=2", "ApiKey", w.production), 400, "400"},
		{"denied", callFrom("192.0.2.66", "GET", "/pizza/1/menu", "ApiKey", w.production), 403, "900805"},
		{"a long path", call("GET", "/pizza/1/"+strings.Repeat("a", 9000), "ApiKey", w.production), 414, "414"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			e := w.Explain(row.x)
			if e.Status != row.status || e.Code != row.code {
				t.Errorf("explained as %d %s, want %d %s", e.Status, e.Code, row.status, row.code)
			}
			row.x.again()
			a := w.Admit(row.x)
			if a == nil {
				t.Fatal("admitted")
			}
			if a.Status != row.status || !strings.Contains(string(a.Body), `"code":"`+row.code+`"`) {
				t.Errorf("answer %d %s, want %d %s", a.Status, a.Body, row.status, row.code)
			}
			w.Finish(row.x, Outcome{Status: a.Status})
		})
	}
	if n := w.limiter.Len(); n != 0 {
		t.Errorf("%d counters after nothing but rejections, want none", n)
	}
}

func first(a, _ string) string { return a }

func callFrom(ip, method, target string, fields ...string) *Exchange {
	x := call(method, target, fields...)
	x.Peer = netip.AddrPortFrom(netip.MustParseAddr(ip), 4711)
	return x
}

// again makes x as it was when the front door had filled it in.
func (x *Exchange) again() {
	y := *x
	x.Reset()
	x.Time, x.Method, x.Host, x.Path, x.RawQuery = y.Time, y.Method, y.Host, y.Path, y.RawQuery
	x.Peer, x.Headers, x.ContentLength, x.Upgrade = y.Peer, y.Headers, y.ContentLength, y.Upgrade
}

func TestAdmitForwards(t *testing.T) {
	w := newWorld(t)
	rows := []struct {
		name               string
		x                  *Exchange
		path, query, strip string
		host               string
	}{
		{"a key in the header", call("GET", "/pizza/1/menu?a=1", "apikey", w.production), "/menu", "a=1", "ApiKey", "127.0.0.1:1"},
		{"a key in the query", call("GET", "/pizza/1/menu?a=1&ApiKey="+w.production+"&b=2"), "/menu", "a=1&b=2", "", "127.0.0.1:1"},
		{"a sandbox key", call("GET", "/pizza/1/menu", "ApiKey", w.sandbox), "/menu", "", "ApiKey", "127.0.0.1:2"},
		{"no security", call("GET", "/pizza/1/open"), "/open", "", "ApiKey", "127.0.0.1:1"},
		{"no security, and a key", call("GET", "/pizza/1/open?apikey=k&a=1&ApiKey=k"), "/open", "a=1", "ApiKey", "127.0.0.1:1"},
		{"another spelling", call("GET", "/%70izza/1/m%65nu", "ApiKey", w.production), "/menu", "", "ApiKey", "127.0.0.1:1"},
		{"a parameter", call("POST", "/pizza/1/orders/a%20b", "ApiKey", w.production), "/orders/a%20b", "", "ApiKey", "127.0.0.1:1"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			x := row.x
			if a := w.Admit(x); a != nil {
				t.Fatalf("answer %d %s", a.Status, a.Body)
			}
			if x.ForwardPath != row.path || x.ForwardQuery != row.query || x.StripHeader != row.strip {
				t.Errorf("forwards %q?%q without %q, want %q?%q without %q",
					x.ForwardPath, x.ForwardQuery, x.StripHeader, row.path, row.query, row.strip)
			}
			if got := x.Upstream.Targets()[0].Host; got != row.host {
				t.Errorf("to %s, want %s", got, row.host)
			}
			w.Finish(x, Outcome{Status: 200, Forwarded: true})
		})
	}
}

func TestLimitFields(t *testing.T) {
	w := newWorld(t)
	x := call("POST", "/pizza/1/orders/1", "ApiKey", w.production)
	x.Time = t0.Add(15 * time.Second)
	for range 2 {
		x.again()
		if a := w.Admit(x); a != nil {
			t.Fatalf("answer %d %s", a.Status, a.Body)
		}
	}
	want := map[string]string{
		"RateLimit-Policy":      `"resource:Two";q=2;w=60, "subscription:Gold";q=5000;w=60, "application:Ten";q=10;w=60, "backend:PRODUCTION";q=600;w=60`,
		"RateLimit":             `"resource:Two";r=0;t=45, "subscription:Gold";r=4998;t=45, "application:Ten";r=8;t=45, "backend:PRODUCTION";r=598;t=45`,
		"X-RateLimit-Limit":     "2",
		"X-RateLimit-Remaining": "0",
		"X-RateLimit-Reset":     "45",
		"Retry-After":           "",
	}
	check := func() {
		t.Helper()
		for name, v := range want {
			if got := x.fieldOf(name); got != v {
				t.Errorf("%s: %s, want %s", name, got, v)
			}
		}
	}
	check()
	x.again()
	a := w.Admit(x)
	if a == nil || a.Status != 429 {
		t.Fatalf("the third call got %+v, want 429", a)
	}
	x.Fields = a.Fields
	want["Retry-After"] = "45"
	check()
}

// A call that no backend was asked is given back; one that failed there isn't.
func TestFinishGivesBack(t *testing.T) {
	w := newWorld(t)
	x := call("POST", "/pizza/1/orders/1", "ApiKey", w.production)
	admit := func(o Outcome) *Answer {
		x.again()
		a := w.Admit(x)
		w.Finish(x, o)
		return a
	}
	for range 5 {
		if a := admit(Outcome{Status: 502}); a != nil {
			t.Fatalf("answer %d %s", a.Status, a.Body)
		}
	}
	for range 2 {
		if a := admit(Outcome{Status: 500, Forwarded: true}); a != nil {
			t.Fatalf("answer %d %s", a.Status, a.Body)
		}
	}
	if a := admit(Outcome{}); a == nil {
		t.Error("the third call that reached the backend was admitted")
	}
}

// A body that was declared and did not come is not charged: who shares a limit on
// bytes can't spend it by announcing.
func TestFinishChargesWhatCame(t *testing.T) {
	w := newWorld(t)
	d := w.definition
	thousand := perMinute(1000)
	thousand.Cost = limiter.Bytes
	d.Policies.Policies = policy.Merge(d.Policies.Policies, []policy.Policy{{Kind: policy.Advanced, Name: "Two", Limit: thousand}})
	if err := w.Apply(d); err != nil {
		t.Fatal(err)
	}
	x := call("POST", "/pizza/1/orders/1", "ApiKey", w.production)
	for _, step := range []struct {
		declared int64
		outcome  Outcome
		left     int64 // before it is settled
	}{
		{5000, Outcome{Forwarded: true, RequestBytes: 10, ResponseBytes: 5}, 0},
		{-1, Outcome{Forwarded: true, RequestBytes: 85, ResponseBytes: 100}, 985},
		{100, Outcome{Forwarded: true, RequestBytes: 100, ResponseBytes: 100}, 700},
		{0, Outcome{}, 600},
		{1 << 40, Outcome{Forwarded: true, RequestBytes: 1, ResponseBytes: 99}, 0}, // no more than 64 KiB are held
		{0, Outcome{}, 500},
	} {
		x.again()
		x.ContentLength = step.declared
		if a := w.Admit(x); a != nil {
			t.Fatalf("answer %d %s", a.Status, a.Body)
		}
		if got := x.Match.Checks[0].N; got > 64<<10 {
			t.Errorf("declared %d: %d are charged before they came", step.declared, got)
		}
		if got := x.Match.Checks[0].Remaining; got != step.left {
			t.Errorf("declared %d: %d left, want %d", step.declared, got, step.left)
		}
		w.Finish(x, step.outcome)
	}
}

func TestWeight(t *testing.T) {
	w := newWorld(t)
	x := call("GET", "/pizza/1/heavy", "ApiKey", w.production)
	for i, want := range []bool{true, true, false} {
		x.again()
		if got := w.Admit(x) == nil; got != want {
			t.Errorf("call %d of weight 5: admitted %v, want %v", i+1, got, want)
		}
	}
}

func TestPreflight(t *testing.T) {
	w := newWorld(t)
	x := call("OPTIONS", "/pizza/1/menu", "Origin", "https://shop.example", "Access-Control-Request-Method", "GET")
	if e := w.Explain(x); e.Status != 204 || e.Code != "" || len(e.Checks) != 1 {
		t.Errorf("explained as %+v, want 204 with one check", e)
	}
	x.again()
	a := w.Admit(x)
	if a == nil || a.Status != 204 {
		t.Fatalf("answer %+v, want 204", a)
	}
	x.Fields = a.Fields
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://shop.example", "Access-Control-Allow-Methods": "GET",
		"Access-Control-Allow-Headers": "ApiKey", "Access-Control-Max-Age": "3600", "Vary": "Origin",
	} {
		if got := x.fieldOf(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	w.Finish(x, Outcome{Status: 204})
	// Preflights need no credentials, so they count for their address: 500 a minute.
	for i := range 500 {
		x.again()
		a := w.Admit(x)
		w.Finish(x, Outcome{Status: a.Status})
		if want := 204; i < 499 && a.Status != want || i == 499 && a.Status != 429 {
			t.Fatalf("preflight %d got %d", i+2, a.Status)
		}
	}
	other := call("OPTIONS", "/pizza/1/menu", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET")
	other.Peer = netip.MustParseAddrPort("192.0.2.2:1")
	if w.Admit(other); other.fieldOf("Access-Control-Allow-Origin") != "" {
		t.Error("a foreign origin is allowed")
	}
}

// What is wrong with a definition is said, all of it, and changes nothing.
func TestApplyKeepsTheLastGood(t *testing.T) {
	w := newWorld(t)
	bad := w.definition
	bad.APIs = append([]API{}, bad.APIs...)
	bad.APIs[0].Tier = "Missing"
	bad.APIs = append(bad.APIs, API{Name: "twin", Context: "/pizza/1"})
	bad.APIs[0].Production = &Endpoints{URLs: []string{"ftp://x"}}
	err := w.Apply(bad)
	if err == nil {
		t.Fatal("applied")
	}
	for _, want := range []string{"ftp", "twin"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %q", err, want)
		}
	}
	if a := w.Admit(call("GET", "/pizza/1/menu", "ApiKey", w.production)); a != nil {
		t.Errorf("after it: answer %d %s", a.Status, a.Body)
	}
	bad = w.definition
	bad.APIs = append([]API{}, bad.APIs...)
	bad.APIs[0].Tier = "Missing"
	if err := w.Apply(bad); err == nil || !strings.Contains(err.Error(), `"Missing"`) {
		t.Errorf("error %v does not name the tier", err)
	}
}

func TestNotReady(t *testing.T) {
	targets, _ := upstream.New(upstream.Options{})
	g, err := New(Options{Limiter: limiter.New(limiter.Options{}), Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	if a := g.Admit(call("GET", "/")); a == nil || a.Status != 503 {
		t.Errorf("answer %+v, want 503", a)
	}
}

// The way of a request allocates nothing, forwarded or refused.
func TestAdmitAllocates(t *testing.T) {
	w := newWorld(t)
	for name, x := range map[string]*Exchange{
		"forwarded": call("GET", "/pizza/1/open"),
		"key":       call("POST", "/pizza/1/orders/1", "ApiKey", w.production),
		"refused":   call("POST", "/pizza/1/orders/2", "ApiKey", w.sandbox),
	} {
		got := testing.AllocsPerRun(100, func() {
			x.again()
			w.Admit(x)
			w.Finish(x, Outcome{Status: 200, Forwarded: true})
		})
		if got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}

func BenchmarkAdmit(b *testing.B) {
	w := newWorld(b)
	w.definition.Policies.Policies = policy.Merge(w.definition.Policies.Policies, []policy.Policy{
		{Kind: policy.Application, Name: "Ten", Limit: perMinute(1 << 40)},
		{Kind: policy.Subscription, Name: "Gold", Limit: perMinute(1 << 40), Burst: perMinute(1 << 40)},
	})
	w.definition.Policies.Backends[0].Production = perMinute(1 << 40)
	if err := w.Apply(w.definition); err != nil {
		b.Fatal(err)
	}
	for name, x := range map[string]*Exchange{
		"forwarded": call("GET", "/pizza/1/menu", "Accept", "*/*", "User-Agent", "bench", "ApiKey", w.production),
		"refused":   call("POST", "/pizza/1/orders/2", "Accept", "*/*", "User-Agent", "bench", "ApiKey", w.production),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.again()
				w.Admit(x)
				w.Finish(x, Outcome{Status: 200, Forwarded: true})
			}
		})
	}
}

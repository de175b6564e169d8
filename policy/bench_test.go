package policy_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/policy/rule"
)

type fields map[string]string

func (f fields) Value(name string) (string, bool) {
	s, ok := f[name]
	return s, ok
}

func limit(n int64) *limiter.Limit {
	return &limiter.Limit{Count: n, Window: limiter.Window{Length: time.Minute}}
}

// everything is a definition with something at every level: denies of all kinds,
// groups, bursts, a backend and custom rules with the conditions given.
func everything(denies int, when ...string) policy.Definition {
	d := policy.Definition{
		Policies: policy.Merge(policy.Defaults(), []policy.Policy{
			{Kind: policy.Subscription, Name: "Gold", Limit: limit(5000), Burst: limit(10)},
			{Kind: policy.Application, Name: "50PerMin", Limit: limit(50), Burst: limit(7)},
			{Kind: policy.Advanced, Name: "Groups", Limit: limit(9), Groups: []policy.Group{
				{Limit: limit(1), Conditions: []policy.Condition{
					{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("192.168.0.0/16")}},
				}},
				{Limit: limit(2), Conditions: []policy.Condition{
					{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("10.0.0.0/8")}},
					{Header: &policy.ValueCondition{Name: "x-plan", Pattern: "^go[l]d$"}},
					{Query: &policy.ValueCondition{Name: "debug"}, Invert: true},
					{Claim: &policy.ValueCondition{Name: "role", Pattern: "^adm[a-z]+$"}},
				}},
			}},
		}),
		Backends: []policy.Backend{{Context: "/pizza/1", Version: "1", Production: limit(600)}},
		Denies: []policy.Deny{
			{ID: "api", Kind: policy.DenyAPI, Value: "/other"},
			{ID: "app", Kind: policy.DenyApplication, Value: "bob:Other"},
			{ID: "user", Kind: policy.DenyUser, Value: "mallory"},
		},
	}
	for i := range denies {
		a := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		d.Denies = append(d.Denies, policy.Deny{ID: fmt.Sprint(i), Kind: policy.DenyIP, IP: policy.IPCondition{Prefix: netip.PrefixFrom(a, 32)}})
	}
	for i, w := range when {
		d.Rules = append(d.Rules, policy.CustomRule{Name: fmt.Sprint("rule", i), When: w, Key: "$userId:$apiContext:$apiVersion", Limit: *limit(100)})
	}
	return d
}

func call() *weir.Request {
	return &weir.Request{
		API: "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu", Verb: "GET",
		APITier: "10KPerMin", ResourceTier: "Groups",
		Application:      weir.Application{ID: "5", Name: "Shop", Owner: "bob", Tier: "50PerMin"},
		SubscriptionTier: "Gold", User: "alice@carbon.super", Token: "t1",
		ClientIP: netip.MustParseAddr("10.1.2.3"), Bytes: -1,
		Headers: fields{"x-plan": "gold"}, Query: fields{"page": "1"}, Claims: fields{"role": "admin"},
	}
}

const typical = "request.headers['x-plan'] == 'gold' && client_ip.inNetwork('10.0.0.0/8')"

var matchCases = []struct {
	name  string
	d     policy.Definition
	tier  string // of the API
	check int    // how many
}{
	{"all-levels", everything(0), "10KPerMin", 6},
	{"all-levels-one-rule", everything(0, typical), "10KPerMin", 7},
	{"all-levels-one-rule-100k-denies", everything(100_000, typical), "10KPerMin", 7},
	{"all-levels-groups", everything(0, typical), "", 7},
	{"all-levels-ten-rules", everything(0, typical, typical, typical, typical, typical, typical, typical, typical, typical, typical), "10KPerMin", 16},
}

func build(tb testing.TB, d policy.Definition) *policy.Set {
	tb.Helper()
	s, err := policy.Compile(d, policy.Options{Compiler: rule.New(), Seed: limiter.NewSeed()})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestMatchAllocatesNothing(t *testing.T) {
	for _, tt := range matchCases {
		s, req := build(t, tt.d), call()
		req.APITier = tt.tier
		var m policy.Match
		s.Match(&m, req)
		if len(m.Checks) != tt.check || m.RuleErrors != 0 {
			t.Errorf("%s: %d checks, %d errors; want %d and 0", tt.name, len(m.Checks), m.RuleErrors, tt.check)
		}
		if n := testing.AllocsPerRun(200, func() { s.Match(&m, req) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, tt := range matchCases {
		s, req := build(b, tt.d), call()
		req.APITier = tt.tier
		b.Run(tt.name, func(b *testing.B) {
			var m policy.Match
			b.ReportAllocs()
			for b.Loop() {
				s.Match(&m, req)
			}
		})
	}
}

func BenchmarkAppendKey(b *testing.B) {
	s, req := build(b, everything(0, typical)), call()
	var m policy.Match
	s.Match(&m, req)
	buf := make([]byte, 0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		for i := range m.Checks {
			buf = s.AppendKey(buf[:0], &m, i, req)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{0, 100_000} {
		d := everything(n, typical)
		b.Run(fmt.Sprint(n, "-denies"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				build(b, d)
			}
		})
	}
}

package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// These tests hold what other systems of the kind are known to get wrong.

// A burst holds from the request after it was changed, and from the request after
// the subscription moved to a plan that has one.
func TestBurstHoldsAfterChanges(t *testing.T) {
	second := func(n int64) *limiter.Limit {
		return &limiter.Limit{Count: n, Window: limiter.Window{Length: time.Second}}
	}
	d := policy.Definition{Policies: []policy.Policy{
		{Kind: policy.Subscription, Name: "Plain", Limit: limit(1000)},
		{Kind: policy.Subscription, Name: "Gold", Limit: limit(1000), Burst: second(10)},
	}}
	seed := limiter.NewSeed()
	g := newGate(t, d)
	swap := func() {
		t.Helper()
		var err error
		if g.set, err = policy.Compile(d, policy.Options{Seed: seed}); err != nil {
			t.Fatal(err)
		}
	}
	swap()
	g.pass(0, only("Plain", ""), 50, 50, weir.LevelDeny)
	g.pass(0, only("Gold", ""), 11, 10, weir.LevelSubscriptionBurst)
	d.Policies[1].Burst = second(12)
	swap()
	g.pass(0, only("Gold", ""), 3, 2, weir.LevelSubscriptionBurst)
	d.Policies[1].Burst = second(5)
	swap()
	g.pass(0, only("Gold", ""), 1, 0, weir.LevelSubscriptionBurst)
	g.pass(time.Second, only("Gold", ""), 6, 5, weir.LevelSubscriptionBurst)
	d.Policies[1].Burst = nil
	swap()
	g.pass(time.Second, only("Gold", ""), 50, 50, weir.LevelDeny)
}

// Several addresses in one policy, an inverted one beside one that isn't, and any
// method: each condition stands for itself.
func TestConditionsStandForThemselves(t *testing.T) {
	network := func(s string, invert bool) policy.Condition {
		return policy.Condition{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix(s)}, Invert: invert}
	}
	g := newGate(t, policy.Definition{Policies: []policy.Policy{{
		Name: "A", Limit: limit(10), Groups: []policy.Group{
			{Limit: limit(3), Conditions: []policy.Condition{network("10.0.0.0/8", false), network("10.9.0.0/16", true), network("10.8.0.0/16", true)}},
			{Limit: limit(2), Conditions: []policy.Condition{network("10.9.0.0/16", false)}},
		},
	}}})
	from := func(ip, verb string) *weir.Request {
		req := only("", "")
		req.ResourceTier, req.ClientIP, req.Verb = "A", netip.MustParseAddr(ip), verb
		return req
	}
	for _, verb := range []string{"GET", "DELETE", "PATCH"} {
		g.pass(0, from("10.1.0.1", verb), 4, 3, weir.LevelResource)
		g.pass(0, from("10.2.0.1", verb), 1, 0, weir.LevelResource) // the same group
		g.pass(0, from("10.9.0.1", verb), 3, 2, weir.LevelResource)
		g.pass(0, from("10.8.0.1", verb), 11, 10, weir.LevelResource)
		g.pass(0, from("11.0.0.1", verb), 1, 0, weir.LevelResource) // the default, too
	}
}

// A request that two groups match is counted in the first only.
func TestOneGroupCounts(t *testing.T) {
	any := func(name string) []policy.Condition {
		return []policy.Condition{{Header: &policy.ValueCondition{Name: name}}}
	}
	g := newGate(t, policy.Definition{Policies: []policy.Policy{{
		Name: "A", Limit: limit(1), Groups: []policy.Group{
			{Limit: limit(4), Conditions: any("a")},
			{Limit: limit(4), Conditions: any("b")},
		},
	}}})
	req := only("", "")
	req.APITier = "A"
	req.Headers = fields{"a": "", "b": ""}
	g.pass(0, req, 5, 4, weir.LevelAPI)
	req.Headers = fields{"b": ""}
	g.pass(0, req, 5, 4, weir.LevelAPI)
}

// Policies per user throttle, each user alone.
func TestPerUserThrottles(t *testing.T) {
	g := newGate(t, policy.Definition{Policies: []policy.Policy{{Name: "A", Limit: limit(3), Per: policy.PerUser}}})
	for _, user := range []string{"alice", "bob", "alice@carbon.super"} {
		req := only("", "")
		req.APITier, req.User = "A", user
		g.pass(0, req, 4, 3, weir.LevelAPI)
	}
}

// The tiers of resources hold under an API that is Unlimited.
func TestResourcesOfAnUnlimitedAPI(t *testing.T) {
	g := newGate(t, policy.Definition{Policies: []policy.Policy{{Name: "A", Limit: limit(3)}}})
	req := only("", "")
	req.APITier, req.ResourceTier = weir.Unlimited, "A"
	g.pass(0, req, 4, 3, weir.LevelResource)
}

// A limit of zero lets nothing through.
func TestZeroLetsNothingThrough(t *testing.T) {
	g := newGate(t, policy.Definition{
		Policies: []policy.Policy{{Kind: policy.Subscription, Name: "None", Limit: limit(0)}},
		Backends: []policy.Backend{{Context: "/pizza/1", Version: "1", Sandbox: limit(0)}},
	})
	g.pass(0, only("None", ""), 3, 0, weir.LevelSubscription)
	req := only("", "")
	g.pass(0, req, 3, 3, weir.LevelDeny)
	req.KeyType = weir.Sandbox
	g.pass(0, req, 3, 0, weir.LevelBackend)
}

// What reads like a variable or an expression in a value stays a value.
func TestValuesInKeysStayValues(t *testing.T) {
	g := newGate(t, policy.Definition{Rules: []policy.CustomRule{{Name: "r", Key: "$userId:$apiContext", Limit: *limit(2)}}})
	for _, user := range []string{"$apiContext", "$1", `\`, `a:/pizza/1`, "a", "${userId}", "", "a:"} {
		req := only("", "")
		req.User = user
		g.pass(0, req, 3, 2, weir.LevelCustom)
	}
}

// Rules on resources and on properties of the token throttle.
func TestRulesOnResourcesAndClaims(t *testing.T) {
	g := newGate(t, policy.Definition{Rules: []policy.CustomRule{
		{Name: "resource", When: "request.resource == '/menu'", Key: "$resourceKey", Limit: *limit(5)},
		{Name: "role", When: "has(claims.role)", Key: "$customProperty.role", Limit: *limit(3)},
	}})
	req := only("", "")
	g.pass(0, req, 4, 3, weir.LevelCustom)
	req.Claims = fields{"role": "cook"}
	g.pass(0, req, 4, 2, weir.LevelCustom) // 3 of 5 were spent
	req.Resource = "/orders"
	g.pass(0, req, 2, 1, weir.LevelCustom)
	req.Claims = nil
	g.pass(0, req, 20, 20, weir.LevelDeny)
}

// A rule that cannot be evaluated does not apply, and is told of.
func TestFailingRuleIsTold(t *testing.T) {
	g := newGate(t, policy.Definition{Rules: []policy.CustomRule{
		{Name: "plan", When: "request.headers['x-plan'] == 'free'", Key: "all", Limit: *limit(1)},
	}})
	req := only("", "")
	req.Headers = fields{"x-plan": "free"}
	g.pass(0, req, 2, 1, weir.LevelCustom)
	req.Headers = nil
	g.pass(0, req, 5, 5, weir.LevelDeny)
	if g.m.RuleErrors != 1 {
		t.Errorf("%d rule errors, want 1", g.m.RuleErrors)
	}
}

// The example of the backend's maximum: 600 production calls a minute and 700
// sandbox calls in five minutes, whoever calls.
func TestBackendMaximum(t *testing.T) {
	g := newGate(t, policy.Definition{Backends: []policy.Backend{{
		Context: "/pizza/1", Version: "1",
		Production: &limiter.Limit{Count: 600, Window: limiter.Window{Length: 60000 * time.Millisecond}},
		Sandbox:    &limiter.Limit{Count: 700, Window: limiter.Window{Length: 300000 * time.Millisecond}},
	}}})
	production, other, sandbox := only("", ""), only("", ""), only("", "")
	other.User, other.Application.ID = "bob", "6"
	sandbox.KeyType = weir.Sandbox
	g.pass(0, production, 400, 400, weir.LevelDeny)
	g.pass(0, other, 201, 200, weir.LevelBackend)
	g.pass(0, sandbox, 701, 700, weir.LevelBackend)
	g.pass(time.Minute, production, 601, 600, weir.LevelBackend)
	g.pass(time.Minute, sandbox, 1, 0, weir.LevelBackend)
	g.pass(5*time.Minute, sandbox, 1, 1, weir.LevelDeny)
	elsewhere := only("", "")
	elsewhere.Version = "2"
	g.pass(0, elsewhere, 1000, 1000, weir.LevelDeny)
}

// Callers without credentials count by address, IPv6 by network.
func TestAnonymousByAddress(t *testing.T) {
	g := newGate(t, policy.Definition{Policies: policy.Merge(policy.Defaults(), []policy.Policy{
		{Kind: policy.Subscription, Name: weir.Unauthenticated, Limit: limit(5)},
	})})
	from := func(ip string) *weir.Request {
		req := only(weir.Unauthenticated, "")
		req.Application, req.User, req.ClientIP = weir.Application{ID: ip}, "anonymous", netip.MustParseAddr(ip)
		return req
	}
	g.pass(0, from("10.0.0.1"), 6, 5, weir.LevelSubscription)
	g.pass(0, from("10.0.0.2"), 6, 5, weir.LevelSubscription)
	g.pass(0, from("2001:db8::1"), 3, 3, weir.LevelDeny)
	g.pass(0, from("2001:db8::ffff:1"), 3, 2, weir.LevelSubscription)
	g.pass(0, from("2001:db8:0:1::1"), 5, 5, weir.LevelDeny)
}

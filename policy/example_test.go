package policy_test

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/policy/rule"
)

// What a request must pass: the API's policy with a group for the office, a
// subscription with a burst, the application's quota, and a rule for exports.
func ExampleSet_Match() {
	minute, _ := policy.Window(1, "min")
	second, _ := policy.Window(1, "sec")
	set, err := policy.Compile(policy.Definition{
		Policies: policy.Merge(policy.Defaults(), []policy.Policy{
			{Kind: policy.Advanced, Name: "Office", Limit: &limiter.Limit{Count: 10, Window: minute}, Groups: []policy.Group{{
				Limit: &limiter.Limit{Count: 100, Window: minute},
				Conditions: []policy.Condition{
					{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("10.0.0.0/8")}},
				},
			}}},
			{
				Kind: policy.Subscription, Name: "Gold", Limit: &limiter.Limit{Count: 20, Window: minute},
				Burst: &limiter.Limit{Count: 10, Window: second},
			},
		}),
		Rules: []policy.CustomRule{{
			Name: "exports", When: "request.query[?'format'].orValue('') == 'csv'", Key: "$userId:$apiContext",
			Limit: limiter.Limit{Count: 2, Window: minute},
		}},
	}, policy.Options{Seed: limiter.NewSeed(), Compiler: rule.New()})
	if err != nil {
		fmt.Println(err)
		return
	}

	req := &weir.Request{
		API: "Pizza", Context: "/pizza/1", Version: "1", Resource: "/menu", Verb: "GET",
		APITier: "Office", SubscriptionTier: "Gold",
		Application: weir.Application{ID: "5", Name: "Shop", Owner: "bob", Tier: "50PerMin"},
		User:        "alice", ClientIP: netip.MustParseAddr("10.1.2.3"),
		Query: fields{"format": "csv"},
	}
	var m policy.Match
	set.Match(&m, req)
	for i, s := range m.Sources {
		fmt.Printf("%s: %s, %d per %s, %s\n", s.Level, s.Policy, s.Limit.Count, s.Limit.Window.Length, set.AppendKey(nil, &m, i, req))
	}
	// Output:
	// api: Office, 100 per 1m0s, /pizza/1:1_condition_0
	// subscription: Gold, 20 per 1m0s, 5:/pizza/1:1:Gold
	// subscription-burst: Gold, 10 per 1s, 5:/pizza/1:1:Gold
	// application: 50PerMin, 50 per 1m0s, 5:alice@carbon.super
	// custom: exports, 2 per 1m0s, alice@carbon.super:/pizza/1
}

// All faults are reported at once, each with its place.
func ExampleCompile_faults() {
	_, err := policy.Compile(policy.Definition{
		Policies: []policy.Policy{{Name: "Office", Groups: []policy.Group{{
			Conditions: []policy.Condition{{Header: &policy.ValueCondition{Name: "x-plan", Pattern: "("}}},
		}}}},
		Rules: []policy.CustomRule{{Name: "exports", When: "usr == 'alice'", Key: "$userID"}},
	}, policy.Options{Compiler: rule.New()})
	if faults, ok := errors.AsType[policy.Faults](err); ok {
		for _, f := range faults {
			fmt.Println(f)
		}
	}
	// Output:
	// advanced policy "Office": groups[0].conditions[0]: header: pattern "(": error parsing regexp: missing closing ): `(`
	// custom rule "exports": limit: window is shorter than a millisecond
	// custom rule "exports": key: column 1: unknown variable $userID
	// custom rule "exports": when: 1:1: undeclared reference to 'usr' (did you mean 'user'?)
}

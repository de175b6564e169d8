package policy_test

import (
	"encoding/base64"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

func TestConditions(t *testing.T) {
	limit := &limiter.Limit{Count: 1, Window: limiter.Window{Length: time.Minute}}
	v := func(name, pattern string) *policy.ValueCondition {
		return &policy.ValueCondition{Name: name, Pattern: pattern}
	}
	s, err := policy.Compile(policy.Definition{Policies: []policy.Policy{
		{Kind: policy.Advanced, Name: "plain", Limit: limit},
		{Kind: policy.Advanced, Name: "groups", Limit: limit, Groups: []policy.Group{
			{Limit: limit, Conditions: []policy.Condition{
				{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("10.1.2.3/32")}, Invert: true},
				{Header: v("X-Plan", "^gold$")},
				{Header: v("Accept", "json")},
			}},
			{Limit: limit, Conditions: []policy.Condition{
				{IP: &policy.IPCondition{From: netip.MustParseAddr("::1"), To: netip.MustParseAddr("::ff")}},
				{Query: v("v", "1")},
				{Claim: v("plan", "x"), Invert: true},
			}},
		}},
	}}, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := base64.StdEncoding.DecodeString(s.Conditions("groups"))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"ipspecific":{"invert":true,"specificIp":167838211},` +
		`"header":{"values":{"accept":"json","x-plan":"^gold$"},"invert":false}},` +
		`{"iprange":{"endingIp":255,"invert":false,"startingIp":1},` +
		`"queryparametertype":{"values":{"v":"1"},"invert":false},"jwtclaims":{"values":{"plan":"x"},"invert":true}}]`
	if string(got) != want {
		t.Errorf("conditions are\n%s, want\n%s", got, want)
	}
	if s.Conditions("plain") != "" || s.Conditions("none") != "" {
		t.Error("conditions where there are none")
	}
}

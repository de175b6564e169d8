package ingest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

func everything(t *testing.T) *policy.Definition {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	limit := func(n int64, w time.Duration, c limiter.Cost) *limiter.Limit {
		return &limiter.Limit{Count: n, Window: limiter.Window{Length: w}, Cost: c}
	}
	return &policy.Definition{
		Policies: []policy.Policy{
			{Kind: policy.Subscription, Name: "Gold", Limit: limit(5000, time.Minute, limiter.Requests), Burst: limit(25, time.Second, limiter.Requests)},
			{Kind: policy.Subscription, Name: "Soft", Limit: limit(3<<20, 2*time.Hour, limiter.Bytes), PassOnQuotaReach: true},
			{Kind: policy.Subscription, Name: "Unlimited"},
			{Kind: policy.Application, Name: "App", Limit: &limiter.Limit{Count: 9, Window: limiter.Window{Calendar: limiter.Month, Location: berlin}, Cost: limiter.Events}},
			{Kind: policy.Application, Name: "Odd", Limit: limit(1000, 1500*time.Millisecond, limiter.Bytes), Burst: limit(10, 5*time.Second, limiter.Requests)},
			{Kind: policy.Advanced, Name: "Menu", Per: policy.PerUser, Limit: limit(10, 2_630_000_000*time.Millisecond, limiter.Requests), Groups: []policy.Group{{
				Limit: limit(2048, 24*time.Hour, limiter.Bytes),
				Conditions: []policy.Condition{
					{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("10.1.2.3/32")}},
					{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("10.0.0.0/8")}, Invert: true},
					{IP: &policy.IPCondition{From: netip.MustParseAddr("10.0.0.1"), To: netip.MustParseAddr("10.0.0.9")}},
					{Header: &policy.ValueCondition{Name: "x-plan", Pattern: "^gold$"}},
					{Query: &policy.ValueCondition{Name: "v"}},
					{Claim: &policy.ValueCondition{Name: "role", Pattern: "a"}},
				},
			}}},
		},
		Rules: []policy.CustomRule{
			{Name: "per user", Key: "$userId", Limit: *limit(7, 7*24*time.Hour, limiter.Requests)},
			{Name: "again", Key: "$userId", Limit: *limit(7, time.Second, limiter.Requests)},
		},
		Denies: []policy.Deny{
			{ID: "1", Kind: policy.DenyAPI, Value: "/pizza/1"},
			{ID: "2", Kind: policy.DenyApplication, Value: "bob:shop"},
			{ID: "3", Kind: policy.DenyUser, Value: "eve"},
			{ID: "4", Kind: policy.DenyIP, IP: policy.IPCondition{Prefix: netip.MustParsePrefix("10.1.2.3/32")}, Invert: true},
			{ID: "five", Kind: policy.DenyIPRange, IP: policy.IPCondition{From: netip.MustParseAddr("10.0.0.1"), To: netip.MustParseAddr("10.0.0.9")}},
			{ID: "6", Kind: policy.DenyUser, Value: "carol", Off: true},
			{ID: "007", Kind: policy.DenyIP, IP: policy.IPCondition{Prefix: netip.MustParsePrefix("2001:db8::/32")}},
		},
	}
}

// TestData is what WSO2's programs are shown, in their shapes (reference 8.4).
func TestData(t *testing.T) {
	const (
		tenant = `"tenantId":-1234,"tenantDomain":"carbon.super"`
		end1   = `"pagination":{"offset":0,"limit":1,"total":1,"next":"","previous":""}}`
	)
	s := serve(t, everything(t))
	for path, want := range map[string]string{
		"block": `{"api":["/pizza/1"],"application":["bob:shop"],"ip":[` +
			`{"type":"IP","fixedIp":"10.1.2.3","invert":true,"tenantDomain":"carbon.super","id":4},` +
			`{"type":"IPRANGE","startingIp":"10.0.0.1","endingIp":"10.0.0.9","invert":false,"tenantDomain":"carbon.super","id":"five"},` +
			`{"type":"IP","fixedIp":"2001:db8::/32","invert":false,"tenantDomain":"carbon.super","id":"007"}],` +
			`"user":["eve"],"custom":[],"subscription":[]}`,
		"keyTemplates": `["$userId"]`,
		"subscription-policies?policyName=Gold": `{"count":1,"list":[{"id":1,` + tenant + `,"name":"Gold","quotaType":"requestCount",` +
			`"defaultLimit":{"quotaType":"requestCount","requestCount":{"timeUnit":"min","unitTime":1,"requestCount":5000}},` +
			`"graphQLMaxComplexity":0,"graphQLMaxDepth":0,"rateLimitCount":25,"rateLimitTimeUnit":"sec","stopOnQuotaReach":true}],` + end1,
		"subscription-policies?policyName=Soft": `{"count":1,"list":[{"id":2,` + tenant + `,"name":"Soft","quotaType":"bandwidthVolume",` +
			`"defaultLimit":{"quotaType":"bandwidthVolume","bandwidth":{"timeUnit":"hour","unitTime":2,"dataAmount":3,"dataUnit":"MB"}},` +
			`"graphQLMaxComplexity":0,"graphQLMaxDepth":0,"rateLimitCount":0,"rateLimitTimeUnit":"","stopOnQuotaReach":false}],` + end1,
		"subscription-policies?policyName=Unlimited": `{"count":1,"list":[{"id":3,` + tenant + `,"name":"Unlimited","quotaType":"requestCount",` +
			`"defaultLimit":{"quotaType":"requestCount","requestCount":{"timeUnit":"min","unitTime":1,"requestCount":2147483647}},` +
			`"graphQLMaxComplexity":0,"graphQLMaxDepth":0,"rateLimitCount":0,"rateLimitTimeUnit":"","stopOnQuotaReach":true}],` + end1,
		"subscription-policies?policyName=None": `{"count":0,"list":[],"pagination":{"offset":0,"limit":0,"total":0,"next":"","previous":""}}`,
		"application-policies": `{"count":2,"list":[{"id":4,` + tenant + `,"name":"App","quotaType":"eventCount",` +
			`"defaultLimit":{"quotaType":"eventCount","eventCount":{"timeUnit":"month","unitTime":1,"calendar":true,"timeZone":"Europe/Berlin","eventCount":9}},` +
			`"burstLimit":{"rateLimitCount":0}},{"id":5,` + tenant + `,"name":"Odd","quotaType":"bandwidthVolume",` +
			`"defaultLimit":{"quotaType":"bandwidthVolume","bandwidth":{"timeUnit":"ms","unitTime":1500,"dataAmount":1000,"dataUnit":"B"}},` +
			`"burstLimit":{"rateLimitCount":120,"rateLimitTimeUnit":"min"}}],"pagination":{"offset":0,"limit":2,"total":2,"next":"","previous":""}}`,
		"api-policies": `{"count":1,"list":[{"id":6,` + tenant + `,"name":"Menu","quotaType":"requestCount",` +
			`"defaultLimit":{"quotaType":"requestCount","requestCount":{"timeUnit":"month","unitTime":1,"requestCount":10}},` +
			`"applicableLevel":"userLevel","conditionGroups":[{"policyId":6,"quotaType":"bandwidthVolume","conditionGroupId":0,"condition":[` +
			`{"conditionType":"IPSpecific","name":"IPSpecific","value":"10.1.2.3","isInverted":false},` +
			`{"conditionType":"IPSpecific","name":"IPSpecific","value":"10.0.0.0/8","isInverted":true},` +
			`{"conditionType":"IPRange","name":"10.0.0.1","value":"10.0.0.9","isInverted":false},` +
			`{"conditionType":"Header","name":"x-plan","value":"^gold$","isInverted":false},` +
			`{"conditionType":"QueryParameterType","name":"v","value":"","isInverted":false},` +
			`{"conditionType":"JWTClaims","name":"role","value":"a","isInverted":false}],` +
			`"defaultLimit":{"quotaType":"bandwidthVolume","bandwidth":{"timeUnit":"day","unitTime":1,"dataAmount":2,"dataUnit":"KB"}}}]}],` + end1,
		"global-policies?policyName=per%20user": `{"count":1,"list":[{"id":1,` + tenant + `,"name":"per user","quotaType":"requestCount",` +
			`"defaultLimit":{"quotaType":"requestCount","requestCount":{"timeUnit":"week","unitTime":1,"requestCount":7}},` +
			`"siddhiQuery":"","when":"","keyTemplate":"$userId"}],` + end1,
	} {
		if got := s.get("/internal/data/v1/" + path); got != want {
			t.Errorf("%s is\n%s, want\n%s", path, got, want)
		}
	}
}

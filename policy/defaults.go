package policy

import (
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// A builtin is a default policy in a line: what it counts, and per how long.
type builtin struct {
	kind   Kind
	name   string
	count  int64
	cost   limiter.Cost
	window time.Duration
	text   string
}

// compatibleMonth and compatibleYear are WSO2's lengths: no calendar's, but every
// window is as long as the other.
const (
	compatibleMonth = 2_630_000_000 * time.Millisecond
	compatibleYear  = 31_556_900_000 * time.Millisecond
	day             = 24 * time.Hour
)

// Defaults returns the policies that a fresh installation has: those of WSO2 API
// Manager and of its Microgateway, but for AI quotas. Where the two differ on
// Bronze it is 1000 a minute, as documented. Their limits are ByLevel. Advanced policies are there in both
// spellings, 10KPerMin and 10kPerMin; they are two policies.
func Defaults() []Policy {
	builtins := []builtin{
		{Advanced, "50KPerMin", 50000, limiter.Requests, time.Minute, "50000 requests per minute"},
		{Advanced, "20KPerMin", 20000, limiter.Requests, time.Minute, "20000 requests per minute"},
		{Advanced, "10KPerMin", 10000, limiter.Requests, time.Minute, "10000 requests per minute"},
		{Advanced, "50kPerMin", 50000, limiter.Requests, time.Minute, "50000 requests per minute"},
		{Advanced, "20kPerMin", 20000, limiter.Requests, time.Minute, "20000 requests per minute"},
		{Advanced, "10kPerMin", 10000, limiter.Requests, time.Minute, "10000 requests per minute"},
		{Advanced, weir.Unlimited, 0, 0, 0, "Without a limit"},

		{Subscription, "Gold", 5000, limiter.Requests, time.Minute, "5000 requests per minute"},
		{Subscription, "Silver", 2000, limiter.Requests, time.Minute, "2000 requests per minute"},
		{Subscription, "Bronze", 1000, limiter.Requests, time.Minute, "1000 requests per minute"},
		{Subscription, weir.Unauthenticated, 500, limiter.Requests, time.Minute, "500 requests per minute from one address"},
		{Subscription, "Default", 500, limiter.Requests, time.Minute, "500 requests per minute"},
		{Subscription, "DefaultSubscriptionless", 100000, limiter.Requests, time.Minute, "100000 requests per minute without a subscription"},
		{Subscription, weir.Unlimited, 0, 0, 0, "Without a limit"},
		{Subscription, "AsyncGold", 50000, limiter.Events, day, "50000 events per day"},
		{Subscription, "AsyncSilver", 25000, limiter.Events, day, "25000 events per day"},
		{Subscription, "AsyncBronze", 5000, limiter.Events, day, "5000 events per day"},
		{Subscription, "AsyncDefaultSubscriptionless", 10000, limiter.Events, day, "10000 events per day without a subscription"},
		{Subscription, "AsyncUnlimited", 0, 0, 0, "Events without a limit"},
		{Subscription, "AsyncWHGold", 10000, limiter.Events, compatibleMonth, "10000 events per month"},
		{Subscription, "AsyncWHSilver", 5000, limiter.Events, compatibleMonth, "5000 events per month"},
		{Subscription, "AsyncWHBronze", 1000, limiter.Events, compatibleMonth, "1000 events per month"},
		{Subscription, "AsyncWHUnlimited", 0, 0, 0, "Events without a limit"},

		{Application, "50PerMin", 50, limiter.Requests, time.Minute, "50 requests per minute"},
		{Application, "20PerMin", 20, limiter.Requests, time.Minute, "20 requests per minute"},
		{Application, "10PerMin", 10, limiter.Requests, time.Minute, "10 requests per minute"},
		{Application, weir.Unlimited, 0, 0, 0, "Without a limit"},
	}
	policies := make([]Policy, len(builtins))
	for i, b := range builtins {
		policies[i] = Policy{Kind: b.kind, Name: b.name, Description: b.text}
		if b.window > 0 {
			policies[i].Limit = &limiter.Limit{Count: b.count, Cost: b.cost, Window: limiter.Window{Length: b.window}, Accuracy: ByLevel}
		}
	}
	return policies
}

// Merge returns base with the policies of over: each stands in for the policy of
// the same kind and name, or is added at the end. Names that over has twice stay
// twice, so that [Compile] reports them.
//
//	d.Policies = policy.Merge(policy.Defaults(), d.Policies)
func Merge(base, over []Policy) []Policy {
	type name struct {
		kind Kind
		name string
	}
	taken := make(map[name]bool, len(over))
	for i := range over {
		taken[name{over[i].Kind, over[i].Name}] = true
	}
	merged := make([]Policy, 0, len(base)+len(over))
	for i := range base {
		if !taken[name{base[i].Kind, base[i].Name}] {
			merged = append(merged, base[i])
		}
	}
	return append(merged, over...)
}

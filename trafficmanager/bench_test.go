package trafficmanager

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/policy/rule"
)

// twenty is a definition of twenty policies, and an event that five of their
// limits count.
func twenty(tb testing.TB) (*policy.Set, weir.Event) {
	d := policy.Definition{}
	limit := perMinute(1 << 40)
	for i := range 6 {
		p := policy.Policy{Kind: policy.Advanced, Name: fmt.Sprint("Advanced", i), Limit: limit, Groups: []policy.Group{
			{Limit: limit, Conditions: []policy.Condition{{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("192.168.0.0/16")}}}},
			{Limit: limit, Conditions: []policy.Condition{{Header: &policy.ValueCondition{Name: "x-plan", Pattern: "^gold$"}}}},
		}}
		d.Policies = append(d.Policies, p,
			policy.Policy{Kind: policy.Subscription, Name: fmt.Sprint("Plan", i), Limit: limit},
			policy.Policy{Kind: policy.Application, Name: fmt.Sprint("App", i), Limit: limit})
	}
	d.Rules = []policy.CustomRule{
		{Name: "per user", Key: "$userId:$apiContext", Limit: *limit},
		{Name: "gold only", When: `request.headers['x-plan'] == 'gold'`, Key: "$appId", Limit: *limit},
	}
	set, err := policy.Compile(d, policy.Options{Seed: seed, Compiler: rule.New()})
	if err != nil {
		d.Rules[1].When = `api.context == '/pizza/1'`
		if set, err = policy.Compile(d, policy.Options{Seed: seed, Compiler: rule.New()}); err != nil {
			tb.Fatal(err)
		}
	}
	e := call(0, 1)
	e.Request.ResourceTier, e.Request.SubscriptionTier, e.Request.Application.Tier = "Advanced3", "Plan3", "App3"
	e.Request.ClientIP = netip.MustParseAddr("10.0.0.1")
	e.Request.Headers = headers{"x-plan": "gold"}
	return set, e
}

type headers map[string]string

func (h headers) Value(name string) (string, bool) { v, ok := h[name]; return v, ok }

// BenchmarkCount is an event, matched with 20 policies and counted, in batches of
// 100, of 1 key and of 100 000.
func BenchmarkCount(b *testing.B) {
	for _, keys := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("%d-keys", keys), func(b *testing.B) {
			set, e := twenty(b)
			m, err := New(Options{Limiter: limiter.New(limiter.Options{}), Issuer: "tm", ID: 1})
			if err != nil {
				b.Fatal(err)
			}
			m.Apply(t0, set)
			apps := make([]string, keys)
			for i := range apps {
				apps[i] = fmt.Sprint("application-", i)
			}
			h := event.Header{Incarnation: 1, Seq: 1, First: true, Restates: true, Sent: t0}
			m.Begin(t0, &h).End(nil)
			var r event.Reply
			n := 0
			b.ReportAllocs()
			for b.Loop() { // an iteration is an event
				if n++; n%100 != 0 {
					continue
				}
				h = event.Header{Incarnation: 1, Seq: h.Seq + 1, Sent: t0, Manager: 1}
				batch := m.Begin(t0.Add(time.Millisecond), &h)
				for i := range 100 {
					e.Request.Application.ID = apps[(n+i)%keys]
					_ = batch.Count(&e)
				}
				batch.End(&r)
			}
			if n := len(batchChecks(m, &e)); n != 5 {
				b.Errorf("an event has %d checks", n)
			}
		})
	}
}

// BenchmarkSpent is events of a key that is throttled.
func BenchmarkSpent(b *testing.B) {
	m, err := New(Options{Limiter: limiter.New(limiter.Options{}), Issuer: "tm", ID: 1})
	if err != nil {
		b.Fatal(err)
	}
	m.Apply(t0, compile(b, gold(perMinute(1))))
	e := call(0, 1)
	batch := m.Begin(t0, nil)
	for b.Loop() {
		_ = batch.Count(&e)
	}
	batch.End(nil)
}

func batchChecks(m *Manager, e *weir.Event) []limiter.Check {
	var match policy.Match
	m.set.Load().MatchEvent(&match, e)
	return match.Checks
}

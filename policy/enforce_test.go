package policy_test

import (
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A gate holds requests to a Set, as a gateway does.
type gate struct {
	t   *testing.T
	set *policy.Set
	lim *limiter.Limiter
	m   policy.Match
}

func newGate(t *testing.T, d policy.Definition) *gate {
	return &gate{t: t, set: build(t, d), lim: limiter.New(limiter.Options{})}
}

// pass sends n requests at a time and checks how many pass; the level is what
// refuses the first of the others.
func (g *gate) pass(at time.Duration, req *weir.Request, n, want int, level weir.Level) {
	g.t.Helper()
	got := 0
	refused := weir.LevelDeny
	for range n {
		g.set.Match(&g.m, req)
		ticket, ok := g.lim.Take(time.Unix(6000, 0).Add(at), g.m.Checks)
		if ok {
			got++
		} else if refused == weir.LevelDeny {
			refused = g.m.Sources[ticket.Refused()].Level
		}
	}
	if got != want || refused != level {
		g.t.Errorf("at %s %d of %d pass, %s refuses; want %d, %s", at, got, n, refused, want, level)
	}
}

// only returns call with a subscription and an application tier and nothing else.
func only(subscription, application string) *weir.Request {
	req := call()
	req.APITier, req.ResourceTier = "", ""
	req.SubscriptionTier, req.Application.Tier = subscription, application
	return req
}

// The documents' first example: Gold is 20 a minute and the application's quota is
// 20 a minute; two users of one application have 20 together.
func TestTwoUsersShareGold(t *testing.T) {
	g := newGate(t, policy.Definition{Policies: []policy.Policy{
		{Kind: policy.Subscription, Name: "Gold", Limit: limit(20)},
		{Kind: policy.Application, Name: "20PerMin", Limit: limit(20)},
	}})
	alice, bob := only("Gold", "20PerMin"), only("Gold", "20PerMin")
	bob.User = "bob"
	g.pass(0, alice, 10, 10, weir.LevelDeny)
	g.pass(0, bob, 11, 10, weir.LevelSubscription)
	g.pass(time.Minute, alice, 21, 20, weir.LevelSubscription)
}

// The documents' burst: 20 a minute with 10 a second.
func TestBurstBesideQuota(t *testing.T) {
	second := limiter.Limit{Count: 10, Window: limiter.Window{Length: time.Second}}
	g := newGate(t, policy.Definition{Policies: []policy.Policy{
		{Kind: policy.Subscription, Name: "Gold", Limit: limit(20), Burst: &second},
	}})
	req := only("Gold", "")
	g.pass(0, req, 15, 10, weir.LevelSubscriptionBurst)
	g.pass(time.Second, req, 15, 10, weir.LevelSubscription)
	g.pass(2*time.Second, req, 5, 0, weir.LevelSubscription)
	g.pass(time.Minute, req, 10, 10, weir.LevelDeny)
}

// Requests past a spent quota are let past, counted, and held to what follows.
func TestPassOnQuotaReachHoldsTheRest(t *testing.T) {
	g := newGate(t, policy.Definition{Policies: []policy.Policy{
		{Kind: policy.Subscription, Name: "Gold", Limit: limit(5), Burst: limit(12), PassOnQuotaReach: true},
		{Kind: policy.Application, Name: "20PerMin", Limit: limit(10)},
	}})
	g.pass(0, only("Gold", "20PerMin"), 11, 10, weir.LevelApplication)
	g.pass(0, only("Gold", ""), 3, 2, weir.LevelSubscriptionBurst)
}

// An application that moves to another tier takes along what it has spent.
func TestSpentStaysSpentInAnotherTier(t *testing.T) {
	g := newGate(t, policy.Definition{Policies: policy.Defaults()})
	g.pass(0, only("", "10PerMin"), 11, 10, weir.LevelApplication)
	g.pass(0, only("", "20PerMin"), 11, 10, weir.LevelApplication)
	g.pass(0, only("", "10PerMin"), 1, 0, weir.LevelApplication)
}

// What was spent outlives a new Set, and a changed limit holds at once.
func TestSpentStaysSpentInAnotherSet(t *testing.T) {
	d := policy.Definition{Policies: []policy.Policy{{Kind: policy.Subscription, Name: "Gold", Limit: limit(20)}}}
	seed := limiter.NewSeed()
	g := newGate(t, d)
	for _, step := range []struct {
		limit   int64
		n, want int
	}{{20, 15, 15}, {30, 20, 15}, {10, 1, 0}, {31, 2, 1}} {
		d.Policies[0].Limit = limit(step.limit)
		set, err := policy.Compile(d, policy.Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		g.set = set
		level := weir.LevelSubscription
		if step.n == step.want {
			level = weir.LevelDeny
		}
		g.pass(0, only("Gold", ""), step.n, step.want, level)
	}
}

// A quota on events counts a plain call, and each message of a stream.
func TestEventsOfAStream(t *testing.T) {
	events := limit(5)
	events.Cost = limiter.Events
	g := newGate(t, policy.Definition{Policies: []policy.Policy{{Kind: policy.Subscription, Name: "Async", Limit: events}}})
	req := only("Async", "")
	g.pass(0, req, 1, 1, weir.LevelDeny)
	g.set.MatchOpen(&g.m, req)
	if _, ok := g.lim.Take(time.Unix(6000, 0), g.m.Checks); !ok || len(g.m.Checks) != 0 {
		t.Errorf("opening a stream: %v with %d checks, want true with none", ok, len(g.m.Checks))
	}
	for i, want := range []bool{true, true, true, true, false} {
		g.set.MatchEvents(&g.m, req, 1)
		if _, ok := g.lim.Take(time.Unix(6000, 0), g.m.Checks); ok != want {
			t.Errorf("message %d: %v, want %v", i, ok, want)
		}
	}
}

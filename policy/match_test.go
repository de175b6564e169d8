package policy

import (
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// The API's own policy stands in for the resource's, unless it is Unlimited.
func TestMatchAPIOrResource(t *testing.T) {
	s := compile(t, policies(Policy{Name: "A", Limit: perMinute(1)}, Policy{Name: "R", Limit: perMinute(2)}, Policy{Name: "Free"}))
	for _, tt := range []struct {
		api, resource string
		want          []string
	}{
		{"A", "R", []string{"api A /pizza/1:1_default"}},
		{"A", "", []string{"api A /pizza/1:1_default"}},
		{"", "R", []string{"resource R /pizza/1/1/menu:GET_default"}},
		{"Unlimited", "R", []string{"resource R /pizza/1/1/menu:GET_default"}},
		{"Unlimited", "Unlimited", nil},
		{"", "", nil},
		{"Free", "R", nil},
	} {
		req := onlyRules(request())
		req.APITier, req.ResourceTier = tt.api, tt.resource
		var m Match
		s.Match(&m, req)
		equalLines(t, keys(s, &m, req), tt.want)
	}
}

func TestMatchUnknownTier(t *testing.T) {
	s := compile(t, Definition{Policies: Defaults()})
	for _, tt := range []struct {
		change func(*weir.Request)
		want   string
		level  weir.Level
		checks int
	}{
		{func(*weir.Request) {}, "", 0, 3},
		{func(r *weir.Request) { r.APITier = "Gold" }, "Gold", weir.LevelAPI, 2},
		{func(r *weir.Request) { r.ResourceTier = "x" }, "x", weir.LevelResource, 2},
		{func(r *weir.Request) { r.APITier, r.ResourceTier = "10KPerMin", "x" }, "", 0, 3},
		{func(r *weir.Request) { r.SubscriptionTier = "50PerMin" }, "50PerMin", weir.LevelSubscription, 2},
		{func(r *weir.Request) { r.Application.Tier = "gold" }, "gold", weir.LevelApplication, 2},
		{func(r *weir.Request) { r.SubscriptionTier, r.Application.Tier = "x", "y" }, "x", weir.LevelSubscription, 1},
		{func(r *weir.Request) { r.SubscriptionTier, r.Application.Tier = "Unlimited", "" }, "", 0, 1},
	} {
		req := request()
		tt.change(req)
		m := Match{Unknown: "left over", RuleErrors: 3, Denied: &Deny{}}
		s.Match(&m, req)
		if m.Unknown != tt.want || m.Unknown != "" && m.UnknownLevel != tt.level || len(m.Checks) != tt.checks || m.RuleErrors != 0 || m.Denied != nil {
			t.Errorf("got unknown %q at %s and %d checks, want %q at %s and %d", m.Unknown, m.UnknownLevel, len(m.Checks), tt.want, tt.level, tt.checks)
		}
	}
}

func TestHas(t *testing.T) {
	s := compile(t, Definition{Policies: Defaults()})
	for _, tt := range []struct {
		kind Kind
		tier string
		want bool
	}{
		{Advanced, "10KPerMin", true},
		{Advanced, "10kPerMin", true},
		{Advanced, "Gold", false},
		{Subscription, "Gold", true},
		{Subscription, "10PerMin", false},
		{Application, "10PerMin", true},
		{Application, "", true},
		{Application, "Unlimited", true},
		{Kind(9), "Gold", false},
	} {
		if got := s.Has(tt.kind, tt.tier); got != tt.want {
			t.Errorf("Has(%s, %q) = %v, want %v", tt.kind, tt.tier, got, tt.want)
		}
	}
	if got := compile(t, Definition{}).Has(Subscription, "Unlimited"); !got {
		t.Error("Unlimited needs a policy")
	}
}

// A policy that lets requests past counts as a shadow; its burst holds.
func TestMatchPassOnQuotaReach(t *testing.T) {
	l := perMinute(5)
	s := compile(t, policies(Policy{Kind: Subscription, Name: "Gold", Limit: l, Burst: perMinute(2), PassOnQuotaReach: true}))
	req := onlySubscription(request())
	var m Match
	s.Match(&m, req)
	if len(m.Checks) != 2 {
		t.Fatalf("%d checks, want 2", len(m.Checks))
	}
	if !m.Checks[0].Limit.Shadow || !m.Sources[0].Soft {
		t.Error("the quota is not soft")
	}
	if m.Checks[1].Limit.Shadow || m.Sources[1].Soft {
		t.Error("the burst is soft")
	}
	if l.Shadow {
		t.Error("the definition's limit was changed")
	}
	s = compile(t, policies(Policy{Kind: Subscription, Name: "Gold", PassOnQuotaReach: true}))
	if s.Match(&m, req); len(m.Checks) != 0 {
		t.Errorf("%d checks of a policy without a limit", len(m.Checks))
	}
}

func TestMatchAmounts(t *testing.T) {
	of := func(c limiter.Cost) *limiter.Limit {
		l := perMinute(100)
		l.Cost = c
		return l
	}
	s := compile(t, policies(
		Policy{Name: "R", Limit: of(limiter.Requests)},
		Policy{Kind: Subscription, Name: "S", Limit: of(limiter.Bytes), Burst: of(limiter.Events)},
		Policy{Kind: Application, Name: "A", Limit: of(limiter.Events), Burst: of(limiter.Requests)}))
	type match func(*Match, *weir.Request)
	events := func(n int64) match { return func(m *Match, r *weir.Request) { s.MatchEvents(m, r, n) } }
	for _, tt := range []struct {
		name          string
		match         match
		weight, bytes int64
		want          []int64
	}{
		{"plain", s.Match, 0, 0, []int64{1, 0, 1, 1, 1}},
		{"size not known", s.Match, 1, -1, []int64{1, 0, 1, 1, 1}},
		{"weighty", s.Match, 5, 1000, []int64{5, 1000, 1, 1, 5}},
		{"weight below zero", s.Match, -5, 0, []int64{1, 0, 1, 1, 1}},
		{"opening a stream", s.MatchOpen, 2, 7, []int64{2, 7, 2}},
		{"a message", events(1), 2, 7, []int64{1, 1}},
		{"messages", events(9), 2, 7, []int64{9, 9}},
		{"no messages", events(-1), 2, 7, []int64{0, 0}},
	} {
		req := request()
		req.ResourceTier, req.SubscriptionTier, req.Application.Tier = "R", "S", "A"
		req.Weight, req.Bytes = tt.weight, tt.bytes
		var m Match
		tt.match(&m, req)
		var got []int64
		for i := range m.Checks {
			got = append(got, m.Checks[i].N)
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: amounts %v, want %v", tt.name, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: amounts %v, want %v", tt.name, got, tt.want)
			}
		}
	}
}

// A stream's messages are counted under the keys of the call that opened it.
func TestMatchEventsKeys(t *testing.T) {
	s := compile(t, Definition{Policies: Defaults(), Denies: []Deny{{ID: "d", Kind: DenyUser, Value: "mallory"}}})
	req := onlySubscription(request())
	req.SubscriptionTier = "AsyncGold"
	var call, message, open Match
	s.Match(&call, req)
	s.MatchEvents(&message, req, 1)
	s.MatchOpen(&open, req)
	if len(call.Checks) != 1 || len(message.Checks) != 1 || len(open.Checks) != 0 {
		t.Fatalf("%d, %d, %d checks, want 1, 1, 0", len(call.Checks), len(message.Checks), len(open.Checks))
	}
	if call.Checks[0].Key != message.Checks[0].Key {
		t.Error("messages count under another key")
	}
	req.User = "mallory"
	if s.MatchEvents(&message, req, 1); message.Denied == nil {
		t.Error("a stream outlives the denial of its user")
	}
}

func TestMatchRules(t *testing.T) {
	d := Definition{Rules: []CustomRule{
		{Name: "failing", When: "fail", Key: "a", Limit: *perMinute(1)},
		{Name: "bob's", When: "user=bob", Key: "b", Limit: *perMinute(1)},
		{Name: "alice's", When: "user=alice", Key: "c", Limit: *perMinute(1)},
		{Name: "failing too", When: "fail", Key: "d", Limit: *perMinute(1)},
		{Name: "all", Key: "e", Limit: *perMinute(1)},
	}}
	s, err := Compile(d, Options{Compiler: testCompiler{}})
	if err != nil {
		t.Fatal(err)
	}
	var m Match
	req := onlyRules(request())
	s.Match(&m, req)
	equalLines(t, keys(s, &m, req), []string{"custom alice's c", "custom all e"})
	if m.RuleErrors != 2 {
		t.Errorf("%d rule errors, want 2", m.RuleErrors)
	}
	if s.MatchEvents(&m, req, 1); m.RuleErrors != 0 || len(m.Checks) != 0 {
		t.Errorf("events meet %d rules on requests, %d fail", len(m.Checks), m.RuleErrors)
	}
}

// The documents' example: two users of one application share its subscription.
func TestUsersShareASubscription(t *testing.T) {
	s := compile(t, Definition{Policies: Defaults()})
	alice, bob := request(), request()
	bob.User, bob.Token = "bob", "t2"
	a, b := keysOf(s, alice), keysOf(s, bob)
	if a[weir.LevelSubscription] != b[weir.LevelSubscription] {
		t.Error("two users of an application have two subscriptions")
	}
	if a[weir.LevelApplication] == b[weir.LevelApplication] {
		t.Error("two users of an application share its quota, which counts per user")
	}
}

// Application policies count per user, per application or per token.
func TestApplicationScopes(t *testing.T) {
	for _, tt := range []struct {
		per                 Per
		sameUser, sameToken bool // whether another user, another token counts the same
	}{
		{PerDefault, false, true}, {PerUser, false, true}, {PerApplication, true, true}, {PerToken, true, false},
	} {
		s := compile(t, policies(Policy{Kind: Application, Name: "50PerMin", Limit: perMinute(1), Burst: perMinute(1), Per: tt.per}))
		req, user, token := onlyRules(request()), onlyRules(request()), onlyRules(request())
		user.User, token.Token = "bob", "t2"
		for _, r := range []*weir.Request{req, user, token} {
			r.Application.Tier = "50PerMin"
		}
		first := keysOf(s, req)
		for _, level := range []weir.Level{weir.LevelApplication, weir.LevelApplicationBurst} {
			if got := keysOf(s, user)[level] == first[level]; got != tt.sameUser {
				t.Errorf("scope %d, %s: another user counts the same: %v, want %v", tt.per, level, got, tt.sameUser)
			}
			if got := keysOf(s, token)[level] == first[level]; got != tt.sameToken {
				t.Errorf("scope %d, %s: another token counts the same: %v, want %v", tt.per, level, got, tt.sameToken)
			}
		}
		if first[weir.LevelApplication] == first[weir.LevelApplicationBurst] {
			t.Errorf("scope %d: quota and burst have one key", tt.per)
		}
	}
}

// An advanced policy counts all users together or each for themselves.
func TestAdvancedPerUser(t *testing.T) {
	for _, per := range []Per{PerDefault, PerUser} {
		s := compile(t, policies(Policy{Name: "A", Limit: perMinute(1), Per: per}))
		for _, level := range []weir.Level{weir.LevelAPI, weir.LevelResource} {
			alice, bob := onlyRules(request()), onlyRules(request())
			bob.User = "bob"
			for _, r := range []*weir.Request{alice, bob} {
				if r.ResourceTier = "A"; level == weir.LevelAPI {
					r.APITier = "A"
				}
			}
			if got, want := keysOf(s, alice)[level] == keysOf(s, bob)[level], per == PerDefault; got != want {
				t.Errorf("%s per %d: users share a counter: %v, want %v", level, per, got, want)
			}
		}
	}
}

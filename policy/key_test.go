package policy

import (
	"net/netip"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// anonymousRequest returns a request without credentials from an address.
func anonymousRequest(ip string) *weir.Request {
	req := request()
	req.Application = weir.Application{ID: ip}
	req.User, req.SubscriptionTier, req.Token = "anonymous", weir.Unauthenticated, ""
	req.ClientIP = netip.MustParseAddr(ip)
	return req
}

func TestAppendKey(t *testing.T) {
	group := []Group{{Limit: perMinute(1), Conditions: []Condition{header("x", "")}}}
	s := compile(t, Definition{
		Policies: Merge(Defaults(), []Policy{
			{Name: "Users", Limit: perMinute(1), Per: PerUser, Groups: group},
			{Name: "All", Limit: perMinute(1), Groups: group},
			{Kind: Application, Name: "PerApplication", Limit: perMinute(1), Per: PerApplication},
			{Kind: Application, Name: "PerToken", Limit: perMinute(1), Per: PerToken},
			{Kind: Application, Name: "PerUser", Limit: perMinute(1), Burst: perMinute(1), Per: PerUser},
		}),
		Backends: []Backend{{Context: "/pizza/1", Version: "1", Sandbox: perMinute(700)}},
	})
	for _, tt := range []struct {
		name   string
		change func(*weir.Request)
		want   []string
	}{
		{"api", func(r *weir.Request) { r.APITier = "All" }, []string{"api All /pizza/1:1_default"}},
		{"api group", func(r *weir.Request) { r.APITier, r.Headers = "All", fields{"x": ""} }, []string{"api All /pizza/1:1_condition_0"}},
		{"api per user", func(r *weir.Request) { r.APITier = "Users" }, []string{"api Users /pizza/1:1_alice@carbon.super_default"}},
		{"resource", func(r *weir.Request) { r.ResourceTier = "All" }, []string{"resource All /pizza/1/1/menu:GET_default"}},
		{
			"resource group per user", func(r *weir.Request) { r.ResourceTier, r.Headers = "Users", fields{"x": ""} },
			[]string{"resource Users /pizza/1/1/menu:GET_alice@carbon.super_condition_0"},
		},
		{"subscription", func(r *weir.Request) { r.SubscriptionTier = "Gold" }, []string{"subscription Gold 5:/pizza/1:1:Gold"}},
		{
			"application", func(r *weir.Request) { r.Application.Tier = "PerUser" },
			[]string{"application PerUser 5:alice@carbon.super", "application-burst PerUser 5:alice@carbon.super"},
		},
		{
			"application with tenant", func(r *weir.Request) { r.Application.Tier, r.User = "10PerMin", "alice@carbon.super" },
			[]string{"application 10PerMin 5:alice@carbon.super"},
		},
		{"application per application", func(r *weir.Request) { r.Application.Tier = "PerApplication" }, []string{"application PerApplication 5"}},
		{"application per token", func(r *weir.Request) { r.Application.Tier = "PerToken" }, []string{"application PerToken 5:t1"}},
		{"backend", func(r *weir.Request) { r.KeyType = weir.Sandbox }, []string{"backend SANDBOX /pizza/1:1:SANDBOX:SANDBOX_HARD_LIMIT"}},
		{
			"anonymous", func(r *weir.Request) { *r = *onlySubscription(anonymousRequest("10.1.2.3")) },
			[]string{"subscription Unauthenticated 10.1.2.3:/pizza/1:1:Unauthenticated"},
		},
		{
			"anonymous IPv6", func(r *weir.Request) { *r = *onlySubscription(anonymousRequest("2001:db8::1")) },
			[]string{"subscription Unauthenticated 2001:db8::/64:/pizza/1:1:Unauthenticated"},
		},
		{"anonymous of an application", func(r *weir.Request) {
			*r = *onlySubscription(anonymousRequest("2001:db8::1"))
			r.Application.Tier = "10PerMin"
		}, []string{"subscription Unauthenticated 2001:db8::/64:/pizza/1:1:Unauthenticated", "application 10PerMin 2001:db8::/64:anonymous"}},
	} {
		req := onlyRules(request())
		tt.change(req)
		var m Match
		s.Match(&m, req)
		t.Run(tt.name, func(t *testing.T) { equalLines(t, keys(s, &m, req), tt.want) })
	}
}

func onlySubscription(req *weir.Request) *weir.Request {
	tier := req.SubscriptionTier
	req = onlyRules(req)
	req.SubscriptionTier = tier
	return req
}

// keysOf returns the keys of req's checks by level.
func keysOf(s *Set, req *weir.Request) map[weir.Level]limiter.Key {
	var m Match
	s.Match(&m, req)
	out := map[weir.Level]limiter.Key{}
	for i, src := range m.Sources {
		out[src.Level] = m.Checks[i].Key
	}
	return out
}

// Counters outlive a new Set: with other counts, other policies, and groups added
// behind.
func TestKeysOutliveReload(t *testing.T) {
	d := Definition{
		Policies: Merge(Defaults(), []Policy{
			{Kind: Subscription, Name: "Gold", Limit: perMinute(5), Burst: perMinute(2)},
			{Kind: Application, Name: "50PerMin", Limit: perMinute(5), Burst: perMinute(2)},
		}),
		Rules:    []CustomRule{{Name: "r", Key: "$userId", Limit: *perMinute(5)}},
		Backends: []Backend{{Context: "/pizza/1", Version: "1", Production: perMinute(5)}},
	}
	req := request()
	before := keysOf(compile(t, d), req)
	if got, want := len(before), 7; got != want {
		t.Fatalf("%d keys, want %d", got, want)
	}
	d.Policies = Merge(d.Policies, []Policy{
		{Kind: Subscription, Name: "Gold", Limit: perMinute(50), Burst: &limiter.Limit{Count: 9, Window: limiter.Window{Length: 1e9}}, PassOnQuotaReach: true},
		{Kind: Subscription, Name: "Added", Limit: perMinute(1)},
		{Name: "10KPerMin", Limit: perMinute(1), Groups: []Group{{Conditions: []Condition{header("none", "")}}}},
	})
	d.Rules = append([]CustomRule{{Name: "first", Key: "all", Limit: *perMinute(1)}}, d.Rules...)
	d.Rules[1].Limit.Shadow = true
	after := keysOf(compile(t, d), req)
	for level, k := range before {
		if level == weir.LevelCustom {
			continue // there are two
		}
		if after[level] != k {
			t.Errorf("%s: the key changed", level)
		}
	}
	if after[weir.LevelCustom] != before[weir.LevelCustom] {
		t.Error("custom: the key changed")
	}
}

// The application's counter goes along to another tier, the subscription's doesn't.
func TestKeysAndTiers(t *testing.T) {
	s := compile(t, Definition{Policies: Defaults()})
	req := request()
	before := keysOf(s, req)
	req.Application.Tier, req.SubscriptionTier, req.ResourceTier = "10PerMin", "Silver", "20KPerMin"
	after := keysOf(s, req)
	if after[weir.LevelApplication] != before[weir.LevelApplication] {
		t.Error("the application's key changed with its tier")
	}
	if after[weir.LevelSubscription] == before[weir.LevelSubscription] {
		t.Error("the subscription's key did not change with its tier")
	}
	if after[weir.LevelResource] != before[weir.LevelResource] {
		t.Error("the resource's key changed with its tier")
	}
	other, err := Compile(Definition{Policies: Defaults()}, Options{Seed: limiter.NewSeed()})
	if err != nil {
		t.Fatal(err)
	}
	for level, k := range keysOf(other, req) {
		if after[level] == k {
			t.Errorf("%s: same key under another seed", level)
		}
	}
}

// IPv6 clients count by network, of any length asked for.
func TestNetworksCount(t *testing.T) {
	d := Definition{Policies: Defaults(), Rules: []CustomRule{{Name: "r", Key: "$clientIp", Limit: *perMinute(1)}}}
	for _, tt := range []struct {
		bits int
		a, b string
		same bool
	}{
		{0, "2001:db8::1", "2001:db8::ffff:0:0:2", true},
		{0, "2001:db8::1", "2001:db8:0:1::1", false},
		{56, "2001:db8::1", "2001:db8:0:1::1", true},
		{56, "2001:db8::1", "2001:db8:0:100::1", false},
		{128, "2001:db8::1", "2001:db8::2", false},
		{0, "10.0.0.1", "10.0.0.2", false},
		{0, "10.0.0.1", "::ffff:10.0.0.1", true},
		{0, "fe80::1%eth0", "fe80::2%eth1", true},
	} {
		s, err := Compile(d, Options{IPv6Bits: tt.bits})
		if err != nil {
			t.Fatal(err)
		}
		a, b := keysOf(s, anonymousRequest(tt.a)), keysOf(s, anonymousRequest(tt.b))
		for _, level := range []weir.Level{weir.LevelSubscription, weir.LevelCustom} {
			if got := a[level] == b[level]; got != tt.same {
				t.Errorf("%s: /%d of %s and %s same: %v, want %v", level, tt.bits, tt.a, tt.b, got, tt.same)
			}
		}
	}
}

// An application whose ID looks like an address is not whoever calls from there.
func TestApplicationIsNoAddress(t *testing.T) {
	s := compile(t, Definition{Policies: Defaults()})
	req := anonymousRequest("10.1.2.3")
	registered := anonymousRequest("10.1.2.3")
	registered.Application.Name = "Shop"
	if keysOf(s, req)[weir.LevelSubscription] == keysOf(s, registered)[weir.LevelSubscription] {
		t.Error("an application counts with an address")
	}
}

func FuzzKeysOfParts(f *testing.F) {
	f.Add("5", "alice", "/a", "1", "5:alice", "", "/a:1", "")
	f.Add("5:", "a", "/a", "1", "5", ":a", "/a", "1")
	d := Definition{Policies: Defaults(), Rules: []CustomRule{{Name: "r", Key: "$appId:$userId:$apiContext:$apiVersion", Limit: *perMinute(1)}}}
	s, err := Compile(d, Options{Seed: limiter.NewSeed()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a1, a2, a3, a4, b1, b2, b3, b4 string) {
		a, b := request(), request()
		a.Application.ID, a.User, a.Context, a.Version = a1, a2, a3, a4
		b.Application.ID, b.User, b.Context, b.Version = b1, b2, b3, b4
		ka, kb := keysOf(s, a), keysOf(s, b)
		for level, same := range map[weir.Level]bool{
			weir.LevelApplication:  a1 == b1 && a2 == b2,
			weir.LevelSubscription: a1 == b1 && a3 == b3 && a4 == b4,
			weir.LevelResource:     a3 == b3 && a4 == b4,
			weir.LevelCustom:       a1 == b1 && a2 == b2 && a3 == b3 && a4 == b4,
		} {
			if got := ka[level] == kb[level]; got != same {
				t.Errorf("%s: one key for both: %v, want %v", level, got, same)
			}
		}
	})
}

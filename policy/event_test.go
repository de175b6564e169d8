package policy_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/policy/rule"
)

// eventDefinition has a limit of every kind that traffic managers count, and of
// some that they don't.
func eventDefinition() policy.Definition {
	limit := func(n int64, w time.Duration, c limiter.Cost) *limiter.Limit {
		return &limiter.Limit{Count: n, Window: limiter.Window{Length: w}, Cost: c}
	}
	month := limiter.Window{Calendar: limiter.Month}
	return policy.Definition{
		Policies: []policy.Policy{
			{Kind: policy.Advanced, Name: "Menu", Limit: limit(100, time.Minute, limiter.Requests), Groups: []policy.Group{{
				Conditions: []policy.Condition{
					{Header: &policy.ValueCondition{Name: "X-Plan", Pattern: "gold"}},
					{Query: &policy.ValueCondition{Name: "v", Pattern: "1"}, Invert: true},
				}, Limit: limit(10, time.Minute, limiter.Requests),
			}}},
			{Kind: policy.Subscription, Name: "Gold", Limit: limit(1000, time.Hour, limiter.Bytes), Burst: limit(5, time.Second, limiter.Requests)},
			{Kind: policy.Application, Name: "App", Per: policy.PerToken, Limit: &limiter.Limit{Count: 50, Window: month, Cost: limiter.Events}},
		},
		Rules: []policy.CustomRule{
			{Name: "told", When: `claims['plan'] == 'x'`, Key: "$userId:$clientIp:$query.q", Limit: *limit(7, time.Minute, limiter.Requests)},
			{Name: "local", When: `request.size > 10`, Key: "$userId:$header.only-local", Limit: *limit(7, time.Second, limiter.Requests)},
		},
		Backends: []policy.Backend{{Context: "/pizza", Version: "1", Production: limit(3, time.Millisecond, limiter.Requests)}},
	}
}

func eventSet(t *testing.T) *policy.Set {
	t.Helper()
	s, err := policy.Compile(eventDefinition(), policy.Options{Seed: limiter.SeedOf([]byte("fleet")), Compiler: rule.New()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type values map[string]string

func (v values) Value(name string) (string, bool) { s, ok := v[name]; return s, ok }

func eventRequest() weir.Request {
	return weir.Request{
		Time: time.Date(2026, 6, 1, 12, 0, 30, 0, time.UTC),
		API:  "Pizza", Version: "1", Context: "/pizza", Resource: "/menu", Verb: "GET", ResourceTier: "Menu",
		Application: weir.Application{ID: "5", Name: "shop", Owner: "bob", Tier: "App"}, SubscriptionTier: "Gold",
		User: "alice", Token: "t1", ClientIP: netip.MustParseAddr("10.0.0.1"),
		Headers: values{"X-Plan": "gold", "x-plan": "gold"}, Query: values{"q": "a"}, Claims: values{"plan": "x"},
	}
}

func TestFields(t *testing.T) {
	f := eventSet(t).Fields()
	slices.Sort(f.Query)
	want := weir.Fields{Headers: []string{"x-plan"}, Query: []string{"q", "v"}, Claims: []string{"plan"}, ClientIP: true, Token: true}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("events carry %+v, want %+v", f, want)
	}
}

func TestWindows(t *testing.T) {
	s := eventSet(t)
	var got []string
	for _, w := range s.Windows() {
		got = append(got, w.String())
	}
	if want := []string{"1m", "1h", "calendar month (UTC)"}; !slices.Equal(got, want) {
		t.Errorf("windows are %q, want %q", got, want)
	}
	at := time.Date(2026, 6, 1, 12, 0, 30, 0, time.UTC)
	in := s.Interval(at)
	if !in.Begin.Equal(at.Add(-30*time.Second)) || !in.End.Equal(at.Add(30*time.Second)) || !in.Ends[1].Equal(at.Add(59*time.Minute+30*time.Second)) {
		t.Errorf("the interval is %v", in)
	}
	for d, want := range map[time.Duration]bool{-30 * time.Second: true, -30*time.Second - 1: false, 30*time.Second - 1: true, 30 * time.Second: false} {
		if in.Holds(at.Add(d)) != want {
			t.Errorf("%v from there is in the interval: %v", d, !want)
		}
	}
}

// TestMatchEvent holds what a traffic manager finds against what the gateway did.
func TestMatchEvent(t *testing.T) {
	s := eventSet(t)
	req := eventRequest()
	var at, told policy.Match
	s.Match(&at, &req)
	keys := map[limiter.Key]string{}
	for i, c := range at.Checks {
		keys[c.Key] = fmt.Sprintf("%v %s %d", at.Sources[i].Level, at.Sources[i].Policy, at.Sources[i].Group)
	}
	for _, tt := range []struct {
		name string
		e    weir.Event
		want []string
	}{
		{
			"a call",
			weir.Event{Request: req, Spent: weir.Spent{Requests: 3, Events: 2}},
			[]string{"resource Menu 0: 3", "application App -1: 2", "custom told -1: 3"},
		},
		{"bytes", weir.Event{Request: req, Spent: weir.Spent{Bytes: 500}}, []string{"subscription Gold -1: 500"}},
		{"taken back", weir.Event{Request: req, Spent: weir.Spent{Requests: -1}}, []string{"resource Menu 0: -1", "custom told -1: -1"}},
		{"nothing", weir.Event{Request: req}, nil},
		{"restated", weir.Event{Request: req, Open: []weir.OpenWindow{
			{Window: limiter.Window{Length: time.Minute}, Spent: weir.Spent{Requests: 4, Bytes: 9, Events: 9}},
			{Window: limiter.Window{Length: time.Hour}, Spent: weir.Spent{Requests: 8, Bytes: 77, Events: 9}},
			{Window: limiter.Window{Calendar: limiter.Month, Every: 1, Location: time.UTC}, Spent: weir.Spent{Events: 12}},
		}}, []string{"resource Menu 0: 4", "subscription Gold -1: 77", "application App -1: 12", "custom told -1: 4"}},
	} {
		s.MatchEvent(&told, &tt.e)
		var got []string
		for i, c := range told.Checks {
			if keys[c.Key] == "" || !told.Sources[i].Told() {
				t.Errorf("%s: a key that the gateway doesn't have, or nobody is told of: %+v", tt.name, told.Sources[i])
			}
			got = append(got, fmt.Sprintf("%s: %d", keys[c.Key], c.N))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: counts\n%q, want\n%q", tt.name, got, tt.want)
		}
	}
	if l := s.Limit(weir.LevelResource, "Menu", 0); l == nil || l.Count != 10 {
		t.Errorf("the limit of the group is %v", l)
	}
	if s.Limit(weir.LevelSubscriptionBurst, "Gold", -1) != nil || s.Limit(weir.LevelCustom, "local", -1) != nil {
		t.Error("a limit that every node counts for itself can be decided of")
	}
}

func TestMatchEventAllocs(t *testing.T) {
	s := eventSet(t)
	e := weir.Event{Request: eventRequest(), Spent: weir.Spent{Requests: 1, Bytes: 1, Events: 1}}
	var m policy.Match
	s.MatchEvent(&m, &e)
	if n := testing.AllocsPerRun(100, func() { s.MatchEvent(&m, &e) }); n != 0 {
		t.Errorf("MatchEvent allocates %v times", n)
	}
}

func TestWithDenies(t *testing.T) {
	d := eventDefinition()
	d.Denies = []policy.Deny{{ID: "1", Kind: policy.DenyUser, Value: "alice"}, {ID: "2", Kind: policy.DenyUser, Value: "carol"}}
	s, err := policy.Compile(d, policy.Options{Compiler: rule.New()})
	if err != nil {
		t.Fatal(err)
	}
	denied := func(s *policy.Set, user string) string {
		req := eventRequest()
		req.User = user
		var m policy.Match
		if s.Match(&m, &req); m.Denied != nil {
			return m.Denied.ID
		}
		return ""
	}
	next, err := s.WithDenies([]policy.Deny{{ID: "1", Kind: policy.DenyUser, Value: "alice", Off: true}, {ID: "3", Kind: policy.DenyUser, Value: "dave"}})
	if err != nil {
		t.Fatal(err)
	}
	if denied(next, "alice") != "" || denied(next, "carol") != "2" || denied(next, "dave") != "3" {
		t.Error("what came later does not hold beside what was there")
	}
	if denied(s, "alice") != "1" || denied(s, "dave") != "" {
		t.Error("the first set has changed")
	}
	if back, err := next.WithDenies(nil); err != nil || denied(back, "alice") != "1" || denied(back, "dave") != "" {
		t.Errorf("what was added is not gone with it: %v", err)
	}
	if _, err := s.WithDenies([]policy.Deny{{ID: "9", Kind: policy.DenyIP}}); err == nil {
		t.Error("a wrong one is taken")
	}
}

func TestKeyTemplates(t *testing.T) {
	s := eventSet(t)
	if got := s.KeyTemplates(); !slices.Equal(got, []string{"$userId:$clientIp:$query.q", "$userId:$header.only-local"}) {
		t.Errorf("templates are %q", got)
	}
	k, err := policy.ParseKeyTemplate("$userId:$clientIp", 0)
	if err != nil {
		t.Fatal(err)
	}
	req := eventRequest()
	if got := string(k.AppendKey(nil, &req)); got != "alice@carbon.super:167772161" {
		t.Errorf("the key is %q", got)
	}
	for _, bad := range []string{"", "$nobody", "${"} {
		if _, err := policy.ParseKeyTemplate(bad, 0); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

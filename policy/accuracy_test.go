package policy_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// saying returns a limit with an accuracy.
func saying(a limiter.Accuracy) *limiter.Limit {
	l := limit(10)
	l.Accuracy = a
	return l
}

// everywhere has a limit with an accuracy at every level.
func everywhere(a limiter.Accuracy) policy.Definition {
	return policy.Definition{
		Policies: []policy.Policy{
			{Kind: policy.Advanced, Name: "A", Limit: saying(a)},
			{Kind: policy.Subscription, Name: "S", Limit: saying(a), Burst: saying(a)},
			{Kind: policy.Application, Name: "P", Limit: saying(a), Burst: saying(a)},
		},
		Rules:    []policy.CustomRule{{Name: "R", Key: "$apiContext", Limit: *saying(a)}},
		Backends: []policy.Backend{{Context: "/pizza/1", Version: "1", Production: saying(a), Sandbox: saying(a)}},
	}
}

// TestAccuracyByLevel compiles limits that say how closely they are kept, and limits
// that do not.
func TestAccuracyByLevel(t *testing.T) {
	levels := policy.Accuracies{
		weir.LevelAPI: limiter.Exact, weir.LevelSubscription: limiter.Bounded, weir.LevelSubscriptionBurst: limiter.Exact,
		weir.LevelApplicationBurst: limiter.Bounded, weir.LevelBackend: limiter.Exact,
	}
	all := func(a limiter.Accuracy) (same policy.Accuracies) {
		for i := range same {
			same[i] = a
		}
		return same
	}
	tests := []struct {
		name string
		said limiter.Accuracy
		o    policy.Options
		want policy.Accuracies
	}{
		{"by level", policy.ByLevel, policy.Options{Accuracy: levels}, levels},
		{"by level, of which nothing is said", policy.ByLevel, policy.Options{}, all(limiter.Eventual)},
		{"eventual is said", limiter.Eventual, policy.Options{Accuracy: levels}, all(limiter.Eventual)},
		{"exact is said", limiter.Exact, policy.Options{Accuracy: levels}, all(limiter.Exact)},
		{"nothing is shared", limiter.Exact, policy.Options{Accuracy: levels, AllEventual: true}, all(limiter.Eventual)},
		{"nothing is shared, by level", policy.ByLevel, policy.Options{Accuracy: levels, AllEventual: true}, all(limiter.Eventual)},
	}
	for _, tt := range tests {
		set, err := policy.Compile(everywhere(tt.said), tt.o)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		seen := map[weir.Level]bool{}
		for _, tier := range []string{"A", ""} { // of the API, and then of the resource
			req := only("S", "P")
			req.APITier, req.ResourceTier = tier, "A"
			var m policy.Match
			set.Match(&m, req)
			for i, s := range m.Sources {
				seen[s.Level] = true
				if got := m.Checks[i].Limit.Accuracy; got != tt.want[s.Level] || s.Limit.Accuracy != got {
					t.Errorf("%s: level %s: got accuracy %d, want %d", tt.name, s.Level, got, tt.want[s.Level])
				}
			}
		}
		if len(seen) != len(levels)-1 {
			t.Errorf("%s: saw the levels %v, want all but deny", tt.name, seen)
		}
	}
	if _, err := policy.Compile(policy.Definition{}, policy.Options{Accuracy: policy.Accuracies{weir.LevelAPI: policy.ByLevel}}); err == nil || !strings.Contains(err.Error(), "unknown accuracy 255 of level api") {
		t.Errorf("a level without an accuracy: got %v", err)
	}
}

// TestEventualLimits shows whose absence limits mind: traffic managers decide only of
// those that gateways do not share themselves.
func TestEventualLimits(t *testing.T) {
	d := everywhere(policy.ByLevel)
	for i := range d.Policies {
		d.Policies[i].Limit.OnStoreLoss = limiter.Open
	}
	for name, tt := range map[string]struct {
		o     policy.Options
		lossy bool
	}{
		"eventual":            {policy.Options{}, true},
		"nothing is shared":   {policy.Options{AllEventual: true, Accuracy: policy.Accuracies{weir.LevelAPI: limiter.Bounded}}, true},
		"all that can be are": {policy.Options{Accuracy: policy.Accuracies{0, 1, 1, 2, 2, 1, 1, 1, 1}}, false},
	} {
		set, err := policy.Compile(d, tt.o)
		if err != nil {
			t.Fatal(err)
		}
		if set.Lossy() != tt.lossy {
			t.Errorf("%s: Lossy is %t", name, set.Lossy())
		}
		req := only("S", "P")
		req.APITier = "A"
		var m policy.Match
		set.Match(&m, req)
		for _, s := range m.Sources {
			told := s.Told() && tt.lossy
			custom := s.Level == weir.LevelCustom
			if s.Eventual() != told || (s.Open() != nil) != (told && !custom) {
				t.Errorf("%s: level %s: eventual %t, open %v", name, s.Level, s.Eventual(), s.Open())
			}
		}
	}
}

func TestSharing(t *testing.T) {
	d := everywhere(policy.ByLevel)
	if got := d.Sharing(); got != nil {
		t.Errorf("limits by their level: got %q", got)
	}
	lost := saying(policy.ByLevel)
	lost.OnStoreLoss = limiter.Open
	d.Policies = append(d.Policies, policy.Policy{
		Kind: policy.Advanced, Name: "G", Limit: lost,
		Groups: []policy.Group{{Limit: saying(policy.ByLevel)}, {Limit: saying(limiter.Exact)}, {}},
	})
	d.Policies[1].Burst = saying(limiter.Bounded)
	d.Rules[0].Limit.Accuracy, d.Rules[0].Limit.OnStoreLoss = limiter.Exact, limiter.Local
	d.Backends[0].Sandbox = saying(limiter.Eventual)
	want := []string{
		`burst of subscription policy "S": bounded, local (store)`,
		`advanced policy "G": as closely as its level, open`,
		`group 2 of advanced policy "G": exact, closed (store)`,
		`custom rule "R": exact, local (store)`,
		"sandbox backend of /pizza/1 1: eventual, local",
	}
	var got []string
	for _, s := range d.Sharing() {
		text := s.String()
		if s.NeedsStore() {
			text += " (store)"
		}
		got = append(got, text)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

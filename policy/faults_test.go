package policy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// faultCases are definitions with one fault each, and the line for it.
var faultCases = []struct {
	name string
	d    Definition
	want string
}{
	{"no name", policies(Policy{Kind: Subscription}), `subscription policy "": name: is empty`},
	{"long name", policies(Policy{Name: strings.Repeat("é", 61)}), `name: is longer than 60 characters`},
	{"name of bytes", policies(Policy{Name: "a\xff"}), `name: is not valid UTF-8`},
	{"name of two lines", policies(Policy{Name: "a\nb"}), `advanced policy "a\nb": name: has control characters`},
	{"name with a space", policies(Policy{Name: "a "}), `name: begins or ends with a space`},
	{
		"same name", policies(Policy{Kind: Application, Name: "A"}, Policy{Kind: Subscription, Name: "A"}, Policy{Kind: Application, Name: "A"}),
		`application policy "A": name: is taken by an earlier policy of the kind`,
	},
	{"unknown kind", policies(Policy{Kind: 3, Name: "A"}), `unknown policy "A": unknown kind 3`},
	{"limited Unlimited", policies(Policy{Kind: Application, Name: "Unlimited", Limit: perMinute(1)}), `application policy "Unlimited": name: means without a limit`},
	{"bursting Unlimited", policies(Policy{Kind: Application, Name: "Unlimited", Burst: perMinute(1)}), `name: means without a limit`},
	{"negative count", policies(Policy{Name: "A", Limit: perMinute(-1)}), `advanced policy "A": limit: count is negative`},
	{"no window", policies(Policy{Name: "A", Limit: &limiter.Limit{Count: 1}}), `limit: window is shorter than a millisecond`},
	{"bad burst", policies(Policy{Kind: Subscription, Name: "A", Burst: perMinute(-1)}), `subscription policy "A": burst: count is negative`},
	{"burst of advanced", policies(Policy{Name: "A", Burst: perMinute(1)}), `burst: only subscription and application policies`},
	{"groups of a plan", policies(Policy{Kind: Subscription, Name: "A", Groups: []Group{{}}}), `groups: only advanced policies`},
	{"pass of an application", policies(Policy{Kind: Application, Name: "A", PassOnQuotaReach: true}), `pass_on_quota_reach: only subscription`},
	{"advanced per application", policies(Policy{Name: "A", Per: PerApplication}), `per: advanced policies count for all users together or per user`},
	{"subscription per user", policies(Policy{Kind: Subscription, Name: "A", Per: PerUser}), `per: subscription policies count per subscription`},
	{"unknown scope", policies(Policy{Kind: Application, Name: "A", Per: 9}), `per: unknown scope 9`},

	{"bad limit of a group", grouped(perMinute(-1), header("x", "")), `advanced policy "A": groups[0]: limit: count is negative`},
	{"no conditions", grouped(nil), `groups[0]: conditions: are none`},
	{"empty condition", grouped(nil, header("x", ""), Condition{}), `groups[0].conditions[1]: says nothing`},
	{"two in one", grouped(nil, Condition{Header: &ValueCondition{Name: "x"}, Query: &ValueCondition{Name: "x"}}), `says more than one thing`},
	{"bad pattern", grouped(nil, header("x", "(")), "groups[0].conditions[0]: header: pattern \"(\": error parsing regexp: missing closing ): `(`"},
	{"long pattern", grouped(nil, header("x", strings.Repeat("a", 1001))), `header: pattern`},
	{"no header", grouped(nil, header("", "a")), `header: name is empty`},
	{"no query", grouped(nil, Condition{Query: &ValueCondition{}}), `query: name is empty`},
	{"no claim", grouped(nil, Condition{Claim: &ValueCondition{}}), `claim: name is empty`},
	{"no address", grouped(nil, ip(IPCondition{})), `ip: has no valid address, prefix or range`},
	{"half a range", grouped(nil, ip(IPCondition{From: addr("10.0.0.1")})), `ip: range has no valid last address`},
	{"other half", grouped(nil, ip(IPCondition{To: addr("10.0.0.1")})), `ip: range has no valid first address`},
	{"backwards", grouped(nil, ip(IPCondition{From: addr("10.0.0.2"), To: addr("10.0.0.1")})), `ip: range from 10.0.0.2 to 10.0.0.1 ends before it begins`},
	{"mixed range", grouped(nil, ip(IPCondition{From: addr("10.0.0.2"), To: addr("::1")})), `ip: range from 10.0.0.2 to ::1 mixes IPv4 and IPv6`},
	{"zone", grouped(nil, ip(IPCondition{From: addr("fe80::1%a"), To: addr("fe80::2")})), `ip: range has an address with a zone`},
	{"prefix and range", grouped(nil, ip(IPCondition{Prefix: netip.MustParsePrefix("10.0.0.0/8"), From: addr("10.0.0.1")})), `ip: has a prefix and a range`},

	{"rule without a key", rules(CustomRule{Name: "r", Limit: *perMinute(1)}), `custom rule "r": key: is empty`},
	{"rule without a name", rules(CustomRule{Key: "a", Limit: *perMinute(1)}), `custom rule "": name: is empty`},
	{"same rule", rules(CustomRule{Name: "r", Key: "a", Limit: *perMinute(1)}, CustomRule{Name: "r", Key: "b", Limit: *perMinute(1)}), `custom rule "r": name: is taken by an earlier rule`},
	{"rule without a limit", rules(CustomRule{Name: "r", Key: "a"}), `custom rule "r": limit: window is shorter`},
	{"bad when", rules(CustomRule{Name: "r", Key: "a", When: "??", Limit: *perMinute(1)}), `custom rule "r": when: 1:1: unexpected "??"`},
	{"bad key", rules(CustomRule{Name: "r", Key: "a:$foo", Limit: *perMinute(1)}), `custom rule "r": key: column 3: unknown variable $foo`},

	{"deny nothing", denies(Deny{ID: "d", Kind: DenyUser}), `deny policy "d": value: is empty`},
	{"deny no context", denies(Deny{ID: "d", Kind: DenyAPI, Value: "pizza"}), `value: "pizza" does not begin with a slash`},
	{"deny a slash more", denies(Deny{ID: "d", Kind: DenyAPI, Value: "/pizza/"}), `value: "/pizza/" ends with a slash`},
	{"deny no owner", denies(Deny{Kind: DenyApplication, Value: ":a"}), `deny policy "#0": value: ":a" is not owner:name`},
	{"deny no application", denies(Deny{Kind: DenyApplication, Value: "a:"}), `value: "a:" is not owner:name`},
	{"deny without colon", denies(Deny{Kind: DenyApplication, Value: "a"}), `value: "a" is not owner:name`},
	{"deny no address", denies(Deny{Kind: DenyIP, Value: "10.0.0.1"}), `ip: is no valid address or prefix`},
	{"deny a range as IP", denies(Deny{Kind: DenyIP, IP: IPCondition{From: addr("::1"), To: addr("::2")}}), `ip: is no valid address or prefix`},
	{"deny a prefix as range", denies(Deny{Kind: DenyIPRange, IP: IPCondition{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}), `ip: is a prefix`},
	{"deny backwards", denies(Deny{Kind: DenyIPRange, IP: IPCondition{From: addr("::2"), To: addr("::1")}}), `ip: range from ::2 to ::1 ends before`},
	{"deny all but a user", denies(Deny{Kind: DenyUser, Value: "a", Invert: true}), `invert: only addresses can be inverted`},
	{"unknown deny", denies(Deny{Kind: 9, Value: "a"}), `kind: unknown kind 9`},
	{"same deny", denies(Deny{ID: "d", Kind: DenyUser, Value: "a"}, Deny{ID: "d", Kind: DenyUser, Value: "b"}), `id: is taken by an earlier deny policy`},
	{"off and wrong", denies(Deny{ID: "d", Kind: DenyIP, Off: true}), `ip: is no valid address`},

	{"backend of nothing", backends(Backend{Version: "1"}), `backend of  1: context: "" does not begin with a slash`},
	{"same backend", backends(Backend{Context: "/a", Version: "1"}, Backend{Context: "/a", Version: "1"}), `backend of /a 1: the API has an earlier one`},
	{"bad production", backends(Backend{Context: "/a", Production: perMinute(-1)}), `production: count is negative`},
	{"bad sandbox", backends(Backend{Context: "/a", Sandbox: perMinute(-1)}), `sandbox: count is negative`},
	{"calendar that slides", policies(Policy{Name: "A", Limit: &limiter.Limit{
		Count: 1, Window: limiter.Window{Calendar: limiter.Day}, Algorithm: limiter.SlidingWindow,
	}}), `limit: calendar windows need`},
}

func policies(p ...Policy) Definition  { return Definition{Policies: p} }
func rules(r ...CustomRule) Definition { return Definition{Rules: r} }
func denies(d ...Deny) Definition      { return Definition{Denies: d} }
func backends(b ...Backend) Definition { return Definition{Backends: b} }
func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func ip(c IPCondition) Condition       { return Condition{IP: &c} }
func header(name, pattern string) Condition {
	return Condition{Header: &ValueCondition{Name: name, Pattern: pattern}}
}

func grouped(l *limiter.Limit, c ...Condition) Definition {
	return policies(Policy{Name: "A", Limit: perMinute(1), Groups: []Group{{Limit: l, Conditions: c}}})
}

func TestFaults(t *testing.T) {
	for _, tt := range faultCases {
		s, err := Compile(tt.d, Options{Compiler: testCompiler{}})
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: error is %v, want Faults", tt.name, err)
			continue
		}
		if s != nil {
			t.Errorf("%s: a Set beside the error", tt.name)
		}
		if got := err.Error(); len(faults) != 1 || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got\n%s\nwant one fault: %s", tt.name, got, tt.want)
		}
	}
}

// All faults are reported, in order and with their places.
func TestFaultsAllAtOnce(t *testing.T) {
	var d Definition
	for _, tt := range faultCases {
		d.Policies = append(d.Policies, tt.d.Policies...)
		d.Rules = append(d.Rules, tt.d.Rules...)
		d.Denies = append(d.Denies, tt.d.Denies...)
		d.Backends = append(d.Backends, tt.d.Backends...)
	}
	_, err := Compile(d, Options{Compiler: testCompiler{}})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) < len(faultCases) {
		t.Fatalf("%d faults, want at least %d", len(faults), len(faultCases))
	}
	rank := map[List]int{Policies: 0, Rules: 1, Denies: 2, Backends: 3}
	for i := 1; i < len(faults); i++ {
		a, b := faults[i-1], faults[i]
		if rank[a.List] > rank[b.List] || a.List == b.List && a.Index > b.Index {
			t.Errorf("fault %q of %s[%d] stands before %q of %s[%d]", a, a.List, a.Index, b, b.List, b.Index)
		}
	}
	if got, want := strings.Count(err.Error(), "\n")+1, len(faults); got != want {
		t.Errorf("%d lines for %d faults", got, want)
	}
	if got := len(faults.Unwrap()); got != len(faults) {
		t.Errorf("%d errors unwrapped, want %d", got, len(faults))
	}
}

func TestFaultPlace(t *testing.T) {
	d := policies(Policy{Name: "ok"}, Policy{Name: "A", Groups: []Group{
		{Conditions: []Condition{header("x", "")}},
		{Conditions: []Condition{header("x", ""), header("x", "("), header("y", "")}},
	}})
	_, err := Compile(d, Options{})
	var f *Fault
	if !errors.As(err, &f) {
		t.Fatalf("error is %v, want a Fault", err)
	}
	if f.List != Policies || f.Index != 1 || f.Group != 1 || f.Condition != 1 || f.Field != "header" {
		t.Errorf("fault is at %s[%d] group %d condition %d field %q", f.List, f.Index, f.Group, f.Condition, f.Field)
	}
	if errors.Unwrap(f) == nil {
		t.Error("fault has no cause")
	}
}

func TestCompileWithoutCompiler(t *testing.T) {
	_, err := Compile(rules(CustomRule{Name: "r", When: "true", Key: "a", Limit: *perMinute(1)}), Options{})
	if err == nil || !strings.Contains(err.Error(), "no compiler") {
		t.Errorf("error is %v, want that there is no compiler", err)
	}
	if _, err := Compile(rules(CustomRule{Name: "r", Key: "a", Limit: *perMinute(1)}), Options{}); err != nil {
		t.Errorf("a rule without a condition needs no compiler: %v", err)
	}
}

func TestCompileIPv6Bits(t *testing.T) {
	for _, tt := range []struct {
		bits int
		ok   bool
	}{{-1, false}, {0, true}, {1, true}, {56, true}, {128, true}, {129, false}} {
		if _, err := Compile(Definition{}, Options{IPv6Bits: tt.bits}); (err == nil) != tt.ok {
			t.Errorf("IPv6Bits %d: %v, want ok %v", tt.bits, err, tt.ok)
		}
	}
}

// A Set does not change with the definition that it was compiled from.
func TestCompileKeepsNothing(t *testing.T) {
	l := perMinute(5)
	d := policies(Policy{Kind: Subscription, Name: "Gold", Limit: l})
	d.Denies = []Deny{{ID: "d", Kind: DenyUser, Value: "mallory"}}
	s := compile(t, d)
	l.Count, l.Window.Length = 1, time.Hour
	d.Policies[0].Name, d.Denies[0].Off = "x", true
	req := request()
	req.ResourceTier, req.Application.Tier = "", ""
	var m Match
	s.Match(&m, req)
	if len(m.Checks) != 1 || m.Checks[0].Limit.Count != 5 || m.Checks[0].Limit.Window.Length != time.Minute {
		t.Errorf("checks are %+v, want 5 a minute", m.Checks)
	}
	req.User = "mallory"
	if s.Match(&m, req); m.Denied == nil || m.Denied.Off {
		t.Errorf("denied by %+v, want the policy as it was", m.Denied)
	}
}

package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// A wantedCheck is a check as the reference expects it.
type wantedCheck struct {
	level  weir.Level
	policy string
	group  int
	limit  limiter.Limit
	soft   bool
	n      int64
	tuple  string // what is counted apart, each part quoted
}

// A wanted is what the reference expects of a Match.
type wanted struct {
	denied     []string // IDs of the deny policies, one of which must be named
	checks     []wantedCheck
	unknown    string
	ruleErrors int
}

// reference matches req against d the slow and plain way: by reading d.
func reference(d *Definition, req *weir.Request, events int64, want func(limiter.Cost) bool) wanted {
	var w wanted
	if w.denied = deniedBy(d, req); w.denied != nil {
		return w
	}
	add := func(level weir.Level, name string, group int, l *limiter.Limit, soft bool, tuple ...string) {
		if l == nil || !want(l.Cost) {
			return
		}
		c := wantedCheck{level: level, policy: name, group: group, limit: *l, soft: soft}
		c.limit.OnStoreLoss = limiter.Local // which follows from Eventual
		c.limit.Shadow = c.limit.Shadow || soft
		c.n = map[limiter.Cost]int64{limiter.Requests: max(1, req.Weight), limiter.Bytes: max(0, req.Bytes), limiter.Events: events}[l.Cost]
		c.tuple = fmt.Sprintf("%v %d %d %q", level, l.Algorithm, l.Cost, tuple)
		w.checks = append(w.checks, c)
	}
	find := func(k Kind, tier string) *Policy {
		if tier == "" || tier == "Unlimited" {
			return nil
		}
		for i := range d.Policies {
			if d.Policies[i].Kind == k && d.Policies[i].Name == tier {
				return &d.Policies[i]
			}
		}
		if w.unknown == "" {
			w.unknown = tier
		}
		return nil
	}
	app := req.Application.ID
	if req.User == "anonymous" && req.Application.Name+req.Application.Owner == "" {
		app = "address " + counted(req.ClientIP)
	}
	level, tier, parts := weir.LevelAPI, req.APITier, []string{req.Context, req.Version}
	if tier == "" || tier == "Unlimited" {
		level, tier, parts = weir.LevelResource, req.ResourceTier, append(parts, req.Resource, req.Verb)
	}
	if p := find(Advanced, tier); p != nil {
		group, l := referenceGroup(p, req)
		if p.Per == PerUser {
			parts = append(parts, "user", req.User)
		}
		add(level, p.Name, group, l, false, append(parts, fmt.Sprint(group))...)
	}
	if p := find(Subscription, req.SubscriptionTier); p != nil {
		add(weir.LevelSubscription, p.Name, -1, p.Limit, p.PassOnQuotaReach, p.Name, app, req.Context, req.Version)
		add(weir.LevelSubscriptionBurst, p.Name, -1, p.Burst, false, p.Name, app, req.Context, req.Version)
	}
	if p := find(Application, req.Application.Tier); p != nil {
		parts := map[Per][]string{
			PerDefault: {"user", app, req.User}, PerUser: {"user", app, req.User},
			PerApplication: {app}, PerToken: {"token", app, req.Token},
		}[p.Per]
		add(weir.LevelApplication, p.Name, -1, p.Limit, false, parts...)
		add(weir.LevelApplicationBurst, p.Name, -1, p.Burst, false, parts...)
	}
	for i := range d.Rules {
		r := &d.Rules[i]
		if !want(r.Limit.Cost) {
			continue
		}
		holds, err := testExpression(r.When).Holds(req)
		if err != nil {
			w.ruleErrors++
		} else if holds {
			add(weir.LevelCustom, r.Name, -1, &r.Limit, false, r.Name, r.Key, referenceKey(r.Key, app, req))
		}
	}
	for _, b := range d.Backends {
		if b.Context == req.Context && b.Version == req.Version {
			l := map[weir.KeyType]*limiter.Limit{weir.Production: b.Production, weir.Sandbox: b.Sandbox}[req.KeyType]
			add(weir.LevelBackend, req.KeyType.String(), -1, l, false, b.Context, b.Version, req.KeyType.String())
		}
	}
	return w
}

// counted returns an address as it counts.
func counted(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.String()
	}
	return a.String()
}

// within compares addresses as text of one length.
func within(a netip.Addr, c *IPCondition) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return false
	}
	if c.Prefix.IsValid() {
		return c.Prefix.Contains(a)
	}
	return a.Is4() == c.From.Is4() && a.StringExpanded() >= c.From.StringExpanded() && a.StringExpanded() <= c.To.StringExpanded() ||
		a.Is4() && c.From.Is4() && slices.Compare(a.AsSlice(), c.From.AsSlice()) >= 0 && slices.Compare(a.AsSlice(), c.To.AsSlice()) <= 0
}

func deniedBy(d *Definition, req *weir.Request) []string {
	by := map[DenyKind][]string{}
	for _, x := range d.Denies {
		hit := false
		kind := x.Kind
		switch x.Kind {
		case DenyAPI:
			hit = x.Value == req.Context
		case DenyApplication:
			hit = x.Value == req.Application.Owner+":"+req.Application.Name
		case DenyUser:
			hit = x.Value == req.User
		default:
			hit, kind = within(req.ClientIP, &x.IP) != x.Invert, DenyIP
		}
		if hit && !x.Off {
			by[kind] = append(by[kind], x.ID)
		}
	}
	for _, k := range []DenyKind{DenyAPI, DenyApplication, DenyUser, DenyIP} {
		if by[k] != nil {
			return by[k]
		}
	}
	return nil
}

func referenceGroup(p *Policy, req *weir.Request) (int, *limiter.Limit) {
	for i, g := range p.Groups {
		all := true
		for _, c := range g.Conditions {
			all = all && referenceCondition(c, req) != c.Invert
		}
		if all {
			return i, g.Limit
		}
	}
	return -1, p.Limit
}

func referenceCondition(c Condition, req *weir.Request) bool {
	if c.IP != nil {
		return within(req.ClientIP, c.IP)
	}
	values, v := req.Claims, c.Claim
	if c.Header != nil {
		values, v = req.Headers, c.Header
	} else if c.Query != nil {
		values, v = req.Query, c.Query
	}
	if values == nil {
		return false
	}
	s, ok := values.Value(v.Name)
	return ok && regexp.MustCompile(v.Pattern).MatchString(s)
}

// referenceKey replaces the variables of a template by quoted values.
func referenceKey(key, app string, req *weir.Request) string {
	value := func(v weir.Values) string {
		if v != nil {
			if s, ok := v.Value("x"); ok {
				return fmt.Sprintf("%q", s)
			}
		}
		return "absent"
	}
	return strings.NewReplacer(
		"$userId", fmt.Sprintf("%q", req.User), "$apiContext", fmt.Sprintf("%q", req.Context),
		"$resourceKey", fmt.Sprintf("%q", []string{req.Context, req.Version, req.Resource, req.Verb}),
		"$appId", fmt.Sprintf("%q", app), "$clientIp", counted(req.ClientIP), "$keyType", req.KeyType.String(),
		"$header.x", value(req.Headers), "$query.x", value(req.Query), "$claim.x", value(req.Claims),
	).Replace(key)
}

// testExpression is an expression of the tests: user=NAME, fail, or empty.
type testExpression string

var errTest = errors.New("no such key")

func (x testExpression) Holds(req *weir.Request) (bool, error) {
	if x == "fail" {
		return false, errTest
	}
	name, ok := strings.CutPrefix(string(x), "user=")
	return !ok || name == req.User, nil
}

// testCompiler compiles the expressions of the tests.
type testCompiler struct{}

func (testCompiler) Compile(expr string) (Expression, error) {
	if expr != "fail" && !strings.HasPrefix(expr, "user=") {
		return nil, fmt.Errorf("1:1: unexpected %q", expr)
	}
	return testExpression(expr), nil
}

// keyring remembers which key stands for which tuple, over many Sets.
type keyring struct {
	tuples map[limiter.Key]string
	keys   map[string]limiter.Key
}

func newKeyring() *keyring {
	return &keyring{map[limiter.Key]string{}, map[string]limiter.Key{}}
}

func (k *keyring) add(t *testing.T, key limiter.Key, tuple string) {
	t.Helper()
	if was, ok := k.tuples[key]; ok && was != tuple {
		t.Errorf("one key for two tuples:\n%s\n%s", was, tuple)
	}
	if was, ok := k.keys[tuple]; ok && was != key {
		t.Errorf("two keys for one tuple: %s", tuple)
	}
	k.tuples[key], k.keys[tuple] = tuple, key
}

// check compares what s asks of req with what the reference does.
func (k *keyring) check(t *testing.T, d *Definition, s *Set, m *Match, req *weir.Request, how charge) {
	t.Helper()
	var w wanted
	switch how {
	case wholeCall:
		s.Match(m, req)
		w = reference(d, req, 1, func(limiter.Cost) bool { return true })
	case openStream:
		s.MatchOpen(m, req)
		w = reference(d, req, 0, func(c limiter.Cost) bool { return c != limiter.Events })
	case streamEvent:
		s.MatchEvents(m, req, 3)
		w = reference(d, req, 3, func(c limiter.Cost) bool { return c == limiter.Events })
	}
	if (m.Denied == nil) != (w.denied == nil) || m.Denied != nil && !slices.Contains(w.denied, m.Denied.ID) {
		t.Errorf("denied by %+v, want one of %v", m.Denied, w.denied)
	}
	if m.Unknown != w.unknown || m.RuleErrors != w.ruleErrors {
		t.Errorf("unknown %q, %d rule errors; want %q, %d", m.Unknown, m.RuleErrors, w.unknown, w.ruleErrors)
	}
	if len(m.Checks) != len(w.checks) || len(m.Sources) != len(w.checks) {
		t.Fatalf("%d checks, %d sources: %v; want %v", len(m.Checks), len(m.Sources), keys(s, m, req), w.checks)
	}
	seen := map[limiter.Key]bool{}
	for i, want := range w.checks {
		src, c := m.Sources[i], &m.Checks[i]
		got := wantedCheck{src.Level, src.Policy, src.Group, *c.Limit, src.Soft, c.N, want.tuple}
		if got != want {
			t.Errorf("check %d: got %+v, want %+v", i, got, want)
		}
		if src.Limit != c.Limit {
			t.Errorf("check %d: the source has another limit", i)
		}
		if seen[c.Key] {
			t.Errorf("check %d: key of an earlier check", i)
		}
		seen[c.Key] = true
		k.add(t, c.Key, want.tuple)
		s.AppendKey(nil, m, i, req)
	}
}

func TestMatchAgainstReference(t *testing.T) {
	ring := newKeyring()
	for seed := range uint64(150) {
		matchRandomly(t, ring, rand.New(rand.NewPCG(seed, 7)))
	}
	if len(ring.keys) < 1000 {
		t.Errorf("%d tuples were seen, want many", len(ring.keys))
	}
}

func FuzzMatchAgainstReference(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		matchRandomly(t, newKeyring(), rand.New(rand.NewPCG(a, b)))
	})
}

// matchRandomly compares a random definition with the reference on random requests.
func matchRandomly(t *testing.T, ring *keyring, r *rand.Rand) {
	g := generator{r}
	d := g.definition()
	s, err := Compile(d, Options{Compiler: testCompiler{}})
	if err != nil {
		t.Fatal(err)
	}
	var m Match
	for range 20 {
		ring.check(t, &d, s, &m, g.request(), charge(r.IntN(3)))
	}
}

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// Compile checks d as a whole and makes a Set of it. If anything is wrong it
// makes none, and the error is [Faults]: all of them, each with its place.
//
// d alone counts: the default policies are not added, see [Merge]. The Set keeps
// no part of d that the caller could still change.
func Compile(d Definition, o Options) (*Set, error) {
	c := compiler{options: o, set: &Set{
		seed: o.Seed, ipv6Bits: o.IPv6Bits,
		advanced:      make(map[string]*advanced),
		subscriptions: make(map[string]*plan),
		applications:  make(map[string]*plan),
		backends:      make(map[api]*backend, len(d.Backends)),
		told:          make(map[toldKey]*bound),
		sources:       make(map[*limiter.Limit]*Source),
	}}
	if o.IPv6Bits == 0 {
		c.set.ipv6Bits = 64
	}
	if o.IPv6Bits < 0 || o.IPv6Bits > 128 {
		return nil, fmt.Errorf("compile policies: IPv6Bits is %d; it can be from 1 to 128, 0 means 64", o.IPv6Bits)
	}
	if err := checkAccuracies(&o.Accuracy); err != nil {
		return nil, err
	}
	for i := range d.Policies {
		c.policy(i, &d.Policies[i])
	}
	c.rules(d.Rules)
	c.set.denies, c.set.denied = c.denials(d.Denies), slices.Clone(d.Denies)
	for i := range d.Backends {
		c.backend(i, &d.Backends[i])
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return c.set, nil
}

// A compiler makes one Set.
type compiler struct {
	options Options
	set     *Set
	faults  Faults
}

func (c *compiler) scope(l List, i int, subject string) scope {
	return scope{&c.faults, l, i, -1, -1, subject}
}

func (c *compiler) policy(i int, p *Policy) {
	at := c.scope(Policies, i, fmt.Sprintf("%s policy %s", p.Kind, quoted(p.Name)))
	if p.Kind > Application {
		at.say("", fmt.Sprintf("unknown kind %d", p.Kind))
		return
	}
	at.add("name", checkName(p.Name))
	if c.set.names(p.Kind, p.Name) {
		at.say("name", "is taken by an earlier policy of the kind")
	}
	at.add("limit", checkLimit(p.Limit))
	at.add("burst", checkLimit(p.Burst))
	if p.Name == weir.Unlimited && (p.Limit != nil || p.Burst != nil || len(p.Groups) > 0) {
		at.say("name", "means without a limit; a policy with one needs another name")
	}
	if len(p.Groups) > 0 && p.Kind != Advanced {
		at.say("groups", "only advanced policies have them")
	}
	if p.Burst != nil && p.Kind == Advanced {
		at.say("burst", "only subscription and application policies have one")
	}
	if p.PassOnQuotaReach && p.Kind != Subscription {
		at.say("pass_on_quota_reach", "only subscription policies have it")
	}
	at.add("per", checkPer(p.Kind, p.Per))
	switch p.Kind {
	case Advanced:
		c.set.advanced[p.Name] = c.advanced(p, at)
	case Subscription:
		c.set.subscriptions[p.Name] = c.subscription(p)
	case Application:
		c.set.applications[p.Name] = c.application(p)
	}
}

func checkPer(k Kind, p Per) error {
	switch {
	case p == PerDefault, k == Application && p <= PerToken, k == Advanced && p == PerUser:
		return nil
	case p > PerToken:
		return fmt.Errorf("unknown scope %d", p)
	case k == Advanced:
		return errors.New("advanced policies count for all users together or per user")
	}
	return errors.New("subscription policies count per subscription")
}

// advanced compiles p; faults of its groups are recorded in at.
func (c *compiler) advanced(p *Policy, at scope) *advanced {
	a := &advanced{otherwise: c.either(p, -1, p.Limit), groups: make([]group, len(p.Groups))}
	for i := range p.Groups {
		g := &p.Groups[i]
		in := at.in(i, -1)
		in.add("limit", checkLimit(g.Limit))
		if len(g.Conditions) == 0 {
			in.say("conditions", "are none; the policy's own limit holds where no group does")
		}
		out := group{either: c.either(p, i, g.Limit), conditions: make([]condition, len(g.Conditions))}
		for j := range g.Conditions {
			out.conditions[j] = compileCondition(&g.Conditions[j], at.in(i, j))
			c.set.carry(g.Conditions[j].fields())
		}
		a.groups[i] = out
	}
	a.told = tellGroups(p.Groups)
	return a
}

// either makes the bounds of a limit of an advanced policy.
func (c *compiler) either(p *Policy, group int, l *limiter.Limit) either {
	per := PerDefault
	if p.Per == PerUser {
		per = PerUser
	}
	e := either{
		perUser:  per == PerUser,
		api:      c.bound(weir.LevelAPI, per, group, p.Name, l),
		resource: c.bound(weir.LevelResource, per, group, p.Name, l),
	}
	c.set.tell(e.api)
	c.set.tell(e.resource)
	return e
}

func (c *compiler) subscription(p *Policy) *plan {
	s := &plan{
		quota: c.bound(weir.LevelSubscription, PerDefault, -1, p.Name, p.Limit, p.Name),
		burst: c.bound(weir.LevelSubscriptionBurst, PerDefault, -1, p.Name, p.Burst, p.Name),
	}
	if p.PassOnQuotaReach && s.quota != nil {
		s.quota.limit.Shadow = true
		s.quota.source.Soft = true
	}
	c.set.tell(s.quota)
	return s
}

func (c *compiler) application(p *Policy) *plan {
	per := p.Per
	if per == PerDefault {
		per = PerUser
	}
	a := &plan{
		per:   per,
		quota: c.bound(weir.LevelApplication, per, -1, p.Name, p.Limit),
		burst: c.bound(weir.LevelApplicationBurst, per, -1, p.Name, p.Burst),
	}
	c.set.tell(a.quota)
	if per == PerToken {
		c.set.carry(weir.Fields{Token: true})
	}
	return a
}

// bound makes the bound of l, nil if there is no limit.
func (c *compiler) bound(level weir.Level, per Per, group int, policy string, l *limiter.Limit, names ...string) *bound {
	if l == nil {
		return nil
	}
	b := &bound{limit: *l, head: head(c.set.seed, level, per, group, l, names...)}
	b.limit.Accuracy = c.options.of(level, l)
	b.limit.OnStoreLoss = lossOf(l.OnStoreLoss, b.limit.Accuracy)
	item := string(limiter.AppendPolicy(nil, level.String()+":"+policy, l))
	b.source = Source{
		Level: level, Policy: strings.Clone(policy), Group: group, Limit: &b.limit,
		Name: item[:strings.LastIndex(item, `";q=`)+1], Item: item,
		form: form{per: per, ipv6Bits: c.set.ipv6Bits},
	}
	c.set.sources[&b.limit] = &b.source
	return b
}

func (c *compiler) rules(rules []CustomRule) {
	seen := make(map[string]bool, len(rules))
	for i := range rules {
		r := &rules[i]
		at := c.scope(Rules, i, "custom rule "+quoted(r.Name))
		at.add("name", checkName(r.Name))
		if seen[r.Name] {
			at.say("name", "is taken by an earlier rule")
		}
		seen[r.Name] = true
		at.add("limit", checkLimit(&r.Limit))
		out := rule{}
		t, err := parseTemplate(r.Key)
		at.add("key", err)
		switch {
		case r.When == "":
		case c.options.Compiler == nil:
			at.say("when", "there is no compiler for conditions")
		default:
			out.when, err = c.options.Compiler.Compile(r.When)
			at.add("when", err)
		}
		out.bound = c.bound(weir.LevelCustom, PerDefault, -1, r.Name, &r.Limit, r.Name, r.Key)
		out.source.form.template = t
		out.key, out.text = t, strings.Clone(r.Key)
		c.tellRule(&out)
		c.set.rules = append(c.set.rules, out)
	}
}

// tellRule notes what traffic managers need to know of a rule, unless they cannot
// decide whether it applies.
func (c *compiler) tellRule(r *rule) {
	if r.when != nil {
		reader, ok := r.when.(Reader)
		if !ok {
			return
		}
		f, all := reader.Fields()
		if !all {
			return
		}
		c.set.carry(f)
	}
	c.set.tell(r.bound)
	c.set.carry(r.key.fields())
}

func (c *compiler) backend(i int, b *Backend) {
	at := c.scope(Backends, i, fmt.Sprintf("backend of %s %s", shortened(b.Context), shortened(b.Version)))
	at.add("context", checkContext(b.Context))
	id := api{strings.Clone(b.Context), strings.Clone(b.Version)}
	if _, ok := c.set.backends[id]; ok {
		at.say("", "the API has an earlier one")
	}
	at.add("production", checkLimit(b.Production))
	at.add("sandbox", checkLimit(b.Sandbox))
	out := &backend{}
	for k, l := range [...]*limiter.Limit{weir.Production: b.Production, weir.Sandbox: b.Sandbox} {
		name := weir.KeyType(k).String()
		h := c.bound(weir.LevelBackend, PerDefault, -1, name, l, id.context, id.version, name)
		if h == nil {
			continue
		}
		h.source.form.tail = id.context + ":" + id.version + ":" + name + ":" + name + "_HARD_LIMIT"
		out[k] = h
	}
	c.set.backends[id] = out
}

// maxName is how long a name may be, in characters.
const maxName = 60

// shortened returns a name for a message, of names that are too long the beginning.
func shortened(name string) string {
	if n := 2 * maxName; len(name) > n {
		return name[:n] + "..."
	}
	return name
}

// quoted returns a name in quotes for a message.
func quoted(name string) string { return strconv.Quote(shortened(name)) }

func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case !utf8.ValidString(s):
		return errors.New("is not valid UTF-8")
	case utf8.RuneCountInString(s) > maxName:
		return fmt.Errorf("is longer than %d characters", maxName)
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("has control characters")
	case strings.TrimSpace(s) != s:
		return errors.New("begins or ends with a space")
	}
	return nil
}

func checkLimit(l *limiter.Limit) error {
	if l == nil {
		return nil
	}
	checked := *l
	if l.Accuracy == ByLevel {
		checked.Accuracy = limiter.Eventual
	}
	return checked.Validate()
}

func checkContext(s string) error {
	switch {
	case !strings.HasPrefix(s, "/"):
		return fmt.Errorf("%s does not begin with a slash", quoted(s))
	case len(s) > 1 && strings.HasSuffix(s, "/"):
		return fmt.Errorf("%s ends with a slash", quoted(s))
	}
	return nil
}

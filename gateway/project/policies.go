package project

import (
	"errors"
	"math"
	"strings"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

var errLocalZone = errors.New("the machine's own time zone is not the same on every node")

// A policyFile is what policies.yaml holds, with the places of it.
type policyFile struct {
	definition policy.Definition // the file's own, without the default policies
	policies   []policyPlace
	rules      []value
	denies     []value
	named      map[policyName]bool // also those that are at fault
	unread     bool                // the file is at fault as a whole: nobody knows what it names
}

// A policyName is what tells policies apart.
type policyName struct {
	kind policy.Kind
	name string
}

// A policyPlace is where a policy stands.
type policyPlace struct {
	value
	groups     []value
	conditions [][]value
}

// policyLists are the lists of policies.yaml by the kind of their policies.
var policyLists = map[string]policy.Kind{
	"resourcePolicies":     policy.Advanced,
	"subscriptionPolicies": policy.Subscription,
	"applicationPolicies":  policy.Application,
}

// readPolicies reads a policies.yaml. Faults go to the report.
func readPolicies(name string, text []byte, r *report) *policyFile {
	f := &policyFile{named: map[policyName]bool{}}
	root, err := readDocument(name, text, r)
	if err != nil {
		r.add(err)
		f.unread = true
		return f
	}
	if root == nil {
		return f
	}
	top, _ := value{place{file: name, node: root}, r}.object(
		"resourcePolicies", "applicationPolicies", "subscriptionPolicies", "customRules", "denyPolicies")
	for _, list := range []string{"resourcePolicies", "applicationPolicies", "subscriptionPolicies"} {
		if v, ok := top.get(list); ok {
			for _, item := range v.list() {
				f.policy(item, policyLists[list])
			}
		}
	}
	if v, ok := top.get("customRules"); ok {
		for _, item := range v.list() {
			f.rule(item)
		}
	}
	if v, ok := top.get("denyPolicies"); ok {
		for _, item := range v.list() {
			f.deny(item)
		}
	}
	return f
}

// policy reads one policy: a mapping of its name to what it says.
func (f *policyFile) policy(item value, kind policy.Kind) {
	pairs, ok := item.pairs()
	if !ok || len(pairs) != 1 {
		item.fault("a policy must be one name with its limit: - Gold: {count: 5000, unitTime: 1, timeUnit: min}")
		return
	}
	p := policy.Policy{Kind: kind, Name: pairs[0].name}
	if strings.TrimSpace(p.Name) == "" {
		pairs[0].key.fault("a policy must have a name")
		return
	}
	f.named[policyName{kind, p.Name}] = true
	known := append([]string{"description"}, limitKeys...)
	switch kind {
	case policy.Advanced:
		known = append(known, "per", "conditionalGroups")
	case policy.Subscription:
		known = append(append(known, "stopOnQuotaReach"), burstKeys...)
	case policy.Application:
		known = append(append(known, "per"), burstKeys...)
	}
	o, ok := pairs[0].value.object(known...)
	if !ok {
		return
	}
	p.Description = o.prose("description")
	p.PassOnQuotaReach = !o.boolean("stopOnQuotaReach", true)
	if p.Limit, ok = o.limit(); !ok {
		return
	}
	if p.Burst, ok = o.burst(); !ok {
		return
	}
	if p.Per, ok = o.per(kind); !ok {
		return
	}
	at := policyPlace{value: value{pairs[0].key.place, item.report}}
	if v, there := o.get("conditionalGroups"); there {
		before := len(item.report.faults)
		for _, g := range v.list() {
			group, conditions := readGroup(g)
			p.Groups = append(p.Groups, group)
			at.groups = append(at.groups, g)
			at.conditions = append(at.conditions, conditions)
		}
		if len(item.report.faults) > before {
			return
		}
	}
	f.definition.Policies = append(f.definition.Policies, p)
	f.policies = append(f.policies, at)
}

// burstKeys are the keys of the limit beside the quota.
var burstKeys = []string{"rateLimitCount", "rateLimitTimeUnit", "rateLimitAccuracy", "rateLimitOnStoreLoss"}

// burst returns the limit beside the quota, nil if there is none.
func (o object) burst() (*limiter.Limit, bool) {
	count, ok := o.get(burstKeys[0])
	if !ok {
		for _, k := range burstKeys[1:] {
			if v, there := o.get(k); there {
				v.fault("%s is there without rateLimitCount", k)
				return nil, false
			}
		}
		return nil, true
	}
	unit, hasUnit := o.get("rateLimitTimeUnit")
	n, ok := count.integer(1, math.MaxInt32)
	if !ok {
		return nil, false
	}
	if !hasUnit {
		count.fault("rateLimitCount needs a rateLimitTimeUnit: sec or min")
		return nil, false
	}
	name, ok := unit.oneOf("sec", "min")
	if !ok {
		return nil, false
	}
	w, err := policy.Window(1, name)
	if err != nil {
		unit.fault("%v", err)
		return nil, false
	}
	l := &limiter.Limit{Count: n, Window: w, Shadow: o.boolean("shadow", false)}
	return l, o.sharing(l, "rateLimitAccuracy", "rateLimitOnStoreLoss")
}

// per returns whose requests share the counter of a policy.
func (o object) per(kind policy.Kind) (policy.Per, bool) {
	v, ok := o.get("per")
	if !ok {
		return policy.PerDefault, true
	}
	if kind == policy.Advanced {
		name, ok := v.oneOf("api", "user")
		if name == "user" {
			return policy.PerUser, ok
		}
		return policy.PerDefault, ok
	}
	name, ok := v.oneOf("user", "application", "token")
	switch name {
	case "application":
		return policy.PerApplication, ok
	case "token":
		return policy.PerToken, ok
	}
	return policy.PerUser, ok
}

// rule reads one custom rule.
func (f *policyFile) rule(item value) {
	o, ok := item.object("name", "description", "when", "key", "limit")
	if !ok {
		return
	}
	rule := policy.CustomRule{Description: o.prose("description"), When: o.prose("when")}
	rule.Name, ok = o.required("name", "answers and logs name the rule by it")
	key, hasKey := o.required("key", "requests with the same key share a counter, for example $apiContext:$clientIp")
	rule.Key = key
	v, hasLimit := o.get("limit")
	if !hasLimit {
		o.fault("limit is missing: what the rule holds requests to")
	}
	if !ok || !hasKey || !hasLimit {
		return
	}
	limit, ok := v.object(limitKeys...)
	if !ok {
		return
	}
	l, ok := limit.limit()
	if !ok {
		return
	}
	if l == nil {
		v.fault("a custom rule without a limit does nothing")
		return
	}
	rule.Limit = *l
	f.definition.Rules = append(f.definition.Rules, rule)
	f.rules = append(f.rules, item)
}

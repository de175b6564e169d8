package policy

import (
	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// An Expression is a compiled condition of a custom rule.
type Expression interface {
	// Holds reports whether the expression is true of req. It must not keep
	// req. An error makes the rule not apply and is reported by Match.
	Holds(req *weir.Request) (bool, error)
}

// A Compiler makes expressions of custom rules. Package rule has one for CEL.
type Compiler interface {
	// Compile checks expr as a whole; the error names the place in it.
	Compile(expr string) (Expression, error)
}

// Options are what a Set needs besides its Definition.
type Options struct {
	// Seed keys the counters. A process keeps one seed for as long as it runs,
	// so that counters outlive a change of policies.
	Seed limiter.Seed
	// Compiler compiles custom rules; required if there are any with When.
	Compiler Compiler
	// IPv6Bits is the length of the network by which IPv6 addresses count
	// where an address is a key; zero means 64. Conditions and deny policies
	// see the whole address.
	IPv6Bits int
	// Accuracy is that of limits that are ByLevel.
	Accuracy Accuracies
	// AllEventual takes all limits for Eventual, whatever they say. It is for gateways that
	// share no counters, and for traffic managers, who count what has happened already.
	AllEventual bool
}

// A Set is a compiled [Definition]. It never changes and may be used by many
// goroutines at once.
type Set struct {
	seed     limiter.Seed
	ipv6Bits int

	advanced      map[string]*advanced
	subscriptions map[string]*plan
	applications  map[string]*plan
	rules         []rule
	backends      map[api]*backend
	denies        denials
	denied        []Deny // what denies was compiled from

	told    map[toldKey]*bound
	sources map[*limiter.Limit]*Source
	windows []limiter.Window
	lossy   bool
	fields  weir.Fields
}

// A bound is one limit at one level.
type bound struct {
	limit  limiter.Limit
	head   limiter.Hash // the beginning of the keys under which it counts
	source Source
}

// either is one limit of an advanced policy, at both levels at which it can be
// asked for. The bounds are nil if there is no limit.
type either struct {
	perUser       bool
	api, resource *bound
}

// An advanced policy is compiled to groups and to what holds otherwise.
type advanced struct {
	groups    []group
	otherwise either
	told      string // groups in WSO2's form
}

type group struct {
	either
	conditions []condition
}

// A plan is a compiled subscription or application policy.
type plan struct {
	per          Per
	quota, burst *bound // nil: none
}

// A rule is a compiled custom rule.
type rule struct {
	*bound
	when Expression // nil: always
	key  *template
	text string // of the template
}

// api identifies one version of an API.
type api struct{ context, version string }

// backend has the limits of an API's backends by key type, nil where none.
type backend [2]*bound

// names reports whether there is a policy of kind k named name.
func (s *Set) names(k Kind, name string) bool {
	ok := false
	switch k {
	case Advanced:
		_, ok = s.advanced[name]
	case Subscription:
		_, ok = s.subscriptions[name]
	case Application:
		_, ok = s.applications[name]
	}
	return ok
}

// Source returns where the checks of a limit come from, nil if l is none of s. A limit is
// told by its address: another Set has limits of its own, even if it says the same.
func (s *Set) Source(l *limiter.Limit) *Source { return s.sources[l] }

// Has reports whether a tier can be asked for: whether it is Unlimited, empty, or
// the name of a policy of kind k. A request of any other tier is refused.
func (s *Set) Has(k Kind, tier string) bool {
	return tier == "" || tier == weir.Unlimited || s.names(k, tier)
}

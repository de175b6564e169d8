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
}

// A Source says where a check comes from.
type Source struct {
	Level  weir.Level
	Policy string // name of the policy or the custom rule; for backends PRODUCTION or SANDBOX
	Group  int    // index of the condition group, -1 for the default limit
	// Soft tells that the policy lets requests past (PassOnQuotaReach).
	Soft  bool
	Limit *limiter.Limit

	form form
}

// A Match is what a Set asks of one request. The zero value is ready; it is
// meant to be used again and again: Set.Match overwrites it and, once it has
// grown, allocates nothing.
type Match struct {
	// Denied is the deny policy that refuses the request, or nil. If there is
	// one, there are no checks.
	Denied *Deny
	// Checks stand in the order in which they are to be passed.
	Checks []limiter.Check
	// Sources says of each check where it comes from.
	Sources []*Source
	// Unknown is the name of a tier that the request has and the Set lacks, or
	// empty. Such a request must be refused: it would go unlimited.
	Unknown string
	// UnknownLevel is the level of Unknown, where that is not empty.
	UnknownLevel weir.Level
	// RuleErrors counts custom rules whose expression failed on this request.
	RuleErrors int

	charge  charge
	amounts [3]int64 // by limiter.Cost
}

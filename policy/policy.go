// Package policy says what a request is held to: policies at every level, the
// conditions under which their limits hold, custom rules, deny policies and
// backend limits.
//
// A [Definition] is what people write, as plain data. [Compile] checks it as a
// whole and makes a [Set], which never changes; a gateway swaps one Set for the
// next atomically. Set.Match turns a request into the checks it must pass.
package policy

import (
	"net/netip"

	"github.com/weir-project/weir/limiter"
)

// A Definition is everything that a Set is compiled from. The Accuracy of its limits may
// be [ByLevel].
type Definition struct {
	Policies []Policy
	Rules    []CustomRule
	Denies   []Deny
	Backends []Backend
}

// A Kind is what a policy can be chosen for. Names are unique within a kind.
type Kind uint8

// The kinds of policy.
const (
	Advanced     Kind = iota // of an API or of a resource
	Subscription             // of a subscription: a business plan
	Application              // of an application
)

// String returns the kind's name: advanced, subscription or application.
func (k Kind) String() string {
	switch k {
	case Advanced:
		return "advanced"
	case Subscription:
		return "subscription"
	case Application:
		return "application"
	}
	return "unknown"
}

// A Policy is a named rule: a default limit, and groups of conditions with
// limits of their own.
type Policy struct {
	Kind        Kind
	Name        string
	Description string
	// Limit is the quota; nil means unlimited. With Shadow it is only counted.
	Limit *limiter.Limit
	// Burst is the spike arrest beside the quota, on subscription and
	// application policies; nil means none.
	Burst *limiter.Limit
	// PassOnQuotaReach lets requests past a spent subscription quota (the
	// documents' stopOnQuotaReach = false). They are counted all the same, and
	// every other level, the burst among them, holds.
	PassOnQuotaReach bool
	// Per is whose requests share a counter.
	Per Per
	// Groups are tried in order; the limit of the first that matches holds
	// instead of Limit. Only advanced policies have groups.
	Groups []Group
}

// Per is whose requests share a policy's counter. Advanced policies are
// PerDefault (all users together) or PerUser. Application policies are
// PerDefault (the application and its end user), PerUser (the same),
// PerApplication (all its users together) or PerToken.
type Per uint8

// The scopes of a counter.
const (
	PerDefault Per = iota
	PerUser
	PerApplication
	PerToken
)

// A Group is a set of conditions, all of which must hold, and the limit that
// then does. Each group counts for itself.
type Group struct {
	Description string
	Conditions  []Condition
	Limit       *limiter.Limit // nil means unlimited
}

// A Condition is one thing that can be true of a request. Exactly one of the
// pointers is set.
type Condition struct {
	IP     *IPCondition
	Header *ValueCondition // name without regard to case
	Query  *ValueCondition
	Claim  *ValueCondition
	// Invert makes the condition hold where it otherwise does not: also for a
	// value that is absent.
	Invert bool
}

// An IPCondition holds for addresses in Prefix or, if Prefix is not valid, from
// From to To, both included. A single address is a prefix of full length.
type IPCondition struct {
	Prefix   netip.Prefix
	From, To netip.Addr
}

// A ValueCondition holds if there is a value under Name in which Pattern, a
// regular expression in RE2 syntax, matches somewhere (anchor it with ^ and $
// to match the whole). An empty Pattern holds for every value.
type ValueCondition struct {
	Name    string
	Pattern string
}

// A CustomRule holds every request for which When is true to Limit, counted
// under Key.
type CustomRule struct {
	Name        string
	Description string
	// When is a CEL expression over the request's attributes; empty is true.
	When string
	// Key is the key template: text in which variables stand for values of the
	// request. Each different list of values has a counter of its own. There are
	// $userId, $apiContext, $apiVersion, $apiName, $resourceKey, $resource,
	// $method, $keyType, $clientIp, $appId, $applicationName,
	// $applicationOwner, $appTenant, $apiTenant, and $header.name, $query.name,
	// $claim.name and $customProperty.name, which is a claim too. ${...} sets a
	// variable off from what follows and takes names with other characters
	// than letters, digits, - and _; $$ is a dollar sign. Requests without the
	// named value share one counter.
	Key   string
	Limit limiter.Limit
}

// A DenyKind is what a deny policy names.
type DenyKind uint8

// The kinds of deny policy.
const (
	DenyAPI         DenyKind = iota // Value: the API's context, with its version if the context has it
	DenyApplication                 // Value: owner:name, however it is read if there are more colons
	DenyUser                        // Value: the end user
	DenyIP                          // IP: one address or a prefix
	DenyIPRange                     // IP: From and To, both included
)

// A Deny refuses what it names, before anything is counted.
type Deny struct {
	ID    string
	Kind  DenyKind
	Value string
	IP    IPCondition
	// Invert denies every address but those of IP.
	Invert bool
	// Off keeps the policy without enforcing it.
	Off bool
}

// A Backend is the maximum backend throughput of one version of an API, shared
// by all its users and applications. A nil limit means none.
type Backend struct {
	Context, Version    string
	Production, Sandbox *limiter.Limit
}

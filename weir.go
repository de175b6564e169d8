// Package weir holds the words that all of Weir shares: the Request that a
// gateway found, the Level at which it is held to a limit, and the kinds of key.
//
// It has no behaviour beyond them and imports only the standard library and
// the limiter.
package weir

import (
	"net/netip"
	"time"
)

// A Level is where in the order of checks a limit stands. The order of the
// constants is the order in which limits are checked; the first that refuses
// names the answer.
type Level uint8

// The levels, in the order in which they are checked. A request is held to the
// API level or to the resource level, never to both: an API's own policy wins.
const (
	LevelDeny Level = iota
	LevelAPI
	LevelResource
	LevelSubscription
	LevelSubscriptionBurst
	LevelApplication
	LevelApplicationBurst
	LevelCustom
	LevelBackend
)

var levelNames = [...]string{
	"deny", "api", "resource", "subscription", "subscription-burst",
	"application", "application-burst", "custom", "backend",
}

// String returns the level's name as it stands in configuration, output and logs.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "unknown"
}

// A KeyType tells the production use of an API from its trial use. It picks the
// endpoints and the backend limit.
type KeyType uint8

// The key types.
const (
	Production KeyType = iota
	Sandbox
)

// String returns PRODUCTION or SANDBOX, as in keys and tokens.
func (k KeyType) String() string {
	if k == Sandbox {
		return "SANDBOX"
	}
	return "PRODUCTION"
}

// Unlimited is the tier without a limit. A level at which a request's tier is
// Unlimited or empty is not checked.
const Unlimited = "Unlimited"

// Unauthenticated is the subscription tier of requests to an API that asks for
// no credentials.
const Unauthenticated = "Unauthenticated"

// Values looks up named values of a request: headers, query parameters, claims.
type Values interface {
	// Value returns the first value under name and whether there is one.
	// Header names match without regard to case, others exactly. The string
	// is valid for as long as the request is.
	Value(name string) (string, bool)
}

// A Request is what a gateway found out about one call. All text is in
// canonical form. A Request is valid until its call has been answered: strings
// may share memory with the connection's buffers, so whoever keeps one copies it.
type Request struct {
	// Time is when the request was admitted or refused, read once.
	Time time.Time

	API      string // name
	Version  string
	Context  string // base path, with the version where the API has it there
	Resource string // path template as declared, /pets/{id}
	Verb     string // method in capitals

	// APITier is the advanced policy of the whole API; if it is empty or
	// Unlimited, ResourceTier, the policy of this resource, holds instead.
	APITier      string
	ResourceTier string

	// Application is the application that calls; zero for anonymous calls,
	// where ID is the client's address.
	Application Application
	// SubscriptionTier is the tier with which the application subscribed.
	SubscriptionTier string
	// User is the end user, "anonymous" without credentials.
	User string
	// Token identifies the credential (not the secret): limits per token count it.
	Token string

	KeyType  KeyType
	ClientIP netip.Addr

	Headers Values // nil: none
	Query   Values // nil: none
	Claims  Values // nil: none

	// Bytes is the size of the request's body as declared, -1 if unknown.
	Bytes int64
	// Weight is what the request counts for; zero means 1.
	Weight int64
}

// An Application is a registered consumer of APIs.
type Application struct {
	ID    string
	Name  string
	Owner string
	Tier  string // application policy
}

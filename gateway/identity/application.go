// Package identity finds out who calls: by API key, by JSON Web Token, or by
// address where an API asks for no credentials; and it finds the address of the
// client behind trusted proxies.
//
// A gateway takes the credential out of a request with [Find] and asks an
// [Authenticator] whose it is. The answer is a [Principal], or an [*Error] whose
// Kind says what to answer and whose Reason is for logs only.
package identity

import "github.com/weir-project/weir"

// An Application is a registered consumer with its keys and subscriptions.
type Application struct {
	ID            string
	Name          string
	Owner         string
	Tier          string
	Keys          []Key
	Clients       []Client
	Subscriptions []Subscription
}

// A Key is what is stored of an API key: never the key.
type Key struct {
	Type weir.KeyType
	Hash string // as HashKey returns it
}

// A Client is an OAuth client of an application: tokens that name it are the
// application's.
type Client struct {
	// ID is the consumer key, as tokens have it in consumerKey, azp or client_id.
	ID   string
	Type weir.KeyType
	// Issuer is the only issuer whose tokens may name the client; empty means
	// every trusted one.
	Issuer string
}

// A Subscription is the right of an application to call a version of an API, in
// a tier. An empty Version means every version.
type Subscription struct {
	API     string
	Version string
	Tier    string
}

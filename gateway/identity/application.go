// Package identity finds out who calls: by API key, by JSON Web Token, or by
// address where an API asks for no credentials; and it finds the address of the
// client behind trusted proxies.
package identity

import "github.com/weir-project/weir"

// An Application is a registered consumer with its keys and subscriptions.
type Application struct {
	ID            string
	Name          string
	Owner         string
	Tier          string
	Keys          []Key
	Subscriptions []Subscription
}

// A Key is what is stored of an API key: never the key.
type Key struct {
	Type weir.KeyType
	Hash string // as HashKey returns it
}

// A Subscription is the right of an application to call a version of an API, in
// a tier. An empty Version means every version.
type Subscription struct {
	API     string
	Version string
	Tier    string
}

package gateway

import (
	"time"

	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/policy"
)

// A Definition is everything that a gateway serves and enforces: what a
// project's artifact holds. A gateway takes it as a whole or not at all.
type Definition struct {
	APIs         []API
	Applications []identity.Application
	Policies     policy.Definition
}

// An API is one version of an API as the gateway exposes it.
type API struct {
	Name    string
	Version string
	// Context is the path under which it is served, /petstore/v1: canonical,
	// with a leading and without a trailing slash; "/" alone serves the root.
	Context string
	// Tier is the advanced policy of the whole API; empty leaves it to the
	// resources.
	Tier string
	// DisableSecurity exempts the API from credentials.
	DisableSecurity bool
	// AuthHeader is the header that carries the token; empty means Authorization.
	AuthHeader string
	CORS       *CORS
	Production *Endpoints // nil: no production endpoints
	Sandbox    *Endpoints // nil: sandbox keys are refused
	Resources  []Resource
}

// A Resource is one method on one path template of an API.
type Resource struct {
	Method   string // in capitals
	Template string // below the context: /pets/{petId}
	Tier     string // advanced policy, where the API has none
	// DisableSecurity exempts the resource from credentials.
	DisableSecurity bool
	// Weight is what a request counts for; zero means 1.
	Weight int64
	// Production and Sandbox, where not nil, stand in for the API's.
	Production, Sandbox *Endpoints
}

// Endpoints are the backends of an API for one key type.
type Endpoints struct {
	URLs []string // http, https; the path of the URL stands before the resource's
	// Failover tries the URLs in order; otherwise requests are spread over them.
	Failover bool
	// Timeout bounds a whole call up to the answer's head; zero means the
	// gateway's default.
	Timeout time.Duration
}

// CORS says which origins may call an API from a browser.
type CORS struct {
	AllowOrigins     []string // "*" means any
	AllowMethods     []string
	AllowHeaders     []string
	ExposeHeaders    []string
	AllowCredentials bool
	MaxAge           time.Duration
}

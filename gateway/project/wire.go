package project

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
)

// The types below are a definition as an artifact holds it. A field that is
// added, renamed or removed makes a new version of the artifact.

type wireAPI struct {
	Name            string         `json:"name"`
	Version         string         `json:"version"`
	Context         string         `json:"context"`
	Tier            string         `json:"tier,omitempty"`
	DisableSecurity bool           `json:"disable_security,omitempty"`
	AuthHeader      string         `json:"auth_header,omitempty"`
	CORS            *wireCORS      `json:"cors,omitempty"`
	Production      *wireEndpoints `json:"production,omitempty"`
	Sandbox         *wireEndpoints `json:"sandbox,omitempty"`
	Resources       []wireResource `json:"resources,omitempty"`
}

type wireResource struct {
	Method          string         `json:"method"`
	Template        string         `json:"template"`
	Tier            string         `json:"tier,omitempty"`
	DisableSecurity bool           `json:"disable_security,omitempty"`
	Weight          int64          `json:"weight,omitempty"`
	Production      *wireEndpoints `json:"production,omitempty"`
	Sandbox         *wireEndpoints `json:"sandbox,omitempty"`
}

type wireEndpoints struct {
	URLs     []string      `json:"urls"`
	Failover bool          `json:"failover,omitempty"`
	Timeout  time.Duration `json:"timeout_ns,omitempty"`
}

type wireCORS struct {
	AllowOrigins     []string      `json:"allow_origins,omitempty"`
	AllowMethods     []string      `json:"allow_methods,omitempty"`
	AllowHeaders     []string      `json:"allow_headers,omitempty"`
	ExposeHeaders    []string      `json:"expose_headers,omitempty"`
	AllowCredentials bool          `json:"allow_credentials,omitempty"`
	MaxAge           time.Duration `json:"max_age_ns,omitempty"`
}

type wireApplication struct {
	ID            string             `json:"id"`
	Name          string             `json:"name"`
	Owner         string             `json:"owner"`
	Tier          string             `json:"tier"`
	Keys          []wireKey          `json:"keys,omitempty"`
	Clients       []wireClient       `json:"clients,omitempty"`
	Subscriptions []wireSubscription `json:"subscriptions,omitempty"`
}

type wireKey struct {
	Type string `json:"type"`
	Hash string `json:"hash"`
}

type wireClient struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Issuer string `json:"issuer,omitempty"`
}

type wireSubscription struct {
	API     string `json:"api"`
	Version string `json:"version,omitempty"`
	Tier    string `json:"tier"`
}

// each returns f of every item, nil for none.
func each[A, B any](items []A, f func(A) B) []B {
	if len(items) == 0 {
		return nil
	}
	out := make([]B, len(items))
	for i := range items {
		out[i] = f(items[i])
	}
	return out
}

func wireAPIs(apis []gateway.API) []wireAPI {
	return each(apis, func(a gateway.API) wireAPI {
		return wireAPI{
			a.Name, a.Version, a.Context, a.Tier, a.DisableSecurity, a.AuthHeader, (*wireCORS)(a.CORS),
			(*wireEndpoints)(a.Production), (*wireEndpoints)(a.Sandbox),
			each(a.Resources, func(r gateway.Resource) wireResource {
				return wireResource{
					r.Method, r.Template, r.Tier, r.DisableSecurity, r.Weight,
					(*wireEndpoints)(r.Production), (*wireEndpoints)(r.Sandbox),
				}
			}),
		}
	})
}

func fromWireAPIs(apis []wireAPI) []gateway.API {
	return each(apis, func(a wireAPI) gateway.API {
		return gateway.API{
			Name: a.Name, Version: a.Version, Context: a.Context, Tier: a.Tier, DisableSecurity: a.DisableSecurity,
			AuthHeader: a.AuthHeader, CORS: (*gateway.CORS)(a.CORS),
			Production: (*gateway.Endpoints)(a.Production), Sandbox: (*gateway.Endpoints)(a.Sandbox),
			Resources: each(a.Resources, func(r wireResource) gateway.Resource {
				return gateway.Resource{
					Method: r.Method, Template: r.Template, Tier: r.Tier, DisableSecurity: r.DisableSecurity, Weight: r.Weight,
					Production: (*gateway.Endpoints)(r.Production), Sandbox: (*gateway.Endpoints)(r.Sandbox),
				}
			}),
		}
	})
}

func wireApplications(applications []identity.Application) []wireApplication {
	return each(applications, func(a identity.Application) wireApplication {
		return wireApplication{
			a.ID, a.Name, a.Owner, a.Tier,
			each(a.Keys, func(k identity.Key) wireKey { return wireKey{k.Type.String(), k.Hash} }),
			each(a.Clients, func(c identity.Client) wireClient { return wireClient{c.ID, c.Type.String(), c.Issuer} }),
			each(a.Subscriptions, func(s identity.Subscription) wireSubscription { return wireSubscription(s) }),
		}
	})
}

func fromWireApplications(applications []wireApplication) ([]identity.Application, error) {
	n := &names{}
	out := each(applications, func(a wireApplication) identity.Application {
		return identity.Application{
			ID: a.ID, Name: a.Name, Owner: a.Owner, Tier: a.Tier,
			Keys: each(a.Keys, func(k wireKey) identity.Key {
				return identity.Key{Type: weir.KeyType(n.index(k.Type, "PRODUCTION", "SANDBOX")), Hash: k.Hash}
			}),
			Clients: each(a.Clients, func(c wireClient) identity.Client {
				return identity.Client{ID: c.ID, Type: weir.KeyType(n.index(c.Type, "PRODUCTION", "SANDBOX")), Issuer: c.Issuer}
			}),
			Subscriptions: each(a.Subscriptions, func(s wireSubscription) identity.Subscription { return identity.Subscription(s) }),
		}
	})
	return out, n.err
}

// names turns the names of an artifact into what they stand for.
type names struct{ err error }

// index returns the place of name among all. A name that is not there is an error.
func (n *names) index(name string, all ...string) int {
	i := slices.Index(all, name)
	if i < 0 {
		if n.err == nil {
			n.err = fmt.Errorf("unknown name %s", quoted(name))
		}
		return 0
	}
	return i
}

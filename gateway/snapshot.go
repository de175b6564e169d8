package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/route"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A snapshot is a Definition made ready to decide by. It never changes; Apply
// swaps the next one in as a whole, and a call keeps the one it began with.
type snapshot struct {
	applied   time.Time
	apis      []api
	router    *route.Router
	directory *identity.Directory
	set       *policy.Set // with what traffic managers added
	// What of the definition's own set events need.
	base     *policy.Set
	fields   weir.Fields
	seed     limiter.Seed // of what events say
	interval *interval
	// templates are keys of custom rules that only traffic managers evaluate.
	templates []*policy.KeyTemplate
}

// An api is an API with its resources compiled.
type api struct {
	name, version, context, tier string
	authHeader                   string
	cors                         *cors
	resources                    []resource
}

// A resource is a Resource with what it inherits from its API.
type resource struct {
	template, tier      string
	open                bool // asks for no credentials
	weight              int64
	production, sandbox endpoints
}

// endpoints are the backends for one key type; group is nil if there are none.
type endpoints struct {
	group   *upstream.Group
	timeout time.Duration
}

// compile makes a snapshot of d. All that can fail happens here, so that what
// is live is never touched by a definition that is wrong.
func (g *Gateway) compile(d *Definition, now time.Time) (*snapshot, error) {
	s := &snapshot{applied: now, apis: make([]api, len(d.APIs))}
	var errs []error
	var err error
	if s.set, err = policy.Compile(d.Policies, policy.Options{
		Seed: g.options.Seed, Compiler: g.options.Rules, IPv6Bits: g.options.IPv6Bits,
		Accuracy: g.options.Accuracy, AllEventual: g.options.AllEventual,
	}); err != nil {
		errs = append(errs, err)
	}
	if s.directory, err = identity.NewDirectory(d.Applications); err != nil {
		errs = append(errs, err)
	}
	for i := range d.APIs {
		if err := g.compileAPI(&s.apis[i], &d.APIs[i]); err != nil {
			errs = append(errs, fmt.Errorf("api %s %s: %w", d.APIs[i].Name, d.APIs[i].Version, err))
		}
	}
	if s.router, err = route.Build(routes(d.APIs)); err != nil {
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		errs = append(errs, checkTiers(d, s.set)...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s.base, s.fields, s.seed = s.set, s.set.Fields(), limiter.NewSeed()
	s.interval = &interval{set: s.set}
	return s, nil
}

// routes returns what the router needs to know of apis.
func routes(apis []API) []route.API {
	out := make([]route.API, len(apis))
	for i := range apis {
		out[i] = route.API{Name: apis[i].Name, Context: apis[i].Context}
		for j := range apis[i].Resources {
			r := &apis[i].Resources[j]
			out[i].Resources = append(out[i].Resources, route.Resource{Method: r.Method, Template: r.Template})
		}
	}
	return out
}

func (g *Gateway) compileAPI(out *api, in *API) error {
	*out = api{
		name: in.Name, version: in.Version, context: in.Context, tier: in.Tier,
		authHeader: in.AuthHeader, cors: compileCORS(in.CORS),
		resources: make([]resource, len(in.Resources)),
	}
	if out.authHeader == "" {
		out.authHeader = "Authorization"
	}
	production, err := g.endpoints(in.Production, endpoints{})
	if err != nil {
		return fmt.Errorf("production endpoints: %w", err)
	}
	sandbox, err := g.endpoints(in.Sandbox, endpoints{})
	if err != nil {
		return fmt.Errorf("sandbox endpoints: %w", err)
	}
	for i := range in.Resources {
		r := &in.Resources[i]
		c := resource{
			template: r.Template, tier: r.Tier,
			open: in.DisableSecurity || r.DisableSecurity, weight: max(1, r.Weight),
		}
		if c.production, err = g.endpoints(r.Production, production); err == nil {
			c.sandbox, err = g.endpoints(r.Sandbox, sandbox)
		}
		if err != nil {
			return fmt.Errorf("resource %s %s: endpoints: %w", r.Method, r.Template, err)
		}
		out.resources[i] = c
	}
	return nil
}

// endpoints returns e compiled, or inherited where e is nil.
func (g *Gateway) endpoints(e *Endpoints, inherited endpoints) (endpoints, error) {
	if e == nil {
		return inherited, nil
	}
	group, err := g.options.Targets.Group(e.URLs, e.Failover)
	return endpoints{group, e.Timeout}, err
}

// checkTiers reports every tier that is named by an API, an application or a
// subscription and is no policy: requests of such a tier would be refused.
func checkTiers(d *Definition, set *policy.Set) []error {
	var errs []error
	need := func(k policy.Kind, tier, format string, args ...any) {
		if !set.Has(k, tier) {
			errs = append(errs, fmt.Errorf("%s: no %s policy named %q", fmt.Sprintf(format, args...), k, tier))
		}
	}
	for i := range d.APIs {
		a := &d.APIs[i]
		need(policy.Advanced, a.Tier, "api %s %s", a.Name, a.Version)
		for j := range a.Resources {
			r := &a.Resources[j]
			need(policy.Advanced, r.Tier, "api %s %s: resource %s %s", a.Name, a.Version, r.Method, r.Template)
		}
	}
	for i := range d.Applications {
		a := &d.Applications[i]
		need(policy.Application, a.Tier, "application %s", a.Name)
		for _, s := range a.Subscriptions {
			need(policy.Subscription, s.Tier, "application %s: subscription to %s", a.Name, s.API)
		}
	}
	return errs
}

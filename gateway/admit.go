package gateway

import (
	"errors"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/route"
)

// Admit takes x along identify, match and decide. It returns nil if the call is
// to be forwarded, otherwise the answer to send. It must be called once per call,
// and Finish after it.
func (g *Gateway) Admit(x *Exchange) *Answer {
	x.begin()
	x.snapshot = g.snapshot.Load()
	if x.snapshot == nil {
		return g.reject(x, &notReady)
	}
	if why := g.identify(x); why != nil {
		return g.reject(x, why)
	}
	return g.decide(x)
}

// reject answers x for a reason that is not a limit.
func (g *Gateway) reject(x *Exchange, why *reason) *Answer {
	g.stripe(x).rejected.Add(1)
	switch why.status {
	case 401:
		x.addField("WWW-Authenticate", `Bearer realm="weir", ApiKey realm="weir"`)
	case 405:
		x.addField("Allow", x.allowed.String())
	}
	return x.answer(refusal{reason: why})
}

// identify fills in x.Request and where to forward it, or says why it can't.
func (g *Gateway) identify(x *Exchange) *reason {
	r := &x.Request // all zero: x is new or has been reset
	r.Time, r.Headers, r.Bytes = x.Time, x.Headers, x.ContentLength
	r.ClientIP = g.options.Proxies.ClientIP(x.Peer.Addr(), x.Headers)
	a, why := g.locate(x)
	if a == nil {
		return why
	}
	if a.cors != nil {
		x.addCORS(a.cors)
	}
	if why != nil {
		return why
	}
	return g.authenticate(x, a)
}

// locate finds the API and the resource that x asks for, by the canonical form of
// its host, method, path and query. For a preflight, which the gateway answers
// itself, x.resource stays nil.
func (g *Gateway) locate(x *Exchange) (*api, *reason) {
	method, ok := route.ParseMethod(x.Method)
	if !ok {
		return nil, failure(501)
	}
	m := &x.scratch.memo
	m.under(x.snapshot)
	if !m.validHost(x.Host) {
		return nil, failure(400)
	}
	found, err := m.lookup(method, x.Path)
	if errors.Is(err, route.ErrPathTooLong) {
		return nil, failure(414)
	} else if err != nil {
		return nil, failure(400)
	}
	if x.query, err = route.ParseQuery(x.RawQuery); err != nil {
		return nil, failure(400)
	}
	if found.API < 0 {
		return nil, &notFound
	}
	a := &x.snapshot.apis[found.API]
	r := &x.Request
	r.API, r.Version, r.Context, r.APITier = a.name, a.version, a.context, a.tier
	r.Verb, r.Query, x.allowed = method.String(), &x.query, found.Allowed
	x.api, x.ForwardPath, x.ForwardQuery = a, found.Rest, x.RawQuery
	switch {
	case found.Resource >= 0:
		x.resource = &a.resources[found.Resource]
		r.Resource, r.ResourceTier, r.Weight = x.resource.template, x.resource.tier, x.resource.weight
		return a, nil
	case found.Allowed == 0:
		return a, &notFound
	case a.cors != nil && x.isPreflight():
		return a, nil
	}
	return a, &wrongMethod
}

// authenticate finds out who calls, with which subscription, and so which of the
// API's endpoints are asked. A preflight has no credentials: it counts for its
// client's address, so that there is nothing that isn't counted.
func (g *Gateway) authenticate(x *Exchange, a *api) *reason {
	p, why := g.principal(x, a)
	if why != nil {
		return why
	}
	r := &x.Request
	r.Application, r.User, r.Token, r.KeyType, r.Claims = p.Application, p.User, p.Token, p.KeyType, p.Claims
	var ok bool
	if r.SubscriptionTier, ok = p.Subscription(a.name, a.version); !ok {
		return &notSubscribed
	}
	if x.resource == nil {
		r.APITier = "" // what the API's callers share is not for those who show no key
		return nil
	}
	e, none := &x.resource.production, &noProduction
	if r.KeyType == weir.Sandbox {
		e, none = &x.resource.sandbox, &noSandbox
	}
	if e.group == nil {
		return none
	}
	x.Upstream, x.Timeout = e.group, e.timeout
	return nil
}

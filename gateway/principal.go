package gateway

import (
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/route"
)

// principal finds out who sends x. Where credentials are needed, they go no
// further than here.
func (g *Gateway) principal(x *Exchange, a *api) (identity.Principal, *reason) {
	if x.resource == nil || x.resource.open {
		g.stripKey(x)
		var p identity.Principal
		p, x.scratch.address = identity.Anonymous(x.scratch.address[:0], x.Request.ClientIP)
		return p, nil
	}
	auth := g.options.Authenticator
	c, err := auth.Find(x.Headers, &x.query, a.authHeader)
	if err != nil {
		return identity.Principal{}, reasonOf(err)
	}
	x.StripHeader = c.Header
	if c.Param != "" {
		x.ForwardQuery = x.query.Without(c.Param)
	}
	m := &x.scratch.memo
	if p, ok := m.ownerOf(c.Text); ok {
		return p, nil
	}
	p, err := auth.Authenticate(x.Time, x.snapshot.directory, c, x.Request.ClientIP, x.Headers)
	if err != nil {
		return p, reasonOf(err)
	}
	m.remember(c.Text, p)
	return p, nil
}

// stripKey keeps an API key from a backend that nobody needs one for: the client
// may send its key with every call.
func (g *Gateway) stripKey(x *Exchange) {
	auth := g.options.Authenticator
	x.StripHeader = auth.KeyHeader()
	for _, name := range auth.KeyParams() {
		if _, ok := x.query.Value(name); ok {
			x.query, _ = route.ParseQuery(x.query.Without(name)) // what is left of a valid query is one
			x.ForwardQuery = x.query.String()
		}
	}
}

// reasonOf returns what a client is told of why it was not let in, nil for nil.
func reasonOf(err error) *reason {
	switch identity.KindOf(err) {
	case 0:
		return nil
	case identity.Missing:
		return &missingCredentials
	case identity.Expired:
		return &expiredCredentials
	case identity.Forbidden:
		return &notSubscribed
	case identity.Unavailable:
		return &unavailable
	}
	return &invalidCredentials
}

package gateway

import "github.com/weir-project/weir/gateway/identity"

// principal finds out who sends x. Where credentials are needed, they go no
// further than here.
func (g *Gateway) principal(x *Exchange, a *api) (identity.Principal, *reason) {
	if x.resource == nil || x.resource.open {
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

package identity

import (
	"net/netip"

	"github.com/weir-project/weir"
)

// A Principal is who calls, and what they may. It is a value: copying it costs
// no allocation, and what it refers to never changes.
type Principal struct {
	Application weir.Application
	// User is the end user: the subject of a token, the owner of the
	// application behind an API key, "anonymous" without credentials.
	User string
	// Token identifies the credential without being it: the token's jti or a
	// hash. Empty for anonymous callers.
	Token   string
	KeyType weir.KeyType
	// Claims are the token's claims; nil without a token.
	Claims weir.Values

	rights    rights
	anonymous bool
	permits   *permits // nil: no restriction
}

// Subscription returns the tier in which the principal may call a version of an
// API, and whether it may at all. Anonymous principals may call what asks for
// no credentials, in the tier Unauthenticated.
func (p *Principal) Subscription(api, version string) (tier string, ok bool) {
	if p.anonymous {
		return weir.Unauthenticated, true
	}
	return p.rights.tier(api, version)
}

// Permits reports whether the credential may be used from a client's address
// and with a Referer field (empty if there is none). Only tokens that name
// addresses or referrers are restricted.
func (p *Principal) Permits(client netip.Addr, referer string) bool {
	return p.permits == nil || p.permits.allow(client, referer)
}

// rights are the subscriptions of one application.
type rights map[version]string

// A version names one version of an API; an empty number means all.
type version struct{ api, number string }

// tier returns the tier for a version: its own subscription, or one to all.
func (r rights) tier(api, number string) (string, bool) {
	tier, ok := r[version{api, number}]
	if !ok {
		tier, ok = r[version{api, ""}]
	}
	return tier, ok
}

package app

import (
	"cmp"
	"crypto/tls"
	"fmt"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy/rule"
)

// A core is what decides: a gateway without its doors.
type core struct {
	gateway *gateway.Gateway
	targets *upstream.Registry
	tokens  *identity.Verifier // nil: there are no issuers
}

// A counting is what a core counts with: its counters, the seed of their keys, who
// shares them (nil: nobody), and who is told what was counted.
type counting struct {
	limiter *limiter.Limiter
	sharing *sharing
	seed    limiter.Seed
	events  gateway.EventOptions
}

// newCore builds a core without a definition. report takes the failures to get an
// issuer's keys.
func newCore(c *config.Config, with counting, report func(issuer string, err error)) (*core, error) {
	var k core
	trusted, err := proxies(c)
	if err != nil {
		return nil, err
	}
	if k.targets, err = newTargets(&c.Backend); err != nil {
		return nil, err
	}
	if k.tokens, err = newTokens(c.JWT, report); err != nil {
		return nil, err
	}
	o := gateway.Options{
		Limiter: with.limiter,
		Seed:    with.seed,
		Events:  with.events,
		Targets: k.targets,
		Rules:   rule.New(),
		Authenticator: identity.NewAuthenticator(identity.AuthenticatorOptions{
			KeyHeader: cmp.Or(c.APIKey.Header, identity.NoKey),
			KeyParam:  cmp.Or(c.APIKey.Query, identity.NoKey),
			Verifier:  k.tokens,
		}),
		Proxies:     trusted,
		IPv6Bits:    c.ClientAddress.IPv6Bits,
		Accuracy:    accuracies(c.Accuracies()),
		AllEventual: c.Shared(config.Gateway) == nil,
	}
	if with.sharing != nil {
		o.Sharer = with.sharing.sharer
	}
	k.gateway, err = gateway.New(o)
	return &k, err
}

// newTargets returns the registry of backends.
func newTargets(c *config.Backend) (*upstream.Registry, error) {
	o := upstream.Options{
		ConnectTimeout:  c.ConnectTimeout,
		ResponseTimeout: c.ResponseTimeout,
		IdleTimeout:     c.IdleTimeout,
		KeepAlive:       c.KeepAlive,
		MaxIdle:         c.MaxIdle,
		MaxBackoff:      c.MaxBackoff,
		Deny:            c.Deny,
	}
	if c.CAFile != "" || c.CertFile != "" {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.CAFile != "" {
		pool, err := upstream.LoadCAs(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("backend.ca_file: %w", err)
		}
		o.TLS.RootCAs = pool
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("backend.cert_file: %w", err)
		}
		o.TLS.Certificates = []tls.Certificate{cert}
	}
	return upstream.New(o)
}

// newTokens returns the verifier of the issuers' tokens, nil if there are none.
func newTokens(issuers []config.JWT, report func(issuer string, err error)) (*identity.Verifier, error) {
	if len(issuers) == 0 {
		return nil, nil
	}
	o := identity.VerifierOptions{Report: report}
	for i := range issuers {
		j := &issuers[i]
		o.Issuers = append(o.Issuers, identity.Issuer{
			Name:          j.Issuer,
			JWKSFile:      j.JWKSFile,
			JWKSURL:       j.JWKSURL,
			AllowHTTP:     j.AllowHTTP,
			Refresh:       j.Refresh,
			Audiences:     j.Audience,
			Algorithms:    j.Algorithms,
			Leeway:        j.Leeway,
			AllowNoExpiry: j.AllowNoExpiry,
			ClientsOnly:   j.ClientsOnly,
			UserClaim:     j.UserClaim,
			FoldUser:      j.FoldUser,
		})
	}
	v, err := identity.NewVerifier(o)
	if err != nil {
		return nil, fmt.Errorf("jwtTokenConfig: %w", err)
	}
	return v, nil
}

// proxies returns the proxies that c trusts.
func proxies(c *config.Config) (*identity.Proxies, error) {
	p, err := identity.NewProxies(c.ClientAddress.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("client_address.trusted_proxies: %w", err)
	}
	return p, nil
}

package identity

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// defaultRefresh is how often keys are fetched from a URL unless told otherwise.
const defaultRefresh = 5 * time.Minute

// algorithms are those with which a token may be signed. All use key pairs:
// with a shared secret, who can check a token could also make one.
var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512", "EdDSA",
}

// An Issuer is a party whose tokens are believed.
type Issuer struct {
	// Name is what its tokens have in iss, to the letter.
	Name string
	// JWKSFile or JWKSURL, exactly one, is where its public keys are: a JSON
	// Web Key Set or, in a file, PEM. The place is never taken from a token. A
	// URL must be https, but on loopback; AllowHTTP lifts that.
	JWKSFile, JWKSURL string
	AllowHTTP         bool
	// Refresh is how often a URL is asked for keys, spread by a tenth each way;
	// zero means five minutes. Files are looked at every five seconds.
	Refresh time.Duration
	// Audiences are the values of which a token must have one in aud; none
	// means that aud is not looked at.
	Audiences []string
	// Algorithms are the only ones to accept: RS256 to ES512 and EdDSA; none
	// means all. A key that names its algorithm is used with that one alone. An
	// RSA key that names none is used with those listed here, or RS256; other
	// keys have only one.
	Algorithms []string
	// Leeway is how far the issuer's clock may be off; zero means not at all.
	Leeway time.Duration
	// AllowNoExpiry accepts tokens without exp, which hold until their key is
	// removed.
	AllowNoExpiry bool
	// ClientsOnly looks for the application only by the token's client, which
	// must be registered. Otherwise a token may name an application, its tier
	// and its subscriptions by itself, as WSO2's self-contained tokens do, and
	// is believed where the application is not registered: also one that was
	// deleted, until its tokens expire.
	ClientsOnly bool
	// UserClaim is the claim that holds the end user; empty means sub.
	UserClaim string
	// FoldUser puts users' names in lower case, for issuers that let a user log
	// in with any: they would have a counter for each spelling. Spaces around
	// names are always dropped. Policies must name such users in lower case.
	FoldUser bool
}

// validate names the first thing that is wrong with the issuer.
func (i *Issuer) validate() error {
	switch {
	case i.Name == "":
		return errors.New("has no name")
	case (i.JWKSFile == "") == (i.JWKSURL == ""):
		return errors.New("needs either a file or a URL for its keys")
	case i.Leeway < 0 || i.Refresh < 0:
		return errors.New("has a negative duration")
	}
	for _, a := range i.Algorithms {
		if !slices.Contains(algorithms, a) {
			return fmt.Errorf("algorithm %q is not supported", a)
		}
	}
	if i.JWKSURL != "" {
		return i.validateURL()
	}
	return nil
}

func (i *Issuer) validateURL() error {
	u, err := url.Parse(i.JWKSURL)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("key URL %q is not a URL", i.JWKSURL)
	case u.User != nil:
		return errors.New("key URL has a user name or a password in it")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("key URL %q is not https", i.JWKSURL)
	case i.AllowHTTP || isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("key URL %q is not https: whoever is on the way could set the keys", i.JWKSURL)
}

// isLoopback reports whether host is this machine.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

// accepts returns which of candidates the issuer accepts.
func (i *Issuer) accepts(candidates ...string) []string {
	if len(i.Algorithms) == 0 {
		return candidates
	}
	return slices.DeleteFunc(slices.Clone(candidates), func(a string) bool {
		return !slices.Contains(i.Algorithms, a)
	})
}

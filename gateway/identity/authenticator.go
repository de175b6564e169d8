package identity

import (
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Where credentials stand unless told otherwise.
const (
	DefaultAuthHeader = "Authorization"
	DefaultKeyName    = "ApiKey" // of the header and of the query parameter
)

// A Credential is what a caller showed, and where.
type Credential struct {
	Text string
	// Header or Param is where it stood: the field or the query parameter that
	// must not reach a backend. The other is empty.
	Header, Param string
}

// NoKey is the name of a field or a parameter where no API key is taken.
const NoKey = "-"

// AuthenticatorOptions are what an [Authenticator] is made of.
type AuthenticatorOptions struct {
	KeyHeader string // field with an API key, or NoKey; empty means ApiKey
	// KeyParam is the query parameter with an API key, or NoKey; empty means
	// ApiKey. It is found in small letters too, as other gateways call it.
	KeyParam string
	Verifier *Verifier // nil: tokens are refused
}

// An Authenticator finds out whose a request is. It is safe for concurrent use.
type Authenticator struct {
	options AuthenticatorOptions
	params  []string  // the names of KeyParam
	finders sync.Pool // of *finder
}

// NewAuthenticator returns an Authenticator. It does not run the Verifier.
func NewAuthenticator(o AuthenticatorOptions) *Authenticator {
	if o.KeyHeader == "" {
		o.KeyHeader = DefaultKeyName
	}
	if o.KeyParam == "" {
		o.KeyParam = DefaultKeyName
	}
	a := &Authenticator{options: o}
	if o.KeyParam != NoKey {
		a.params = append(a.params, o.KeyParam)
	}
	if small := strings.ToLower(o.KeyParam); small != o.KeyParam {
		a.params = append(a.params, small)
	}
	a.finders.New = func() any { return newFinder() }
	return a
}

// KeyHeader returns the field that an API key is taken from, empty if none is.
func (a *Authenticator) KeyHeader() string {
	if a.options.KeyHeader == NoKey {
		return ""
	}
	return a.options.KeyHeader
}

// KeyParams returns the names of the query parameter that an API key is taken
// from, none if none is. It must not be changed.
func (a *Authenticator) KeyParams() []string { return a.params }

// Find returns the credential in a request: an API key in its own field or
// query parameter, or what stands behind "Bearer" in the field authHeader, which
// is Authorization if empty. A field other than Authorization may hold the
// token alone. Either place may hold a key or a token. query may be nil.
//
// Two credentials are refused, in one place or in two: which one counts must
// not be the client's choice, and the other would reach the backend unchecked.
// Authorization of another scheme, Basic say, is no credential here and is left
// alone. The Credential shares memory with the request. The error is an [*Error].
func (a *Authenticator) Find(headers, query Source, authHeader string) (Credential, error) {
	if authHeader == "" {
		authHeader = DefaultAuthHeader
	}
	f := a.finders.Get().(*finder)
	c, err := f.find(headers, query, authHeader, a)
	*f = finder{take: f.take}
	a.finders.Put(f)
	if err != nil {
		return Credential{}, err
	}
	return c, nil
}

// Authenticate returns the principal of a credential, as d and the Verifier
// know it. client and headers are what a restricted token is checked against.
// It allocates nothing for API keys and for tokens that were verified before.
// The error is an [*Error].
func (a *Authenticator) Authenticate(now time.Time, d *Directory, c Credential, client netip.Addr, headers Source) (Principal, error) {
	if !looksLikeToken(c.Text) {
		return d.APIKey(c.Text)
	}
	if a.options.Verifier == nil {
		return Principal{}, errTokensOff
	}
	t, err := a.options.Verifier.Verify(now, c.Text)
	if err != nil {
		return Principal{}, err
	}
	if t.permits != nil {
		referer, _ := headers.Value("Referer")
		if !t.permits.allow(client, referer) {
			return Principal{}, errNotPermitted
		}
	}
	return d.Token(t)
}

var (
	errTokensOff    = invalid("tokens are not accepted: no issuer is configured")
	errNotPermitted = &Error{Forbidden, "token may not be used from this address or referrer"}
	errNone         = &Error{Missing, "request has no credentials"}
	errTwo          = invalid("request has more than one credential")
	errBlank        = invalid("request has an empty or malformed credential")
)

// A finder collects the values under one name. It is reused, so that looking at
// all of them allocates nothing.
type finder struct {
	value string
	n     int
	take  func(value string) bool
}

func newFinder() *finder {
	f := new(finder)
	f.take = func(value string) bool {
		f.value = value
		f.n++
		return f.n < 2
	}
	return f
}

// only returns the one value under name, and how many there are: 0, 1 or 2 for
// more.
func (f *finder) only(s Source, name string) (string, int) {
	f.value, f.n = "", 0
	s.Each(name, f.take)
	return f.value, f.n
}

func (f *finder) find(headers, query Source, authHeader string, a *Authenticator) (Credential, *Error) {
	var found Credential
	keyHeader := a.options.KeyHeader
	all := 0
	if keyHeader != NoKey {
		value, n := f.only(headers, keyHeader)
		if all = n; n > 0 {
			found = Credential{Text: strings.Trim(value, " \t"), Header: keyHeader}
		}
	}
	if query != nil {
		for _, name := range a.params {
			value, n := f.only(query, name)
			if all += n; n > 0 {
				found = Credential{Text: value, Param: name}
			}
		}
	}
	if !strings.EqualFold(authHeader, keyHeader) {
		value, n := f.only(headers, authHeader)
		if token, ok := bearer(value, authHeader); ok {
			found = Credential{Text: token, Header: authHeader}
		} else if n == 1 {
			n = 0
		}
		all += n
	}
	switch {
	case all == 0:
		return Credential{}, errNone
	case all > 1:
		return Credential{}, errTwo
	case found.Text == "" || hasBlank(found.Text):
		return Credential{}, errBlank
	}
	return found, nil
}

// bearer returns what stands behind "Bearer" in value. It reports false if
// value is of another scheme.
func bearer(value, field string) (string, bool) {
	const scheme = "Bearer"
	value = strings.Trim(value, " \t")
	if len(value) >= len(scheme) && strings.EqualFold(value[:len(scheme)], scheme) {
		if rest := value[len(scheme):]; rest == "" || rest[0] == ' ' || rest[0] == '\t' {
			return strings.TrimLeft(rest, " \t"), true
		}
	}
	if value == "" || strings.EqualFold(field, DefaultAuthHeader) {
		return "", false
	}
	return value, true
}

// hasBlank reports whether text has a character that separates credentials.
func hasBlank(text string) bool {
	for i := range len(text) {
		if c := text[i]; c == ' ' || c == ',' || c == '\t' {
			return true
		}
	}
	return false
}

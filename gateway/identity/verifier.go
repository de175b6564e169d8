package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxToken is the length in bytes of the longest token that is looked at.
const MaxToken = 16 << 10

// defaultCacheSize is how many verified tokens are remembered unless told otherwise.
const defaultCacheSize = 10_000

// VerifierOptions are what a [Verifier] is made of.
type VerifierOptions struct {
	// Issuers are the parties whose tokens are believed; at least one.
	Issuers []Issuer
	// CacheSize is how many verified tokens are remembered; zero means 10 000.
	CacheSize int
	// Transport fetches keys; nil means one that checks certificates, follows
	// the proxy settings of the environment, and keeps no connections.
	Transport http.RoundTripper
	// Report takes the failures to get an issuer's keys, each series of the
	// same once; nil drops them. It may be called from several goroutines.
	Report func(issuer string, err error)
}

// A Verifier checks tokens of several issuers. It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*keySet
	names   []string
	cache   *tokenCache
	parser  *jwt.Parser
	report  func(issuer string, err error)
}

// NewVerifier returns a Verifier that knows the keys that are in files. Those
// behind URLs it learns in Load or Run. The error names the issuer at fault.
func NewVerifier(o VerifierOptions) (*Verifier, error) {
	if len(o.Issuers) == 0 {
		return nil, errors.New("verifier needs at least one issuer")
	}
	if o.CacheSize == 0 {
		o.CacheSize = defaultCacheSize
	}
	v := &Verifier{
		issuers: make(map[string]*keySet, len(o.Issuers)),
		cache:   newTokenCache(o.CacheSize),
		parser: jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithJSONNumber(),
			jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
		report: o.Report,
	}
	if v.report == nil {
		v.report = func(string, error) {}
	}
	for _, issuer := range o.Issuers {
		if err := v.add(issuer, o.Transport); err != nil {
			return nil, fmt.Errorf("issuer %q: %w", issuer.Name, err)
		}
	}
	return v, nil
}

// add enters one issuer and loads its keys if they are in a file.
func (v *Verifier) add(issuer Issuer, transport http.RoundTripper) error {
	if err := issuer.validate(); err != nil {
		return err
	}
	if _, ok := v.issuers[issuer.Name]; ok {
		return errors.New("is there twice")
	}
	var source keySource = keyFile(issuer.JWKSFile)
	if issuer.JWKSURL != "" {
		source = newKeyURL(issuer.JWKSURL, transport)
	}
	set := newKeySet(&issuer, source)
	v.issuers[issuer.Name] = set
	v.names = append(v.names, issuer.Name)
	if issuer.JWKSFile != "" {
		return set.load(context.Background())
	}
	return nil
}

// Load reads the keys of all issuers once: for commands that do not Run, and to
// take a changed file in at once. Where it fails the last good keys stay. The
// error names every issuer that failed.
func (v *Verifier) Load(ctx context.Context) error {
	errs := make([]error, len(v.names))
	var wg sync.WaitGroup
	for i, name := range v.names {
		wg.Go(func() {
			if err := v.issuers[name].load(ctx); err != nil {
				errs[i] = fmt.Errorf("issuer %q: %w", name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Ready reports whether the keys of all issuers have been loaded once.
func (v *Verifier) Ready() bool {
	for _, set := range v.issuers {
		if set.ring.Load() == nil {
			return false
		}
	}
	return true
}

// Run keeps the keys up to date until ctx is done, and returns when all that it
// started has ended. An issuer that can't be reached keeps its last good keys.
func (v *Verifier) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for name, set := range v.issuers {
		wg.Go(func() {
			set.run(ctx, func(err error) { v.report(name, err) })
		})
	}
	wg.Wait()
	return nil
}

// Verify returns the token with that text, if an issuer signed it and it holds
// at now. A token that was verified before costs no allocation. For a token
// with an unknown key Verify may wait up to a second for new keys, but only
// while they are being fetched, which such tokens cause at most every 30
// seconds. The text is not kept unless it is genuine, and then as a copy.
//
// Of the token's header only alg and kid are used, and alg only to refuse what
// is not the key's own. Keys in or behind a token (jwk, jku, x5u, x5c) are never
// looked at. The error is an [*Error].
func (v *Verifier) Verify(now time.Time, text string) (*Token, error) {
	if len(text) > MaxToken {
		return nil, errTokenLong
	}
	if t := v.cache.get(text); t != nil {
		if now.Unix() < t.notAfter {
			return t, nil
		}
		v.cache.remove(text)
		return nil, errTokenExpired
	}
	header, payload, err := splitToken(text)
	if err != nil {
		return nil, err
	}
	if err := checkSegments(header, payload); err != nil {
		return nil, err
	}
	t, key, err := v.verify(now, text, header+"."+payload)
	if err != nil {
		return nil, err
	}
	v.cache.put(text, t, key)
	return t, nil
}

// verify checks a token of the right form: signature first, so that only who
// has a genuine token learns more about it.
func (v *Verifier) verify(now time.Time, text, signed string) (*Token, *publicKey, *Error) {
	var (
		keys   []*publicKey
		set    *keySet
		reason *Error
	)
	parsed, err := v.parser.ParseWithClaims(text, jwt.MapClaims{}, func(t *jwt.Token) (any, error) {
		set, keys, reason = v.keysFor(now, t)
		if reason != nil {
			return nil, reason
		}
		return verificationKeys(keys), nil
	})
	switch {
	case reason != nil:
		return nil, nil, reason
	case err != nil && set != nil:
		return nil, nil, errTokenSignature
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return nil, nil, errTokenAlgorithm
	case err != nil:
		return nil, nil, errTokenMalformed
	}
	claims := parsed.Claims.(jwt.MapClaims)
	if err := checkTimes(now, set.issuer, claims); err != nil {
		return nil, nil, err
	}
	if err := checkAudience(set.issuer, claims); err != nil {
		return nil, nil, err
	}
	t, reason := newToken(set.issuer, claims, signed)
	if reason != nil {
		return nil, nil, reason
	}
	return t, signer(keys, parsed, signed), nil
}

// keysFor returns the issuer of a token and the keys that may have signed it.
func (v *Verifier) keysFor(now time.Time, t *jwt.Token) (*keySet, []*publicKey, *Error) {
	if err := checkHeader(t.Header); err != nil {
		return nil, nil, err
	}
	name, _ := t.Claims.(jwt.MapClaims)["iss"].(string)
	set := v.issuers[name]
	if set == nil {
		return nil, nil, errTokenIssuer
	}
	kid, _ := t.Header["kid"].(string)
	keys, err := set.find(now, kid, t.Method.Alg())
	return set, keys, err
}

func verificationKeys(keys []*publicKey) jwt.VerificationKeySet {
	var set jwt.VerificationKeySet
	for _, key := range keys {
		set.Keys = append(set.Keys, key.key)
	}
	return set
}

// signer returns the one of keys with which the token was verified.
func signer(keys []*publicKey, t *jwt.Token, signed string) *publicKey {
	for _, key := range keys[:len(keys)-1] {
		if t.Method.Verify(signed, t.Signature, key.key) == nil {
			return key
		}
	}
	return keys[len(keys)-1]
}

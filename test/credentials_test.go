package test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// An issuer signs tokens and serves its keys.
type issuer struct {
	*httptest.Server
	name string

	mu      sync.Mutex
	keys    []map[string]string
	fetches int
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{name: "https://issuer.test"}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.fetches++
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.keys}) // the gateway may go
	}))
	t.Cleanup(i.Close)
	return i
}

// publish makes keys the issuer's.
func (i *issuer) publish(keys ...*signingKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = nil
	for _, k := range keys {
		i.keys = append(i.keys, k.public)
	}
}

// A signingKey signs with one algorithm.
type signingKey struct {
	id, algorithm string
	private       crypto.Signer
	public        map[string]string // as a JSON Web Key
}

func b64(n *big.Int, size int) string {
	return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, size)))
}

func newSigningKey(t *testing.T, id, algorithm string) *signingKey {
	t.Helper()
	k := &signingKey{id: id, algorithm: algorithm, public: map[string]string{"kid": id, "alg": algorithm, "use": "sig"}}
	var err error
	switch algorithm[:2] {
	case "RS", "PS":
		var key *rsa.PrivateKey
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err == nil {
			k.private, k.public["kty"] = key, "RSA"
			k.public["n"], k.public["e"] = b64(key.N, 256), b64(big.NewInt(int64(key.E)), 3)
		}
	case "ES":
		curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[algorithm]
		var key *ecdsa.PrivateKey
		if key, err = ecdsa.GenerateKey(curve, rand.Reader); err == nil {
			k.private, k.public["kty"], k.public["crv"] = key, "EC", curve.Params().Name
			point, perr := key.PublicKey.Bytes()
			if perr != nil {
				t.Fatal(perr)
			}
			half := (len(point) - 1) / 2
			k.public["x"] = base64.RawURLEncoding.EncodeToString(point[1 : 1+half])
			k.public["y"] = base64.RawURLEncoding.EncodeToString(point[1+half:])
		}
	default:
		var public ed25519.PublicKey
		var key ed25519.PrivateKey
		if public, key, err = ed25519.GenerateKey(rand.Reader); err == nil {
			k.private, k.public["kty"], k.public["crv"] = key, "OKP", "Ed25519"
			k.public["x"] = base64.RawURLEncoding.EncodeToString(public)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// token returns a token of the user ann for the client shop-client.
func (k *signingKey) token(t *testing.T, issuer string, more jwt.MapClaims) string {
	t.Helper()
	claims := jwt.MapClaims{
		"iss": issuer, "sub": "ann", "azp": "shop-client", "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, more)
	token := jwt.NewWithClaims(jwt.GetSigningMethod(k.algorithm), claims)
	token.Header["kid"] = k.id
	text, err := token.SignedString(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const tokenApplications = `
applications:
  - name: shop
    owner: ann
    tier: Unlimited
    clients: [{id: shop-client, type: PRODUCTION}]
    subscriptions: [{api: pet, version: "1", tier: Gold}]
`

func newTokenProject(t *testing.T, b *backend) *project {
	t.Helper()
	return newProject(t, b.URL, files{
		"applications.yaml":        tokenApplications,
		"api_definitions/pet.yaml": strings.Replace(openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"), "x-wso2-disable-security: true\n", "", 1),
	})
}

func (i *issuer) conf() string {
	return "[[jwtTokenConfig]]\nissuer = '" + i.name + "'\njwksURL = '" + i.URL + "'\n"
}

// TestTokens calls with tokens of every algorithm, good and bad, and with keys that
// the issuer has only just begun to use.
func TestTokens(t *testing.T) {
	t.Parallel()
	b, issuer := newBackend(t, "one"), newIssuer(t)
	var keys []*signingKey
	for _, algorithm := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		keys = append(keys, newSigningKey(t, "key-"+algorithm, algorithm))
	}
	issuer.publish(keys...)
	p := newTokenProject(t, b)
	g := p.serve(issuer.conf())
	c := g.h1(t)
	for _, k := range keys {
		c.get(t, "/pet/a", "Authorization", "Bearer "+k.token(t, issuer.name, nil)).want(t, 200, "")
	}
	e := p.explain(t, "--path", "/pet/a", "--token", keys[0].token(t, issuer.name, nil))
	if !e.Answer.Forward || e.Request.User != "ann" || e.Request.Application != "shop" {
		t.Errorf("explain tells %+v", e)
	}
	if got := b.last(t).header.Get("Authorization"); got != "" {
		t.Errorf("the backend got Authorization %q", got)
	}
	good := keys[0]
	other := *keys[9]
	other.id = good.id // an Ed25519 signature in the name of an RSA key
	stranger := newSigningKey(t, "key-RS256", "RS256")
	secret := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": issuer.name, "azp": "shop-client", "exp": time.Now().Add(time.Hour).Unix()})
	secret.Header["kid"] = good.id
	symmetric, err := secret.SignedString([]byte(good.public["n"]))
	if err != nil {
		t.Fatal(err)
	}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, secret.Claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct{ token, code string }{
		"expired":          {good.token(t, issuer.name, jwt.MapClaims{"exp": time.Now().Add(-time.Minute).Unix()}), "900903"},
		"not yet":          {good.token(t, issuer.name, jwt.MapClaims{"nbf": time.Now().Add(time.Hour).Unix()}), "900901"},
		"other issuer":     {good.token(t, "https://else.test", nil), "900901"},
		"unknown client":   {good.token(t, issuer.name, jwt.MapClaims{"azp": "nobody"}), "900901"},
		"other algorithm":  {other.token(t, issuer.name, nil), "900901"},
		"stranger's key":   {stranger.token(t, issuer.name, nil), "900901"},
		"symmetric":        {symmetric, "900901"},
		"no signature":     {none, "900901"},
		"cut":              {strings.TrimRight(good.token(t, issuer.name, nil), "_-ABCDEFGHIJKLM"), ""},
		"dots":             {strings.Repeat(".", 8000), "900901"},
		"outside key":      {outsideKey(t, good, issuer.name), "900901"},
		"no expiry":        {good.token(t, issuer.name, jwt.MapClaims{"exp": nil}), "900901"},
		"not for the type": {good.token(t, issuer.name, jwt.MapClaims{"azp": nil, "sub": "ann"}), "900901"},
	} {
		r := c.get(t, "/pet/a", "Authorization", "Bearer "+test.token)
		if test.code == "" {
			continue // the cut may have taken nothing off
		}
		if r.StatusCode != 401 || r.refusal(t).Code != test.code {
			t.Errorf("%s: status %d, %s", what, r.StatusCode, r.text)
		}
		if !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: WWW-Authenticate is %q", what, r.Header.Get("WWW-Authenticate"))
		}
	}
}

// outsideKey returns a token that tells where its keys are.
func outsideKey(t *testing.T, k *signingKey, issuer string) string {
	t.Helper()
	evil := newSigningKey(t, "evil", "ES256")
	asked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("the gateway asked for the keys that a token named")
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{evil.public}})
	}))
	t.Cleanup(asked.Close)
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": issuer, "azp": "shop-client", "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["kid"], token.Header["jku"], token.Header["jwk"] = k.id, asked.URL, evil.public
	text, err := token.SignedString(evil.private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestKeysRotate publishes the keys of an issuer only after the gateway has
// started, while its keys could not be had: from then on its tokens are believed.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	b, issuer := newBackend(t, "one"), newIssuer(t)
	old, next := newSigningKey(t, "old", "ES256"), newSigningKey(t, "next", "ES256")
	issuer.publish(old)
	g := newTokenProject(t, b).serve(issuer.conf() + "refresh = '10s'\n")
	c := g.h1(t)
	call := func(k *signingKey) reply {
		return c.get(t, "/pet/a", "Authorization", "Bearer "+k.token(t, issuer.name, nil))
	}
	call(old).want(t, 200, "")
	call(next).want(t, 401, "900901")
	issuer.publish(old, next)
	until(t, "the new key to be known", func() bool { return call(next).StatusCode == 200 })
	call(old).want(t, 200, "")
	issuer.publish(next)
	until(t, "the old key to be forgotten", func() bool { return call(old).StatusCode == 401 })
	call(next).want(t, 200, "")
	issuer.mu.Lock()
	defer issuer.mu.Unlock()
	if issuer.fetches > 10 {
		t.Errorf("the keys were fetched %d times", issuer.fetches)
	}
}

// TestAPIKeys carries a key in every way in which it may come, and in some in
// which it may not; the backend sees it in none.
func TestAPIKeys(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newTokenProject(t, b)
	key := p.key("shop", "PRODUCTION")
	g := p.serve("")
	for _, c := range []*client{g.h1(t), g.h2c(t)} {
		for _, test := range []struct {
			path, query string
			header      []string
		}{
			{"/pet/a", "", []string{"ApiKey", key}},
			{"/pet/a", "", []string{"apikey", key}},
			{"/pet/a?apikey=" + key, "", nil},
			{"/pet/a?x=1&apikey=" + key + "&y=2", "x=1&y=2", nil},
			{"/pet/a?y=%20&apikey=" + key, "y=%20", []string{"Accept", "*/*"}},
		} {
			c.get(t, test.path, test.header...).want(t, 200, "")
			last := b.last(t)
			if last.query != test.query || last.header.Get("ApiKey") != "" {
				t.Errorf("the backend saw query %q, ApiKey %q", last.query, last.header.Get("ApiKey"))
			}
			for name, values := range last.header {
				if strings.Contains(strings.Join(values, ","), key) {
					t.Errorf("the backend saw the key in %s", name)
				}
			}
		}
		hits := b.hits()
		c.get(t, "/pet/a?APIKEY="+key).want(t, 401, "900902")
		c.get(t, "/pet/a", "ApiKey", key+"x").want(t, 401, "900901")
		c.get(t, "/pet/a", "ApiKey", key[:len(key)-1]).want(t, 401, "900901")
		c.get(t, "/pet/a", "X-Api-Key", key).want(t, 401, "900902")
		if b.hits() != hits {
			t.Error("a call without a key reached the backend")
		}
	}
	if log := g.stderr.String(); strings.Contains(log, key) {
		t.Error("the log has the key in it")
	}
}

// TestRevoked takes an application its subscription, its key and its life, each by a
// reload: from then on it is refused, also on connections on which it was known.
func TestRevoked(t *testing.T) {
	t.Parallel()
	b, issuer := newBackend(t, "one"), newIssuer(t)
	signer := newSigningKey(t, "key", "ES256")
	issuer.publish(signer)
	p := newTokenProject(t, b)
	key := p.key("shop", "PRODUCTION")
	token := "Bearer " + signer.token(t, issuer.name, nil)
	text, err := os.ReadFile(p.path("applications.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	g := p.serve(issuer.conf())
	clients := []*client{g.h1(t), g.h2c(t)}
	for _, step := range []struct {
		name, applications string
		byKey, byToken     int
		code               string
	}{
		{"as it was", good, 200, 200, ""},
		{"without its subscription", strings.Replace(good, "subscriptions:", "# subscriptions:", 1), 403, 403, "900908"},
		{"as it was, again", good, 200, 200, ""},
		{"with another key", keyHash.ReplaceAllString(good, "sha256:"+strings.Repeat("0", 64)), 401, 200, "900901"},
		{"without its client", strings.Replace(good, "clients:", "# clients:", 1), 200, 401, "900901"},
		{"gone", "applications: []\n", 401, 401, "900901"},
		{"as it was, at last", good, 200, 200, ""},
	} {
		p.write(files{"applications.yaml": step.applications})
		p.build()
		g.reload(t)
		for i, c := range clients {
			for _, call := range []struct {
				field, value string
				status       int
			}{{"ApiKey", key, step.byKey}, {"Authorization", token, step.byToken}} {
				r := c.get(t, "/pet/a", call.field, call.value)
				if r.StatusCode != call.status || call.status != 200 && r.refusal(t).Code != step.code {
					t.Errorf("%s, client %d, by %s: status %d, %s, want %d", step.name, i, call.field, r.StatusCode, r.text, call.status)
				}
			}
		}
	}
}

// TestUserNames logs one user in under every spelling of his name that an issuer lets
// through which does not tell them apart: they have one counter.
func TestUserNames(t *testing.T) {
	t.Parallel()
	b, issuer := newBackend(t, "one"), newIssuer(t)
	signer := newSigningKey(t, "key", "ES256")
	issuer.publish(signer)
	p := newTokenProject(t, b)
	p.write(files{
		"policies.yaml":     "applicationPolicies:\n  - Seven: {count: 7, unitTime: 1, timeUnit: day}\n",
		"applications.yaml": strings.Replace(tokenApplications, "tier: Unlimited", "tier: Seven", 1),
	})
	c := p.serve(issuer.conf() + "fold_user = true\n").h1(t)
	names := []string{"ann@shop.test", "Ann@shop.test", " ann@shop.test", "ANN@SHOP.TEST\t", "ann@shop.test\u00a0", "\u2003aNN@shop.test"}
	for i := range 3 * len(names) {
		r := c.get(t, "/pet/a", "Authorization", "Bearer "+signer.token(t, issuer.name, jwt.MapClaims{"sub": names[i%len(names)]}))
		if i < 7 {
			r.want(t, 200, "")
		} else {
			r.want(t, 429, "900803")
		}
	}
	c.get(t, "/pet/a", "Authorization", "Bearer "+signer.token(t, issuer.name, jwt.MapClaims{"sub": "bob@shop.test"})).want(t, 200, "")
	if b.hits() != 8 {
		t.Errorf("%d calls reached the backend, want 7 and one of another user", b.hits())
	}
}

// keyHash finds the hashes of keys in applications.yaml.
var keyHash = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

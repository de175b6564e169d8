package identity

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/weir-project/weir"
)

func TestVerifyAlgorithms(t *testing.T) {
	k := privateKeys()
	all := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	v := newTestVerifier(t, nil)
	wide := newTestVerifier(t, func(i *Issuer) {
		i.JWKSFile, i.Algorithms = writeFile(t, "rsa.json", jwks(jwkOf("any", "", &k.rsa.PublicKey))), all
	})
	for _, test := range []struct {
		v      *Verifier
		method jwt.SigningMethod
		key    any
		kid    string
	}{
		{v, jwt.SigningMethodRS256, k.rsa, "rs"},
		{v, jwt.SigningMethodPS256, k.rsa2, "ps"},
		{v, jwt.SigningMethodES256, k.p256, "es"},
		{v, jwt.SigningMethodES384, k.p384, "es384"},
		{v, jwt.SigningMethodES512, k.p521, "es512"},
		{v, jwt.SigningMethodEdDSA, k.ed, "ed"},
		{wide, jwt.SigningMethodRS256, k.rsa, "any"},
		{wide, jwt.SigningMethodRS384, k.rsa, "any"},
		{wide, jwt.SigningMethodRS512, k.rsa, "any"},
		{wide, jwt.SigningMethodPS384, k.rsa, "any"},
		{wide, jwt.SigningMethodPS512, k.rsa, "any"},
	} {
		text := sign(test.method, test.key, fmt.Sprintf(`{"alg":%q,"kid":%q}`, test.method.Alg(), test.kid), claimsWith(""))
		for _, state := range []string{"new", "cached"} {
			token, err := test.v.Verify(t0, text)
			if err != nil || token.Subject != "alice" || token.Issuer != testIssuer {
				t.Errorf("%s with %s, %s: %+v, %v", test.method.Alg(), test.kid, state, token, err)
			}
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	list := attacks()
	if len(list) < 100 {
		t.Errorf("only %d attacks", len(list))
	}
	v := newTestVerifier(t, nil)
	if _, err := v.Verify(t0, goodToken("")); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	for _, a := range list {
		token, err := v.Verify(t0, a.text)
		var e *Error
		if token != nil || !errors.As(err, &e) || e.Kind != a.kind {
			t.Errorf("%s: got %v, %v, want %v", a.name, token, err, a.kind)
			continue
		}
		if first, second, _ := strings.Cut(a.why, "|"); !strings.Contains(e.Reason, first) && (second == "" || !strings.Contains(e.Reason, second)) {
			t.Errorf("%s: refused because %q, want %q", a.name, e.Reason, a.why)
		}
		if len(e.Reason) > 200 || (len(a.text) > 60 && strings.Contains(e.Reason, a.text[10:40])) {
			t.Errorf("%s: the reason tells too much: %q", a.name, e.Reason)
		}
	}
	if n := v.cache.len(); n != 1 {
		t.Errorf("%d tokens are remembered, want the good one", n)
	}
}

// An ECDSA signature has a twin: both are good, and both are the same token.
func TestVerifyTwinSignature(t *testing.T) {
	v := newTestVerifier(t, nil)
	text := goodToken("")
	parts := strings.Split(text, ".")
	sig := decodeB64(t, parts[2])
	order := privateKeys().p256.Params().N
	s := new(big.Int).Sub(order, new(big.Int).SetBytes(sig[32:]))
	s.FillBytes(sig[32:])
	one, err := v.Verify(t0, text)
	if err != nil {
		t.Fatal(err)
	}
	two, err := v.Verify(t0, parts[0]+"."+parts[1]+"."+b64(sig))
	if err != nil || one.ID != two.ID {
		t.Errorf("twin: %+v, %v, want the ID %q: a limit per token would count twice", two, err, one.ID)
	}
}

func TestVerifyTimes(t *testing.T) {
	exp := t0.Add(time.Hour)
	text := goodToken(fmt.Sprintf(`"nbf":%d`, t0.Unix()))
	for _, test := range []struct {
		leeway time.Duration
		at     time.Time
		want   Kind
	}{
		{0, t0, 0},
		{0, t0.Add(-time.Second), Invalid},
		{0, exp.Add(-time.Second), 0},
		{0, exp.Add(-time.Nanosecond), 0},
		{0, exp, Expired},
		{time.Minute, t0.Add(-time.Minute), 0},
		{time.Minute, t0.Add(-time.Minute - time.Second), Invalid},
		{time.Minute, exp.Add(59 * time.Second), 0},
		{time.Minute, exp.Add(time.Minute), Expired},
	} {
		v := newTestVerifier(t, func(i *Issuer) { i.Leeway = test.leeway })
		if _, err := v.Verify(test.at, text); KindOf(err) != test.want {
			t.Errorf("leeway %v, at %v: %v, want %v", test.leeway, test.at.Sub(t0), err, test.want)
		}
		// A token that is remembered expires all the same.
		v.Verify(t0, text)
		if test.want != Invalid {
			if _, err := v.Verify(test.at, text); KindOf(err) != test.want {
				t.Errorf("remembered, leeway %v, at %v: %v, want %v", test.leeway, test.at.Sub(t0), err, test.want)
			}
		}
	}
}

func TestVerifyNoExpiry(t *testing.T) {
	v := newTestVerifier(t, func(i *Issuer) { i.AllowNoExpiry = true })
	text := sign(jwt.SigningMethodES256, privateKeys().p256, `{"alg":"ES256","kid":"es"}`, fmt.Sprintf(`{"iss":%q}`, testIssuer))
	for _, at := range []time.Time{t0, t0.AddDate(100, 0, 0)} {
		token, err := v.Verify(at, text)
		if err != nil || !token.Expires.IsZero() || token.Subject != "" {
			t.Errorf("at %v: %+v, %v", at, token, err)
		}
	}
}

func TestVerifyAudience(t *testing.T) {
	v := newTestVerifier(t, func(i *Issuer) { i.Audiences = []string{"weir", "https://api.example"} })
	for _, test := range []struct {
		claims string
		want   Kind
	}{
		{`"aud":"weir"`, 0},
		{`"aud":["other","https://api.example"]`, 0},
		{`"aud":"other"`, Invalid},
		{`"aud":[]`, Invalid},
		{`"aud":["weir2",7]`, Invalid},
		{`"aud":"weir,other"`, Invalid},
		{`"aud":{"weir":1}`, Invalid},
		{`"aud":null`, Invalid},
		{`"x":1`, Invalid},
	} {
		if _, err := v.Verify(t0, goodToken(test.claims)); KindOf(err) != test.want {
			t.Errorf("%s: %v, want %v", test.claims, err, test.want)
		}
	}
}

// A token is only as good as the issuer that it names, whose keys it needs.
func TestVerifySeveralIssuers(t *testing.T) {
	k := privateKeys()
	v, err := NewVerifier(VerifierOptions{Issuers: []Issuer{
		{Name: "one", JWKSFile: writeFile(t, "1", jwks(jwkOf("k", "", &k.p256.PublicKey)))},
		{Name: "two", JWKSFile: writeFile(t, "2", jwks(jwkOf("k", "", &k.rsa.PublicKey)))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	claims := func(iss string) string { return fmt.Sprintf(`{"iss":%q,"exp":%d}`, iss, t0.Unix()+9) }
	for _, test := range []struct {
		name, text string
		want       Kind
	}{
		{"one", sign(jwt.SigningMethodES256, k.p256, `{"alg":"ES256","kid":"k"}`, claims("one")), 0},
		{"two", sign(jwt.SigningMethodRS256, k.rsa, `{"alg":"RS256","kid":"k"}`, claims("two")), 0},
		{"one signs for two", sign(jwt.SigningMethodES256, k.p256, `{"alg":"ES256","kid":"k"}`, claims("two")), Invalid},
		{"two signs for one", sign(jwt.SigningMethodRS256, k.rsa, `{"alg":"RS256","kid":"k"}`, claims("one")), Invalid},
	} {
		if _, err := v.Verify(t0, test.text); KindOf(err) != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// Keys in PEM have no kid: they fit tokens with any.
func TestVerifyPEM(t *testing.T) {
	k := privateKeys()
	both := append(publicPEM(&k.rsa.PublicKey), publicPEM(&k.p256.PublicKey)...)
	v := newTestVerifier(t, func(i *Issuer) { i.JWKSFile = writeFile(t, "keys.pem", both) })
	for _, kid := range []string{`,"kid":"whatever"`, ""} {
		text := sign(jwt.SigningMethodRS256, k.rsa, `{"alg":"RS256"`+kid+`}`, claimsWith(""))
		if _, err := v.Verify(t0, text); err != nil {
			t.Errorf("RS256%s: %v", kid, err)
		}
	}
	if _, err := v.Verify(t0, sign(jwt.SigningMethodPS256, k.rsa, `{"alg":"PS256"}`, claimsWith(""))); KindOf(err) != Invalid {
		t.Errorf("PS256 with a key that is for RS256: %v", err)
	}
}

func TestVerifyConcurrently(t *testing.T) {
	v := newTestVerifier(t, nil)
	tokens := []string{goodToken(`"jti":"1"`), goodToken(`"jti":"2"`), goodToken(`"jti":"3"`)}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 60 {
				token, err := v.Verify(t0, tokens[i%3])
				if want := fmt.Sprint(i%3 + 1); err != nil || token.ID != want {
					t.Errorf("token %s: %+v, %v", want, token, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestVerifyAllocates(t *testing.T) {
	v := newTestVerifier(t, nil)
	text := goodToken(`"keytype":"SANDBOX"`)
	token, err := v.Verify(t0, text)
	if err != nil || token.KeyType != weir.Sandbox {
		t.Fatalf("%+v, %v", token, err)
	}
	if n := testing.AllocsPerRun(100, func() { v.Verify(t0, text) }); n != 0 {
		t.Errorf("a token that was seen before costs %v allocations", n)
	}
	for name, text := range map[string]string{
		"dots":    strings.Repeat(".", 1<<20),
		"letters": strings.Repeat("a", MaxToken),
	} {
		if n := testing.AllocsPerRun(100, func() { v.Verify(t0, text) }); n != 0 {
			t.Errorf("a flood of %s costs %v allocations", name, n)
		}
	}
}

// A megabyte of dots costs no more than a look at its length.
func TestVerifyDots(t *testing.T) {
	v := newTestVerifier(t, nil)
	for _, text := range []string{strings.Repeat(".", 1<<20), strings.Repeat(".", MaxToken), strings.Repeat("a.", MaxToken/2)} {
		best := time.Hour
		for range 20 {
			start := time.Now()
			if _, err := v.Verify(t0, text); KindOf(err) != Invalid {
				t.Fatalf("%d bytes: %v", len(text), err)
			}
			best = min(best, time.Since(start))
		}
		if best > time.Millisecond {
			t.Errorf("%d bytes take %v, want less than 1ms", len(text), best)
		}
	}
}

func TestNewVerifierFaults(t *testing.T) {
	file := writeFile(t, "jwks.json", testSet())
	for _, test := range []struct {
		name   string
		issuer Issuer
		want   string
	}{
		{"no name", Issuer{JWKSFile: file}, "has no name"},
		{"no keys", Issuer{Name: "i"}, "either a file or a URL"},
		{"two places", Issuer{Name: "i", JWKSFile: file, JWKSURL: "https://x/"}, "either a file or a URL"},
		{"no such file", Issuer{Name: "i", JWKSFile: file + "x"}, "no such file"},
		{"not keys", Issuer{Name: "i", JWKSFile: writeFile(t, "x", []byte("hello"))}, "parse key set"},
		{"empty", Issuer{Name: "i", JWKSFile: writeFile(t, "x", jwks())}, "no usable key: it is empty"},
		{"too large", Issuer{Name: "i", JWKSFile: writeFile(t, "x", make([]byte, maxKeySet+1))}, "larger than 1 MiB"},
		{"leeway", Issuer{Name: "i", JWKSFile: file, Leeway: -1}, "negative"},
		{"shared secrets", Issuer{Name: "i", JWKSFile: file, Algorithms: []string{"HS256"}}, `"HS256" is not supported`},
		{"none", Issuer{Name: "i", JWKSFile: file, Algorithms: []string{"none"}}, `"none" is not supported`},
		{"no key for the algorithm", Issuer{Name: "i", JWKSFile: writeFile(t, "x", jwks(jwkOf("k", "", &privateKeys().rsa.PublicKey))), Algorithms: []string{"ES256"}}, "no usable key"},
		{"not a URL", Issuer{Name: "i", JWKSURL: "https://"}, "is not a URL"},
		{"URL of a file", Issuer{Name: "i", JWKSURL: "file://host/etc/passwd"}, "is not https"},
		{"URL without TLS", Issuer{Name: "i", JWKSURL: "http://idp.example/jwks"}, "could set the keys"},
		{"URL with a password", Issuer{Name: "i", JWKSURL: "https://u:secret@idp.example/jwks"}, "password in it"},
	} {
		_, err := NewVerifier(VerifierOptions{Issuers: []Issuer{test.issuer}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: the error tells the password: %v", test.name, err)
		}
	}
	twice := Issuer{Name: "i", JWKSFile: file}
	if _, err := NewVerifier(VerifierOptions{Issuers: []Issuer{twice, twice}}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("issuer twice: %v", err)
	}
	if _, err := NewVerifier(VerifierOptions{}); err == nil {
		t.Error("a verifier without issuers was made")
	}
	for _, url := range []string{"http://localhost:1/jwks", "http://127.0.0.1:1/", "http://[::1]:1/", "https://idp.example/"} {
		if _, err := NewVerifier(VerifierOptions{Issuers: []Issuer{{Name: "i", JWKSURL: url}}}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := NewVerifier(VerifierOptions{Issuers: []Issuer{{Name: "i", JWKSURL: "http://idp/", AllowHTTP: true}}}); err != nil {
		t.Errorf("http that is allowed: %v", err)
	}
}

// FuzzVerify gives a verifier any text: it must not let in what it did not let
// in before a byte was changed, and must not panic.
func FuzzVerify(f *testing.F) {
	for _, a := range attacks() {
		if len(a.text) < 4<<10 {
			f.Add(a.text)
		}
	}
	good := goodToken("")
	f.Add(good)
	v := newTestVerifier(f, nil)
	known := make(map[string]bool)
	for _, a := range attacks() {
		known[a.text] = true
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := v.Verify(t0, text)
		if (token == nil) == (err == nil) {
			t.Fatalf("Verify(%q) = %v, %v", text, token, err)
		}
		if err == nil && text != good && !strings.HasPrefix(text, good[:strings.LastIndexByte(good, '.')]) {
			t.Fatalf("Verify lets in %q", text)
		}
	})
}

// FuzzClaims signs any claims: whatever is in them, nothing panics, and what is
// let in has passed every check.
func FuzzClaims(f *testing.F) {
	for _, more := range []string{
		`"application":{"id":5,"uuid":"u","name":"Shop","owner":"alice","tier":"50PerMin"}`,
		`"subscribedAPIs":[{"name":"p","version":1,"subscriptionTier":"Gold"},7,null]`,
		`"aud":["a"],"nbf":1.5`, `"x":{"y":{"z":[1,{"a":2},[3]]}}`, `"permittedIP":"1.2.3.4, 10.0.0.0/8"`, `"jti":7`, `"x":1e999`,
	} {
		f.Add(claimsWith(more))
	}
	v := newTestVerifier(f, nil)
	f.Fuzz(func(t *testing.T, claims string) {
		text := sign(jwt.SigningMethodEdDSA, privateKeys().ed, `{"alg":"EdDSA","kid":"ed"}`, claims)
		token, err := v.Verify(t0, text)
		if err != nil {
			return
		}
		if token.Issuer != testIssuer || !t0.Before(token.Expires) || token.ID == "" || strings.ContainsAny(token.Subject, "\r\n\x00") {
			t.Fatalf("%q was let in as %+v", claims, token)
		}
		for version := range token.rights {
			if version.api == "" || version.number == "" || token.rights[version] == "" {
				t.Fatalf("%q grants %+v", claims, token.rights)
			}
		}
	})
}

func BenchmarkVerifyCached(b *testing.B) {
	v := newTestVerifier(b, nil)
	text := goodToken(`"application":{"id":5,"name":"Shop","owner":"alice","tier":"50PerMin"},"pad":"` + strings.Repeat("x", 400) + `"`)
	if _, err := v.Verify(t0, text); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		v.Verify(t0, text)
	}
}

func BenchmarkVerifyDots(b *testing.B) {
	v := newTestVerifier(b, nil)
	text := strings.Repeat(".", 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		v.Verify(t0, text)
	}
}

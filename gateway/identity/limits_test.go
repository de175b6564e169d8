package identity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What comes to the edge of a limit is let in, what goes over it is not.
func TestTokenLimits(t *testing.T) {
	v := newTestVerifier(t, nil)
	// A token of just the length that is let in, made by trying.
	pad := func(n int) string { return goodToken(`"pad":"` + strings.Repeat("x", n) + `"`) }
	n := (MaxToken - len(pad(0))) * 3 / 4
	for len(pad(n)) < MaxToken {
		n++
	}
	for len(pad(n)) > MaxToken {
		n--
	}
	for _, test := range []struct {
		name, text string
		want       Kind
	}{
		{"16 KiB", pad(n), 0},
		{"more than 16 KiB", pad(n + 3), Invalid},
		{"1000 values", goodToken(`"x":[` + strings.Repeat("0,", maxJSONMembers-6) + `0]`), 0},
		{"more than 1000 values", goodToken(`"x":[` + strings.Repeat("0,", maxJSONMembers) + `0]`), Invalid},
		{"nested 15 deep", goodToken(`"x":` + strings.Repeat("[", maxJSONDepth-1) + strings.Repeat("]", maxJSONDepth-1)), 0},
		{"nested 16 deep", goodToken(`"x":` + strings.Repeat("[", maxJSONDepth) + strings.Repeat("]", maxJSONDepth)), Invalid},
		{"kid of 256 bytes", sign(jwt.SigningMethodES256, privateKeys().p256, `{"alg":"ES256","kid":"`+strings.Repeat("k", maxKeyID)+`"}`, claimsWith("")), Invalid},
	} {
		token, err := v.Verify(t0, test.text)
		if KindOf(err) != test.want || (err == nil) != (token != nil) {
			t.Errorf("%s (%d bytes): %v, want %v", test.name, len(test.text), err, test.want)
		}
	}
	_, long := v.Verify(t0, sign(jwt.SigningMethodES256, privateKeys().p256,
		`{"alg":"ES256","kid":"`+strings.Repeat("k", maxKeyID)+`"}`, claimsWith("")))
	if long != errUnknownKey {
		t.Errorf("kid of 256 bytes: %v, want that it is looked for", long)
	}
}

// typ may say that a token is one for access, in any case.
func TestTokenTypes(t *testing.T) {
	v := newTestVerifier(t, nil)
	for typ, want := range map[string]Kind{
		`"JWT"`: 0, `"jwt"`: 0, `"at+jwt"`: 0, `"AT+JWT"`: 0, `"application/at+jwt"`: 0, `"application/jwt"`: 0,
		`""`: Invalid, `"JOSE"`: Invalid, `"id+jwt"`: Invalid, `"JWE"`: Invalid, `null`: Invalid, `["JWT"]`: Invalid,
	} {
		text := sign(jwt.SigningMethodEdDSA, privateKeys().ed, `{"alg":"EdDSA","kid":"ed","typ":`+typ+`}`, claimsWith(""))
		if _, err := v.Verify(t0, text); KindOf(err) != want {
			t.Errorf("typ %s: %v, want %v", typ, err, want)
		}
	}
}

// Parts of the header that are not understood change nothing: none is fetched
// or believed.
func TestTokenHeaderIsIgnored(t *testing.T) {
	v := newTestVerifier(t, nil)
	for _, more := range []string{
		`"jku":"http://127.0.0.1:1/jwks"`, `"x5u":"http://127.0.0.1:1/cert"`, `"x5c":["AAAA"]`, `"x5t":"abc"`,
		`"jwk":{"kty":"oct","k":"AAAA"}`, `"iss":"somebody else"`, `"whatever":{"a":[1]}`,
	} {
		text := sign(jwt.SigningMethodEdDSA, privateKeys().ed, `{"alg":"EdDSA","kid":"ed",`+more+`}`, claimsWith(""))
		if token, err := v.Verify(t0, text); err != nil || token.Issuer != testIssuer {
			t.Errorf("%s: %v", more, err)
		}
	}
}

// Two keys with one kid: either may have signed, and when one goes the tokens
// of the other stay.
func TestTwoKeysWithOneKid(t *testing.T) {
	k := privateKeys()
	set := newKeySet(&Issuer{Name: testIssuer, JWKSFile: "x"}, nil)
	take := func(keys ...map[string]any) {
		list, err := parseKeys(jwks(keys...), set.issuer)
		if err != nil {
			t.Fatal(err)
		}
		set.ring.Store(set.ring.Load().next(list))
	}
	one, two := jwkOf("k", "", &k.rsa.PublicKey), jwkOf("k", "", &k.rsa2.PublicKey)
	take(one, two)
	v := newTestVerifier(t, nil)
	v.issuers[testIssuer] = set
	first := sign(jwt.SigningMethodRS256, k.rsa, `{"alg":"RS256","kid":"k"}`, claimsWith(""))
	second := sign(jwt.SigningMethodRS256, k.rsa2, `{"alg":"RS256","kid":"k"}`, claimsWith(""))
	for name, text := range map[string]string{"first": first, "second": second} {
		if _, err := v.Verify(t0, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	take(two)
	if _, err := v.Verify(t0, first); KindOf(err) != Invalid {
		t.Errorf("first, its key gone: %v", err)
	}
	if n := testing.AllocsPerRun(10, func() { v.Verify(t0, second) }); n != 0 {
		t.Errorf("second was forgotten: %v allocations", n)
	}
	// More keys than are tried are not tried at all.
	var many []map[string]any
	for i := range maxTried + 1 {
		many = append(many, jwkOf(fmt.Sprint(i), "", &k.rsa.PublicKey))
	}
	take(many...)
	nameless := sign(jwt.SigningMethodRS256, k.rsa, `{"alg":"RS256"}`, claimsWith(""))
	if _, err := v.Verify(t0, nameless); err != errManyKeys {
		t.Errorf("a token that may be of %d keys: %v", len(many), err)
	}
	take(many[:maxTried]...)
	if _, err := v.Verify(t0, nameless); err != nil {
		t.Errorf("a token that may be of %d keys: %v", maxTried, err)
	}
}

// A flood of tokens that are refused leaves nothing behind.
func TestRefusedTokensAreForgotten(t *testing.T) {
	v := newTestVerifier(t, nil)
	good := goodToken("")
	for i := range 500 {
		v.Verify(t0, fmt.Sprintf("%s%05d", good[:len(good)-5], i))
	}
	if n := v.cache.len(); n != 0 {
		t.Errorf("%d refused tokens are remembered", n)
	}
	// A token that expires is forgotten when it is next shown.
	if _, err := v.Verify(t0, good); err != nil || v.cache.len() != 1 {
		t.Fatalf("%v, %d remembered", err, v.cache.len())
	}
	if _, err := v.Verify(t0.Add(2*time.Hour), good); KindOf(err) != Expired || v.cache.len() != 0 {
		t.Errorf("expired: %v, %d remembered", err, v.cache.len())
	}
}

package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The tests' clock, and the issuer that they believe.
var (
	t0         = time.Unix(1_760_000_000, 0)
	testIssuer = "https://idp.example/token"
)

// A testKeys is the private keys of the tests, made once.
type testKeys struct {
	rsa, rsa2        *rsa.PrivateKey
	p256, p384, p521 *ecdsa.PrivateKey
	ed               ed25519.PrivateKey
}

var privateKeys = sync.OnceValue(func() testKeys {
	makeRSA := func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	}
	makeEC := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	return testKeys{makeRSA(), makeRSA(), makeEC(elliptic.P256()), makeEC(elliptic.P384()), makeEC(elliptic.P521()), ed}
})

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf returns the JSON Web Key of a public key; alg may be empty.
func jwkOf(kid, alg string, key crypto.PublicKey) map[string]any {
	k := map[string]any{"kid": kid, "use": "sig"}
	if alg != "" {
		k["alg"] = alg
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		size := (len(point) - 1) / 2
		k["kty"], k["crv"] = "EC", key.Curve.Params().Name
		k["x"], k["y"] = b64(point[1:1+size]), b64(point[1+size:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", b64(key)
	}
	return k
}

// jwks returns a key set in JSON.
func jwks(keys ...map[string]any) []byte {
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return data
}

// testSet is the public half of all of the tests' keys.
func testSet() []byte {
	k := privateKeys()
	return jwks(
		jwkOf("rs", "RS256", &k.rsa.PublicKey),
		jwkOf("ps", "PS256", &k.rsa2.PublicKey),
		jwkOf("es", "", &k.p256.PublicKey),
		jwkOf("es384", "ES384", &k.p384.PublicKey),
		jwkOf("es512", "ES512", &k.p521.PublicKey),
		jwkOf("ed", "EdDSA", k.ed.Public()),
	)
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func publicPEM(key crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err)
	}
	return pemOf("PUBLIC KEY", der)
}

// newTestVerifier returns a verifier of the tests' issuer, changed by change.
func newTestVerifier(t testing.TB, change func(*Issuer)) *Verifier {
	t.Helper()
	issuer := Issuer{Name: testIssuer, JWKSFile: writeFile(t, "jwks.json", testSet())}
	if change != nil {
		change(&issuer)
	}
	v, err := NewVerifier(VerifierOptions{Issuers: []Issuer{issuer}})
	if err != nil {
		t.Fatalf("NewVerifier: %v", err)
	}
	return v
}

// sign returns a token of header and claims, as they are, signed with key.
func sign(method jwt.SigningMethod, key any, header, claims string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(claims))
	sig, err := method.Sign(signed, key)
	if err != nil {
		panic(err)
	}
	return signed + "." + b64(sig)
}

// claimsWith returns claims that hold at t0, with more members in JSON.
func claimsWith(more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"iss":%q,"sub":"alice","exp":%d,"iat":%d%s}`, testIssuer, t0.Unix()+3600, t0.Unix()-10, more)
}

// goodToken returns a token of the tests' issuer with more claims.
func goodToken(more string) string {
	return sign(jwt.SigningMethodES256, privateKeys().p256, `{"alg":"ES256","kid":"es","typ":"JWT"}`, claimsWith(more))
}

func jwkJSON(kid, alg string, key crypto.PublicKey) []byte {
	data, err := json.Marshal(jwkOf(kid, alg, key))
	if err != nil {
		panic(err)
	}
	return data
}

func decodeB64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

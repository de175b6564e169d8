package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// with returns a copy of a JSON Web Key with a member changed; nil removes it.
func with(k map[string]any, name string, value any) map[string]any {
	changed := map[string]any{name: value}
	for n, v := range k {
		if n != name {
			changed[n] = v
		}
	}
	if value == nil {
		delete(changed, name)
	}
	return changed
}

func TestParseKeys(t *testing.T) {
	k := privateKeys()
	rs, es := jwkOf("r", "", &k.rsa.PublicKey), jwkOf("e", "", &k.p256.PublicKey)
	all := &Issuer{Algorithms: []string{"RS256", "PS512", "ES256"}}
	for _, test := range []struct {
		name   string
		key    map[string]any
		issuer *Issuer
		want   []string // algorithms
	}{
		{"RSA without alg", rs, &Issuer{}, []string{"RS256"}},
		{"RSA without alg, issuer with several", rs, all, []string{"RS256", "PS512"}},
		{"RSA with alg", with(rs, "alg", "PS384"), &Issuer{}, []string{"PS384"}},
		{"P-256", es, &Issuer{}, []string{"ES256"}},
		{"P-384", jwkOf("", "", &k.p384.PublicKey), &Issuer{}, []string{"ES384"}},
		{"P-521", jwkOf("", "", &k.p521.PublicKey), &Issuer{}, []string{"ES512"}},
		{"Ed25519", jwkOf("", "", k.ed.Public()), &Issuer{}, []string{"EdDSA"}},
		{"without use", with(es, "use", nil), &Issuer{}, []string{"ES256"}},
		{"for verifying", with(es, "key_ops", []string{"verify"}), &Issuer{}, []string{"ES256"}},
		{"with padding", with(es, "x", es["x"].(string)+"="), &Issuer{}, []string{"ES256"}},
		{"with a chain", with(es, "x5c", []string{"AAAA"}), &Issuer{}, []string{"ES256"}},
	} {
		keys, err := parseKeys(jwks(test.key), test.issuer)
		if err != nil || len(keys) != 1 || !slices.Equal(keys[0].algorithms, test.want) {
			t.Errorf("%s: %+v, %v, want %v", test.name, keys, err, test.want)
		}
	}
}

func TestParseKeysPassesOver(t *testing.T) {
	k := privateKeys()
	rs, es, ed := jwkOf("r", "", &k.rsa.PublicKey), jwkOf("e", "", &k.p256.PublicKey), jwkOf("d", "", k.ed.Public())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good := jwkOf("good", "", &k.p256.PublicKey)
	for _, test := range []struct {
		name string
		key  any
		want string
	}{
		{"a shared secret", map[string]any{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}, `kind "oct"`},
		{"for encryption", with(rs, "use", "enc"), "not for signatures"},
		{"for signing only", with(rs, "key_ops", []string{"sign"}), "not for verifying"},
		{"private", with(rs, "d", "AQAB"), "private key"},
		{"algorithm for encryption", with(rs, "alg", "RSA-OAEP"), "does not fit"},
		{"algorithm with a secret", with(rs, "alg", "HS256"), "does not fit"},
		{"algorithm none", with(rs, "alg", "none"), "does not fit"},
		{"algorithm of another curve", with(es, "alg", "ES384"), "does not fit"},
		{"1024 bits", jwkOf("s", "", &small.PublicKey), "has 1024 bits"},
		{"16384 bits", with(rs, "n", b64(bytes.Repeat([]byte{0xff}, 2048))), "has 16384 bits"},
		{"exponent 1", with(rs, "e", "AQ"), "not valid"},
		{"exponent even", with(rs, "e", "BA"), "not valid"},
		{"exponent long", with(rs, "e", b64([]byte{1, 0, 0, 0, 1})), "too large"},
		{"exponent missing", with(rs, "e", nil), "e is missing"},
		{"modulus even", with(rs, "n", b64(append(bytes.Repeat([]byte{0xff}, 255), 0xfe))), "not valid"},
		{"modulus not base64", with(rs, "n", "!!"), "not base64url"},
		{"point not on the curve", with(es, "x", b64(make([]byte, 32))), "point"},
		{"point too long", with(es, "y", b64(make([]byte, 33))), "too long"},
		{"point missing", with(es, "y", nil), "y is missing"},
		{"curve unknown", with(es, "crv", "secp256k1"), "secp256k1"},
		{"curve of another kind", with(ed, "crv", "X25519"), "X25519"},
		{"Ed25519 short", with(ed, "x", "AAAA"), "wrong length"},
		{"kind unknown", with(es, "kty", "XYZ"), `kind "XYZ"`},
		{"a number", 7, "cannot unmarshal"},
		{"members of another kind", with(es, "kid", 7), "cannot unmarshal"},
	} {
		if entry, ok := test.key.(map[string]any); ok {
			keys, err := parseKeys(jwks(entry, good), &Issuer{})
			if err != nil || len(keys) != 1 || keys[0].id != "good" {
				t.Errorf("%s, beside a good one: %v, %v", test.name, keys, err)
			}
		}
		alone, _ := json.Marshal(map[string]any{"keys": []any{test.key}})
		if _, err := parseKeys(alone, &Issuer{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, alone: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestParseKeysFaults(t *testing.T) {
	k := privateKeys()
	many := make([]map[string]any, maxKeys+1)
	for i := range many {
		many[i] = jwkOf("k", "", &k.p256.PublicKey)
	}
	private, _ := x509.MarshalPKCS8PrivateKey(k.p256)
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "parse key set"},
		{"not JSON", []byte("<html>"), "parse key set"},
		{"no keys", []byte(`{}`), "it is empty"},
		{"keys not a list", []byte(`{"keys":{}}`), "parse key set"},
		{"too many", jwks(many...), "more than 100 keys"},
		{"a private key in PEM", pemOf("PRIVATE KEY", private), `"PRIVATE KEY" is neither`},
		{"PEM of nothing", pemOf("PUBLIC KEY", []byte{1}), "PEM block 1"},
		{"PEM cut", publicPEM(&k.p256.PublicKey)[:60], "no PEM block"},
		{"PEM of an odd curve", publicPEM(&p224.PublicKey), "no algorithm"},
		{"too many in PEM", bytes.Repeat(publicPEM(&k.p256.PublicKey), maxKeys+1), "more than 100 keys"},
	} {
		if _, err := parseKeys(test.data, &Issuer{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestParsePEM(t *testing.T) {
	k := privateKeys()
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: t0, NotAfter: t0.Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &k.rsa.PublicKey, k.rsa)
	if err != nil {
		t.Fatal(err)
	}
	data := slices.Concat([]byte("\n"), pemOf("CERTIFICATE", cert), publicPEM(&k.p384.PublicKey),
		pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.rsa2.PublicKey)), publicPEM(k.ed.Public()))
	keys, err := parseKeys(data, &Issuer{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, key := range keys {
		got = append(got, key.algorithms...)
	}
	if want := []string{"RS256", "ES384", "RS256", "EdDSA"}; !slices.Equal(got, want) {
		t.Errorf("algorithms = %v, want %v", got, want)
	}
}

func TestKeyringFind(t *testing.T) {
	k := privateKeys()
	parse := func(keys ...map[string]any) *keyring {
		list, err := parseKeys(jwks(keys...), &Issuer{})
		if err != nil {
			t.Fatal(err)
		}
		return (*keyring)(nil).next(list)
	}
	named := parse(jwkOf("a", "", &k.rsa.PublicKey), jwkOf("b", "", &k.p256.PublicKey), jwkOf("a", "", &k.p384.PublicKey),
		jwkOf("a", "", &k.rsa2.PublicKey))
	mixed := parse(jwkOf("a", "", &k.rsa.PublicKey), jwkOf("", "", &k.p256.PublicKey))
	for _, test := range []struct {
		ring    *keyring
		kid     string
		alg     string
		found   int
		unknown bool
	}{
		{named, "a", "RS256", 2, false}, // two keys with one kid: either
		{named, "a", "ES384", 1, false},
		{named, "a", "ES256", 0, false},
		{named, "b", "ES256", 1, false},
		{named, "c", "ES256", 0, true},
		{named, "", "RS256", 2, false},
		{named, "", "EdDSA", 0, false},
		{mixed, "a", "RS256", 1, false},
		{mixed, "a", "ES256", 0, false}, // the named key, not the one without a name
		{mixed, "c", "ES256", 1, false},
		{mixed, "c", "RS256", 0, false},
		{mixed, "", "RS256", 1, false},
	} {
		keys, unknown := test.ring.find(test.kid, test.alg)
		if len(keys) != test.found || unknown != test.unknown {
			t.Errorf("kid %q, %s: %d keys, unknown %v, want %d, %v", test.kid, test.alg, len(keys), unknown, test.found, test.unknown)
		}
	}
}

// A key that stays is the same key; one that goes is marked.
func TestKeyringNext(t *testing.T) {
	k := privateKeys()
	a, b := jwkOf("a", "", &k.rsa.PublicKey), jwkOf("b", "", &k.p256.PublicKey)
	var ring *keyring
	for i, step := range []struct {
		keys    []map[string]any
		size    int
		removed string // kids of the first ring's keys
	}{
		{[]map[string]any{a, b}, 2, ""},
		{[]map[string]any{b, a, a}, 2, ""},                   // in another order, one twice
		{[]map[string]any{a, b, with(b, "kid", "c")}, 3, ""}, // one added
		{[]map[string]any{with(a, "alg", "RS512"), b}, 2, "a"},
		{[]map[string]any{a}, 1, "ab"}, // one that comes back is a new one
	} {
		list, err := parseKeys(jwks(step.keys...), &Issuer{})
		if err != nil {
			t.Fatal(err)
		}
		before := ring
		ring = ring.next(list)
		if len(ring.keys) != step.size {
			t.Errorf("step %d: %d keys, want %d", i, len(ring.keys), step.size)
		}
		if before == nil {
			continue
		}
		for _, key := range before.keys {
			if still := slices.Contains(ring.keys, key); still == key.removed.Load() {
				t.Errorf("step %d: key %s is in the ring: %v, removed: %v", i, key.id, still, key.removed.Load())
			}
		}
	}
}

// FuzzJWKS gives the parser any key set: it must not panic, and every key that
// it takes is one that can be used.
func FuzzJWKS(f *testing.F) {
	f.Add(testSet())
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Add(publicPEM(&privateKeys().p256.PublicKey))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseKeys(data, &Issuer{})
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, key := range keys {
			if len(key.algorithms) == 0 || key.key == nil {
				t.Fatalf("key %+v", key)
			}
		}
	})
}

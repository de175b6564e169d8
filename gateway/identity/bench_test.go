package identity

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// BenchmarkIdentify is what a request pays: its credential is found and its
// application, user and subscription are looked up.
func BenchmarkIdentify(b *testing.B) {
	key, hash := NewKey()
	d := newTestDirectory(b, Application{
		ID: "5", Name: "Shop", Keys: []Key{{Hash: hash}}, Clients: []Client{{ID: "c"}},
		Subscriptions: []Subscription{{"Pizza", "1", "Gold"}},
	})
	a := NewAuthenticator(AuthenticatorOptions{Verifier: newTestVerifier(b, nil)})
	client := netip.MustParseAddr("192.0.2.1")
	for name, h := range map[string]fields{
		"key":   {"Host: api.example", "Accept: */*", "ApiKey: " + key},
		"token": {"Host: api.example", "Accept: */*", "Authorization: Bearer " + goodToken(`"azp":"c"`)},
	} {
		b.Run(name, func(b *testing.B) {
			var headers, query Source = h, fields{"limit: 10"}
			b.ReportAllocs()
			for b.Loop() {
				c, err := a.Find(headers, query, "")
				if err != nil {
					b.Fatal(err)
				}
				p, err := a.Authenticate(t0, d, c, client, headers)
				if err != nil {
					b.Fatal(err)
				}
				if _, ok := p.Subscription("Pizza", "1"); !ok {
					b.Fatal("no subscription")
				}
			}
		})
	}
}

// BenchmarkVerifyNew is what a token costs the first time it is shown.
func BenchmarkVerifyNew(b *testing.B) {
	k := privateKeys()
	v := newTestVerifier(b, nil)
	for name, text := range map[string]string{
		"RS256": sign(jwt.SigningMethodRS256, k.rsa, `{"alg":"RS256","kid":"rs"}`, claimsWith("")),
		"ES256": sign(jwt.SigningMethodES256, k.p256, `{"alg":"ES256","kid":"es"}`, claimsWith("")),
		"EdDSA": sign(jwt.SigningMethodEdDSA, k.ed, `{"alg":"EdDSA","kid":"ed"}`, claimsWith("")),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.cache.remove(text)
				if _, err := v.Verify(t0, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("dots", func(b *testing.B) {
		text := strings.Repeat(".", MaxToken)
		b.ReportAllocs()
		for b.Loop() {
			v.Verify(t0, text)
		}
	})
}

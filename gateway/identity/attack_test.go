package identity

import (
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// An attack is a token that must be refused.
type attack struct {
	name string
	text string
	kind Kind
	why  string // part of the reason
}

// attacks are tokens that were made up, changed or borrowed.
func attacks() []attack {
	k := privateKeys()
	es := func(header, claims string) string { return sign(jwt.SigningMethodES256, k.p256, header, claims) }
	rs := func(header, claims string) string { return sign(jwt.SigningMethodRS256, k.rsa, header, claims) }
	head := `{"alg":"ES256","kid":"es"}`
	good := goodToken("")
	parts := strings.Split(good, ".")
	seg := func(s string) string { return b64([]byte(s)) }
	der, _ := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	hs := func(secret []byte) string {
		return sign(jwt.SigningMethodHS256, secret, `{"alg":"HS256","kid":"rs"}`, claimsWith(""))
	}
	list := []attack{
		{"HS256 with the public key in PEM", hs(publicPEM(&k.rsa.PublicKey)), Invalid, "algorithm"},
		{"HS256 with the public key in DER", hs(der), Invalid, "algorithm"},
		{"HS256 with the public key's PKCS#1", hs(x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)), Invalid, "algorithm"},
		{"HS256 with the JWKS", hs(testSet()), Invalid, "algorithm"},
		{"HS256 with nothing", hs([]byte{}), Invalid, "algorithm"},
		{"HS512", sign(jwt.SigningMethodHS512, []byte("x"), `{"alg":"HS512","kid":"rs"}`, claimsWith("")), Invalid, "algorithm"},
		{"RS384 with a key for RS256", sign(jwt.SigningMethodRS384, k.rsa, `{"alg":"RS384","kid":"rs"}`, claimsWith("")), Invalid, "not the key's"},
		{"PS256 with a key for RS256", sign(jwt.SigningMethodPS256, k.rsa, `{"alg":"PS256","kid":"rs"}`, claimsWith("")), Invalid, "not the key's"},
		{"RS256 with a key for PS256", sign(jwt.SigningMethodRS256, k.rsa2, `{"alg":"RS256","kid":"ps"}`, claimsWith("")), Invalid, "not the key's"},
		{"ES256 signature under an RSA key", es(`{"alg":"ES256","kid":"rs"}`, claimsWith("")), Invalid, "not the key's"},
		{"RS256 signature under an EC key", rs(`{"alg":"RS256","kid":"es"}`, claimsWith("")), Invalid, "not the key's"},
		{"ES384 said of a P-256 key", sign(jwt.SigningMethodES384, k.p384, `{"alg":"ES384","kid":"es"}`, claimsWith("")), Invalid, "not the key's"},
		{"somebody else's key", rs(`{"alg":"RS256","kid":"ps"}`, claimsWith("")), Invalid, "not the key's"},
		{"another key, right algorithm", sign(jwt.SigningMethodRS256, k.rsa2, `{"alg":"RS256","kid":"rs"}`, claimsWith("")), Invalid, "signature"},
		{"algorithm in small letters", es(`{"alg":"es256","kid":"es"}`, claimsWith("")), Invalid, "algorithm"},
		{"algorithm missing", es(`{"kid":"es"}`, claimsWith("")), Invalid, "algorithm"},
		{"algorithm a number", es(`{"alg":256,"kid":"es"}`, claimsWith("")), Invalid, "algorithm"},
		{"algorithm a list", es(`{"alg":["ES256"],"kid":"es"}`, claimsWith("")), Invalid, "algorithm"},
		{"ES256K", es(`{"alg":"ES256K","kid":"es"}`, claimsWith("")), Invalid, "algorithm"},

		{"claims changed", parts[0] + "." + seg(claimsWith(`"role":"admin"`)) + "." + parts[2], Invalid, "signature"},
		{"header changed", seg(`{"alg":"ES256","kid":"es","x":1}`) + "." + parts[1] + "." + parts[2], Invalid, "signature"},
		{"signature empty", parts[0] + "." + parts[1] + ".", Invalid, "malformed"},
		{"signature missing", parts[0] + "." + parts[1], Invalid, "malformed"},
		{"signature zero", parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), Invalid, "signature"},
		{"signature of ones", parts[0] + "." + parts[1] + "." + b64(append(append(make([]byte, 31), 1), append(make([]byte, 31), 1)...)), Invalid, "signature"},
		{"signature too short", parts[0] + "." + parts[1] + "." + b64(make([]byte, 63)), Invalid, "signature"},
		{"signature in ASN.1", parts[0] + "." + parts[1] + "." + b64(append([]byte{0x30, 0x44, 2, 0x20}, make([]byte, 66)...)), Invalid, "signature"},
		{"signature with spare bits", good[:len(good)-1] + spareBits(good[len(good)-1]), Invalid, ""},
		{"signature padded", good + "==", Invalid, "malformed"},
		{"signature with a line end", good + "\n", Invalid, "malformed"},
		{"line end within", good[:40] + "\r\n" + good[40:], Invalid, "malformed"},
		{"space before", " " + good, Invalid, "malformed"},
		{"NUL behind", good + "\x00", Invalid, "malformed"},
		{"standard base64", strings.Replace(good, ".", "+.", 1), Invalid, "malformed"},
		{"two tokens", good + "," + good, Invalid, "malformed"},

		{"critical extension", es(`{"alg":"ES256","kid":"es","crit":["exp"],"exp":1}`, claimsWith("")), Invalid, "critical"},
		{"critical extension, empty", es(`{"alg":"ES256","kid":"es","crit":[]}`, claimsWith("")), Invalid, "critical"},
		{"unencoded payload", es(`{"alg":"ES256","kid":"es","b64":false,"crit":["b64"]}`, claimsWith("")), Invalid, "critical"},
		{"unencoded payload, quietly", es(`{"alg":"ES256","kid":"es","b64":false}`, claimsWith("")), Invalid, "critical"},
		{"nested token", es(`{"alg":"ES256","kid":"es","cty":"JWT"}`, claimsWith("")), Invalid, "another token"},
		{"token as payload", es(head, good), Invalid, "JSON"},
		{"encrypted", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AA.AA.AA.AA", Invalid, "encrypted"},
		{"encrypted, in three parts", es(`{"alg":"ES256","kid":"es","enc":"A256GCM"}`, claimsWith("")), Invalid, "encrypted"},
		{"compressed", es(`{"alg":"ES256","kid":"es","zip":"DEF"}`, claimsWith("")), Invalid, "encrypted"},
		{"logout token", es(`{"alg":"ES256","kid":"es","typ":"logout+jwt"}`, claimsWith("")), Invalid, "typ"},
		{"proof of possession", es(`{"alg":"ES256","kid":"es","typ":"dpop+jwt"}`, claimsWith("")), Invalid, "typ"},
		{"typ a number", es(`{"alg":"ES256","kid":"es","typ":7}`, claimsWith("")), Invalid, "typ"},
		{"bound to a key", es(head, claimsWith(`"cnf":{"jkt":"x"}`)), Invalid, "bound"},

		{"kid of no key", es(`{"alg":"ES256","kid":"no"}`, claimsWith("")), Invalid, "does not have"},
		{"kid a path", es(`{"alg":"ES256","kid":"../../dev/null"}`, claimsWith("")), Invalid, "does not have"},
		{"kid SQL", es(`{"alg":"ES256","kid":"x' UNION SELECT 'k"}`, claimsWith("")), Invalid, "does not have"},
		{"kid a URL", es(`{"alg":"ES256","kid":"http://127.0.0.1:1/k"}`, claimsWith("")), Invalid, "does not have"},
		{"kid a number", es(`{"alg":"ES256","kid":7}`, claimsWith("")), Invalid, "kid"},
		{"kid null", es(`{"alg":"ES256","kid":null}`, claimsWith("")), Invalid, "kid"},
		{"kid long", es(`{"alg":"ES256","kid":"`+strings.Repeat("k", 300)+`"}`, claimsWith("")), Invalid, "kid"},
		{"key in the token", sign(jwt.SigningMethodRS256, k.rsa2, `{"alg":"RS256","kid":"mine","jwk":`+string(jwkJSON("mine", "RS256", &k.rsa2.PublicKey))+`}`, claimsWith("")), Invalid, "does not have"},
		{"place of keys in the token", sign(jwt.SigningMethodRS256, k.rsa2, `{"alg":"RS256","kid":"mine","jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/"}`, claimsWith("")), Invalid, "does not have"},

		{"name twice in the header", es(`{"alg":"ES256","kid":"es","alg":"none"}`, claimsWith("")), Invalid, "name twice"},
		{"name twice, escaped", es(`{"alg":"ES256","kid":"es","\u0061lg":"none"}`, claimsWith("")), Invalid, "name twice"},
		{"claim twice", es(head, claimsWith(`"sub":"bob"`)), Invalid, "name twice"},
		{"claim twice, deep", es(head, claimsWith(`"application":{"id":1,"id":2}`)), Invalid, "name twice"},
		{"claims an array", es(head, `[]`), Invalid, "JSON object"},
		{"claims null", es(head, `null`), Invalid, "JSON object"},
		{"claims and more", es(head, claimsWith("")+"{}"), Invalid, "goes on"},
		{"claims cut", es(head, claimsWith("")[:40]), Invalid, "JSON"},
		{"claims not UTF-8", es(head, claimsWith("\"x\":\"\xff\"")), Invalid, "UTF-8"},
		{"claims deep", es(head, claimsWith(`"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100))), Invalid, "deep"},
		{"claims many", es(head, claimsWith(`"x":[0`+strings.Repeat(",0", 2000)+`]`)), Invalid, "values"},
		{"byte order mark", es(head, "\ufeff"+claimsWith("")), Invalid, "JSON"},

		{"issuer missing", es(head, fmt.Sprintf(`{"sub":"a","exp":%d}`, t0.Unix()+9)), Invalid, "issuer"},
		{"issuer other", es(head, fmt.Sprintf(`{"iss":"https://evil.example","exp":%d}`, t0.Unix()+9)), Invalid, "issuer"},
		{"issuer with a slash more", es(head, fmt.Sprintf(`{"iss":%q,"exp":%d}`, testIssuer+"/", t0.Unix()+9)), Invalid, "issuer"},
		{"issuer in another case", es(head, fmt.Sprintf(`{"iss":%q,"exp":%d}`, strings.ToUpper(testIssuer), t0.Unix()+9)), Invalid, "issuer"},
		{"issuer a list", es(head, fmt.Sprintf(`{"iss":[%q],"exp":%d}`, testIssuer, t0.Unix()+9)), Invalid, "issuer"},
		{"Iss instead of iss", es(head, fmt.Sprintf(`{"Iss":%q,"exp":%d}`, testIssuer, t0.Unix()+9)), Invalid, "issuer"},

		{"expired", es(head, fmt.Sprintf(`{"iss":%q,"exp":%d}`, testIssuer, t0.Unix()-1)), Expired, "expired"},
		{"expires now", es(head, fmt.Sprintf(`{"iss":%q,"exp":%d}`, testIssuer, t0.Unix())), Expired, "expired"},
		{"expiry missing", es(head, fmt.Sprintf(`{"iss":%q}`, testIssuer)), Invalid, "expires"},
		{"expiry in text", es(head, fmt.Sprintf(`{"iss":%q,"exp":"%d"}`, testIssuer, t0.Unix()+9)), Invalid, "time"},
		{"expiry null", es(head, fmt.Sprintf(`{"iss":%q,"exp":null}`, testIssuer)), Invalid, "time"},
		{"expiry true", es(head, fmt.Sprintf(`{"iss":%q,"exp":true}`, testIssuer)), Invalid, "time"},
		{"expiry beyond all", es(head, fmt.Sprintf(`{"iss":%q,"exp":1e400}`, testIssuer)), Invalid, ""},
		{"expiry too large", es(head, fmt.Sprintf(`{"iss":%q,"exp":1e300}`, testIssuer)), Invalid, "time"},
		{"expiry negative", es(head, fmt.Sprintf(`{"iss":%q,"exp":-1}`, testIssuer)), Invalid, "time"},
		{"not yet", es(head, claimsWith(fmt.Sprintf(`"nbf":%d`, t0.Unix()+1))), Invalid, "not valid yet"},
		{"not before in text", es(head, claimsWith(`"nbf":"0"`)), Invalid, "time"},
		{"issued later", es(head, fmt.Sprintf(`{"iss":%q,"exp":%d,"iat":%d}`, testIssuer, t0.Unix()+9, t0.Unix()+5)), Invalid, "not valid yet"},
		{"expired and forged", parts[0] + "." + seg(fmt.Sprintf(`{"iss":%q,"exp":1}`, testIssuer)) + "." + parts[2], Invalid, "signature"},

		{"key type unknown", es(head, claimsWith(`"keytype":"TEST"`)), Invalid, "keytype"},
		{"key type in small letters", es(head, claimsWith(`"keytype":"sandbox"`)), Invalid, "keytype"},
		{"key type a list", es(head, claimsWith(`"keytype":["SANDBOX"]`)), Invalid, "keytype"},
		{"user with a line end", es(head, fmt.Sprintf(`{"iss":%q,"exp":%d,"sub":"a\nb"}`, testIssuer, t0.Unix()+9)), Invalid, "user name"},
		{"subscriptions twice", es(head, claimsWith(`"application":{"id":5},"subscribedAPIs":[{"name":"p","version":"1","subscriptionTier":"Gold"},{"name":"p","version":"1","subscriptionTier":"Unlimited"}]`)), Invalid, "twice"},
		{"restriction not understood", es(head, claimsWith(`"permittedIP":"10.0.0"`)), Invalid, "permittedIP"},
		{"restriction an object", es(head, claimsWith(`"permittedReferer":{}`)), Invalid, "permittedIP"},

		{"nothing", "", Invalid, "malformed"},
		{"a dot", ".", Invalid, "malformed"},
		{"dots", "..", Invalid, "malformed"},
		{"a megabyte of dots", strings.Repeat(".", 1<<20), Invalid, "16 KiB"},
		{"16 KiB of dots", strings.Repeat(".", MaxToken), Invalid, "malformed"},
		{"too long", good + strings.Repeat("A", MaxToken), Invalid, "16 KiB"},
		{"parts of nothing", "AAAA.AAAA.AAAA", Invalid, "UTF-8|JSON"},
		{"four parts", good + ".AAAA", Invalid, "malformed"},
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", "", "none ", "NoNe\u0000"} {
		header := fmt.Sprintf(`{"alg":%q,"kid":"es"}`, none)
		list = append(list,
			attack{"algorithm " + none, seg(header) + "." + seg(claimsWith("")) + ".", Invalid, "malformed"},
			attack{"algorithm, signed, " + none, seg(header) + "." + seg(claimsWith("")) + "." + parts[2], Invalid, ""},
		)
	}
	return list
}

// spareBits returns a base64 digit that stands for the same bytes at the end of
// 64 to a decoder that is not strict.
func spareBits(digit byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return digits[strings.IndexByte(digits, digit)|1:][:1]
}

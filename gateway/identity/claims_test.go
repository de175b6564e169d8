package identity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/weir-project/weir"
)

var _ weir.Values = claims(nil)

func TestClaims(t *testing.T) {
	tok := token(t, nil, `"text":"a b","number":12345678901234567890,"fraction":1.50,"yes":true,"no":false,"nothing":null,`+
		`"list":["a","b",3,true],"empty":[],"mixed":["a",{"x":1},["y"],null,"b"],`+
		`"realm":{"roles":["admin","user"],"name":"r","deep":{"x":{"y":7}}},"realm.name":"outside","":"unnamed","é":"ü"`)
	for _, test := range []struct {
		name, want string
		found      bool
	}{
		{"sub", "alice", true},
		{"iss", testIssuer, true},
		{"exp", fmt.Sprint(t0.Unix() + 3600), true},
		{"text", "a b", true},
		{"number", "12345678901234567890", true}, // as written
		{"fraction", "1.50", true},
		{"yes", "true", true},
		{"no", "false", true},
		{"nothing", "", false},
		{"list", "a,b,3,true", true},
		{"empty", "", true},
		{"mixed", "a,b", true},
		{"realm", "", false},
		{"realm.roles", "admin,user", true},
		{"realm.deep.x.y", "7", true},
		{"realm.name", "outside", true}, // a claim of its own goes first
		{"", "unnamed", true},
		{"é", "ü", true},
		{"Text", "", false},
		{"missing", "", false},
	} {
		if got, ok := tok.Claim(test.name); got != test.want || ok != test.found {
			t.Errorf("claim %q = %q, %v, want %q, %v", test.name, got, ok, test.want, test.found)
		}
	}
}

func TestCheckObject(t *testing.T) {
	for _, good := range []string{
		`{}`, ` {"a":1} `, "{\"a\":1}\n", `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}`, `{"a":"\u0000"}`, `{"":1}`,
		strings.Repeat(`{"a":`, maxJSONDepth-1) + `{}` + strings.Repeat("}", maxJSONDepth-1),
	} {
		if err := checkObject([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, test := range []struct{ text, want string }{
		{``, "not a JSON object"},
		{`x`, "not a JSON object"},
		{`"{}"`, "not a JSON object"},
		{`[{}]`, "not a JSON object"},
		{`1`, "not a JSON object"},
		{"\ufeff{}", "not a JSON object"},
		{`{}{}`, "goes on"},
		{`{} x`, "goes on"},
		{`{},`, "goes on"},
		{"{}\x00", "goes on"},
		{`{`, "not JSON"},
		{`{"a"}`, "not JSON"},
		{`{"a":}`, "not JSON"},
		{`{"a":1,}`, "not JSON"},
		{`{"a" 1}`, "not JSON"},
		{`{"a":1 "b":2}`, "not JSON"},
		{`{a:1}`, "not JSON"},
		{`{'a':1}`, "not JSON"},
		{`{"a":01}`, "not JSON"},
		{`{"a":NaN}`, "not JSON"},
		{`{"a":[1}`, "not JSON"},
		{`{"a":1]`, "not JSON"},
		{`{"a":1,"a":1}`, "name twice"},
		{`{"a":1,"\u0061":1}`, "name twice"},
		{`{"a\ud800":1,"a\ud801":1}`, "name twice"}, // halves of pairs are one character to a decoder
		{`{"x":[{"y":{"a":1,"a":2}}]}`, "name twice"},
		{"{\"a\":\"\xff\"}", "not UTF-8"},
		{strings.Repeat(`{"a":`, maxJSONDepth+1) + "1" + strings.Repeat("}", maxJSONDepth+1), "too deep"},
		{`{"a":` + strings.Repeat("[", 5000), "too deep"},
		{`{"a":[` + strings.Repeat("1,", maxJSONMembers) + `1]}`, "more than 1000"},
	} {
		if err := checkObject([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40s: %v, want %q", test.text, err, test.want)
		}
	}
}

func TestTokenIdentity(t *testing.T) {
	long := strings.Repeat("j", maxID+1)
	for _, test := range []struct {
		name, more          string
		change              func(*Issuer)
		id, subject, client string
	}{
		{"all", `"jti":"j-1","azp":"c"`, nil, "j-1", "alice", "c"},
		{"no jti", ``, nil, "jwt:", "alice", ""},
		{"jti empty", `"jti":""`, nil, "jwt:", "alice", ""},
		{"jti a number", `"jti":7`, nil, "jwt:", "alice", ""},
		{"jti long", `"jti":"` + long + `"`, nil, "jwt:", "alice", ""},
		{"consumer key first", `"client_id":"c3","azp":"c2","consumerKey":"c1"`, nil, "jwt:", "alice", "c1"},
		{"azp before client_id", `"client_id":"c3","azp":"c2"`, nil, "jwt:", "alice", "c2"},
		{"client not text", `"consumerKey":7,"azp":null,"client_id":"c3"`, nil, "jwt:", "alice", "c3"},
		{"another claim for the user", `"email":" Bob@X.example "`, func(i *Issuer) { i.UserClaim = "email" }, "jwt:", "Bob@X.example", ""},
		{"in small letters", `"email":"Bob@X.example"`, func(i *Issuer) { i.UserClaim, i.FoldUser = "email", true }, "jwt:", "bob@x.example", ""},
		{"user a number", `"uid":7`, func(i *Issuer) { i.UserClaim = "uid" }, "jwt:", "7", ""},
		{"user within an object", `"user":{"name":"carol"}`, func(i *Issuer) { i.UserClaim = "user.name" }, "jwt:", "carol", ""},
		{"no user", ``, func(i *Issuer) { i.UserClaim = "uid" }, "jwt:", "", ""},
	} {
		tok := token(t, test.change, test.more)
		if !strings.HasPrefix(tok.ID, test.id) || tok.Subject != test.subject || tok.ClientID != test.client {
			t.Errorf("%s: id %q, subject %q, client %q, want %q, %q, %q",
				test.name, tok.ID, tok.Subject, tok.ClientID, test.id, test.subject, test.client)
		}
		if !tok.Expires.Equal(t0.Add(time.Hour)) {
			t.Errorf("%s: expires %v", test.name, tok.Expires)
		}
	}
	one, two := token(t, nil, `"n":1`), token(t, nil, `"n":2`)
	if one.ID == two.ID {
		t.Errorf("two tokens have the ID %q", one.ID)
	}
}

// One user has one name, however it was typed (but for case, unless told so).
func TestCanonicalUser(t *testing.T) {
	for _, test := range []struct {
		name string
		fold bool
		want string
		ok   bool
	}{
		{"alice", false, "alice", true},
		{" alice\t", false, "alice", true},
		{"\u00a0alice\u2003", false, "alice", true},
		{"Alice", false, "Alice", true},
		{"ALICE ", true, "alice", true},
		{"ÄLICE", true, "älice", true},
		{"alice smith", false, "alice smith", true},
		{"", false, "", true},
		{"al\x00ice", false, "", false},
		{"al\nice", false, "", false},
		{"al\x7fice", false, "", false},
		{"al\u0085ice", false, "", false},
		{"al\ufffdice", false, "", false},
		{"al\xffice", false, "", false},
	} {
		if got, ok := canonicalUser(test.name, test.fold); got != test.want || ok != test.ok {
			t.Errorf("%q = %q, %v, want %q, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestNumericDate(t *testing.T) {
	for _, test := range []struct {
		value string
		want  int64
		valid bool
	}{
		{"0", 0, true},
		{"1760000000", 1_760_000_000, true},
		{"1760000000.9", 1_760_000_000, true},
		{"1.76e9", 1_760_000_000, true},
		{"-0.5", 0, false},
		{"-1", 0, false},
		{"1e300", 0, false},
		{`"1760000000"`, 0, false},
		{"true", 0, false},
		{"null", 0, false},
		{"[1]", 0, false},
		{"{}", 0, false},
	} {
		parsed, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(
			b64([]byte(`{"alg":"none"}`))+"."+b64([]byte(`{"exp":`+test.value+`}`))+".", jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		got, found, valid := numericDate(parsed.Claims.(jwt.MapClaims), "exp")
		if got != test.want || valid != test.valid || !found {
			t.Errorf("%s: %d, %v, %v, want %d, %v", test.value, got, found, valid, test.want, test.valid)
		}
	}
	if _, found, valid := numericDate(nil, "exp"); found || !valid {
		t.Errorf("missing: %v, %v", found, valid)
	}
}

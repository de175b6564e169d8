package identity

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/weir-project/weir"
)

func TestFind(t *testing.T) {
	custom := NewAuthenticator(AuthenticatorOptions{KeyHeader: "X-Key", KeyParam: "key"})
	normal := NewAuthenticator(AuthenticatorOptions{})
	for _, test := range []struct {
		name    string
		a       *Authenticator
		auth    string
		headers fields
		query   params
		want    Credential
		err     *Error
	}{
		{"nothing", normal, "", nil, nil, Credential{}, errNone},
		{"key in a field", normal, "", fields{"apikey: k"}, nil, Credential{"k", "ApiKey", ""}, nil},
		{"key in the query", normal, "", nil, params{"ApiKey: k"}, Credential{"k", "", "ApiKey"}, nil},
		{"bearer", normal, "", fields{"authorization: Bearer t"}, nil, Credential{"t", "Authorization", ""}, nil},
		{"bearer in capitals", normal, "", fields{"Authorization: BEARER  t "}, nil, Credential{"t", "Authorization", ""}, nil},
		{"bearer and a tab", normal, "", fields{"Authorization: bearer\tt"}, nil, Credential{"t", "Authorization", ""}, nil},
		{"key behind bearer", normal, "", fields{"Authorization: Bearer weir_x"}, nil, Credential{"weir_x", "Authorization", ""}, nil},
		{"own field, bearer", normal, "X-Token", fields{"X-Token: Bearer t"}, nil, Credential{"t", "X-Token", ""}, nil},
		{"own field, alone", normal, "X-Token", fields{"X-Token: t"}, nil, Credential{"t", "X-Token", ""}, nil},
		{"own field, and one for the backend", normal, "X-Token", fields{"X-Token: t", "Authorization: Bearer b"}, nil, Credential{"t", "X-Token", ""}, nil},
		{"own field missing", normal, "X-Token", fields{"Authorization: Bearer b"}, nil, Credential{}, errNone},
		{"own names", custom, "", fields{"X-Key: k", "ApiKey: other"}, nil, Credential{"k", "X-Key", ""}, nil},
		{"own names in the query", custom, "", nil, params{"key: k"}, Credential{"k", "", "key"}, nil},
		{"one field for both", custom, "x-key", fields{"X-Key: k"}, nil, Credential{"k", "X-Key", ""}, nil},
		{"key, and basic for the backend", normal, "", fields{"ApiKey: k", "Authorization: Basic eA=="}, nil, Credential{"k", "ApiKey", ""}, nil},
		{"basic alone", normal, "", fields{"Authorization: Basic eA=="}, nil, Credential{}, errNone},
		{"token without bearer", normal, "", fields{"Authorization: a.b.c"}, nil, Credential{}, errNone},
		{"bearers", normal, "", fields{"Authorization: Bearers t"}, nil, Credential{}, errNone},
		{"an empty field", normal, "", fields{"Authorization: "}, nil, Credential{}, errNone},

		{"key twice", normal, "", fields{"ApiKey: k", "ApiKey: k"}, nil, Credential{}, errTwo},
		{"key twice in the query", normal, "", nil, params{"ApiKey: k", "ApiKey: l"}, Credential{}, errTwo},
		{"key in both", normal, "", fields{"ApiKey: k"}, params{"ApiKey: k"}, Credential{}, errTwo},
		{"key and token", normal, "", fields{"ApiKey: k", "Authorization: Bearer t"}, nil, Credential{}, errTwo},
		{"token twice", normal, "", fields{"Authorization: Bearer t", "Authorization: Bearer u"}, nil, Credential{}, errTwo},
		{"basic and token", normal, "", fields{"Authorization: Basic eA==", "Authorization: Bearer u"}, nil, Credential{}, errTwo},
		{"token and basic", normal, "", fields{"Authorization: Bearer u", "Authorization: Basic eA=="}, nil, Credential{}, errTwo},
		{"key and two basics", normal, "", fields{"ApiKey: k", "Authorization: Basic a", "Authorization: Basic b"}, nil, Credential{}, errTwo},
		{"two in one line", normal, "", fields{"Authorization: Bearer t, Bearer u"}, nil, Credential{}, errBlank},
		{"two keys in one line", normal, "", fields{"ApiKey: k,l"}, nil, Credential{}, errBlank},
		{"bearer of nothing", normal, "", fields{"Authorization: Bearer"}, nil, Credential{}, errBlank},
		{"bearer of space", normal, "", fields{"Authorization: Bearer  "}, nil, Credential{}, errBlank},
		{"empty key", normal, "", fields{"ApiKey: "}, nil, Credential{}, errBlank},
		{"empty key in the query", normal, "", nil, params{"ApiKey: "}, Credential{}, errBlank},
		{"key with a space", normal, "", nil, params{"ApiKey: a b"}, Credential{}, errBlank},
	} {
		var query Source
		if test.query != nil {
			query = test.query
		}
		got, err := test.a.Find(test.headers, query, test.auth)
		if got != test.want || (test.err == nil) != (err == nil) || (test.err != nil && !errors.Is(err, test.err)) {
			t.Errorf("%s: %+v, %v, want %+v, %v", test.name, got, err, test.want, test.err)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	key, hash := NewKey()
	d := newTestDirectory(t, Application{ID: "5", Name: "Shop", Owner: "bob", Keys: []Key{{weir.Sandbox, hash}}, Clients: []Client{{ID: "c"}}})
	v := newTestVerifier(t, nil)
	with, without := NewAuthenticator(AuthenticatorOptions{Verifier: v}), NewAuthenticator(AuthenticatorOptions{})
	client := netip.MustParseAddr("10.1.2.3")
	for _, test := range []struct {
		name    string
		a       *Authenticator
		text    string
		headers fields
		user    string
		want    Kind
	}{
		{"key", with, key, nil, "bob", 0},
		{"key, without a verifier", without, key, nil, "bob", 0},
		{"token", with, goodToken(`"azp":"c"`), nil, "alice", 0},
		{"token, without a verifier", without, goodToken(`"azp":"c"`), nil, "", Invalid},
		{"token of nobody", with, goodToken(`"azp":"d"`), nil, "", Invalid},
		{"token for the address", with, goodToken(`"azp":"c","permittedIP":"10.0.0.0/8"`), nil, "alice", 0},
		{"token for another address", with, goodToken(`"azp":"c","permittedIP":"11.0.0.0/8"`), nil, "", Forbidden},
		{"token for a referrer", with, goodToken(`"azp":"c","permittedReferer":"https://a/*"`), fields{"referer: https://a/b"}, "alice", 0},
		{"token for a referrer that is missing", with, goodToken(`"azp":"c","permittedReferer":"https://a/*"`), nil, "", Forbidden},
		{"forged token", with, goodToken(`"azp":"c"`) + "A", nil, "", Invalid},
		{"neither", with, "letmein", nil, "", Invalid},
		{"nothing", with, "", nil, "", Invalid},
		{"a dot", with, ".", nil, "", Invalid},
	} {
		for range 2 {
			p, err := test.a.Authenticate(t0, d, Credential{Text: test.text}, client, test.headers)
			if KindOf(err) != test.want || p.User != test.user || (err == nil) != (p.Application.ID == "5") {
				t.Errorf("%s: %+v, %v, want %q, %v", test.name, p, err, test.user, test.want)
			}
		}
	}
}

func TestAuthenticateAllocates(t *testing.T) {
	key, hash := NewKey()
	d := newTestDirectory(t, Application{ID: "5", Keys: []Key{{Hash: hash}}, Clients: []Client{{ID: "c"}}})
	a := NewAuthenticator(AuthenticatorOptions{Verifier: newTestVerifier(t, nil)})
	client := netip.MustParseAddr("10.1.2.3")
	for name, h := range map[string]fields{
		"key":              {"ApiKey: " + key},
		"token":            {"Authorization: Bearer " + goodToken(`"azp":"c"`)},
		"restricted token": {"Authorization: Bearer " + goodToken(`"azp":"c","permittedIP":"10.0.0.0/8"`), "Referer: x"},
	} {
		var headers Source = h
		var query Source = fields{"limit: 10"}
		identify := func() {
			c, err := a.Find(headers, query, "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Authenticate(t0, d, c, client, headers); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(100, identify); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	var none Source = fields(nil)
	if n := testing.AllocsPerRun(100, func() { a.Find(none, none, "") }); n != 0 {
		t.Errorf("without credentials: %v allocations", n)
	}
}

// Other gateways call the parameter apikey.
func TestFindKeyParam(t *testing.T) {
	a := NewAuthenticator(AuthenticatorOptions{})
	none := fields(nil)
	for name, ok := range map[string]bool{"ApiKey": true, "apikey": true, "APIKEY": false} {
		c, err := a.Find(none, params{name + ": k"}, "")
		if (err == nil) != ok || ok && (c.Text != "k" || c.Param != name) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if _, err := a.Find(none, params{"ApiKey: k", "apikey: k"}, ""); KindOf(err) != Invalid {
		t.Errorf("both names: %v", err)
	}
}

// A key is not looked for where the operator wants none: there it is a header or
// a parameter like any other.
func TestFindNoKey(t *testing.T) {
	a := NewAuthenticator(AuthenticatorOptions{KeyHeader: NoKey, KeyParam: NoKey})
	for _, headers := range []fields{{"ApiKey: k"}, {NoKey + ": k"}} {
		if c, err := a.Find(headers, params{"ApiKey: k", NoKey + ": k"}, ""); KindOf(err) != Missing {
			t.Errorf("%v: %+v, %v", headers, c, err)
		}
	}
	if c, err := a.Find(fields{"Authorization: Bearer t", "ApiKey: k"}, nil, ""); err != nil || c.Text != "t" {
		t.Errorf("a token beside it: %+v, %v", c, err)
	}
}

func TestErrors(t *testing.T) {
	for kind, want := range map[Kind]string{
		Missing: "missing", Invalid: "invalid", Expired: "expired",
		Forbidden: "forbidden", Unavailable: "unavailable", 0: "unknown", 99: "unknown",
	} {
		if got := kind.String(); got != want {
			t.Errorf("kind %d = %q, want %q", kind, got, want)
		}
	}
	if got := KindOf(nil); got != 0 {
		t.Errorf("kind of nil = %v", got)
	}
	if got := KindOf(errors.New("x")); got != Invalid {
		t.Errorf("kind of another error = %v", got)
	}
	if got := KindOf(errors.Join(errors.New("x"), errNotPermitted)); got != Forbidden {
		t.Errorf("kind of a wrapped error = %v", got)
	}
	if got, want := errNone.Error(), "missing credentials: request has no credentials"; got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
}

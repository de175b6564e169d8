package identity

import (
	"errors"
	"strings"
	"testing"

	"github.com/weir-project/weir"
)

func newTestDirectory(t testing.TB, applications ...Application) *Directory {
	t.Helper()
	d, err := NewDirectory(applications)
	if err != nil {
		t.Fatalf("NewDirectory: %v", err)
	}
	return d
}

func TestDirectoryAPIKey(t *testing.T) {
	production, hash := NewKey()
	sandbox, sandboxHash := NewKey()
	other, otherHash := NewKey()
	unknown, _ := NewKey()
	d := newTestDirectory(t,
		Application{
			ID: "1", Name: "Shop", Owner: "alice", Tier: "50PerMin",
			Keys: []Key{{weir.Production, hash}, {weir.Sandbox, sandboxHash}},
			Subscriptions: []Subscription{
				{"Pizza", "1", "Gold"}, {"Pizza", "", "Bronze"}, {"Pets", "2", "Silver"},
			},
		},
		Application{ID: "2", Name: "Other", Owner: "bob", Keys: []Key{{weir.Production, otherHash}}},
	)
	if got := d.Len(); got != 2 {
		t.Errorf("directory has %d applications, want 2", got)
	}
	for _, test := range []struct {
		text    string
		app     string
		user    string
		keyType weir.KeyType
	}{
		{production, "Shop", "alice", weir.Production},
		{sandbox, "Shop", "alice", weir.Sandbox},
		{other, "Other", "bob", weir.Production},
	} {
		p, err := d.APIKey(test.text)
		if err != nil || p.Application.Name != test.app || p.User != test.user || p.KeyType != test.keyType {
			t.Errorf("%s: %+v, %v", test.app, p, err)
		}
		if p.Token == "" || strings.Contains(test.text, p.Token) || p.Claims != nil {
			t.Errorf("%s: token %q, claims %v", test.app, p.Token, p.Claims)
		}
	}
	if _, err := d.APIKey(unknown); !errors.Is(err, errKeyUnknown) {
		t.Errorf("unknown key: %v", err)
	}
	if _, err := d.APIKey(hash); KindOf(err) != Invalid {
		t.Errorf("a hash for a key: %v", err)
	}
	p, _ := d.APIKey(production)
	for _, test := range []struct {
		api, version, tier string
		ok                 bool
	}{
		{"Pizza", "1", "Gold", true},
		{"Pizza", "2", "Bronze", true}, // to every version
		{"Pizza", "", "Bronze", true},
		{"Pets", "2", "Silver", true},
		{"Pets", "1", "", false},
		{"Pets", "", "", false},
		{"pizza", "1", "", false},
		{"", "", "", false},
		{"PizzaPets", "2", "", false},
	} {
		if tier, ok := p.Subscription(test.api, test.version); tier != test.tier || ok != test.ok {
			t.Errorf("subscription to %s %s = %q, %v, want %q, %v", test.api, test.version, tier, ok, test.tier, test.ok)
		}
	}
	p, _ = d.APIKey(other)
	if tier, ok := p.Subscription("Pizza", "1"); ok {
		t.Errorf("an application without subscriptions has %q", tier)
	}
}

func TestNewDirectoryFaults(t *testing.T) {
	key, hash := NewKey()
	app := func(change func(*Application)) Application {
		a := Application{ID: "1", Name: "Shop"}
		change(&a)
		return a
	}
	for _, test := range []struct {
		name string
		apps []Application
		want string
	}{
		{"no id", []Application{{Name: "Shop"}}, `application 1 "Shop": has no id`},
		{"id twice", []Application{{ID: "1", Name: "a"}, {ID: "1", Name: "b"}}, `application 2 "b": id "1"`},
		{"the key itself", []Application{app(func(a *Application) { a.Keys = []Key{{Hash: key}} })}, `key 1: hash of a key does not start`},
		{"bad hash", []Application{app(func(a *Application) { a.Keys = []Key{{Hash: hash}, {Hash: "sha256:xy"}} })}, `key 2: hash of a key has not 64`},
		{"key twice", []Application{app(func(a *Application) { a.Keys = []Key{{Hash: hash}, {Hash: hash}} })}, `key 2: is a key of application "Shop" too`},
		{"key of two", []Application{
			{ID: "1", Name: "a", Keys: []Key{{Hash: hash}}},
			{ID: "2", Name: "b", Keys: []Key{{Hash: strings.ReplaceAll(strings.ToUpper(hash), "SHA256", "sha256")}}},
		}, `application 2 "b": key 1: is a key of application "a" too`},
		{"client without id", []Application{app(func(a *Application) { a.Clients = []Client{{}} })}, "client 1: has no id"},
		{"client of two", []Application{
			{ID: "1", Name: "a", Clients: []Client{{ID: "c"}}}, {ID: "2", Name: "b", Clients: []Client{{ID: "c"}}},
		}, `id "c" is a client of application "a" too`},
		{"subscription to nothing", []Application{app(func(a *Application) { a.Subscriptions = []Subscription{{Tier: "Gold"}} })}, "names no api"},
		{"subscription twice", []Application{app(func(a *Application) {
			a.Subscriptions = []Subscription{{"p", "1", "Gold"}, {"p", "1", "Bronze"}}
		})}, "subscribes twice to p 1"},
	} {
		d, err := NewDirectory(test.apps)
		if err == nil || d != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("%s: the error tells the key: %v", test.name, err)
		}
	}
	_, err := NewDirectory([]Application{{Name: "a"}, {ID: "1", Keys: []Key{{}, {}}}})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three faults: %v", err)
	}
}

// token returns a verified token of the claims.
func token(t testing.TB, change func(*Issuer), more string) *Token {
	t.Helper()
	got, err := newTestVerifier(t, change).Verify(t0, goodToken(more))
	if err != nil {
		t.Fatalf("token with %s: %v", more, err)
	}
	return got
}

const selfContained = `"keytype":"SANDBOX","application":{"id":5,"uuid":"u-5","name":"Shop","owner":"bob","tier":"50PerMin"},` +
	`"subscribedAPIs":[{"name":"Pizza","context":"/pizza/1","version":"1","subscriptionTier":"Gold"},` +
	`{"name":"Pets","version":2,"subscriptionTier":"Silver"},{"name":"All","subscriptionTier":"Gold"},` +
	`{"name":"Free","version":"1"},{"version":"1","subscriptionTier":"Gold"},7,null]`

func TestDirectoryTokenSelfContained(t *testing.T) {
	d := newTestDirectory(t, Application{ID: "6", Name: "Unrelated"})
	p, err := d.Token(token(t, nil, selfContained))
	want := weir.Application{ID: "5", Name: "Shop", Owner: "bob", Tier: "50PerMin"}
	if err != nil || p.Application != want || p.User != "alice" || p.KeyType != weir.Sandbox {
		t.Fatalf("%+v, %v, want %+v", p, err, want)
	}
	for _, test := range []struct {
		api, version, tier string
		ok                 bool
	}{
		{"Pizza", "1", "Gold", true},
		{"Pets", "2", "Silver", true},
		{"Pizza", "2", "", false},
		{"All", "1", "", false},  // no version is not every version
		{"Free", "1", "", false}, // no tier is not without limit
		{"", "1", "", false},
	} {
		if tier, ok := p.Subscription(test.api, test.version); tier != test.tier || ok != test.ok {
			t.Errorf("subscription to %s %s = %q, %v, want %q, %v", test.api, test.version, tier, ok, test.tier, test.ok)
		}
	}
	if v, ok := p.Claims.Value("application.tier"); v != "50PerMin" || !ok {
		t.Errorf("claim application.tier = %q, %v", v, ok)
	}
}

// What is registered goes before what a token says of itself.
func TestDirectoryTokenRegistered(t *testing.T) {
	registered := Application{
		ID: "5", Name: "Registered", Owner: "carol", Tier: "10PerMin",
		Clients:       []Client{{ID: "prod", Type: weir.Production}, {ID: "test", Type: weir.Sandbox}, {ID: "bound", Issuer: testIssuer}, {ID: "foreign", Issuer: "other"}},
		Subscriptions: []Subscription{{"Pizza", "1", "Bronze"}},
	}
	d := newTestDirectory(t, registered, Application{ID: "7", Name: "Seven", Clients: []Client{{ID: "seven"}}}, Application{ID: "u-8", Name: "Eight"})
	only := func(i *Issuer) { i.ClientsOnly = true }
	for _, test := range []struct {
		name   string
		change func(*Issuer)
		claims string
		app    string
		key    weir.KeyType
		want   Kind
	}{
		{"by id", nil, selfContained, "Registered", weir.Sandbox, 0},
		{"by uuid", nil, `"application":{"id":8,"uuid":"u-8","name":"Shop"}`, "Eight", weir.Production, 0},
		{"by consumer key", nil, `"consumerKey":"test"`, "Registered", weir.Sandbox, 0},
		{"by azp", nil, `"azp":"prod"`, "Registered", weir.Production, 0},
		{"by client_id", nil, `"client_id":"prod"`, "Registered", weir.Production, 0},
		{"the client's type holds", nil, `"azp":"prod","keytype":"SANDBOX"`, "Registered", weir.Production, 0},
		{"by both", nil, `"azp":"prod","application":{"id":"5"}`, "Registered", weir.Production, 0},
		{"by a client of this issuer", nil, `"azp":"bound"`, "Registered", weir.Production, 0},
		{"by a client of another issuer", nil, `"azp":"foreign"`, "", 0, Invalid},
		{"by two that differ", nil, `"azp":"seven","application":{"id":5}`, "", 0, Invalid},
		{"by a client only", only, `"azp":"seven","application":{"id":5}`, "Seven", weir.Production, 0},
		{"by claims where clients only are taken", only, selfContained, "", 0, Invalid},
		{"by an unknown client", nil, `"azp":"nobody"`, "", 0, Invalid},
		{"by nothing", nil, ``, "", 0, Invalid},
		{"by an id that is empty", nil, `"application":{"id":""}`, "", 0, Invalid},
		{"by an id that is an object", nil, `"application":{"id":{}}`, "", 0, Invalid},
		{"by text", nil, `"application":"5"`, "", 0, Invalid},
	} {
		p, err := d.Token(token(t, test.change, test.claims))
		if KindOf(err) != test.want || p.Application.Name != test.app || p.KeyType != test.key {
			t.Errorf("%s: %+v, %v, want %s %v", test.name, p.Application, err, test.app, test.key)
		}
	}
	p, _ := d.Token(token(t, nil, selfContained))
	if tier, ok := p.Subscription("Pizza", "1"); tier != "Bronze" || !ok || p.Application.Tier != "10PerMin" {
		t.Errorf("a registered application is held to %q, %q, want Bronze, 10PerMin", tier, p.Application.Tier)
	}
	if _, ok := p.Subscription("Pets", "2"); ok {
		t.Error("a registered application got a subscription out of a token")
	}
}

// Without a user in it, a token is its application's owner's.
func TestDirectoryTokenOwner(t *testing.T) {
	d := newTestDirectory(t, Application{ID: "5", Name: "Registered", Owner: "carol", Clients: []Client{{ID: "c"}}})
	tok := token(t, func(i *Issuer) { i.UserClaim = "email" }, `"azp":"c"`)
	if p, err := d.Token(tok); err != nil || p.User != "carol" {
		t.Errorf("user %q, %v, want carol", p.User, err)
	}
}

func TestDirectoryAllocates(t *testing.T) {
	text, hash := NewKey()
	wrong, _ := NewKey()
	d := newTestDirectory(t, Application{
		ID: "5", Keys: []Key{{Hash: hash}}, Clients: []Client{{ID: "c"}},
		Subscriptions: []Subscription{{"Pizza", "1", "Gold"}},
	})
	tok := token(t, nil, `"azp":"c"`)
	for name, f := range map[string]func(){
		"key":          func() { d.APIKey(text) },
		"wrong key":    func() { d.APIKey(wrong) },
		"mistyped key": func() { d.APIKey(text[:53] + "0") },
		"token":        func() { d.Token(tok) },
		"subscription": func() { p, _ := d.APIKey(text); p.Subscription("Pizza", "1"); p.Subscription("Pizza", "2") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 && name != "mistyped key" {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkAPIKey(b *testing.B) {
	text, hash := NewKey()
	d := newTestDirectory(b, Application{ID: "5", Keys: []Key{{Hash: hash}}, Subscriptions: []Subscription{{"Pizza", "1", "Gold"}}})
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.APIKey(text)
		}
	})
	p, _ := d.APIKey(text)
	b.Run("subscription", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Subscription("Pizza", "1")
		}
	})
}

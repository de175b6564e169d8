package project

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy/rule"
)

// newGateway returns a gateway that serves nothing yet.
func newGateway(t testing.TB) *gateway.Gateway {
	t.Helper()
	targets, err := upstream.New(upstream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Limiter: limiter.New(limiter.Options{}), Targets: targets, Rules: rule.New()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGatewayTakesWhatIsBuilt applies projects that Load accepts.
func TestGatewayTakesWhatIsBuilt(t *testing.T) {
	p := loadShop(t)
	if err := newGateway(t).Apply(p.Definition); err != nil {
		t.Error(err)
	}
	good, err := LoadFS(filesOf(goodProject()), "", "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := newGateway(t).Apply(good.Definition); err != nil {
		t.Error(err)
	}
}

// FuzzCheckURL finds backends that a project may name and a gateway refuses.
func FuzzCheckURL(f *testing.F) {
	for _, text := range []string{"http://a", "https://[::1]:8443/b", "http://a.b/c/", "http://a//", "http://a/%41", "HTTP://A:80/;"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkURL(text) != "" {
			return
		}
		targets, err := upstream.New(upstream.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := targets.Group([]string{text}, false); err != nil {
			t.Errorf("%q may be built, and then: %v", text, err)
		}
	})
}

// FuzzAgree finds projects that Load accepts and a gateway refuses: the fault
// would show only when the gateway starts.
func FuzzAgree(f *testing.F) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("testdata/shop", name))
		if err != nil {
			f.Fatal(err)
		}
		return string(text)
	}
	f.Add(read("api_definitions/catalogue.yaml"), read("policies.yaml"), read("applications.yaml"))
	f.Add(plainAPI, "", "applications: [{name: a, owner: b, tier: Unlimited, clients: [{id: a, issuer: b}]}]")
	f.Fuzz(func(t *testing.T, api, policies, applications string) {
		p, err := LoadFS(filesOf(map[string]string{
			"api_definitions/a.yaml": api, "policies.yaml": policies, "applications.yaml": applications,
		}), "", "x")
		if err != nil {
			return
		}
		if err := newGateway(t).Apply(p.Definition); err != nil {
			t.Errorf("it may be built, and then: %v\n%s\n%s\n%s", err, api, policies, applications)
		}
	})
}

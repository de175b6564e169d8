package sim

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/project"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy/rule"
)

// A story is what worlds of one script have in common.
type story struct {
	files   files
	dir     string
	issuer  *issuer
	tokens  *identity.Verifier
	trusted *identity.Proxies
	rules   *rule.Compiler
	keys    map[string]string             // by caller: shop, shop/sandbox
	known   map[string]gateway.Definition // by the prefix of its files
}

func newWorld(t *testing.T, f files) *world {
	t.Helper()
	w, err := newStory(t, f).begin()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newStory(t *testing.T, f files) *story {
	t.Helper()
	dir := t.TempDir()
	s := &story{
		files: f, dir: dir, issuer: newIssuer(t, filepath.Join(dir, "jwks.json")), rules: rule.New(),
		keys: map[string]string{}, known: map[string]gateway.Definition{},
	}
	s.tokens = s.issuer.verifier(t.Context(), t)
	var err error
	if s.trusted, err = identity.NewProxies([]netip.Prefix{proxies}); err != nil {
		t.Fatal(err)
	}
	return s
}

// options are those of a gateway that stands alone.
func (s *story) options() gateway.Options {
	return gateway.Options{
		Limiter: limiter.New(limiter.Options{}),
		Seed:    limiter.NewSeed(),
		Targets: new(upstream.Registry),
		Rules:   s.rules,
		Authenticator: identity.NewAuthenticator(identity.AuthenticatorOptions{
			KeyHeader: "ApiKey", KeyParam: "apikey", Verifier: s.tokens,
		}),
		Proxies: s.trusted,
	}
}

// begin returns the world as it is at the start.
func (s *story) begin() (*world, error) { return s.beginWith(s.options()) }

func (s *story) beginWith(o gateway.Options) (*world, error) {
	g, err := gateway.New(o)
	if err != nil {
		return nil, err
	}
	w := &world{
		story: s, gateway: g, now: start, streams: map[string]*gateway.Exchange{},
		exchange: new(gateway.Exchange), trial: new(gateway.Exchange),
	}
	return w, w.apply("")
}

// apply makes the project with the files under prefix laid over it what the
// gateway enforces.
func (w *world) apply(prefix string) error {
	d, ok := w.known[prefix]
	if !ok {
		var err error
		if d, err = w.load(prefix); err != nil {
			return err
		}
	}
	if err := w.gateway.Apply(d); err != nil {
		return err
	}
	w.known[prefix] = d
	return nil
}

// load writes the project's files and loads them.
func (s *story) load(prefix string) (d gateway.Definition, err error) {
	dir, err := os.MkdirTemp(s.dir, "project")
	if err != nil {
		return d, err
	}
	for name, text := range s.files.under(prefix) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return d, err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return d, err
		}
	}
	p, err := project.Load(dir)
	if err != nil {
		return d, err
	}
	d = p.Definition
	for i := range d.Applications {
		s.register(&d.Applications[i])
	}
	return d, nil
}

// register gives an application a key of each type, and a client of each type by
// whose tokens its users call.
func (s *story) register(a *identity.Application) {
	for _, kind := range []weir.KeyType{weir.Production, weir.Sandbox} {
		name := a.Name
		if kind == weir.Sandbox {
			name += "/sandbox"
		}
		if s.keys[name] == "" {
			s.keys[name], _ = identity.NewKey()
		}
		a.Keys = append(a.Keys, identity.Key{Type: kind, Hash: identity.HashKey(s.keys[name])})
		a.Clients = append(a.Clients, identity.Client{ID: name, Type: kind})
	}
}

// verifier returns what believes the issuer, with its keys loaded.
func (i *issuer) verifier(ctx context.Context, t *testing.T) *identity.Verifier {
	t.Helper()
	v, err := identity.NewVerifier(identity.VerifierOptions{
		Issuers: []identity.Issuer{{Name: i.name, JWKSFile: i.file}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Load(ctx); err != nil {
		t.Fatal(err)
	}
	return v
}

package project

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway/identity"
)

// newProject returns a folder with an applications.yaml.
func newProject(t *testing.T, applications string) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "applications.yaml")
	if err := os.WriteFile(file, []byte(applications), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

// add writes a file into a folder.
func add(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// addPets gives a project an API: Pets, version 1.0.
func addPets(t *testing.T, dir string) {
	t.Helper()
	add(t, dir, "api_definitions/pets.yaml", `{openapi: 3.0.3, info: {title: Pets, version: "1.0"}, paths: {},
  x-wso2-production-endpoints: {urls: [http://127.0.0.1:9091]}}`)
}

// TestCreateKey has files before and after; HASH stands for the hash of the key.
func TestCreateKey(t *testing.T) {
	old := `"sha256:` + strings.Repeat("ab", 32) + `"`
	tests := []struct {
		name, application string
		keyType           weir.KeyType
		before, after     string
	}{
		{
			"no keys yet", "a", weir.Production,
			"# who\n\napplications:\n  - name: a   # the first\n    owner: alice\n\n    tier: Unlimited # none\n\n  - {name: b, owner: bob, tier: Unlimited}\n# end\n",
			"# who\n\napplications:\n  - name: a   # the first\n    owner: alice\n\n    tier: Unlimited # none\n    keys:\n      - {type: PRODUCTION, hash: \"HASH\"}\n\n  - {name: b, owner: bob, tier: Unlimited}\n# end\n",
		},
		{
			"after others", "a", weir.Sandbox,
			"applications:\n- name: a\n  owner: alice\n  keys:\n  # the old one\n  - {type: PRODUCTION, hash: " + old + "} # of May\n  tier: Unlimited\n",
			"applications:\n- name: a\n  owner: alice\n  keys:\n  # the old one\n  - {type: PRODUCTION, hash: " + old + "} # of May\n  - {type: SANDBOX, hash: \"HASH\"}\n  tier: Unlimited\n",
		},
		{
			"keys over several lines", "a", weir.Production,
			"applications:\n  - name: a\n    owner: alice\n    tier: Unlimited\n    keys:\n      - type: SANDBOX\n        hash: " + old + "\n",
			"applications:\n  - name: a\n    owner: alice\n    tier: Unlimited\n    keys:\n      - type: SANDBOX\n        hash: " + old + "\n      - {type: PRODUCTION, hash: \"HASH\"}\n",
		},
		{
			"the last line has no end", "a", weir.Production,
			"applications:\n  - name: a\n    owner: alice\n    tier: Unlimited",
			"applications:\n  - name: a\n    owner: alice\n    tier: Unlimited\n    keys:\n      - {type: PRODUCTION, hash: \"HASH\"}\n",
		},
		{
			"all in one line", "a", weir.Production,
			"# who\napplications:\n  - {name: a, owner: alice, tier: Unlimited} # the first\n",
			"# who\napplications:\n  - {name: a, owner: alice, tier: Unlimited, keys: [{type: PRODUCTION, hash: \"HASH\"}]} # the first\n",
		},
		{
			"an empty list", "a", weir.Production,
			"applications:\n  - name: a\n    owner: alice\n    keys: []\n    tier: Unlimited\n",
			"applications:\n  - name: a\n    owner: alice\n    keys: [{type: PRODUCTION, hash: \"HASH\"}]\n    tier: Unlimited\n",
		},
		{
			"nothing after the colon", "keys", weir.Production,
			"applications:\n  - name: keys\n    owner: alice\n    keys:\n    tier: Unlimited\n",
			"applications:\n  - name: keys\n    owner: alice\n    keys:\n      - {type: PRODUCTION, hash: \"HASH\"}\n    tier: Unlimited\n",
		},
		{
			"a text over several lines at the end", "a", weir.Production,
			"applications:\n  - name: a\n    tier: Unlimited\n    owner: >-\n      alice\n",
			"applications:\n  - name: a\n    tier: Unlimited\n    owner: >-\n      alice\n    keys:\n      - {type: PRODUCTION, hash: \"HASH\"}\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, file := newProject(t, tt.before)
			key, err := CreateKey(dir, KeyOptions{Application: tt.application, Type: tt.keyType})
			if err != nil {
				t.Fatal(err)
			}
			if err := identity.CheckKey(key); err != nil {
				t.Errorf("the key %s: %v", key, err)
			}
			want := strings.ReplaceAll(tt.after, "HASH", identity.HashKey(key))
			if got := read(t, file); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if strings.Contains(read(t, file), key) {
				t.Error("the key itself is in the file")
			}
		})
	}
}

// TestCreateKeys makes many keys, each of which must be there in the end.
func TestCreateKeys(t *testing.T) {
	dir, file := newProject(t, "applications:\n  - name: a\n    owner: alice\n    tier: Unlimited\n  - name: b\n    owner: bob\n    tier: Unlimited\n")
	want := map[string][]identity.Key{}
	for i := range 20 {
		name := []string{"a", "b"}[i%2]
		key, err := CreateKey(dir, KeyOptions{Application: name, Type: weir.KeyType(i / 2 % 2)})
		if err != nil {
			t.Fatal(err)
		}
		want[name] = append(want[name], identity.Key{Type: weir.KeyType(i / 2 % 2), Hash: identity.HashKey(key)})
	}
	apps, err := applicationsIn(file, []byte(read(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range apps {
		same(t, a.Name, a.Keys, want[a.Name])
	}
}

func TestCreateKeyCreatesApplications(t *testing.T) {
	skeletonText, err := skeleton.ReadFile("skeleton/applications.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, before := range []string{
		"", "# nobody\n", "applications: []\n", "applications: [] # none\n", "applications:\n", string(skeletonText) + exampleApplication,
		"applications:\n  - name: other\n    owner: bob\n    tier: Unlimited\n",
		"applications:\n- name: other\n  owner: bob\n  tier: Unlimited\n",
		"applications:\n      - name: other\n        owner: bob\n        tier: Unlimited\n# end\n",
		string(skeletonText) + strings.NewReplacer("%s", "x").Replace(firstApplication),
	} {
		dir, file := newProject(t, before)
		addPets(t, dir)
		key, err := CreateKey(dir, KeyOptions{Application: `new "one"`, Create: &identity.Application{
			Owner: "alice", Tier: "10PerMin", Subscriptions: []identity.Subscription{{API: "Pets", Version: "1.0", Tier: "Gold"}},
		}})
		if err != nil {
			t.Errorf("%q: %v", before, err)
			continue
		}
		got, err := applicationsIn(file, []byte(read(t, file)))
		if err != nil {
			t.Errorf("%q: %v", before, err)
			continue
		}
		same(t, before, got[len(got)-1], identity.Application{
			ID: `new "one"`, Name: `new "one"`, Owner: "alice", Tier: "10PerMin", Keys: []identity.Key{{Hash: identity.HashKey(key)}},
			Subscriptions: []identity.Subscription{{API: "Pets", Version: "1.0", Tier: "Gold"}},
		})
		for line := range strings.Lines(before) {
			if strings.HasPrefix(line, "#") && !strings.Contains(read(t, file), line) {
				t.Errorf("%q: the line %q is gone", before, line)
			}
		}
	}
}

func TestCreateKeyWithoutFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := CreateKey(dir, KeyOptions{Application: "a", Create: &identity.Application{Owner: "x", Tier: "Unlimited"}}); err != nil {
		t.Error(err)
	}
	if got, err := applicationsIn("", []byte(read(t, filepath.Join(dir, "applications.yaml")))); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestCreateKeyRefusesWhatIsNotThere has applications that name what the project
// lacks: nothing is written then, as nothing of the project could be built after.
func TestCreateKeyRefusesWhatIsNotThere(t *testing.T) {
	subscribed := func(s ...identity.Subscription) identity.Application {
		return identity.Application{Owner: "x", Tier: "Own", Subscriptions: s}
	}
	tests := []struct {
		application identity.Application
		want        string
	}{
		{subscribed(identity.Subscription{API: "Pets", Tier: "Gold"}), ""},
		{subscribed(identity.Subscription{API: "Pets", Version: "1.0", Tier: "Unlimited"}), ""},
		{identity.Application{Owner: "x", Tier: "Gold"}, `policies.yaml: no application policy is called "Gold"; there are `},
		{subscribed(identity.Subscription{API: "Pets", Tier: "Goldd"}), `policies.yaml: no subscription policy is called "Goldd"; did you mean Gold?`},
		{subscribed(identity.Subscription{API: "Pats", Tier: "Gold"}), `api_definitions: no API is called "Pats"; did you mean Pets?`},
		{subscribed(identity.Subscription{API: "Orders", Tier: "Gold"}), `api_definitions: no API is called "Orders"; there is Pets`},
		{subscribed(identity.Subscription{API: "Pets", Version: "2.0", Tier: "Gold"}), `api_definitions: the API "Pets" has no version "2.0"; there is 1.0`},
		{subscribed(identity.Subscription{API: "Pets", Tier: "Gold"}, identity.Subscription{API: "Orders", Tier: "Gold"}), `no API is called "Orders"`},
	}
	for _, tt := range tests {
		dir, file := newProject(t, "# nobody\n")
		addPets(t, dir)
		add(t, dir, "policies.yaml", "applicationPolicies:\n  - Own: {count: 1, timeUnit: min}\n")
		_, err := CreateKey(dir, KeyOptions{Application: "a", Create: &tt.application})
		if tt.want == "" {
			if err != nil {
				t.Errorf("got %v", err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line with %q", err, tt.want)
		}
		if got := read(t, file); got != "# nobody\n" {
			t.Errorf("%s: the file was changed to %q", tt.want, got)
		}
	}
}

// TestCreateKeyInAFaultyProject has projects of which nobody can tell what they have.
func TestCreateKeyInAFaultyProject(t *testing.T) {
	for name, want := range map[string]string{
		"policies.yaml":             "policies.yaml:1: unknown key",
		"api_definitions/pets.yaml": "pets.yaml:1: is no OpenAPI definition",
	} {
		dir, file := newProject(t, "# nobody\n")
		addPets(t, dir)
		add(t, dir, name, "colour: blue\n")
		a := identity.Application{Owner: "x", Tier: "Unlimited", Subscriptions: []identity.Subscription{{API: "Pets", Tier: "Gold"}}}
		if _, err := CreateKey(dir, KeyOptions{Application: "a", Create: &a}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
		if got := read(t, file); got != "# nobody\n" {
			t.Errorf("%s: the file was changed to %q", name, got)
		}
	}
}

func TestCreateKeyRefuses(t *testing.T) {
	two := "applications:\n  - {name: shop, owner: a, tier: Unlimited}\n  - {name: web, owner: a, tier: Unlimited}\n"
	tests := []struct{ before, application, want string }{
		{two, "shops", `no application is called "shops"; did you mean shop?`},
		{two, "partner", `no application is called "partner"; there are shop, web; --create makes it`},
		{"", "shop", `no application is called "shop"; there is none yet; --create makes it`},
		{"applications:\n  - name: shop\n", "shop", "applications.yaml:2: owner is missing"},
		{"applications: [", "shop", "is no valid YAML"},
		{"x: &a {name: shop, owner: a, tier: Unlimited}\napplications:\n  - *a\n", "shop", "unknown key"},
	}
	for _, tt := range tests {
		dir, file := newProject(t, tt.before)
		key, err := CreateKey(dir, KeyOptions{Application: tt.application})
		if key != "" || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q", tt.before, err, tt.want)
		}
		if got := read(t, file); got != tt.before {
			t.Errorf("a refused key changed the file to %q", got)
		}
	}
	if _, err := CreateKey(filepath.Join(t.TempDir(), "none"), KeyOptions{}); err == nil || !strings.Contains(err.Error(), "no such project") {
		t.Errorf("no project: got %v", err)
	}
}

func FuzzAddKey(f *testing.F) {
	for _, text := range []string{
		"applications:\n  - name: a\n    owner: b\n    tier: c\n", "applications: [{name: a, owner: b, tier: c, keys: []}]\n",
		"applications:\n- &x {name: a, owner: b, tier: c}\n", "applications:\n  - name: a\n    owner: |-\n     b\n    tier: c\n    keys:\n",
	} {
		f.Add([]byte(text), "a")
	}
	_, hash := identity.NewKey()
	f.Fuzz(func(t *testing.T, text []byte, application string) {
		before, err := applicationsIn("a.yaml", text)
		if err != nil {
			return
		}
		out, err := addKey("a.yaml", text, KeyOptions{Application: application, Type: weir.Sandbox, Create: &identity.Application{Owner: "o", Tier: "t"}}, hash)
		if err != nil {
			return
		}
		after, err := applicationsIn("a.yaml", out)
		if err != nil || len(after) < len(before) || len(after) > len(before)+1 {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
		keys := 0
		for _, a := range after {
			for _, k := range a.Keys {
				if k.Hash == hash && a.Name == application {
					keys++
				}
			}
		}
		if keys != 1 {
			t.Errorf("%q became %q, with the key %d times", text, out, keys)
		}
	})
}

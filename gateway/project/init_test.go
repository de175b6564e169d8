package project

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/policy"
)

// write puts text into a new file and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// plainAPI is an OpenAPI file that knows nothing of gateways.
const plainAPI = `# The pets, as the shop has them.
openapi: 3.0.3
info:
  title: Petstore   # its name
  version: 1.0.0

servers:
  - url: https://pets.example.com/v1

# What can be asked.
paths:
  /pets:
    get:
      responses:
        "200": {description: All pets}
`

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "petstore")
	got, err := Init(dir, InitOptions{API: write(t, "pets.yaml", plainAPI)})
	if err != nil {
		t.Fatal(err)
	}
	want := &Initialized{
		Name: "petstore", Definition: filepath.Join(dir, "api_definitions", "pets.yaml"),
		Notes: []string{
			"x-wso2-basePath: the API is served under /v1",
			"x-wso2-production-endpoints: calls of PRODUCTION keys go to https://pets.example.com/v1, the file's first server; change it if the backend is elsewhere",
		},
	}
	same(t, "init", got, want)
	text := strings.Replace(plainAPI, "# What can be asked.\n", `# where the gateway serves the API
x-wso2-basePath: "/v1"
# where calls go that the gateway lets pass
x-wso2-production-endpoints:
  urls:
    - "https://pets.example.com/v1"
# What can be asked.
`, 1)
	if got := read(t, got.Definition); got != text {
		t.Errorf("the definition became:\n%s\nwant:\n%s", got, text)
	}
	b, err := Build(dir)
	if err != nil || len(b.Warnings) > 0 {
		t.Fatalf("build: %v, %v", err, b)
	}
	same(t, "applications", b.Definition.Applications, []identity.Application{{
		ID: "default", Name: "default", Owner: "admin", Tier: "50PerMin",
		Subscriptions: []identity.Subscription{{API: "Petstore", Version: "1.0.0", Tier: "Gold"}},
	}})
	for _, name := range []string{"policies.yaml", "applications.yaml", "conf/micro-gw.conf", "target/petstore.weir"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "..", ".weir-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// TestInitTakesAnyAPI makes and builds a project of one valid file after the
// other, none of which names a backend in the way that gateways need it.
func TestInitTakesAnyAPI(t *testing.T) {
	paths := `,"paths":{"/a/{id}":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"get":{"responses":{"200":{"description":"x"}}}}}`
	info := `"info":{"title":"A","version":"1"}`
	tests := []struct{ name, file, text, backend, context string }{
		{"YAML", "a.yaml", plainAPI, "https://pets.example.com/v1", "/v1"},
		{"YAML without servers", "a.yml", strings.Replace(plainAPI, "servers:\n  - url: https://pets.example.com/v1\n", "", 1), defaultBackend, "/petstore/1.0.0"},
		{"YAML with a relative server", "a.yaml", strings.Replace(plainAPI, "https://pets.example.com", "", 1), defaultBackend, "/v1"},
		{"YAML with Windows lines", "a.yaml", strings.ReplaceAll(plainAPI, "\n", "\r\n"), "https://pets.example.com/v1", "/v1"},
		{"YAML without a last line end", "a.yaml", strings.TrimSuffix(plainAPI, "\n"), "https://pets.example.com/v1", "/v1"},
		{"YAML with a head", "a.yaml", "%YAML 1.2\n---\n" + plainAPI + "...\n", "https://pets.example.com/v1", "/v1"},
		{"YAML, indented", "a.yaml", "  " + strings.ReplaceAll(strings.TrimSuffix(plainAPI, "\n"), "\n", "\n  ") + "\n", "https://pets.example.com/v1", "/v1"},
		{"YAML, paths first", "a.yaml", "paths: {}\nopenapi: 3.0.3\ninfo:\n  title: A\n  version: 1\n", defaultBackend, "/a/1"},
		{"YAML, all in one", "a.yaml", "{openapi: 3.0.3, info: {title: A, version: '1'}, paths: {}}", defaultBackend, "/a/1"},
		{"JSON", "a.json", `{"openapi":"3.0.3",` + info + paths + `}`, defaultBackend, "/a/1"},
		{"JSON, indented by tabs", "a.json", "{\n\t\"openapi\": \"3.1.0\",\n\t" + info + "\n" + paths + "\n}\n", defaultBackend, "/a/1"},
		{"JSON that is called YAML", "a.yaml", `{"openapi":"3.0.3",` + info + paths + `}`, defaultBackend, "/a/1"},
		{"a name that says nothing", "openapi", plainAPI, "https://pets.example.com/v1", "/v1"},
		{"JSON, a name that says nothing", "spec.txt", `{"openapi":"3.0.3",` + info + paths + `}`, defaultBackend, "/a/1"},
		{"OpenAPI 2", "a.yaml", "swagger: '2.0'\ninfo: {title: A, version: '1'}\nhost: a.example\nbasePath: /b\nschemes: [http, https]\npaths: {}\n", "http://a.example/b", "/b"},
		{"a server with variables", "a.yaml", strings.Replace(plainAPI, "https://pets.example.com/v1", "https://{h}.example/{v}\n    variables: {h: {default: x}, v: {default: y}}", 1), "https://x.example/y", "/y"},
		{"a server of another protocol", "a.yaml", strings.Replace(plainAPI, "https://pets", "wss://pets", 1), defaultBackend, "/v1"},
		{"a server with a user", "a.yaml", strings.Replace(plainAPI, "https://pets", "https://u:p@pets", 1), defaultBackend, "/v1"},
		{"only webhooks", "a.yaml", "openapi: 3.1.0\ninfo: {title: A, version: '1'}\nwebhooks: {}\n", defaultBackend, "/a/1"},
		{"every method", "a.yaml", "openapi: 3.0.3\ninfo: {title: A, version: '1'}\npaths:\n  /a:\n" + everyMethod(), defaultBackend, "/a/1"},
		{"3.1 without paths, with components", "a.yaml", "openapi: 3.1.0\ninfo: {title: A, version: '1'}\ncomponents: {schemas: {A: {type: [string, 'null'], examples: [1], unknownKeyword: true}}}\n", defaultBackend, "/a/1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "p")
			made, err := Init(dir, InitOptions{API: write(t, tt.file, tt.text)})
			if err != nil {
				t.Fatal(err)
			}
			b, err := Build(dir)
			if err != nil {
				t.Fatalf("%v\n%s", err, read(t, made.Definition))
			}
			a := b.Definition.APIs[0]
			want := &gateway.Endpoints{URLs: []string{tt.backend}}
			if !reflect.DeepEqual(a.Production, want) || a.Context != tt.context {
				t.Errorf("got %v under %s, want %v under %s", a.Production, a.Context, want, tt.context)
			}
		})
	}
}

func everyMethod() string {
	var b strings.Builder
	for _, m := range []string{"get", "head", "post", "put", "patch", "delete", "options", "trace"} {
		b.WriteString("    " + m + ": {responses: {default: {description: x}}}\n")
	}
	return b.String()
}

// TestInitKeepsWhatIsThere adopts a file that says all itself: not a letter changes.
func TestInitKeepsWhatIsThere(t *testing.T) {
	for _, name := range []string{"catalogue.yaml", "legacy.yml"} {
		dir := filepath.Join(t.TempDir(), "p")
		file := filepath.Join("testdata/shop/api_definitions", name)
		got, err := Init(dir, InitOptions{API: file})
		if err != nil {
			t.Fatal(err)
		}
		before, after := read(t, file), read(t, got.Definition)
		if name == "legacy.yml" { // it lacks the base path alone
			after = strings.Replace(after, "# where the gateway serves the API\nx-wso2-basePath: \"/legacy-prices/1.0\"\n", "", 1)
		}
		if after != before {
			t.Errorf("%s became:\n%s", name, after)
		}
		if name == "catalogue.yaml" {
			same(t, "notes", got.Notes, []string{"line 48 names the tier FewWrites: define it in policies.yaml, under resourcePolicies"})
		}
	}
}

func TestInitBackend(t *testing.T) {
	api := write(t, "a.yaml", plainAPI)
	dir := filepath.Join(t.TempDir(), "p")
	if _, err := Init(dir, InitOptions{API: api, Backend: "http://10.0.0.1:8080/x"}); err != nil {
		t.Fatal(err)
	}
	b, err := Build(dir)
	if err != nil || b.Definition.APIs[0].Production.URLs[0] != "http://10.0.0.1:8080/x" {
		t.Errorf("got %+v, %v", b, err)
	}
	if _, err := Init(dir+"2", InitOptions{API: api, Backend: "nowhere"}); err == nil || !strings.Contains(err.Error(), `the backend "nowhere" must begin with http`) {
		t.Errorf("a wrong backend: got %v", err)
	}
	if _, err := os.Stat(dir + "2"); !os.IsNotExist(err) {
		t.Errorf("an init that failed left something: %v", err)
	}
}

func TestInitWithoutAPI(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "below", "p")
	got, err := Init(dir, InitOptions{})
	if err != nil || got.Definition != "" || len(got.Notes) > 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	_, err = Build(dir)
	if want := filepath.Join(dir, "api_definitions") + ": has no API definition: put an OpenAPI file into it"; err == nil || err.Error() != want {
		t.Errorf("build: got %v, want %s", err, want)
	}
	// One that names its backends is all that it lacks.
	text := strings.Replace(plainAPI, "paths:", "x-wso2-production-endpoints: {urls: [http://a]}\npaths:", 1)
	if err := os.WriteFile(filepath.Join(dir, "api_definitions", "a.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := Build(dir); err != nil || len(b.Warnings) > 0 {
		t.Errorf("build: got %v, %v", err, b)
	}
}

func TestInitRefuses(t *testing.T) {
	taken := t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, "policies.yaml"), []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := write(t, "file", "x")
	fresh := filepath.Join(t.TempDir(), "p")
	tests := []struct {
		dir  string
		o    InitOptions
		want string
	}{
		{taken, InitOptions{}, "is there already and not empty; --force writes a new project over it"},
		{file, InitOptions{}, "not a directory"},
		{"/", InitOptions{}, "is no name for a project"},
		{"", InitOptions{}, "init: a project needs a name"},
		{taken + "/x/..", InitOptions{}, "is there already and not empty"},
		{filepath.Join(file, "p"), InitOptions{}, "not a directory"},
		{filepath.Join(t.TempDir(), "a\nb"), InitOptions{}, "is no name for a project"},
		{fresh, InitOptions{API: filepath.Join(t.TempDir(), "none.yaml")}, "none.yaml: is missing"},
		{fresh, InitOptions{API: t.TempDir()}, "cannot be read: is a directory"},
		{fresh, InitOptions{API: write(t, "a.yaml", "a: b\n")}, "a.yaml:1: is no OpenAPI definition"},
		{fresh, InitOptions{API: write(t, "a.yaml", plainAPI+"x-weir-wait: 1\n")}, "unknown extension x-weir-wait; did you mean x-weir-weight?"},
		{fresh, InitOptions{API: write(t, "a.yaml", strings.Replace(plainAPI, "{desc", "{$ref: 'http://x/y', desc", 1))}, "leads out of the file"},
	}
	for _, tt := range tests {
		_, err := Init(tt.dir, tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %q", tt.o, err, tt.want)
		}
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("an init that failed left something: %v", err)
	}
	if got := read(t, filepath.Join(taken, "policies.yaml")); got != "# mine\n" {
		t.Errorf("a refused init wrote %q", got)
	}
}

func TestInitForce(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "notes.txt")
	for _, name := range []string{mine, filepath.Join(dir, "policies.yaml")} {
		if err := os.WriteFile(name, []byte("a: b\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Init(dir, InitOptions{API: write(t, "a.yaml", plainAPI), Force: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(dir); err != nil {
		t.Error(err)
	}
	if got := read(t, mine); got != "a: b\n" {
		t.Errorf("another file became %q", got)
	}
}

func TestInitInAnEmptyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if got, err := Init(".", InitOptions{}); err != nil || got.Name != "p" {
		t.Errorf("got %+v, %v", got, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 5 { // three folders and two files
		t.Errorf("got %v, %v; want a project and nothing else", entries, err)
	}
}

// examples returns the text of a skeleton's file with its examples put in force:
// lines that begin with a hash and two spaces.
func examples(t *testing.T, name string) string {
	t.Helper()
	text, err := skeleton.ReadFile("skeleton/" + name)
	if err != nil {
		t.Fatal(err)
	}
	out := regexp.MustCompile(`(?m)^#(  .*)$`).ReplaceAllString(string(text), "$1")
	return regexp.MustCompile(`(?m): \[\]$`).ReplaceAllString(out, ":")
}

// TestSkeletonPolicies holds the file against the default policies, and its
// examples against the reader.
func TestSkeletonPolicies(t *testing.T) {
	text, err := skeleton.ReadFile("skeleton/policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := &report{}
	f := readPolicies("policies.yaml", text, r)
	if err := r.err(); err != nil {
		t.Fatal(err)
	}
	for _, p := range f.definition.Policies {
		i := slices.IndexFunc(policy.Defaults(), func(d policy.Policy) bool { return d.Kind == p.Kind && d.Name == p.Name })
		if i < 0 {
			t.Errorf("%s policy %s is no default policy", p.Kind, p.Name)
			continue
		}
		d := policy.Defaults()[i]
		d.Description = ""
		same(t, p.Name, p, d)
	}
	p, err := LoadFS(with(map[string]string{"policies.yaml": examples(t, "policies.yaml")}), "", "x")
	if err != nil {
		t.Fatal(err)
	}
	d := p.Definition.Policies
	if len(d.Rules) != 1 || len(d.Denies) != 7 || len(d.Policies) < len(policy.Defaults())+10 {
		t.Errorf("got %d rules, %d denies, %d policies: the examples are not all in force", len(d.Rules), len(d.Denies), len(d.Policies))
	}
}

// TestSkeletonConfiguration holds the file, with its examples put in force,
// against the reader of configurations.
func TestSkeletonConfiguration(t *testing.T) {
	text, err := skeleton.ReadFile("skeleton/conf/micro-gw.conf")
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	got, err := config.Parse("micro-gw.conf", text, none)
	if want := config.Default(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want the defaults", got, err)
	}
	all := regexp.MustCompile(`(?m)^# (\[|[a-zA-Z_]+ = )`).ReplaceAllString(string(text), "$1")
	if got, err := config.Parse("micro-gw.conf", []byte(all), none); err != nil || len(got.JWT) != 1 || got.Listener.CertFile == "" {
		t.Errorf("with the examples: got %+v, %v", got, err)
	}
}

package weir_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/weir-project/weir"

// A wall says what a package may import besides the standard library. Whoever
// needs an import that is not here changes this table and
// docs/architecture.md in the same commit.
type wall struct {
	pkg  string   // path below the module; "." is the root
	ours []string // packages of this module
	libs []string // modules of others
}

var walls = []wall{
	// The core: no input or output, no clock.
	{"limiter", nil, nil},
	{".", []string{"limiter"}, nil},
	{"policy", []string{".", "limiter"}, []string{"github.com/gaissmai/bart"}},
	{"policy/rule", []string{".", "policy"}, []string{"cel.dev/cel-go"}},

	// What travels between nodes, and how it is written.
	{"event", []string{".", "limiter"}, nil},
	{"broker", []string{".", "limiter", "policy"}, nil},
	{"broker/link", []string{"broker"}, nil},
	{"broker/memory", []string{"broker", "broker/link"}, nil},
	{"broker/nats", []string{"broker", "broker/link"}, []string{"github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2"}},
	{"broker/amqp", []string{"broker", "broker/link"}, []string{"github.com/rabbitmq/amqp091-go"}},
	{"broker/brokertest", []string{".", "policy", "broker", "broker/nats", "test/realserver"}, []string{"go.uber.org/goleak"}},

	// What others embed.
	{"limiter/httplimit", []string{"limiter"}, nil},
	{"limiter/memory", []string{"limiter"}, nil},
	{"limiter/limitertest", []string{"limiter", "limiter/memory"}, nil},
	{"limiter/redis", []string{"limiter"}, []string{"github.com/redis/go-redis/v9"}},
	{"limiter/redis/redistest", []string{"test/realserver"}, []string{"github.com/redis/go-redis/v9"}},

	// The gateway: its front doors know it, it does not know them.
	{"gateway/identity", []string{"."}, []string{"github.com/golang-jwt/jwt/v5"}},
	{"gateway/route", nil, nil},
	{"gateway/listen/socket", nil, nil},
	{"gateway/uplink", []string{".", "event"}, nil},
	{"gateway/upstream", []string{"gateway/listen/socket"}, nil},
	{"gateway/listen", []string{"gateway/listen/socket"}, nil},
	{"gateway", []string{".", "event", "limiter", "policy", "gateway/identity", "gateway/route", "gateway/upstream"}, nil},
	{"gateway/http1", []string{"gateway", "gateway/identity", "gateway/listen/socket", "gateway/upstream"}, nil},
	{"gateway/http2", []string{"gateway", "gateway/identity", "gateway/route", "gateway/upstream"}, nil},
	{"gateway/project", []string{".", "limiter", "policy", "policy/rule", "gateway", "gateway/identity", "gateway/route"}, []string{"github.com/getkin/kin-openapi", "go.yaml.in/yaml/v3"}},

	// The traffic manager: ingest knows it, it does not know ingest.
	{"trafficmanager", []string{".", "event", "limiter", "policy"}, nil},
	{"trafficmanager/ingest", []string{".", "event", "limiter", "policy", "trafficmanager"}, nil},

	// What every process needs.
	{"config", []string{"broker"}, []string{"github.com/pelletier/go-toml/v2"}},
	{"telemetry", nil, []string{"github.com/prometheus/client_golang"}},

	// The only place that knows them all.
	{"app", []string{
		".", "limiter", "limiter/redis", "policy", "policy/rule", "config", "telemetry", "examples/petstore",
		"event", "broker", "broker/amqp", "broker/memory", "broker/nats", "trafficmanager", "trafficmanager/ingest",
		"gateway", "gateway/http1", "gateway/http2", "gateway/identity", "gateway/listen", "gateway/project", "gateway/upstream", "gateway/uplink",
	}, []string{"github.com/prometheus/client_golang"}},

	// A load of requests, and what becomes of them.
	{"load", []string{"gateway/listen/socket"}, nil},

	// What is broken to find out whether it holds.
	{"cluster", nil, nil},
	{"drill", []string{"broker/nats", "cluster", "load"}, nil},

	// What is looked at to find out why a node does not work.
	{"doctor", []string{".", "app", "broker", "config", "event", "limiter", "limiter/redis"}, nil},

	// Thin: commands, and the process around them.
	{"cli", []string{".", "app", "config", "doctor", "drill", "gateway", "gateway/project", "load"}, []string{"github.com/spf13/cobra", "golang.org/x/sys"}},
	{"cmd/weir", []string{"cli"}, nil},
	{"examples/petstore", nil, nil},

	// Tests only: they have no production code beyond a package comment.
	{"sim", nil, nil},
	{"sim/faults", nil, nil},
	{"test", nil, nil},
	{"test/realserver", nil, []string{"github.com/Shopify/toxiproxy/v2", "github.com/rs/zerolog"}},
}

// bans says which packages production code does not import, and why. A ban may
// except packages.
var bans = map[string]struct {
	reason string
	except []string
}{
	"testing":        {reason: "it registers flags and belongs into tests", except: []string{"broker/brokertest", "limiter/redis/redistest", "limiter/limitertest", "test/realserver"}},
	"unsafe":         {reason: "a wrong pointer is worth it only where the hot path shows bytes as text", except: []string{"gateway/http1", "gateway/identity"}},
	"log":            {reason: "log with log/slog", except: []string{"telemetry"}}, // which takes it in
	"math/rand":      {reason: "math/rand/v2 where chance may be guessed, crypto/rand where it may not"},
	"io/ioutil":      {reason: "its functions are in io and os"},
	"expvar":         {reason: "it serves on the default mux; metrics are app's"},
	"net/http/pprof": {reason: "it serves on the default mux"},
	"reflect":        {reason: "data has a type here", except: []string{"config", "gateway/project", "policy/rule"}},
	"os/exec":        {reason: "a gateway starts no programs", except: []string{"broker/brokertest", "cluster", "limiter/redis/redistest", "test/realserver"}},
}

// badNames are names that say nothing of what is in a package.
var badNames = []string{"util", "utils", "common", "helpers", "helper", "types", "base", "impl", "misc", "shared"}

const (
	maxFile = 400 // lines of a source file; tests may be longer
	maxFunc = 100 // lines of a function; 45 is the norm
	maxMain = 40
)

// A pkg is what the go command says of a package.
type pkg struct {
	Dir        string
	ImportPath string
	Name       string
	GoFiles    []string
	Imports    []string
	Standard   bool
}

// below returns the package's path below the module.
func (p *pkg) below() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=Dir,ImportPath,Name,GoFiles,Imports,Standard", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestWalls(t *testing.T) {
	rows := make(map[string]wall)
	for _, w := range walls {
		rows[w.pkg] = w
	}
	for _, p := range packages(t) {
		w, ok := rows[p.below()]
		if !ok {
			t.Errorf("package %s has no row in the table of walls", p.below())
			continue
		}
		for _, imp := range p.Imports {
			if err := w.allows(imp); err != nil {
				t.Errorf("package %s: %v", p.below(), err)
			}
			if b, ok := bans[imp]; ok && !slices.Contains(b.except, p.below()) {
				t.Errorf("package %s imports %s: %s", p.below(), imp, b.reason)
			}
		}
	}
}

// allows returns an error if the wall forbids an import.
func (w wall) allows(imp string) error {
	first, _, _ := strings.Cut(imp, "/")
	switch {
	case imp == module:
		if slices.Contains(w.ours, ".") {
			return nil
		}
	case strings.HasPrefix(imp, module+"/"):
		if slices.Contains(w.ours, strings.TrimPrefix(imp, module+"/")) {
			return nil
		}
	case !strings.Contains(first, "."): // the standard library
		return nil
	default:
		for _, lib := range w.libs {
			if imp == lib || strings.HasPrefix(imp, lib+"/") {
				return nil
			}
		}
	}
	return fmt.Errorf("imports %s, which the table of walls does not allow it", imp)
}

// TestWallsAreMet finds rows that allow more than a package needs.
func TestWallsAreMet(t *testing.T) {
	all := make(map[string]pkg)
	for _, p := range packages(t) {
		all[p.below()] = p
	}
	for _, w := range walls {
		p, ok := all[w.pkg]
		if !ok {
			t.Errorf("the table of walls has a row for %s, which is no package", w.pkg)
			continue
		}
		for _, o := range w.ours {
			if !slices.Contains(p.Imports, path.Join(module, o)) {
				t.Errorf("the table of walls allows %s to import %s, which it does not", w.pkg, o)
			}
		}
		for _, lib := range w.libs {
			if !slices.ContainsFunc(p.Imports, func(i string) bool { return i == lib || strings.HasPrefix(i, lib+"/") }) {
				t.Errorf("the table of walls allows %s to import %s, which it does not", w.pkg, lib)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, p := range packages(t) {
		if slices.Contains(badNames, path.Base(p.below())) || slices.Contains(badNames, p.Name) {
			t.Errorf("package %s: a name that says nothing of what is in it", p.below())
		}
	}
}

func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		var with []string
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				with = append(with, name)
			}
		}
		if len(with) != 1 && len(p.GoFiles) > 0 {
			t.Errorf("package %s has %d package comments (%s), want one", p.below(), len(with), strings.Join(with, ", "))
		}
	}
}

func TestSource(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			lines := set.File(f.Pos()).LineCount()
			limit := maxFile
			if p.Name == "main" {
				limit = maxMain
			}
			if lines > limit && !ast.IsGenerated(f) {
				t.Errorf("%s has %d lines, at most %d are fine", path.Join(p.below(), name), lines, limit)
			}
			checkFuncs(t, p.below(), set, f)
			checkCalls(t, p, set, f)
		}
	}
}

// checkFuncs finds functions that are too long or run by themselves.
func checkFuncs(t *testing.T, pkg string, set *token.FileSet, f *ast.File) {
	t.Helper()
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		at := set.Position(fn.Pos())
		if fn.Recv == nil && fn.Name.Name == "init" {
			t.Errorf("%s:%d: init runs before anybody asked for it: let a constructor do it", path.Join(pkg, filepath.Base(at.Filename)), at.Line)
		}
		if n := set.Position(fn.End()).Line - at.Line; n > maxFunc {
			t.Errorf("%s:%d: function %s has %d lines, at most %d are fine", path.Join(pkg, filepath.Base(at.Filename)), at.Line, fn.Name.Name, n, maxFunc)
		}
	}
}

// checkCalls finds calls that only some packages may make.
func checkCalls(t *testing.T, p pkg, set *token.FileSet, f *ast.File) {
	t.Helper()
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		at := set.Position(call.Pos())
		where := fmt.Sprintf("%s:%d", path.Join(p.below(), filepath.Base(at.Filename)), at.Line)
		switch name := x.Name + "." + sel.Sel.Name; name {
		case "fmt.Print", "fmt.Println", "fmt.Printf":
			t.Errorf("%s: %s writes to the process's standard output: write to the writer that was given", where, name)
		case "os.Exit":
			if p.Name != "main" {
				t.Errorf("%s: %s ends the process of whoever called: return an error", where, name)
			}
		case "slog.Info", "slog.Warn", "slog.Error", "slog.Debug", "slog.SetDefault", "slog.Default":
			t.Errorf("%s: %s uses a logger that nobody passed", where, name)
		case "context.TODO":
			t.Errorf("%s: %s: whose context is it?", where, name)
		case "time.Now", "time.Since", "time.Sleep", "time.After", "time.NewTicker", "time.NewTimer", "time.AfterFunc":
			// Whoever shares counters has to wait for the next round.
			waits := name == "time.NewTimer" && strings.HasPrefix(where, "limiter/drive.go:")
			if !waits && slices.Contains([]string{".", "limiter", "policy", "policy/rule", "gateway/route"}, p.below()) {
				t.Errorf("%s: %s: in the core, time is an argument", where, name)
			}
		}
		return true
	})
}

// TestModules finds a go.mod outside the places that may have their own.
func TestModules(t *testing.T) {
	allowed := []string{"go.mod", "benchmarks/go.mod", "tools/go.mod"}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == ".git" || name == "bin") {
			return fs.SkipDir
		}
		if d.Name() == "go.mod" && !slices.Contains(allowed, filepath.ToSlash(name)) {
			t.Errorf("%s: a module of its own, which only benchmarks and tools have", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// link finds links of Markdown to files of the tree.
var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

// TestLinks finds links in documents that lead nowhere.
func TestLinks(t *testing.T) {
	docs := []string{"README.md", "CHANGELOG.md", "benchmarks/README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, found...)
	}
	for _, name := range docs {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			to := path.Join(path.Dir(name), string(m[1]))
			if _, err := os.Stat(filepath.FromSlash(to)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
	}
}

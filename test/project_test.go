package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// files are a project's files by their path in it. In their text, BACKEND stands
// for the URL of the project's backend.
type files map[string]string

// A project is a folder made by weir init.
type project struct {
	t       testing.TB
	home    string // holds the project's folder
	backend string
	keys    map[string]string
	made    bool   // target/shop.weir is there
	binary  string // that serves it
}

// name is that of all projects.
const name = "shop"

// newProject makes a project of the files.
func newProject(t testing.TB, backend string, f files) *project {
	t.Helper()
	p := &project{t: t, home: t.TempDir(), backend: backend, keys: map[string]string{}, binary: server}
	must(t, p.home, "init", name)
	p.write(f)
	return p
}

func (p *project) path(elem ...string) string {
	return filepath.Join(append([]string{p.home, name}, elem...)...)
}

func (p *project) artifact() string { return p.path("target", name+".weir") }

// write writes files of the project.
func (p *project) write(f files) {
	p.t.Helper()
	for rel, text := range f {
		path := p.path(filepath.FromSlash(rel))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "BACKEND", p.backend)), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

var keyForm = regexp.MustCompile(`weir_[0-9A-Za-z]{49}`)

// key returns a key of the application, made when it is first asked for.
func (p *project) key(application, kind string) string {
	p.t.Helper()
	id := application + " " + kind
	if p.keys[id] == "" {
		out := must(p.t, p.home, "key", "create", name, "--application", application, "--type", kind)
		found := keyForm.FindAllString(out.stdout, -1)
		if len(found) != 1 {
			p.t.Fatalf("weir key create printed %q", out.stdout)
		}
		p.keys[id] = found[0]
		p.made = false
	}
	return p.keys[id]
}

// build builds the artifact.
func (p *project) build() {
	p.t.Helper()
	must(p.t, p.home, "build", name)
	p.made = true
}

// A gatewayProcess is the binary serving a project.
type gatewayProcess struct {
	*process
	addr, secure, management string // host:port
}

// serve builds the project, if need be, and serves it with conf, further lines of
// micro-gw.conf. It returns once the gateway is ready.
func (p *project) serve(conf string, args ...string) *gatewayProcess {
	p.t.Helper()
	if !p.made {
		p.build()
	}
	http, https, management := freePort(p.t), freePort(p.t), freePort(p.t)
	g := &gatewayProcess{addr: local(http), secure: local(https), management: local(management)}
	p.write(files{"conf/micro-gw.conf": configuration(http, https, management, conf)})
	args = append([]string{"gateway", p.artifact(), "--config", p.path("conf", "micro-gw.conf")}, args...)
	g.process = startBinary(p.t, p.binary, p.home, args...)
	g.awaitReady()
	return g
}

// configuration returns a micro-gw.conf. The lines of conf before its first
// section belong to listenerConfig.
func configuration(http, https, management int, conf string) string {
	listener, rest, _ := strings.Cut("\n"+conf, "\n[")
	if rest != "" {
		rest = "[" + rest
	}
	return fmt.Sprintf("[listenerConfig]\nhost = \"127.0.0.1\"\nhttpPort = %d\nhttpsPort = %d\n%s\n\n[management]\nport = %d\n\n%s\n",
		http, https, listener, management, rest)
}

// awaitReady returns once /readyz says so.
func (g *gatewayProcess) awaitReady() {
	g.t.Helper()
	until(g.t, "the gateway to be ready", func() bool {
		if g.ended() {
			g.t.Fatalf("the gateway ended: %v\n%s", g.err, g.stderr.String())
		}
		resp, err := http.Get("http://" + g.management + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

package app

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-project/weir/examples/petstore"
	"github.com/weir-project/weir/gateway/project"
)

// TestRunDemoBackend runs the sample's backend without a gateway.
func TestRunDemoBackend(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- RunDemoBackend(ctx, "127.0.0.1:0", func(origin string) { started <- origin }) }()
	var origin string
	select {
	case origin = <-started:
	case err := <-done:
		t.Fatal(err)
	}
	if status, body := get(t, origin+"/production/pets/2", ""); status != 200 || !strings.Contains(body, "Minka") {
		t.Errorf("got %d %s", status, body)
	}
	taken := strings.TrimPrefix(origin, "http://")
	if err := RunDemoBackend(ctx, taken, func(string) {}); err == nil || !strings.Contains(err.Error(), "demo: backend: listen tcp "+taken) {
		t.Errorf("a taken address: got %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestRunDemo runs the demo beside somebody who has its port.
func TestRunDemo(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	taken := int(netip.MustParseAddrPort(loopback(t).Addr().String()).Port())
	ctx, cancel := context.WithCancel(t.Context())
	var log logbook
	started, done := make(chan Demo, 1), make(chan error, 1)
	go func() {
		done <- RunDemo(ctx, DemoOptions{
			Port: taken, ManagementPort: taken, Version: "test", Log: &log,
			Started: func(d Demo) { started <- d },
		})
	}()
	var d Demo
	select {
	case d = <-started:
	case err := <-done:
		t.Fatal(err)
	}
	if d.Taken != taken || int(d.HTTP.Port()) == taken || d.HTTP.Port() == d.Management.Port() {
		t.Errorf("taken %d, HTTP %v, management %v", d.Taken, d.HTTP, d.Management)
	}
	api := "http://" + d.HTTP.String() + d.Context
	if status, body := get(t, api+"/pets/2", d.Key); status != 200 || !strings.Contains(body, "Minka") {
		t.Errorf("got %d %s", status, body)
	}
	if status, body := get(t, d.Backend+"/production/pets/2", ""); status != 200 || !strings.Contains(body, "Minka") {
		t.Errorf("the backend itself: got %d %s", status, body)
	}
	files, err := filepath.Glob(filepath.Join(tmp, "weir-demo-*", "petstore", "*"))
	if err != nil || len(files) == 0 {
		t.Errorf("no project while it runs: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if got := log.String(); got != "" {
		t.Errorf("logged, though nothing was wrong: %s", got)
	}
}

func TestRunDemoSaysWhatIsWrong(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	err := RunDemo(t.Context(), DemoOptions{Port: 1, ManagementPort: 1, Log: &logbook{}, Started: func(Demo) {}})
	if err == nil || !strings.HasPrefix(err.Error(), "demo: ") {
		t.Errorf("got %v", err)
	}
}

// TestSampleIsClean holds the sample, which people start from, to no warnings,
// and to the backend's address as the only thing that a demo changes.
func TestSampleIsClean(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "petstore")
	if err := copySample(dir, "http://127.0.0.1:12345"); err != nil {
		t.Fatal(err)
	}
	p, err := project.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range p.Warnings {
		t.Error(w)
	}
	api := p.Definition.APIs[0]
	if api.Name != petstore.API || api.Context != petstore.Context || api.Production.URLs[0] != "http://127.0.0.1:12345/production" {
		t.Errorf("got %s at %s, to %v", api.Name, api.Context, api.Production.URLs)
	}
	const file = "api_definitions/petstore.yaml"
	was, err := petstore.Files.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	is, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(is, []byte("http://127.0.0.1:12345"), []byte(petstore.Origin)), was) {
		t.Error("more than the backend's address differs")
	}
}

package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadStart starts the gateway with what it can't be started with: each has
// exit code 1 (2 where the command itself is wrong), says why in a line, and opens
// no port.
func TestBadStart(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	p.build()
	conf := func(text string) string {
		file := filepath.Join(t.TempDir(), "gw.conf")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good, err := os.ReadFile(p.artifact())
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(t.TempDir(), "half.weir")
	replace(t, half, good[:len(good)/2])
	other, tricky := filepath.Join(t.TempDir(), "other.weir"), filepath.Join(t.TempDir(), "tricky.weir")
	replace(t, other, forge(t, good, "weir\r\n\x1a\n\x00\x02", "weir\r\n\x1a\n\x00\x03"))
	replace(t, tricky, forge(t, good, "apis.json", "../x.json"))
	taken := strings.TrimPrefix(b.URL, "http://127.0.0.1:")
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown key", []string{p.artifact(), "--config", conf("[listenerConfig]\nhttpPort = 9090\nhtpsPort = 1\n")}, 1, "gw.conf:3"},
		{"unknown section", []string{p.artifact(), "--config", conf("[listener]\n")}, 1, "gw.conf:1"},
		{"wrong type", []string{p.artifact(), "--config", conf("[listenerConfig]\nhttpPort = \"often\"\n")}, 1, "gw.conf:2"},
		{"beyond its bounds", []string{p.artifact(), "--config", conf("[limits]\nconnections = 0\n")}, 1, "gw.conf:2"},
		{"no TOML", []string{p.artifact(), "--config", conf("[limits\n")}, 1, "gw.conf:1"},
		{"no such configuration", []string{p.artifact(), "--config", "nowhere.conf"}, 1, "nowhere.conf"},
		{"no such artifact", []string{"nowhere.weir", "--config", conf("")}, 1, "nowhere.weir"},
		{"half an artifact", []string{half, "--config", conf("[management]\nport = -1\n")}, 1, "half.weir"},
		{"an artifact of another version", []string{other, "--config", conf("[management]\nport = -1\n")}, 1, "version 2"},
		{"an artifact with a path in it", []string{tricky, "--config", conf("[management]\nport = -1\n")}, 1, "tricky.weir"},
		{"a project", []string{p.path(), "--config", conf("")}, 1, "build"},
		{"a port that is taken", []string{p.artifact(), "--config", conf("[listenerConfig]\nhost = \"127.0.0.1\"\nhttpPort = " + taken + "\n[management]\nport = -1\n")}, 1, taken},
		{"no argument", nil, 2, "ARTIFACT"},
		{"unknown flag", []string{p.artifact(), "--colour"}, 2, "--colour"},
	} {
		r := weir(t, p.home, append([]string{"gateway"}, test.args...)...)
		lines := 0
		for line := range strings.Lines(r.stderr) {
			if strings.HasPrefix(line, "weir:") {
				lines++
			}
		}
		if r.code != test.code || lines != 1 || !strings.Contains(r.stderr, test.want) {
			t.Errorf("%s: exit code %d, want %d and one line with %q:\n%s%s", test.name, r.code, test.code, test.want, r.stdout, r.stderr)
		}
	}
}

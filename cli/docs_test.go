package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weir-project/weir/examples/petstore"
	"github.com/weir-project/weir/test/realserver"
)

// A step is a command that a document shows, and what it says comes of it.
type step struct {
	line    int
	command string
	want    []string
}

// TestDocuments runs the commands of the documents as a reader would: the
// console blocks of one document, in their order, in one shell and an empty
// folder. What they print must be what the document shows; "…" stands for any
// text in a line, and a line that is only "…" for any lines. Blocks marked
// yaml file=NAME are files that the reader writes.
func TestDocuments(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is missing: scripts/setup.sh test installs it")
	}
	names := []string{"../README.md", "../docs/projects.md", "../docs/policies.md", "../docs/load.md", "../docs/top.md", "../docs/doctor.md", "../docs/drill.md"}
	ports := freePorts(t, len(names))
	for i, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".md"), func(t *testing.T) {
			t.Parallel()
			runSteps(t, filepath.Base(name), readSteps(string(text)), ports[i])
		})
	}
}

// TestDocumentsShowValidFiles checks every YAML and TOML block of the documents as
// the file that its name says, or as policies or a configuration without one, so
// that no example can be typed in and refused.
func TestDocumentsShowValidFiles(t *testing.T) {
	names, err := filepath.Glob("../docs/*.md")
	if err != nil || len(names) < 5 {
		t.Fatalf("found the documents %q, %v", names, err)
	}
	checked := 0
	for _, name := range append(names, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range readBlocks(string(text)) {
			plain := map[string]string{"yaml": "policies.yaml", "toml": "conf/micro-gw.conf"}[b.kind]
			if plain == "" {
				continue
			}
			checked++
			dir := t.TempDir()
			file := filepath.Join(dir, cmp.Or(b.file, plain))
			if !strings.Contains(b.file, "/") && b.file != "" {
				file = filepath.Join(dir, "api_definitions", b.file)
			}
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := Run(t.Context(), Env{Args: []string{"validate", file}, Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }})
			if err != nil {
				t.Errorf("%s:%d: %v\n%s", filepath.Base(name), b.line, err, out.String())
			}
		}
	}
	if checked < 8 {
		t.Errorf("checked %d blocks, want all there are", checked)
	}
}

// A block is what stands between two fences of a document.
type block struct {
	line             int // of the first fence
	kind, file, text string
}

func readBlocks(text string) []block {
	var all []block
	var open *block
	for i, line := range strings.Split(text, "\n") {
		switch m := fence.FindStringSubmatch(line); {
		case open == nil && m != nil:
			open = &block{line: i + 1, kind: m[1], file: m[2]}
		case open != nil && line == "```":
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	return all
}

var fence = regexp.MustCompile("^```(\\w+)(?: file=(\\S+))?(?: .*)?$")

// readSteps returns the commands of a document. A file becomes a command that writes it.
func readSteps(text string) []step {
	var steps []step
	var kind, file string
	var body []string
	for i, line := range strings.Split(text, "\n") {
		if m := fence.FindStringSubmatch(line); m != nil && kind == "" {
			kind, file, body = m[1], m[2], nil
			continue
		}
		if line == "```" {
			if file != "" {
				steps = append(steps, step{line: i, command: "cat > " + file + " <<'END'\n" + strings.Join(body, "\n") + "\nEND"})
			}
			kind, file = "", ""
			continue
		}
		if file != "" {
			body = append(body, line)
		}
		if kind != "console" {
			continue
		}
		last := len(steps) - 1
		switch {
		case strings.HasPrefix(line, "$ "):
			steps = append(steps, step{line: i + 1, command: line[2:]})
		case last >= 0 && (strings.HasSuffix(steps[last].command, "\\") || strings.HasPrefix(line, "> ")):
			steps[last].command += "\n" + strings.TrimPrefix(line, "> ")
		case last >= 0:
			steps[last].want = append(steps[last].want, line)
		}
	}
	return steps
}

// runSteps runs the steps in one shell and compares what they print.
func runSteps(t *testing.T, name string, steps []step, ports *strings.Replacer) {
	t.Helper()
	dir := t.TempDir()
	copyExamples(t, dir, ports)
	script := &strings.Builder{}
	for i, s := range steps {
		// $? is that of the step before.
		fmt.Fprintf(script, "before=$?; printf '\\036%d\\n'; (exit $before)\n%s\n", i, background(ports.Replace(s.command), i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	sh := exec.CommandContext(ctx, "sh", "-c", script.String())
	sh.Dir = dir
	sh.Env = append(os.Environ(), "HOME="+dir,
		"WEIR_LISTENER_CONFIG_HOST=127.0.0.1",
		"WEIR_LISTENER_CONFIG_HTTP_PORT="+ports.Replace("9090"), "WEIR_MANAGEMENT_PORT="+ports.Replace("9764"))
	if slices.ContainsFunc(steps, func(s step) bool { return strings.HasPrefix(s.command, "weir serve") }) {
		sh.Env = append(sh.Env, "WEIR_MANAGEMENT_HTTPS_PORT="+ports.Replace("9443"))
	}
	sh.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	sh.Stdout, sh.Stderr = &out, &out
	err := sh.Run()
	if sh.Process != nil {
		_ = syscall.Kill(-sh.Process.Pid, syscall.SIGTERM) // gateways in the background
	}
	if ctx.Err() != nil {
		t.Fatalf("%s: %v\n%s", name, err, out.String())
	}
	got := make(map[int]string)
	for part := range strings.SplitSeq(out.String(), "\x1e") {
		var i int
		if first, rest, ok := strings.Cut(part, "\n"); ok {
			if _, err := fmt.Sscan(first, &i); err == nil {
				got[i] = rest
			}
		}
	}
	for i, s := range steps {
		want := ports.Replace(strings.TrimRight(strings.Join(s.want, "\n"), "\n"))
		have := strings.ReplaceAll(strings.TrimRight(got[i], "\n"), "\r", "")
		if !alike(want, have) {
			t.Errorf("%s:%d: $ %s\nprints:\n%s\nthe document says:\n%s", name, s.line, s.command, have, want)
			logs, _ := filepath.Glob(filepath.Join(dir, "background*.log"))
			for _, name := range logs {
				log, _ := os.ReadFile(name)
				t.Logf("in the background, %s:\n%s", filepath.Base(name), log)
			}
			return
		}
	}
}

// copyExamples puts the examples where they are below the documents.
func copyExamples(t *testing.T, dir string, ports *strings.Replacer) {
	t.Helper()
	text, err := fs.ReadFile(petstore.Files, "api_definitions/petstore.yaml")
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "examples", "petstore", "api_definitions")
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "petstore.yaml"), []byte(ports.Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// background makes a command that ends in & write to a file of its own, and waits
// until it serves.
func background(command string, i int) string {
	c, ok := strings.CutSuffix(command, " &")
	if !ok {
		return command
	}
	return strings.ReplaceAll(c+` >LOG 2>&1 &
for i in $(seq 1200); do grep -Eqs 'msg=ready|^weir:' LOG && break; sleep 0.05; done`, "LOG", fmt.Sprintf("background%d.log", i))
}

// alike reports whether got is what want shows. How many spaces there are between
// words is of no matter: columns are as wide as what is in them.
func alike(want, got string) bool {
	want, got = spaces.ReplaceAllString(want, " "), spaces.ReplaceAllString(got, " ")
	p := regexp.QuoteMeta(want)
	p = strings.ReplaceAll(p, "\n…\n", "\n(?s:.*)\n")
	p = strings.TrimPrefix(strings.TrimSuffix(p, "\n…"), "…\n")
	if strings.HasSuffix(want, "\n…") {
		p += "(?s:.*)"
	}
	if strings.HasPrefix(want, "…\n") {
		p = "(?s:.*)" + p
	}
	p = strings.ReplaceAll(p, "…", ".*")
	return regexp.MustCompile("^" + p + "$").MatchString(got)
}

var spaces = regexp.MustCompile(" +")

// freePorts returns, for each of n documents, what replaces the ports of the document,
// the backend's, the gateway's and the traffic manager's, by others that are free.
func freePorts(t *testing.T, n int) []*strings.Replacer {
	t.Helper()
	free := func() string { return realserver.FreePort(t) }
	all := make([]*strings.Replacer, n)
	for i := range all {
		gateway := free()
		all[i] = strings.NewReplacer("9091", free(), "9090", gateway, "8280", gateway, "9764", free(), "9443", free())
	}
	return all
}

func TestAlike(t *testing.T) {
	tests := []struct {
		want, got string
		same      bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a.c", "abc", false},
		{"key …", "key w_123", true},
		{"…\nend", "one\ntwo\nend", true},
		{"start\n…", "start\none\ntwo", true},
		{"start\n…\nend", "start\none\nend", true},
		{"start\n…\nend", "start\none\nfin", false},
		{"", "", true},
		{"", "x", false},
	}
	for _, tt := range tests {
		if got := alike(tt.want, tt.got); got != tt.same {
			t.Errorf("%q and %q: got %t, want %t", tt.want, tt.got, got, tt.same)
		}
	}
}

// TestMain lets this test binary be the command weir, for scripts and documents.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": runMain})
}

func runMain() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := Run(ctx, Env{Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv})
	stop()
	os.Exit(Exit(os.Stderr, err))
}

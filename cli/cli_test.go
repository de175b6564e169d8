package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// call runs a command line and returns its exit code and what it printed.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	err := Run(t.Context(), Env{Args: args, Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }})
	code = Exit(&errs, err)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	tests := []struct {
		args []string
		code int
		want string // in what is printed
	}{
		{nil, 0, "weir init petstore"},
		{[]string{"--help"}, 0, "Usage:"},
		{[]string{"help", "version"}, 0, "weir version -o json"},
		{[]string{"--version"}, 0, "weir "},
		{[]string{"version"}, 0, "weir "},
		{[]string{"version", "-o", "json"}, 0, `"go": "go1.`},
		{[]string{"version", "-o", "xml"}, 2, "it is text or json"},
		{[]string{"version", "now"}, 2, `"now" is one argument too many`},
		{[]string{"serv"}, 2, `unknown command "serv"`},
		{[]string{"version", "--loud"}, 2, "unknown flag: --loud; see 'weir version --help'"},
	}
	for _, tt := range tests {
		code, out, errs := call(t, tt.args...)
		if code != tt.code || !strings.Contains(out+errs, tt.want) {
			t.Errorf("weir %s: got %d %s%s, want %d and %q", strings.Join(tt.args, " "), code, out, errs, tt.code, tt.want)
		}
		if (code == 0) != (errs == "") {
			t.Errorf("weir %s: exit %d with %q on standard error", strings.Join(tt.args, " "), code, errs)
		}
	}
}

func TestExit(t *testing.T) {
	tests := []struct {
		err  error
		code int
		want string
	}{
		{nil, 0, ""},
		{errors.New("read a.yaml: no such file"), 1, "weir: read a.yaml: no such file\n"},
		{errors.Join(errors.New("a.yaml:1: one"), errors.New("a.yaml:2: two")), 1, "weir: a.yaml:1: one\nweir: a.yaml:2: two\n"},
		{fmt.Errorf("x: %w", ErrUsage), 2, "weir: x: wrong usage\n"},
		{usageError{errors.New("PROJECT is missing"), "weir build"}, 2, "weir: PROJECT is missing; see 'weir build --help'\n"},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		if code := Exit(&b, tt.err); code != tt.code || b.String() != tt.want {
			t.Errorf("%v: got %d %q, want %d %q", tt.err, code, b.String(), tt.code, tt.want)
		}
	}
}

// TestCommandsExplainThemselves holds every command to a purpose, an example
// that begins with its own name, and a description of each flag.
func TestCommandsExplainThemselves(t *testing.T) {
	root := newRoot(Env{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}})
	everyCommand(root, func(c *cobra.Command) {
		if c == root || c.HasSubCommands() {
			return
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: its purpose is %q", c.CommandPath(), c.Short)
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of its own", c.CommandPath())
		}
	})
}

func TestDocs(t *testing.T) {
	for _, tt := range []struct{ format, file, want string }{
		{"man", "weir.1", `.TH "WEIR" "1"`},
		{"markdown", "weir_version.md", "## weir version"},
	} {
		dir := filepath.Join(t.TempDir(), "pages")
		if code, _, errs := call(t, "docs", "--format", tt.format, dir); code != 0 {
			t.Fatalf("%s: %s", tt.format, errs)
		}
		page, err := os.ReadFile(filepath.Join(dir, tt.file))
		if err != nil || !strings.Contains(string(page), tt.want) {
			t.Errorf("%s: no %q in %s: %v", tt.format, tt.want, tt.file, err)
		}
	}
	if code, _, errs := call(t, "docs", "--format", "html", t.TempDir()); code != 2 || !strings.Contains(errs, "man or markdown") {
		t.Errorf("html: got %d %s", code, errs)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, errs := call(t, "completion", shell); code != 0 || !strings.Contains(out, "weir") {
			t.Errorf("%s: got %d %s", shell, code, errs)
		}
	}
}

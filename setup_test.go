package weir_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSetup runs scripts/setup.sh on machines that have only some commands: it
// must install what is missing, or say what that is.
func TestSetup(t *testing.T) {
	const (
		goes  = "echo go1.26.1"
		root  = "echo 0"
		user  = "echo 1000"
		apt   = `echo "apt-get $*" >> "$LOG"`
		fails = "exit 1"
	)
	tests := []struct {
		name, task string
		lacks      string            // of the commands that it looks for
		commands   map[string]string // others, as text of shell scripts
		want       string            // in what it says; empty: it says nothing and is content
		ran        string            // in what it ran
	}{
		{"all is there", "test", "", map[string]string{"go": goes}, "", ""},
		{"all for the benchmarks", "bench", "", map[string]string{"go": goes}, "", ""},
		{"no Go", "test", "", nil, "setup: Go is not installed: Weir needs Go 1.26 or newer", ""},
		{"an old Go", "test", "", map[string]string{"go": "echo go1.25.9"}, "setup: Go is 1.25.9: Weir needs Go 1.26 or newer", ""},
		{"a Go to come", "test", "", map[string]string{"go": "echo go1.30rc1"}, "", ""},
		{
			"no compiler, and no right to install one", "test", "gcc",
			map[string]string{"go": goes, "id": user, "apt-get": apt},
			"sudo apt-get install gcc libc6-dev", "",
		},
		{
			"sudo asks for a password", "test", "gcc",
			map[string]string{"go": goes, "id": user, "sudo": fails, "apt-get": apt},
			"gcc: the race detector needs a C compiler", "",
		},
		{"no apt-get", "test", "curl", map[string]string{"go": goes, "id": root}, "there is no apt-get here", ""},
		{
			"root installs", "test", "gcc curl",
			map[string]string{"go": goes, "id": root, "apt-get": apt},
			"setup: installing gcc libc6-dev curl ca-certificates", "apt-get install -y -qq --no-install-recommends gcc libc6-dev curl ca-certificates",
		},
		{
			"sudo installs", "test", "curl",
			map[string]string{"go": goes, "id": user, "sudo": `shift; [ "$1" = true ] || exec "$@"`, "apt-get": apt},
			"setup: installing curl ca-certificates", "apt-get install -y -qq --no-install-recommends curl ca-certificates",
		},
		{"apt-get fails", "test", "curl", map[string]string{"go": goes, "id": root, "apt-get": fails}, "apt-get could not install curl ca-certificates", ""},
		{"an unknown task", "tests", "", map[string]string{"go": goes}, "unknown task tests: use test or bench", ""},
	}
	script, err := os.ReadFile("scripts/setup.sh")
	if err != nil {
		t.Fatal(err)
	}
	needed := regexp.MustCompile(`(?m)^\tneed (\S+)`).FindAllStringSubmatch(string(script), -1)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bin := t.TempDir()
			log := filepath.Join(bin, "log")
			commands := map[string]string{"env": `while [ "${1#*=}" != "$1" ]; do shift; done; exec "$@"`}
			maps.Copy(commands, tt.commands)
			for _, m := range needed {
				if !slices.Contains(strings.Fields(tt.lacks), m[1]) {
					commands[m[1]] = ""
				}
			}
			for name, text := range commands {
				if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("/bin/sh", filepath.Join(bin, "sh")); err != nil {
				t.Fatal(err)
			}
			if path, err := exec.LookPath("dirname"); err == nil {
				_ = os.Symlink(path, filepath.Join(bin, "dirname")) // of which the script may make use
			}
			cmd := exec.Command("/bin/sh", "scripts/setup.sh", tt.task)
			cmd.Env = []string{"PATH=" + bin, "LOG=" + log}
			out, err := cmd.CombinedOutput()
			content := tt.want == "" || tt.ran != ""
			if content != (err == nil) {
				t.Errorf("got %v", err)
			}
			if got := string(out); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
			ran, _ := os.ReadFile(log) // if there is one
			if !strings.Contains(string(ran), tt.ran) || tt.ran == "" && len(ran) > 0 {
				t.Errorf("it ran %q, want %q", ran, tt.ran)
			}
		})
	}
}

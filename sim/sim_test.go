package sim

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScripts runs every script in testdata, each in a world of its own.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatal("there are no scripts in testdata")
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			runScript(t, path)
		})
	}
}

func runScript(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	script, files, err := split(string(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	steps, err := parseScript(script)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if err := newWorld(t, files).run(steps); err != nil {
		if s, ok := errors.AsType[*stepError](err); ok {
			t.Fatalf("%s:%d: %v", path, s.line, err)
		}
		t.Fatalf("%s: %v", path, err)
	}
}

package project

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-project/weir/gateway/identity"
)

// TestWritesThatFail has projects in which something stands in the way of what is
// to be written: there must be an error that names it, and nothing else.
func TestWritesThatFail(t *testing.T) {
	synapse := write(t, "api.xml", `<handlers><handler class="x.ThrottleHandler"><property name="productionMaxCount" value="1"/></handler></handlers>`)
	tests := []struct {
		name, folder, file string // what stands in the way
		do                 func(dir string) error
		want               string
	}{
		{"build, target is a file", "", "target", func(dir string) error { _, err := Build(dir); return err }, "build p: "},
		{"build, the artifact is a folder", "target/p.weir", "", func(dir string) error { _, err := Build(dir); return err }, "build p: "},
		{"key create, a folder", "applications.yaml", "", func(dir string) error {
			_, err := CreateKey(dir, KeyOptions{Application: "a", Create: &identity.Application{Owner: "o", Tier: "Unlimited"}})
			return err
		}, "create key: "},
		{"key create, policies are a folder", "policies.yaml", "", func(dir string) error {
			_, err := CreateKey(dir, KeyOptions{Application: "a", Create: &identity.Application{Owner: "o", Tier: "Unlimited"}})
			return err
		}, "policies.yaml: cannot be read: is a directory"},
		{"import, a definition is a folder", "api_definitions/petstore.yaml", "", func(dir string) error {
			_, err := ImportSynapse(synapse, dir, ImportOptions{})
			return err
		}, "has no API definition"},
		{"import, definitions are a file", "", "api_definitions", func(dir string) error {
			_, err := ImportSynapse(synapse, dir, ImportOptions{})
			return err
		}, "api_definitions: cannot be read: not a directory"},
		{"init, the folder above is a file", "", "above", func(dir string) error {
			_, err := Init(filepath.Join(dir, "above", "p"), InitOptions{})
			return err
		}, "not a directory"},
		{"init over a project, a file is a folder", "policies.yaml", "", func(dir string) error {
			_, err := Init(dir, InitOptions{Force: true})
			return err
		}, "init: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "p")
			for name, text := range goodProject() {
				add(t, dir, name, text)
			}
			for _, name := range []string{tt.folder, tt.file} {
				if name != "" {
					if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if tt.folder != "" {
				add(t, dir, filepath.Join(tt.folder, "kept"), "x")
			} else {
				add(t, dir, tt.file, "x")
			}
			before := filesBelow(t, dir)
			err := tt.do(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			for name := range filesBelow(t, dir) {
				if strings.HasPrefix(filepath.Base(name), ".") {
					t.Errorf("%s is left over", name)
				}
			}
			if after := filesBelow(t, dir); !strings.HasPrefix(tt.name, "init over") && !maps.Equal(before, after) {
				t.Errorf("got %v, want what was there before: %v", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
			}
		})
	}
}

// filesBelow returns the texts of all files below dir.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			texts[name] = read(t, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

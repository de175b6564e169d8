package project

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	shop, err := filepath.Abs("testdata/shop")
	if err != nil {
		t.Fatal(err)
	}
	errConfig := errors.New("micro-gw.conf:1: wrong")
	tests := []struct {
		path    string
		content Content
		want    string // of the error
	}{
		{shop, ContentProject, ""},
		{filepath.Join(shop, "policies.yaml"), ContentPolicies, ""},
		{filepath.Join(shop, "applications.yaml"), ContentApplications, ""},
		{filepath.Join(shop, "api_definitions", "orders.json"), ContentDefinition, ""},
		{filepath.Join(shop, "api_definitions", "legacy.yml"), ContentDefinition, ""},
		{filepath.Join(shop, "conf", "micro-gw.conf"), ContentConfiguration, ""},
		{"testdata/shop.weir", ContentArtifact, ""},
		{write(t, "renamed", read(t, "testdata/shop.weir")), ContentArtifact, ""},
		{write(t, "policies.yaml", ""), ContentPolicies, ""},
		{write(t, "my.yaml", "denyPolicies:\n  - {type: USER, value: a, invert: true}\n"), ContentPolicies, "my.yaml:2: deny policy"},
		{write(t, "policies.yaml", "a: b\n"), ContentPolicies, `policies.yaml:1: unknown key "a"`},
		{write(t, "policies.yaml", "a: [\n"), ContentPolicies, "is no valid YAML"},
		{write(t, "applications.yaml", "x\n"), ContentApplications, "must be a mapping of applications"},
		{write(t, "a.yaml", plainAPI), ContentDefinition, "has no endpoints"},
		{write(t, "a.yaml", "openapi: [\n"), ContentDefinition, "is no valid YAML"},
		{write(t, "a.yaml", "a: 1\n"), contentUnknown, "is nothing that can be validated"},
		{write(t, "a.txt", "some words\n"), contentUnknown, "is nothing that can be validated"},
		{write(t, "a.weir", "some words\n"), ContentArtifact, "is no artifact"},
		{write(t, "b.weir", string(artifactOf(`[{"context":"a"}]`, `[{"id":""}]`, `{"denies":[{"kind":"user"}]}`))), ContentArtifact, "b.weir: deny policy"},
		{filepath.Join(shop, "none"), contentUnknown, "cannot be read: no such file or directory"},
	}
	for _, tt := range tests {
		report, err := Validate(tt.path, func(string) error { return nil })
		got := ""
		if err != nil {
			got = err.Error()
		}
		if report.Content != tt.content || !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
			t.Errorf("%s: got %q, %q; want %q, %q", tt.path, report.Content, got, tt.content, tt.want)
		}
	}
	if _, err := Validate(shop, func(string) error { return errConfig }); !errors.Is(err, errConfig) {
		t.Errorf("a project with a wrong configuration: got %v", err)
	}
	if _, err := Validate(filepath.Join(shop, "conf/micro-gw.conf"), func(string) error { return errConfig }); !errors.Is(err, errConfig) {
		t.Errorf("a wrong configuration: got %v", err)
	}
	if report, _ := Validate(shop, func(string) error { return nil }); len(report.Warnings) != 2 {
		t.Errorf("got %d warnings, want 2", len(report.Warnings))
	}
	for _, path := range []string{shop, filepath.Join(shop, "policies.yaml"), "testdata/shop.weir"} {
		report, err := Validate(path, func(string) error { return nil })
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		same(t, path, report.Sharing, []string{
			`subscription policy "Volume": exact, closed`, `burst of subscription policy "Free": exact, open`, `custom rule "no-scrapers": bounded, local`,
		})
	}
}

// TestFilesThatCannotBeRead has a project whose files are folders.
func TestFilesThatCannotBeRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	if _, err := Init(dir, InitOptions{API: write(t, "a.yaml", plainAPI)}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"policies.yaml", "applications.yaml"} {
		if err := errors.Join(os.Remove(filepath.Join(dir, name)), os.Mkdir(filepath.Join(dir, name), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Load(dir)
	want := filepath.Join(dir, "applications.yaml") + ": cannot be read: is a directory\n" + filepath.Join(dir, "policies.yaml") + ": cannot be read: is a directory"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func FuzzPolicies(f *testing.F) {
	f.Add([]byte(read2(f, "testdata/shop/policies.yaml")))
	f.Add([]byte(read2(f, "skeleton/policies.yaml")))
	f.Fuzz(func(t *testing.T, text []byte) {
		loadAny(t, "policies.yaml", text)
	})
}

func FuzzApplications(f *testing.F) {
	f.Add([]byte(read2(f, "testdata/shop/applications.yaml")))
	f.Fuzz(func(t *testing.T, text []byte) {
		loadAny(t, "applications.yaml", text)
	})
}

func FuzzOpenAPI(f *testing.F) {
	for _, name := range []string{"catalogue.yaml", "orders.json", "legacy.yml"} {
		f.Add([]byte(read2(f, filepath.Join("testdata/shop/api_definitions", name))))
	}
	f.Add([]byte(plainAPI))
	f.Add([]byte("swagger: 2.0\npAths:\n 0:")) // which the library panics on
	f.Fuzz(func(t *testing.T, text []byte) {
		loadAny(t, "api_definitions/petstore.yaml", text)
	})
}

func read2(f *testing.F, name string) string {
	f.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}

// loadAny loads the good project with any text in the place of one of its files.
// What is accepted must be built and read again; what is refused must say where.
func loadAny(t *testing.T, name string, text []byte) {
	p, err := LoadFS(with(map[string]string{name: string(text)}), "", "x")
	if err != nil {
		faults, ok := errors.AsType[Faults](err)
		if !ok || len(faults) == 0 {
			t.Fatalf("%q: got %v, want faults", text, err)
		}
		for _, f := range faults {
			if f.Message == "" || strings.ContainsAny(f.Error(), "\n\r\x1b") {
				t.Errorf("%q: the fault %q is no line", text, f.Error())
			}
			if strings.Contains(f.Message, "is no valid OpenAPI definition: runtime error") {
				t.Errorf("%q: %v", text, f)
			}
		}
		return
	}
	if _, err := Read(strings.NewReader(string(encode(t, &p.Definition)))); err != nil {
		t.Errorf("%q: %v", text, err)
	}
}

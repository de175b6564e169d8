package project

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what came of each case into it")

// goodProject is a project without faults, of which each case replaces files.
func goodProject() map[string]string {
	return map[string]string{
		"api_definitions/petstore.yaml": `openapi: 3.0.3
info: {title: Petstore, version: 1.0.0}
x-wso2-basePath: /petstore/v1
x-wso2-production-endpoints: {urls: [http://127.0.0.1:9091]}
paths:
  /pets:
    get: {responses: {"200": {description: All pets}}}
`,
		"policies.yaml":     "",
		"applications.yaml": "",
	}
}

// filesOf returns a project in memory.
func filesOf(texts map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range texts {
		fsys[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return fsys
}

// TestCases loads a project for every file of testdata/cases: the good one with
// the case's files in place of its own. The part "want" of a case is what must be
// reported, a line for each fault and warning. A part that is empty removes a file.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts, want := goodProject(), -1
			for i, part := range archive.Files {
				switch {
				case part.Name == "want":
					want = i
				case len(part.Data) == 0:
					delete(texts, part.Name)
				default:
					texts[part.Name] = string(part.Data)
				}
			}
			got := reportOf(filesOf(texts))
			if want < 0 {
				archive.Files = append(archive.Files, txtar.File{Name: "want"})
				want = len(archive.Files) - 1
			}
			if *update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if text := string(archive.Files[want].Data); got != text {
				t.Errorf("got:\n%swant:\n%s", got, text)
			}
		})
	}
}

// reportOf returns what loading a project reports.
func reportOf(files fstest.MapFS) string {
	p, err := LoadFS(files, "", "case")
	var b strings.Builder
	if err != nil {
		b.WriteString(err.Error() + "\n")
	} else {
		for _, w := range p.Warnings {
			b.WriteString("warning: " + w.Error() + "\n")
		}
	}
	return b.String()
}

func TestGoodProject(t *testing.T) {
	if got := reportOf(filesOf(goodProject())); got != "" {
		t.Errorf("got %s, want no fault", got)
	}
}

// with returns the good project with some files replaced.
func with(texts map[string]string) fstest.MapFS {
	all := goodProject()
	maps.Copy(all, texts)
	return filesOf(all)
}

package project

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// everything returns the texts of documents that have all that OpenAPI has.
func everything(t *testing.T) map[specification]string {
	t.Helper()
	old, err := os.ReadFile("testdata/everything-2.0.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/everything-3.1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return map[specification]string{
		openAPI20: string(old), openAPI31: string(text), openAPI32: strings.Replace(string(text), "3.1.0", "3.2.0", 1),
	}
}

// TestEverything takes what is valid.
func TestEverything(t *testing.T) {
	for of, text := range everything(t) {
		r := &report{}
		if d := readDefinition("a.yaml", []byte(text), r); d == nil || r.failed() || len(r.warnings) > 0 {
			t.Errorf("%s: got %v, %v", of, r.err(), r.warnings)
		} else if n := len(d.api.Resources); n == 0 {
			t.Errorf("%s: no resources", of)
		}
	}
}

// TestEveryNode puts something else in the place of every node of a document, one
// at a time. If that is a fault, there is a line for it that says where, in words
// that are not those of the library.
func TestEveryNode(t *testing.T) {
	t.Parallel()
	null := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	others := []yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!int", Value: "0"}, {Kind: yaml.SequenceNode, Tag: "!!seq"}}
	for of, text := range everything(t) {
		if of == openAPI32 {
			continue // takes as long, and is read by the same code
		}
		var root yaml.Node
		if err := yaml.Unmarshal([]byte(text), &root); err != nil {
			t.Fatal(err)
		}
		faults := 0
		for i, n := range nodesOf(root.Content[0]) {
			for _, by := range []yaml.Node{null, others[i%2]} {
				was := *n
				*n = by
				changed, err := yaml.Marshal(&root)
				*n = was
				if err != nil {
					continue // a mapping as a key
				}
				r := &report{}
				readDefinition("a.yaml", changed, r)
				faults += len(r.faults)
				for _, f := range r.faults {
					if fault := ofNode(f, was.Line); fault != "" {
						t.Errorf("%s:%d: %s instead of %q %s: %v", of, was.Line, by.Tag, was.Value, fault, f)
					}
				}
			}
		}
		if faults < 200 {
			t.Errorf("%s: %d faults", of, faults)
		}
	}
}

// ofNode says what is wrong with a fault that is about a node of some line.
func ofNode(f *Fault, line int) string {
	for _, text := range []string{"runtime error", "unmarshal", "openapi2", "openapi3", "interface", "malformed in"} {
		if strings.Contains(f.Message, text) {
			return "is reported with " + text
		}
	}
	for _, text := range []string{"is missing", "has no endpoints", "must be a mapping with openapi", `has no "openapi`, "flow", "invalid host"} {
		if strings.Contains(f.Message, text) {
			return ""
		}
	}
	if f.Line < 2 && line > 4 {
		return "has no place"
	}
	return ""
}

// nodesOf returns n and all nodes below it.
func nodesOf(n *yaml.Node) []*yaml.Node {
	all := []*yaml.Node{n}
	for _, c := range n.Content {
		all = append(all, nodesOf(c)...)
	}
	return all
}

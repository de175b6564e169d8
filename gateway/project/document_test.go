package project

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// definition returns an OpenAPI file with text in the place of its paths.
func definition(paths string) string {
	return "openapi: 3.0.3\ninfo: {title: Bomb, version: 1.0.0}\nx-wso2-production-endpoints: {urls: [http://a]}\n" + paths
}

// laughs is nine levels of aliases, nine to a level.
func laughs() string {
	var b strings.Builder
	b.WriteString("x-a: &a [x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c <= 'i'; c++ {
		fmt.Fprintf(&b, "x-%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), ", "))
	}
	return b.String()
}

// TestBombs has files that must be refused before they cost much.
func TestBombs(t *testing.T) {
	deep := func(open, shut string, n int) string { return strings.Repeat(open, n) + strings.Repeat(shut, n) }
	many := strings.Repeat("  - {a: b}\n", maxNodes)
	tests := []struct{ name, file, text, want string }{
		{"laughs", "a.yaml", definition(laughs() + "paths: {}\n"), "with aliases counted as what they stand for"},
		{"a cycle", "a.yaml", definition("x-a: &a {b: *a}\npaths: {}\n"), "is nested deeper than 100 levels"},
		{"a cycle of merges", "a.yaml", definition("x-a: &a {<<: *a}\npaths: {}\n"), "nested deeper|with aliases"},
		{"merges of merges", "a.yaml", definition("x-a: &a {b: c}\nx-m: {<<: [[[*a]]]}\npaths: {}\n"), "merges what is no mapping"},
		{"deep YAML", "a.yaml", definition("x-a: " + deep("[", "]", 9000) + "\npaths: {}\n"), "is nested deeper than 100 levels"},
		{"deeper YAML", "a.yaml", definition("x-a: " + deep("[", "]", 100_000) + "\npaths: {}\n"), "exceeded max depth"},
		{"deep lines", "a.yaml", definition("x-a:\n" + deepLines(999) + "paths: {}\n"), "is nested deeper than 100 levels"},
		{"deep JSON", "a.json", `{"openapi":"3.0.3","x-a":` + deep("[", "]", 10_000) + "}", "is nested deeper than 100 levels"},
		{"deep JSON called YAML", "a.yaml", `{"openapi":"3.0.3","x-a":` + deep(`{"a":`, "}", 9_000) + "}", "nested deeper"},
		{"many nodes", "a.yaml", definition("x-a:\n" + many + "paths: {}\n"), "has more than 250000 mappings and lists"},
		{"many nodes in JSON", "a.json", `{"x-a":[` + strings.Repeat("[],", maxNodes) + `0]}`, "has more than 250000 mappings and lists"},
		{"many values", "a.json", `{"x-a":[` + strings.Repeat("1,", maxValues) + `0]}`, "has more than 1000000 values"},
		{"many values in YAML", "a.yaml", "x-a: [" + strings.Repeat("1,", maxValues) + "0]", "has more than 1000000 values"},
		{"large", "a.yaml", definition("# " + strings.Repeat("x", maxDocument)), "is larger than 16 MiB"},
		{"large JSON", "a.json", strings.Repeat(" ", maxDocument) + "{}", "is larger than 16 MiB"},
		{"binary", "a.yaml", "\x00\x01\x02", "control characters are not allowed"},
		{"UTF-16", "a.json", "{\x00\"\x00a\x00", "is no valid JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := LoadFS(filesOf(map[string]string{"api_definitions/" + tt.file: tt.text}), "", "x")
			took := time.Since(start)
			ok := err != nil
			if ok {
				ok = false
				for want := range strings.SplitSeq(tt.want, "|") {
					ok = ok || strings.Contains(err.Error(), want)
				}
			}
			if !ok || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tt.want)
			}
			if took > 60*time.Second { // it is a second or two, but the race detector is slow and other tests run too
				t.Errorf("took %v", took)
			}
		})
	}
}

// deepLines is n mappings within each other, a line each.
func deepLines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", 1+i) + "a:\n")
	}
	return b.String()
}

// TestReferenceBomb has schemas of which each refers twice to the next: a million
// of million ways through them, and few schemas.
func TestReferenceBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("paths: {}\ncomponents:\n  schemas:\n")
	for i := range 200 {
		fmt.Fprintf(&b, "    S%d:\n      properties:\n        a: {$ref: '#/components/schemas/S%d'}\n        b: {$ref: '#/components/schemas/S%d'}\n", i, i+1, i+1)
	}
	b.WriteString("    S200: {type: string}\n    Loop: {allOf: [{$ref: '#/components/schemas/Loop'}]}\n")
	r := &report{}
	start := time.Now()
	readDefinition("a.yaml", []byte(definition(b.String())), r)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	for _, f := range r.faults {
		if f.Line == 0 {
			t.Errorf("fault without a line: %v", f)
		}
	}
}

// TestPathReferences has paths that refer to each other in a circle.
func TestPathReferences(t *testing.T) {
	r := &report{}
	readDefinition("a.yaml", []byte(definition("paths:\n  /a: {$ref: '#/paths/~1b'}\n  /b: {$ref: '#/paths/~1a'}\n")), r)
	for _, f := range r.faults {
		if strings.Contains(f.Message, "panic") {
			t.Error(f)
		}
	}
}

func TestJSONTree(t *testing.T) {
	text := "\ufeff{\n \"a\\u00e9\": [1, -2.5e3, true, null,\n \"\\ud83c\\udf31 \\/ \\n\"],\n\t\"long " + strings.Repeat("k", 2000) + "\": {}}"
	n, err := parseJSON("a.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(toJSON(n), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &want); err != nil {
		t.Fatal(err)
	}
	same(t, "tree", got, want)
	if line := n.Content[1].Content[4].Line; line != 3 {
		t.Errorf("the last item is in line %d, want 3", line)
	}
}

func TestToJSON(t *testing.T) {
	tests := []struct{ yaml, want string }{
		{"a: 1", `{"a":1}`},
		{"a: 0x10", `{"a":16}`},
		{"a: 0o17", `{"a":15}`},
		{"a: 1_000", `{"a":1000}`},
		{"a: +5", `{"a":5}`},
		{"a: .5", `{"a":0.5}`},
		{"a: .inf", `{"a":".inf"}`},
		{"a: .nan", `{"a":".nan"}`},
		{"a: 123456789012345678901234567890", `{"a":123456789012345678901234567890}`},
		{"a: yes", `{"a":"yes"}`},
		{"a: True", `{"a":true}`},
		{"a: ~", `{"a":null}`},
		{"a:", `{"a":null}`},
		{"a: 2001-01-01", `{"a":"2001-01-01"}`},
		{"200: x", `{"200":"x"}`},
		{"a: &x {b: 1}\nc: *x", `{"a":{"b":1},"c":{"b":1}}`},
		{"a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}", `{"a":{"b":1,"c":2},"d":{"b":3,"c":2}}`},
		{"a: |\n  two\n  lines\n", `{"a":"two\nlines\n"}`},
		{"a: \"\\e[31m\"", `{"a":"\u001b[31m"}`},
		{"a: !!binary aGk=", `{"a":"aGk="}`},
	}
	for _, tt := range tests {
		n, err := readDocument("a.yaml", []byte(tt.yaml), &report{})
		if err != nil {
			t.Errorf("%q: %v", tt.yaml, err)
			continue
		}
		if got := string(toJSON(n)); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.yaml, got, tt.want)
		}
	}
}

func TestEmptyDocuments(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing but words\n", "---\n", "--- \n...\n"} {
		r := &report{}
		n, err := readDocument("a.yaml", []byte(text), r)
		if err != nil || r.failed() || n != nil {
			t.Errorf("%q: got %v, %v", text, n, err)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"count", "unitTime", "timeUnit", "per"}
	tests := []struct{ text, want string }{
		{"cuont", "count"},
		{"Count", "count"},
		{"unittime", "unitTime"},
		{"timeunits", "timeUnit"},
		{"colour", ""},
		{strings.Repeat("count", 100), ""},
		{"xyz", ""},
	}
	for _, tt := range tests {
		if got := nearest(tt.text, known); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// FuzzDocument compares trees with what the JSON library makes of the same text.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"a": [1, {"b": null}]}`))
	f.Add([]byte("a: &x [1]\nb: *x\nc: {<<: {d: 1}}\n"))
	f.Add([]byte(laughs()))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := &report{}
		n, err := readDocument("a.yaml", text, r)
		if err != nil || n == nil {
			return
		}
		var got any
		if err := json.Unmarshal(toJSON(n), &got); err != nil {
			t.Fatalf("%q: the tree is no JSON: %v", text, err)
		}
		if r.failed() || n.Kind == yaml.ScalarNode || !bytes.HasPrefix(text, []byte("{")) {
			return
		}
		if _, err := parseJSON("a.json", text); err == nil {
			var want any
			if err := json.Unmarshal(text, &want); err == nil {
				same(t, string(text), got, want)
			}
		}
	})
}

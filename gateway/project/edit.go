package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// An entry is a key to put at the top of an OpenAPI file.
type entry struct {
	key     string
	comment string   // of one line; YAML only
	block   []string // the lines of the value in YAML: the rest of the key's line, and those below it
	json    string   // the value in JSON
}

// setEntries returns the text of an OpenAPI file with entries set. All else in it
// stays as it is, to the letter where that can be done.
func setEntries(name string, text []byte, entries []entry) ([]byte, error) {
	want, err := withEntries(name, text, entries)
	if err != nil {
		return nil, err
	}
	for _, edit := range []func(string, []byte, []entry) ([]byte, bool){editJSON, editBlock, editTree} {
		out, ok := edit(name, text, entries)
		if !ok {
			continue
		}
		if got, err := withEntries(name, out, nil); err == nil && bytes.Equal(got, want) {
			return out, nil
		}
	}
	return nil, place{file: name}.saying("cannot be edited: add by hand %s", entries[0].key+": "+entries[0].json)
}

// withEntries returns what the edited file must mean: its tree in one form in
// which the order of the top's keys plays no part.
func withEntries(name string, text []byte, entries []entry) ([]byte, error) {
	r := &report{}
	root, err := readDocument(name, text, r)
	if err != nil {
		return nil, err
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	if root == nil || root.Kind != yaml.MappingNode {
		return nil, errors.New("is no mapping")
	}
	keys := map[string]json.RawMessage{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		keys[root.Content[i].Value] = toJSON(root.Content[i+1])
	}
	for _, e := range entries {
		keys[e.key] = json.RawMessage(e.json)
	}
	return json.Marshal(keys)
}

// editJSON edits a JSON file: it replaces values and adds what is new in front.
func editJSON(name string, text []byte, entries []entry) ([]byte, bool) {
	if _, err := parseJSON(name, text); err != nil {
		return nil, false
	}
	for _, e := range slices.Backward(entries) {
		start, end, found := jsonValue(text, e.key)
		if found {
			text = slices.Concat(text[:start], []byte(e.json), text[end:])
			continue
		}
		open := bytes.IndexByte(text, '{') + 1
		space := text[open : len(text)-len(bytes.TrimLeft(text[open:], " \t\r\n"))]
		text = slices.Concat(text[:open], space, []byte(`"`+e.key+`": `+e.json+`,`), text[open:])
	}
	return text, true
}

// jsonValue returns where the value at key stands in an object.
func jsonValue(text []byte, key string) (start, end int, found bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return 0, 0, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return 0, 0, false
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return 0, 0, false
		}
		if name == key {
			end := int(d.InputOffset())
			return end - len(raw), end, true
		}
	}
	return 0, 0, false
}

// editBlock edits a YAML file whose top is written in lines, as most are.
func editBlock(name string, text []byte, entries []entry) ([]byte, bool) {
	for _, e := range entries {
		root, err := parseYAML(name, text)
		if err != nil || root == nil || root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle != 0 {
			return nil, false
		}
		lines := slices.Collect(strings.Lines(string(text)))
		indent := strings.Repeat(" ", max(root.Content[0].Column-1, 0))
		var fresh strings.Builder
		if e.comment != "" {
			fresh.WriteString(indent + "# " + e.comment + "\n")
		}
		fresh.WriteString(indent + e.key + ":")
		for i, line := range e.block {
			if i > 0 {
				fresh.WriteString(indent)
			}
			fresh.WriteString(line + "\n")
		}
		from, to := blockLines(root, lines, e.key)
		if from < 0 {
			return nil, false
		}
		if from > 0 && !strings.HasSuffix(lines[from-1], "\n") {
			lines[from-1] += "\n"
		}
		text = []byte(strings.Join(lines[:from], "") + fresh.String() + strings.Join(lines[to:], ""))
	}
	return text, true
}

// blockLines returns the lines in whose place the key is to be put: those that it
// has, or none before the paths.
func blockLines(root *yaml.Node, lines []string, key string) (from, to int) {
	var starts []int // lines, from 0, at which keys of the top begin
	at, before := -1, -1
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch root.Content[i].Value {
		case key:
			at = len(starts)
		case "paths":
			before = len(starts)
		}
		starts = append(starts, root.Content[i].Line-1)
	}
	begin := func(i int) int {
		if i >= len(starts) {
			return len(lines)
		}
		line := starts[i]
		for line > 0 && i > 0 && isComment(lines[line-1]) {
			line--
		}
		return line
	}
	switch {
	case at >= 0:
		to = begin(at + 1)
		for to > starts[at]+1 && strings.TrimSpace(lines[to-1]) == "" {
			to--
		}
		return starts[at], to
	case before >= 0:
		return begin(before), begin(before)
	}
	return begin(len(starts)), begin(len(starts))
}

func isComment(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") }

// editTree edits a YAML file by writing it anew. Comments and the order of keys
// stay, empty lines and other freedoms of layout do not.
func editTree(name string, text []byte, entries []entry) ([]byte, bool) {
	root, err := parseYAML(name, text)
	if err != nil || root == nil || root.Kind != yaml.MappingNode {
		return nil, false
	}
	for _, e := range entries {
		value, err := parseYAML(name, []byte(e.json))
		if err != nil {
			return nil, false
		}
		i := slices.IndexFunc(root.Content, func(n *yaml.Node) bool { return n.Value == e.key })
		if i >= 0 && i%2 == 0 {
			root.Content[i+1] = value
			continue
		}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: e.key}, value)
	}
	return encodeYAML(root)
}

// encodeYAML writes a tree.
func encodeYAML(root *yaml.Node) ([]byte, bool) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(root), e.Close()); err != nil {
		return nil, false
	}
	return b.Bytes(), true
}

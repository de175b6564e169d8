package project

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What a document may be. A file that is larger is refused before or while it is
// read, so that no file costs more than a fixed amount of memory and time,
// whatever aliases and references it has in it.
const (
	maxDocument = 16 << 20  // bytes
	maxNodes    = 250_000   // mappings and sequences, aliases counted as what they stand for
	maxValues   = 1_000_000 // keys and values of any kind
	maxDepth    = 100       // mappings and sequences within each other
)

// readDocument returns the tree of a YAML or JSON file, nil for an empty one. In
// the tree are no aliases and no merge keys: they are replaced by what they stand
// for. Every node has the line where it stands, or stood. Duplicate keys are
// reported, and all else that is wrong is a *Fault.
func readDocument(name string, text []byte, r *report) (*yaml.Node, error) {
	at := place{file: name}
	if len(text) > maxDocument {
		return nil, at.saying("is larger than %d MiB", maxDocument>>20)
	}
	root, err := parseDocument(name, text)
	if err != nil || root == nil || (root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null") {
		return nil, err
	}
	t := &tree{file: name, report: r}
	return t.expand(root, 0, "")
}

// parseDocument returns the tree of a file as it stands there.
func parseDocument(name string, text []byte) (*yaml.Node, error) {
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\ufeff")), " \t\r\n")
	isJSON := path.Ext(name) == ".json"
	if isJSON || (len(trimmed) > 0 && trimmed[0] == '{') {
		root, err := parseJSON(name, text)
		if err == nil || isJSON {
			return root, err
		}
	}
	return parseYAML(name, text)
}

// yamlLine takes the line out of an error of the YAML library.
var yamlLine = regexp.MustCompile(`^line (\d+): `)

func parseYAML(name string, text []byte) (*yaml.Node, error) {
	if bytes.HasPrefix(text, []byte("%YAML 1.2")) {
		// The library reads 1.2 but not its name: make a comment of it.
		text = append([]byte("#"), text[1:]...)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, next yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, yamlFault(name, err)
	case len(doc.Content) != 1:
		return nil, nil
	}
	switch err := d.Decode(&next); {
	case err == nil:
		return nil, place{name, &next, ""}.saying("has a second document; a file holds one")
	case !errors.Is(err, io.EOF):
		return nil, yamlFault(name, err)
	}
	return doc.Content[0], nil
}

// yamlFault returns the fault that is an error of the YAML library.
func yamlFault(name string, err error) *Fault {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	f := &Fault{File: name}
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	f.Message = "is no valid YAML: " + message
	return f
}

// A tree is a document while its aliases are replaced.
type tree struct {
	file          string
	report        *report
	nodes, values int
}

// expand returns n with all aliases and merge keys in it replaced.
func (t *tree) expand(n *yaml.Node, depth int, path string) (*yaml.Node, error) {
	at := place{t.file, n, path}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if t.values++; t.values > maxValues {
		return nil, at.saying("has more than %d values, with aliases counted as what they stand for", maxValues)
	}
	if n.Kind == yaml.ScalarNode {
		return n, nil
	}
	if t.nodes++; t.nodes > maxNodes {
		return nil, at.saying("has more than %d mappings and lists, with aliases counted as what they stand for", maxNodes)
	}
	if depth == maxDepth {
		return nil, at.saying("is nested deeper than %d levels", maxDepth)
	}
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Style: n.Style, Line: at.node.Line, Column: at.node.Column}
	if n.Kind == yaml.MappingNode {
		return out, t.mapping(out, n, depth, path)
	}
	for i, item := range n.Content {
		item, err := t.expand(item, depth+1, path+"["+strconv.Itoa(i)+"]")
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, item)
	}
	return out, nil
}

// mapping fills out with the pairs of n, and then with those of its merge keys
// that it lacks.
func (t *tree) mapping(out, n *yaml.Node, depth int, path string) error {
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		at := place{t.file, key, path}
		if key.Kind != yaml.ScalarNode {
			return at.saying("has a key that is no text")
		}
		if first, ok := seen[key.Value]; ok {
			t.report.fault(at.saying("key %q stands here a second time, first in line %d", key.Value, first.Line))
			continue
		}
		seen[key.Value] = key
		t.values++
		value, err := t.expand(value, depth+1, join(path, key.Value))
		if err != nil {
			return err
		}
		out.Content = append(out.Content, key, value)
	}
	for _, m := range merged {
		if err := t.merge(out, m, seen, depth, path); err != nil {
			return err
		}
	}
	return nil
}

// merge adds the pairs of what a merge key names, one mapping or several, unless
// their keys have been seen.
func (t *tree) merge(out, from *yaml.Node, seen map[string]*yaml.Node, depth int, path string) error {
	at := place{t.file, from, path}
	from, err := t.expand(from, depth+1, path)
	if err != nil {
		return err
	}
	switch from.Kind {
	case yaml.SequenceNode:
		for _, item := range from.Content {
			if item.Kind != yaml.MappingNode {
				return at.saying("merges what is no mapping")
			}
			if err := t.merge(out, item, seen, depth+1, path); err != nil {
				return err
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(from.Content); i += 2 {
			if key := from.Content[i]; seen[key.Value] == nil {
				seen[key.Value] = key
				out.Content = append(out.Content, key, from.Content[i+1])
			}
		}
	default:
		return at.saying("merges what is no mapping")
	}
	return nil
}

// join returns the path of key below path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// quoted returns text as it may stand in a message: short and on one line.
func quoted(text string) string {
	const most = 60
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

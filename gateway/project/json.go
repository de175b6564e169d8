package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseJSON returns the tree of a JSON file. The YAML library does not do: JSON
// has escapes and long keys that it refuses. Nodes have lines but no columns.
func parseJSON(name string, text []byte) (*yaml.Node, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	p := &jsonParser{file: name, text: text, decoder: json.NewDecoder(bytes.NewReader(text)), line: 1}
	p.decoder.UseNumber()
	root, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.next(); err == nil {
		return nil, p.fault("has more after its end")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return root, nil
}

type jsonParser struct {
	file    string
	text    []byte
	decoder *json.Decoder
	line    int
	counted int // bytes whose lines have been counted
	values  int
}

func (p *jsonParser) fault(format string, args ...any) *Fault {
	return &Fault{File: p.file, Line: p.line, Message: fmt.Sprintf(format, args...)}
}

// next returns the next token, and notes its line. At the end it returns io.EOF.
func (p *jsonParser) next() (json.Token, error) {
	token, err := p.decoder.Token()
	end := min(int(p.decoder.InputOffset()), len(p.text))
	if err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			end = min(max(int(syntax.Offset), end), len(p.text))
		}
	}
	p.line += bytes.Count(p.text[p.counted:end], []byte("\n"))
	p.counted = end
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, p.fault("is no valid JSON: %v", err)
	}
	return token, nil
}

// value returns the node of the next value.
func (p *jsonParser) value(depth int) (*yaml.Node, error) {
	token, err := p.next()
	if errors.Is(err, io.EOF) {
		if depth == 0 && p.values == 0 {
			return nil, nil
		}
		return nil, p.fault("is no valid JSON: it ends too early")
	}
	if err != nil {
		return nil, err
	}
	if p.values++; p.values > maxValues {
		return nil, p.fault("has more than %d values", maxValues)
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: p.line}
	switch x := token.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, p.fault("is nested deeper than %d levels", maxDepth)
		}
		return p.collection(n, x, depth)
	case string:
		n.Tag, n.Value, n.Style = "!!str", x, yaml.DoubleQuotedStyle
	case json.Number:
		n.Tag, n.Value = "!!int", x.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(x)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

// collection fills n with what stands between delimiters, of which open is the
// first.
func (p *jsonParser) collection(n *yaml.Node, open json.Delim, depth int) (*yaml.Node, error) {
	n.Kind, n.Tag, n.Style = yaml.SequenceNode, "!!seq", yaml.FlowStyle
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for p.decoder.More() {
		item, err := p.value(depth + 1) // in an object also its keys, which are strings
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, item)
	}
	if _, err := p.next(); err != nil {
		if errors.Is(err, io.EOF) {
			err = p.fault("is no valid JSON: it ends too early")
		}
		return nil, err
	}
	return n, nil
}

// jsonNumber is what JSON has as a number.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// toJSON returns the tree below n, in which there are no aliases, as JSON.
func toJSON(n *yaml.Node) []byte {
	var b bytes.Buffer
	writeJSON(&b, n)
	return b.Bytes()
}

func writeJSON(b *bytes.Buffer, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			writeText(b, n.Content[i].Value)
			b.WriteByte(':')
			writeJSON(b, n.Content[i+1])
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	default:
		writeScalar(b, n)
	}
}

func writeScalar(b *bytes.Buffer, n *yaml.Node) {
	switch n.ShortTag() {
	case "!!null":
		b.WriteString("null")
		return
	case "!!bool":
		var v bool
		if n.Decode(&v) == nil {
			b.WriteString(strconv.FormatBool(v))
			return
		}
	case "!!int", "!!float":
		if jsonNumber.MatchString(n.Value) {
			b.WriteString(n.Value)
			return
		}
		var v any
		if n.Decode(&v) == nil {
			if text, err := json.Marshal(v); err == nil {
				b.Write(text)
				return
			}
		}
	}
	writeText(b, n.Value)
}

func writeText(b *bytes.Buffer, text string) {
	quoted, err := json.Marshal(text)
	if err != nil { // no string is so
		quoted = []byte(`""`)
	}
	b.Write(quoted)
}

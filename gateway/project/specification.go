package project

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A specification is the version of OpenAPI that a document follows, without its
// patch: "3.1".
type specification string

const (
	openAPI20 specification = "2.0"
	openAPI30 specification = "3.0"
	openAPI31 specification = "3.1"
	openAPI32 specification = "3.2"
)

// namesSchemas reports whether schemas may have names of their own, $id and $anchor.
func (s specification) namesSchemas() bool { return s == openAPI31 || s == openAPI32 }

// newFields are the fields of a specification that the library does not know yet.
func (s specification) newFields() []string {
	if s == openAPI32 {
		return []string{
			"$ref", "$self", "dataValue", "defaultMapping", "deprecated", "deviceAuthorization", "itemEncoding", "kind",
			"mediaTypes", "name", "nodeType", "oauth2MetadataUrl", "parent", "pathItems", "prefixEncoding", "serializedValue", "summary",
		}
	}
	return []string{"pathItems"}
}

// specification returns what the document follows, empty if that is not served.
func (v value) specification() specification {
	of := map[string][]specification{"openapi": {openAPI30, openAPI31, openAPI32}, "swagger": {openAPI20}}
	at, ok := v.at("openapi")
	key := "openapi"
	if !ok {
		key = "swagger"
		if at, ok = v.at(key); !ok {
			v.fault(`is no OpenAPI definition: it has no "openapi: 3.0.3" at its top`)
			return ""
		}
	}
	text, ok := at.text()
	if !ok {
		return ""
	}
	i := slices.IndexFunc(of[key], func(s specification) bool {
		return text == string(s) || s != openAPI20 && strings.HasPrefix(text, string(s)+".")
	})
	if i < 0 {
		at.fault("OpenAPI %s is not served; there are 3.0, 3.1, 3.2 and 2.0", quoted(text))
		return ""
	}
	// People write these without quotes, and YAML then takes them for numbers.
	for _, p := range [][]string{{key}, {"info", "version"}, {"info", "title"}} {
		if at, ok := v.at(p...); ok && at.node.Kind == yaml.ScalarNode && !at.isNull() {
			at.node.Tag = "!!str"
		}
	}
	return of[key][i]
}

// asOlder makes of a document of OpenAPI 3.2 one that the library takes, which
// does not know all of it yet. Nothing of what changes matters to a gateway.
func asOlder(n *yaml.Node, in scope, key string) {
	if n.Kind == yaml.SequenceNode && in == inNames {
		in = inDocument
	}
	if in == inDocument {
		replace(child(n, "in"), "querystring", "query")
		replace(child(n, "style"), "cookie", "form")
	}
	if n.Kind != yaml.MappingNode {
		for _, item := range n.Content {
			asOlder(item, in, "")
		}
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, c := n.Content[i].Value, n.Content[i+1]
		if in == inNames && key == "responses" && c.Kind == yaml.MappingNode && child(c, "$ref") == nil && child(c, "description") == nil {
			c.Content = append(c.Content, scalar("description", 0), scalar("", yaml.DoubleQuotedStyle))
		}
		if below := in.below(name); below != inData {
			asOlder(c, below, name)
		}
	}
}

// replace changes the text of a node, if there is one, to b if it is a.
func replace(n *yaml.Node, a, b string) {
	if n != nil && n.Kind == yaml.ScalarNode && n.Value == a {
		n.Value = b
	}
}

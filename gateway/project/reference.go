package project

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A scope is what kind of thing a part of an OpenAPI document is, as far as it
// matters to tell references from data that look like one.
type scope uint8

const (
	inDocument scope = iota // keys have their meaning in OpenAPI
	inNames                 // keys are names that somebody gave
	inSchema                // keys have their meaning in JSON Schema
	inSchemas               // keys are names, values schemas
	inData                  // anything may stand here: no reference is one
)

// scopes say what begins at a key within a scope; what is not here is more of
// the same.
var scopes = map[scope]map[string]scope{
	inDocument: {
		"schema": inSchema, "itemSchema": inSchema, "schemas": inSchemas, "definitions": inSchemas,
		"example": inData, "value": inData, "dataValue": inData,
		"paths": inNames, "webhooks": inNames, "pathItems": inNames, "callbacks": inNames, "responses": inNames,
		"parameters": inNames, "headers": inNames, "requestBodies": inNames, "examples": inNames, "links": inNames,
		"securitySchemes": inNames, "content": inNames, "encoding": inNames, "mediaTypes": inNames, "additionalOperations": inNames,
	},
	inSchema: {
		"properties": inSchemas, "patternProperties": inSchemas, "$defs": inSchemas, "definitions": inSchemas, "dependentSchemas": inSchemas,
		"enum": inData, "const": inData, "default": inData, "example": inData, "examples": inData,
	},
}

// below returns the scope of what stands at a key.
func (s scope) below(key string) scope {
	switch s {
	case inNames:
		return inDocument
	case inSchemas:
		return inSchema
	case inData:
		return inData
	}
	if strings.HasPrefix(key, "x-") {
		return inData
	}
	if next, ok := scopes[s][key]; ok {
		return next
	}
	return s
}

// A reference is a $ref of a document.
type reference struct {
	value       // its text
	in    scope // of the mapping that has it
	owner *yaml.Node
	base  resource // of the schema that it is in
}

// A resource is what references are relative to: the document, or a schema that
// has an $id.
type resource struct {
	node *yaml.Node
	uri  string
}

// references are the references of a document, and what in it they may lead to
// besides places.
type references struct {
	root    resource
	all     []reference
	schemas map[string]resource // by $id
	anchors map[string]bool     // by the URI of the resource, "#" and the name
	of      specification
	pointers
}

// checkReferences reports every reference that leads out of the document or
// nowhere, and takes out those that the library cannot follow, to schemas that
// are named by $id or $anchor: a gateway makes no use of any schema.
func (v value) checkReferences(of specification) {
	refs := &references{schemas: map[string]resource{}, anchors: map[string]bool{}, of: of, pointers: pointers{}}
	refs.root.node = v.node
	if self, ok := v.at("$self"); ok && of == openAPI32 {
		refs.root.uri = self.node.Value
	}
	refs.collect(v, inDocument, refs.root)
	for _, r := range refs.all {
		refs.shorten(&r)
		switch text := quoted(r.node.Value); refs.follow(&r) {
		case leadsOut:
			r.fault("$ref %s leads out of the file: bring what it names into the file, other files and URLs are not read", text)
		case leadsNowhere:
			r.fault("$ref %s leads nowhere", text)
		case leadsByName:
			i := slices.Index(r.owner.Content, r.node)
			r.owner.Content = slices.Delete(r.owner.Content, i-1, i+1)
		}
	}
}

// shorten takes out of a reference the URI that the document says to have.
func (refs *references) shorten(r *reference) {
	if refs.root.uri == "" {
		return
	}
	if place, ok := strings.CutPrefix(r.base.absolute(r.node.Value), refs.root.uri+"#"); ok {
		r.node.Value = "#" + place
	}
}

// collect goes over v, which is in a resource.
func (refs *references) collect(v value, in scope, of resource) {
	if in == inData {
		return
	}
	if v.node.Kind == yaml.SequenceNode {
		if in == inNames {
			in = inDocument // parameters of an operation are a list
		}
		for _, item := range v.list() {
			refs.collect(item, in, of)
		}
		return
	}
	pairs, _ := v.pairs()
	if in == inSchema && refs.of.namesSchemas() {
		of = refs.name(v, pairs, of)
	}
	for _, p := range pairs {
		switch isText := p.value.node.ShortTag() == "!!str"; {
		case p.name == "$ref" && isText:
			refs.all = append(refs.all, reference{p.value, in, v.node, of})
			continue
		case p.name == "$ref" && in != inNames && in != inSchemas:
			p.value.fault("$ref must be text: where in the file it leads, like #/components/schemas/Pet")
			continue
		}
		below := in.below(p.name)
		if p.name == "examples" && refs.of == openAPI20 {
			below = inData
		}
		refs.collect(p.value, below, of)
	}
}

// name notes the names that a schema has, and returns the resource that it is in.
func (refs *references) name(v value, pairs []pair, of resource) resource {
	text := func(p pair) (string, bool) { return p.value.node.Value, p.value.node.Kind == yaml.ScalarNode }
	for _, p := range pairs {
		if id, ok := text(p); ok && p.name == "$id" {
			uri, _, _ := strings.Cut(of.absolute(id), "#")
			of = resource{v.node, uri}
			refs.schemas[uri] = of
		}
	}
	for _, p := range pairs {
		if anchor, ok := text(p); ok && (p.name == "$anchor" || p.name == "$dynamicAnchor") {
			refs.anchors[of.uri+"#"+anchor] = true
		}
	}
	return of
}

// absolute returns the URI that ref is in a resource.
func (of resource) absolute(ref string) string {
	base, err := url.Parse(of.uri)
	if err != nil {
		return ref
	}
	u, err := base.Parse(ref)
	if err != nil {
		return ref
	}
	return u.String()
}

// Where a reference leads.
type lead uint8

const (
	leadsToPlace lead = iota // in the document, by its place
	leadsByName              // to a schema in it, by its name
	leadsNowhere
	leadsOut
)

// follow returns where r leads.
func (refs *references) follow(r *reference) lead {
	ref := r.node.Value
	if strings.HasPrefix(ref, "#/") && refs.resolve(refs.root.node, ref) != nil {
		return leadsToPlace
	}
	if r.in == inSchema && refs.of.namesSchemas() {
		if ref == "#" {
			return leadsByName
		}
		uri, fragment, _ := strings.Cut(r.base.absolute(ref), "#")
		of, ok := refs.schemas[uri]
		if uri == refs.root.uri {
			of, ok = refs.root, true
		}
		switch {
		case !ok:
		case fragment == "", strings.HasPrefix(fragment, "/") && refs.resolve(of.node, "#"+fragment) != nil, refs.anchors[uri+"#"+fragment]:
			return leadsByName
		default:
			return leadsNowhere
		}
	}
	if strings.HasPrefix(ref, "#") || ref == "" {
		return leadsNowhere
	}
	return leadsOut
}

// pointers follow JSON pointers in a document, and remember what is in its large
// mappings.
type pointers map[*yaml.Node]map[string]*yaml.Node

// resolve returns the node at a JSON pointer like #/paths/~1pets, nil if there is
// none.
func (p pointers) resolve(root *yaml.Node, ref string) *yaml.Node {
	rest, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	n := root
	for part := range strings.SplitSeq(rest, "/") {
		part = unescapePointer(part)
		switch n.Kind {
		case yaml.MappingNode:
			n = p.at(n, part)
		case yaml.SequenceNode:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(n.Content) {
				return nil
			}
			n = n.Content[i]
		default:
			return nil
		}
		if n == nil {
			return nil
		}
	}
	return n
}

// at returns the value at key of a mapping, nil if there is none.
func (p pointers) at(n *yaml.Node, key string) *yaml.Node {
	const large = 32 // nodes
	if len(n.Content) < large {
		return child(n, key)
	}
	index := p[n]
	if index == nil {
		index = make(map[string]*yaml.Node, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			index[n.Content[i].Value] = n.Content[i+1]
		}
		p[n] = index
	}
	return index[key]
}

// unescapePointer returns one part of a JSON pointer in a URI as it is meant.
func unescapePointer(part string) string {
	if plain, err := url.PathUnescape(part); err == nil {
		part = plain
	}
	return strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
}

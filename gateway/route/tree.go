package route

import (
	"slices"
	"strings"
)

// A node is the resources of one API that share a beginning of their templates.
type node struct {
	literals children[node]
	patterns []patternChild // in the order in which they are tried
	param    *node
	end      *leaf // templates that end here
	rest     *leaf // templates that end in a wildcard here
}

// A patternChild is a node behind a segment with text and parameters in it.
type patternChild struct {
	parts []string
	node  *node
}

// A leaf is the resources of one template, by method.
type leaf struct {
	methods   Methods
	resources [methodCount]int32 // index in the API, where methods has it
}

// insert returns the leaf of the template made of segments, new or not.
func (n *node) insert(segments []segment) *leaf {
	for _, s := range segments {
		switch s.kind {
		case wildcard:
			if n.rest == nil {
				n.rest = new(leaf)
			}
			return n.rest
		case literal:
			n = n.literals.insert(s.text)
		case pattern:
			n = n.insertPattern(s.parts)
		case param:
			if n.param == nil {
				n.param = new(node)
			}
			n = n.param
		}
	}
	if n.end == nil {
		n.end = new(leaf)
	}
	return n.end
}

func (n *node) insertPattern(parts []string) *node {
	i, found := slices.BinarySearchFunc(n.patterns, parts, func(c patternChild, parts []string) int {
		return compareParts(c.parts, parts)
	})
	if !found {
		n.patterns = slices.Insert(n.patterns, i, patternChild{parts, new(node)})
	}
	return n.patterns[i].node
}

// find returns the resource for m on path, which is what follows n: empty, or a
// slash and more. The most specific template that has the method wins. If none
// has, find returns -1; it adds to allowed the methods of every template that
// matches.
func (n *node) find(path string, m Method, allowed *Methods) int32 {
	if path == "" {
		if i := n.end.resource(m, allowed); i >= 0 {
			return i
		}
		return n.rest.resource(m, allowed)
	}
	seg, rest := cutSegment(path)
	if child := n.literals.get(seg); child != nil {
		if i := child.find(rest, m, allowed); i >= 0 {
			return i
		}
	}
	if seg != "" {
		if i := n.findParam(seg, rest, m, allowed); i >= 0 {
			return i
		}
	}
	return n.rest.resource(m, allowed)
}

// findParam goes on with the templates that have a parameter where path has seg.
func (n *node) findParam(seg, rest string, m Method, allowed *Methods) int32 {
	if len(n.patterns) > 0 {
		text := decodeSegment(seg)
		for _, c := range n.patterns {
			if !matchesPattern(text, c.parts) {
				continue
			}
			if i := c.node.find(rest, m, allowed); i >= 0 {
				return i
			}
		}
	}
	if n.param == nil {
		return -1
	}
	return n.param.find(rest, m, allowed)
}

// resource returns the index of the resource for m, or -1. A nil leaf has none.
func (l *leaf) resource(m Method, allowed *Methods) int32 {
	if l == nil {
		return -1
	}
	if !l.methods.Has(m) {
		*allowed |= l.methods
		return -1
	}
	return l.resources[m]
}

// cutSegment cuts the first segment off path, which begins with a slash.
func cutSegment(path string) (seg, rest string) {
	path = path[1:]
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// scanned is how many children are compared one by one; more are hashed.
const scanned = 8

// children are nodes by the literal text of a segment, decoded. The zero value
// is empty.
type children[T any] struct {
	texts []string
	nodes []*T
	index map[string]int
	// escaped tells that a text has a character that a canonical path may hold
	// as an escape. Without one, a segment with escapes matches no text.
	escaped bool
}

// insert returns the child under text, new or not.
func (c *children[T]) insert(text string) *T {
	if i := slices.Index(c.texts, text); i >= 0 {
		return c.nodes[i]
	}
	c.texts = append(c.texts, text)
	c.nodes = append(c.nodes, new(T))
	for i := range len(text) {
		c.escaped = c.escaped || byteClass[text[i]] != byteUnreserved
	}
	if len(c.texts) > scanned {
		if c.index == nil {
			c.index = make(map[string]int)
		}
		for i, t := range c.texts {
			c.index[t] = i
		}
	}
	return c.nodes[len(c.nodes)-1]
}

// get returns the child that seg, a segment of a canonical path, names, or nil.
func (c *children[T]) get(seg string) *T {
	if c.escaped {
		seg = decodeSegment(seg)
	}
	if c.index != nil {
		if i, ok := c.index[seg]; ok {
			return c.nodes[i]
		}
		return nil
	}
	for i, text := range c.texts {
		if text == seg {
			return c.nodes[i]
		}
	}
	return nil
}

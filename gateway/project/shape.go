package project

import (
	"encoding/json"
	"strconv"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

// misshapen reports the parts of a document, a few of them, that are of another
// kind than they must be: a list where there must be a mapping, and so on. It
// takes them out of it.
func (v value) misshapen(of specification) {
	const most = 10
	sick := func() bool {
		var into any = new(openapi3.T)
		if of == openAPI20 {
			into = new(openapi2.T)
		}
		return json.Unmarshal(toJSON(v.node), into) != nil
	}
	for range most {
		if !sick() {
			return
		}
		at := v.culprit(sick)
		if at.node == v.node {
			return // nobody knows
		}
		at.fault("%s cannot be %s", at.name(), kindOf(at.node))
		*at.node = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
}

// culprit returns the smallest part of v that makes it sick, whatever else there
// is. It tries with ever fewer parts, so that it costs no more than a few tries
// with the whole.
func (v value) culprit(sick func() bool) value {
	size := 1 // nodes of an item
	if v.node.Kind == yaml.MappingNode {
		size = 2
	}
	all := v.node.Content
	defer func() { v.node.Content = all }()
	v.node.Content = nil
	if sick() {
		return v // it is of the wrong kind itself
	}
	from, to := 0, len(all)/size
	for to-from > 1 {
		middle := (from + to) / 2
		if v.node.Content = all[from*size : middle*size]; sick() {
			to = middle
		} else if v.node.Content = all[middle*size : to*size]; sick() {
			from = middle
		} else {
			return v // it takes both
		}
	}
	if from == to {
		return v
	}
	v.node.Content = all[from*size : to*size]
	if size == 2 {
		pairs, _ := v.pairs()
		return pairs[0].value.culprit(sick)
	}
	item := v.below(all[from], "")
	item.path = v.path + "[" + strconv.Itoa(from) + "]"
	return item.culprit(sick)
}

// kindOf returns what n is, in words.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	}
	return "text"
}

package project

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A value is a node of a document that is being read, with its place. What is
// wrong with it goes to the report.
type value struct {
	place
	report *report
}

func (v value) fault(format string, args ...any) { v.report.fault(v.saying(format, args...)) }
func (v value) warn(format string, args ...any)  { v.report.warn(v.saying(format, args...)) }

// below returns the value of a node at key.
func (v value) below(n *yaml.Node, key string) value {
	return value{place{v.file, n, join(v.path, key)}, v.report}
}

// isNull reports whether the value is left out: "key:" alone.
func (v value) isNull() bool { return v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null" }

// text returns a text, which may also be written as a number: version: 1.0.
func (v value) text() (string, bool) {
	if v.node.Kind == yaml.ScalarNode {
		switch v.node.ShortTag() {
		case "!!str", "!!int", "!!float", "!!timestamp":
			if !strings.ContainsFunc(v.node.Value, isControl) {
				return v.node.Value, true
			}
			v.fault("%s has control characters", v.name())
			return "", false
		}
	}
	v.fault("%s must be text", v.name())
	return "", false
}

func isControl(r rune) bool { return r < ' ' || (r >= 0x7f && r < 0xa0) || r == 0x2028 || r == 0x2029 }

// nonEmpty returns a text that is not empty.
func (v value) nonEmpty() (string, bool) {
	s, ok := v.text()
	if ok && strings.TrimSpace(s) == "" {
		v.fault("%s is empty", v.name())
		return "", false
	}
	return s, ok
}

// oneOf returns a text that is one of those allowed.
func (v value) oneOf(allowed ...string) (string, bool) {
	s, ok := v.text()
	if ok && !slices.Contains(allowed, s) {
		v.fault("%s must be one of %s, not %s", v.name(), strings.Join(allowed, ", "), quoted(s))
		return "", false
	}
	return s, ok
}

// boolean returns true or false.
func (v value) boolean() (b, ok bool) {
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!bool" && v.node.Decode(&b) == nil {
		return b, true
	}
	v.fault("%s must be true or false", v.name())
	return false, false
}

// integer returns a whole number from least to most.
func (v value) integer(least, most int64) (int64, bool) {
	var n int64
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!int" && v.node.Decode(&n) == nil && n >= least && n <= most {
		return n, true
	}
	got := ""
	if v.node.Kind == yaml.ScalarNode {
		got = ", not " + quoted(v.node.Value)
	}
	if most == math.MaxInt64 {
		v.fault("%s must be a whole number of at least %d%s", v.name(), least, got)
	} else {
		v.fault("%s must be a whole number from %d to %d%s", v.name(), least, most, got)
	}
	return 0, false
}

// list returns the items of a list. A value that is left out is an empty one.
func (v value) list() []value {
	if v.isNull() {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		v.fault("%s must be a list", v.name())
		return nil
	}
	items := make([]value, len(v.node.Content))
	for i, n := range v.node.Content {
		items[i] = value{place{v.file, n, v.path + "[" + strconv.Itoa(i) + "]"}, v.report}
	}
	return items
}

// name returns the last key of the path, as messages name the value.
func (v value) name() string {
	path := v.path
	if i := strings.LastIndexByte(path, '.'); i >= 0 && i < len(path)-1 && !strings.Contains(path[i:], "]") {
		path = path[i+1:]
	}
	if path == "" {
		return "the file"
	}
	return path
}

// A pair is a key and its value.
type pair struct {
	key   value
	name  string
	value value
}

// pairs returns what is in a mapping, and whether the value is one.
func (v value) pairs() ([]pair, bool) {
	if v.node.Kind != yaml.MappingNode {
		return nil, false
	}
	all := make([]pair, 0, len(v.node.Content)/2)
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k := v.node.Content[i]
		all = append(all, pair{v.below(k, k.Value), k.Value, v.below(v.node.Content[i+1], k.Value)})
	}
	return all, true
}

// An object is a mapping of which all keys are known.
type object struct {
	value
	fields map[string]value
}

// object returns the mapping with its values by key. Keys that are not known are
// faults.
func (v value) object(known ...string) (object, bool) {
	o := object{v, map[string]value{}}
	pairs, ok := v.pairs()
	if !ok {
		v.fault("%s must be a mapping of %s", v.name(), strings.Join(known, ", "))
		return o, false
	}
	for _, p := range pairs {
		if !slices.Contains(known, p.name) {
			p.key.fault("unknown key %s%s", quoted(p.name), didYouMean(p.name, known))
			ok = false
			continue
		}
		o.fields[p.name] = p.value
	}
	return o, ok
}

// get returns the value at key and whether there is one.
func (o object) get(key string) (value, bool) {
	v, ok := o.fields[key]
	return v, ok && !v.isNull()
}

// text returns the text at key, empty if there is none.
func (o object) text(key string) string {
	v, ok := o.get(key)
	if !ok {
		return ""
	}
	s, _ := v.text()
	return s
}

// prose returns the text at key, which may go over several lines.
func (o object) prose(key string) string {
	v, ok := o.get(key)
	if !ok {
		return ""
	}
	line := *v.node
	line.Value = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, line.Value)
	if _, ok := (value{place{v.file, &line, v.path}, v.report}).text(); !ok {
		return ""
	}
	return strings.TrimSpace(v.node.Value)
}

// required returns the text at key, which must be there.
func (o object) required(key, why string) (string, bool) {
	v, ok := o.get(key)
	if !ok {
		o.fault("%s is missing: %s", key, why)
		return "", false
	}
	return v.nonEmpty()
}

// boolean returns what stands at key, or otherwise.
func (o object) boolean(key string, otherwise bool) bool {
	v, ok := o.get(key)
	if !ok {
		return otherwise
	}
	b, _ := v.boolean()
	return b
}

// didYouMean returns what known a message may add to say that there is no name:
// the one that is meant, or all there are, of which there is at least one.
func didYouMean(name string, known []string) string {
	if n := nearest(name, known); n != "" {
		return "; did you mean " + n + "?"
	}
	return thereAre(known)
}

// thereAre returns what a message may add to list the names there are.
func thereAre(names []string) string {
	if len(names) == 1 {
		return "; there is " + names[0]
	}
	return "; there are " + strings.Join(names, ", ")
}

// nearest returns the candidate that text is most likely to mean, or "".
func nearest(text string, candidates []string) string {
	if len(text) > 100 {
		return ""
	}
	best, least := "", 1+min(1+len(text)/4, 3)
	for _, c := range candidates {
		if d := distance(strings.ToLower(text), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance returns how many letters must be put in, taken out or changed to make
// b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

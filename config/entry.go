package config

import (
	"slices"
	"strings"
)

// An entry is a key that a file may have.
type entry struct {
	section section
	name    string // in the section
	index   int    // of the field in the section's struct
	foreign *foreigners
	file    bool // the value is the file that holds the secret
}

// An index finds entries and sections by their whole names.
type index struct {
	entries  map[string]entry
	sections map[string]section
	prefixes map[string]bool // of the names of all entries
	ordered  []string        // names of sections, foreign ones excepted
}

// newIndex returns what there is for a file of c's role.
func newIndex(c *Config) *index {
	x := &index{entries: map[string]entry{}, sections: map[string]section{}, prefixes: map[string]bool{}}
	for _, s := range c.sections() {
		x.sections[s.name] = s
		x.prefixes[s.name] = true
		x.ordered = append(x.ordered, s.name)
		for i, k := range s.keysOf(s.sample()) {
			x.put(entry{section: s, name: k.name, index: i})
			if k.isSecret() {
				x.put(entry{section: s, name: k.name + fileSuffix, index: i, file: true})
			}
		}
	}
	all := foreign()
	for i := range all {
		f := &all[i]
		s, ok := x.sections[f.section]
		if !ok {
			s = section{name: f.section}
		}
		for _, name := range f.names() {
			x.put(entry{section: s, name: name, foreign: f})
		}
	}
	return x
}

func (x *index) put(e entry) {
	full := e.section.name + "." + e.name
	x.entries[full] = e
	for i := range full {
		if full[i] == '.' {
			x.prefixes[full[:i]] = true
		}
	}
}

// find returns the entry of a whole name.
func (x *index) find(full string) (entry, bool) {
	if e, ok := x.entries[full]; ok {
		return e, true
	}
	for i, r := range full {
		if r == '.' {
			if e, ok := x.entries[full[:i]+".*"]; ok {
				return e, true
			}
		}
	}
	return entry{}, false
}

// only returns the name of the file in which an entry may stand, or "" if it may
// in any.
func (e *entry) only() string {
	switch {
	case e.section.value.IsValid():
		return e.section.only()
	case e.foreign.microgateway():
		return Microgateway.file()
	}
	return All.file()
}

// onlyIn returns the name of the one file in which what stands below a name may
// stand, or "" if there is none such.
func (x *index) onlyIn(prefix string) string {
	if s, ok := x.sections[prefix]; ok {
		return s.only()
	}
	one, first := "", true
	for name, e := range x.entries {
		if !strings.HasPrefix(name, prefix+".") {
			continue
		}
		if !first && e.only() != one {
			return ""
		}
		one, first = e.only(), false
	}
	return one
}

// below returns the names of the keys of the longest section that begins a name, and
// that section's name; none if there is no such section.
func (x *index) below(name string) (section string, keys []string) {
	for prefix := range x.prefixes {
		if strings.HasPrefix(name, prefix+".") && len(prefix) > len(section) {
			section = prefix
		}
	}
	if section == "" {
		return "", nil
	}
	for full, e := range x.entries {
		if after, ok := strings.CutPrefix(full, section+"."); ok && !e.file && e.foreign == nil {
			keys = append(keys, after)
		}
	}
	if s, ok := x.sections[section]; ok { // in the order of the reference
		keys = nil
		for _, k := range s.keysOf(s.sample()) {
			keys = append(keys, k.name)
		}
		return section, keys
	}
	slices.Sort(keys)
	return section, keys
}

// heads returns names of sections for somebody who wrote one that is not known:
// those that begin alike, or the beginnings of all.
func (x *index) heads(name, file string) []string {
	first, _, _ := strings.Cut(name, ".")
	var alike, all []string
	for _, s := range x.ordered {
		if only := x.sections[s].only(); only != "" && only != file {
			continue
		}
		head, _, _ := strings.Cut(s, ".")
		if head == first {
			alike = append(alike, s)
		}
		if !slices.Contains(all, s) && (head == s || head != "apim") {
			all = append(all, s)
		}
	}
	if len(alike) > 0 {
		return alike
	}
	return all
}

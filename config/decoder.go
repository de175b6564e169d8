package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A place is a key of the configuration: index tells the sections of one name
// apart; an empty name is the section itself.
type place struct {
	section string
	index   int
	name    string
}

// A source is where a key was set.
type source struct {
	file    string // or the environment variable
	line    int
	faulted bool // a fault of it has been recorded; more would only follow from it
}

// A decoder fills one Config.
type decoder struct {
	config *Config
	index  *index
	file   string
	getenv func(string) string
	places map[place]source
	faults Faults
	notes  Faults

	// The table that the decoder is in.
	prefix  []string
	element string // the section that may stand several times and of which it is one
	skip    bool   // it is at fault: what stands in it is not looked at
}

func (d *decoder) fault(line int, key, format string, args ...any) {
	d.faults = append(d.faults, &Fault{d.file, line, key, fmt.Sprintf(format, args...)})
}

// place records what a check found as a fault, with the place where the key was
// set. A key has one fault: what else is wrong with it may be due to the first.
func (d *decoder) place(f finding) {
	key := place{f.section, f.index, f.name}
	at := d.places[key]
	if at.faulted {
		return
	}
	if at.file == "" {
		at = d.places[place{f.section, f.index, ""}]
	}
	if at.file == "" {
		at.file = d.file
	}
	d.faults = append(d.faults, &Fault{at.file, at.line, f.section + "." + f.name, f.message})
	at.faulted = true
	d.places[key] = at
}

// text reads a file's text. What it returns is an error of syntax, after which
// nothing else can be said; other faults are collected.
func (d *decoder) text(text []byte) error {
	var anything map[string]any
	if err := toml.Unmarshal(text, &anything); err != nil {
		return d.syntax(err, text)
	}
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		names := namesOf(e)
		first := e.Key()
		first.Next()
		line := p.Shape(first.Node().Raw).Start.Line
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			d.enter(names, e.Kind == unstable.ArrayTable, line)
		case unstable.KeyValue:
			if !d.skip {
				d.put(slices.Concat(d.prefix, names), e.Value(), line)
			}
		}
	}
	return p.Error()
}

// namesOf returns the parts of the name of a table or a key.
func namesOf(n *unstable.Node) []string {
	var names []string
	for it := n.Key(); it.Next(); {
		names = append(names, string(it.Node().Data))
	}
	return names
}

// syntax returns the fault that is an error of the TOML library.
func (d *decoder) syntax(err error, text []byte) error {
	f := &Fault{File: d.file, Message: strings.TrimPrefix(err.Error(), "toml: ")}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		f.Line, _ = e.Position()
		f.Key = strings.Join(e.Key(), ".")
	}
	if lines := bytes.SplitN(text, []byte("\n"), f.Line+1); 0 < f.Line && f.Line <= len(lines) && bytes.Contains(lines[f.Line-1], []byte("...")) {
		f.Message = `has "...", which stands for more of the kind: write what is meant, or leave it out`
	}
	return Faults{f}
}

// enter begins the table that names name.
func (d *decoder) enter(names []string, repeated bool, line int) {
	d.prefix, d.element, d.skip = names, "", false
	name := strings.Join(names, ".")
	s, known := d.index.sections[name]
	switch {
	case !known && (repeated || !d.index.prefixes[name]):
		heads := d.index.heads(name, d.config.Role.file())
		d.fault(line, name, "unknown section%s", didYouMean(name, heads))
		d.skip = true
	case d.misplaced(name, d.index.onlyIn(name), line):
		d.skip = true
	case !known:
	case s.repeated() && !repeated:
		d.fault(line, name, "must be written with two brackets, [[%s]], as it may stand several times", name)
		d.skip = true
	case !s.repeated() && repeated:
		d.fault(line, name, "must be written with one bracket, [%s], as it stands once", name)
		d.skip = true
	default:
		d.begin(s, line)
	}
}

// begin begins a section.
func (d *decoder) begin(s section, line int) {
	at := place{section: s.name}
	if s.repeated() {
		s.add()
		d.element = s.name
		at.index = s.value.Len() - 1
	}
	d.places[at] = source{file: d.file, line: line}
}

// misplaced reports whether something may only stand in another file than that of
// the role, and records a fault if so.
func (d *decoder) misplaced(name, only string, line int) bool {
	file := d.config.Role.file()
	if only == "" || only == file {
		return false
	}
	command := "'weir serve'"
	if only == Microgateway.file() {
		command = "'weir gateway'"
	}
	d.fault(line, name, "belongs into the %s of %s, and this is read as a %s", only, command, file)
	return true
}

// put sets what path names: a key, or in an inline table several.
func (d *decoder) put(path []string, value *unstable.Node, line int) {
	full := strings.Join(path, ".")
	s, isSection := d.index.sections[full]
	switch {
	case value.Kind == unstable.InlineTable && isSection && s.repeated():
		d.fault(line, full, "must be a list of tables, as it may stand several times")
	case value.Kind == unstable.InlineTable && d.index.prefixes[full]:
		if isSection {
			d.begin(s, line)
		}
		d.table(path, value, line)
	case value.Kind == unstable.Array && isSection && s.repeated():
		d.list(s, path, value, line)
	default:
		d.key(path, value, line)
	}
}

// table sets what stands in an inline table.
func (d *decoder) table(path []string, table *unstable.Node, line int) {
	for it := table.Children(); it.Next(); {
		d.put(slices.Concat(path, namesOf(it.Node())), it.Node().Value(), line)
	}
}

// list reads a section that may stand several times as a list of inline tables.
func (d *decoder) list(s section, path []string, list *unstable.Node, line int) {
	was := d.element
	defer func() { d.element = was }()
	for it := list.Children(); it.Next(); {
		switch it.Node().Kind {
		case unstable.Comment:
		case unstable.InlineTable:
			d.begin(s, line)
			d.table(path, it.Node(), line)
		default:
			d.fault(line, s.name, "must be a list of tables, as it may stand several times")
			return
		}
	}
}

// key sets one key.
func (d *decoder) key(path []string, value *unstable.Node, line int) {
	full := strings.Join(path, ".")
	e, ok := d.index.find(full)
	switch {
	case !ok:
		d.unknown(path, line)
		return
	case d.misplaced(full, e.only(), line):
		return
	case e.foreign != nil:
		d.foreign(e.foreign, full, value, line)
		return
	case e.section.repeated() && d.element != e.section.name:
		d.fault(line, e.section.name, "must be written with two brackets, [[%s]], as it may stand several times", e.section.name)
		return
	}
	i, target := 0, e.section.value
	if e.section.repeated() {
		i = target.Len() - 1
		target = target.Index(i)
	}
	k := e.section.keysOf(target)[e.index]
	at := place{k.section, i, k.name}
	if was := d.places[at]; was.file != "" {
		d.fault(line, full, "stands there twice: as a value and as a file (line %d)", was.line)
		return
	}
	err := d.set(k, value, e.file)
	if err != nil {
		d.fault(line, full, "%v", err)
	}
	d.places[at] = source{d.file, line, err != nil}
}

// unknown records that there is no such key.
func (d *decoder) unknown(path []string, line int) {
	full := strings.Join(path, ".")
	section, keys := d.index.below(full)
	switch {
	case len(path) == 1:
		d.fault(line, full, "stands in no section, like [listenerConfig]")
	case section == "":
		d.fault(line, full, "unknown section%s", didYouMean(path[0], d.index.heads(full, d.config.Role.file())))
	default:
		d.fault(line, full, "unknown key%s", didYouMean(strings.TrimPrefix(full, section+"."), keys))
	}
}

// foreign notes a key of WSO2's that means nothing here.
func (d *decoder) foreign(f *foreigners, full string, value *unstable.Node, line int) {
	switch message, fault := f.judge(string(value.Data)); {
	case fault:
		d.fault(line, full, "%s", message)
	case message != "":
		d.notes = append(d.notes, &Fault{d.file, line, full, message})
	}
}

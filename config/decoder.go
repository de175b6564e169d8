package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
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
	file   string
	getenv func(string) string
	places map[place]source
	faults Faults

	// The section that the decoder is in; name is empty before the first.
	section section
	target  reflect.Value // the section's struct; invalid before it and in a section at fault
	index   int
	inside  bool // after the first section's head
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
		return d.syntax(err)
	}
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		var names []string
		for it := e.Key(); it.Next(); {
			names = append(names, string(it.Node().Data))
		}
		first := e.Key()
		first.Next()
		line := p.Shape(first.Node().Raw).Start.Line
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			d.enter(names, e.Kind == unstable.ArrayTable, line)
			d.inside = true
		case unstable.KeyValue:
			d.keyValue(names, e.Value(), line)
		}
	}
	return p.Error()
}

// syntax returns the fault that is an error of the TOML library.
func (d *decoder) syntax(err error) error {
	f := &Fault{File: d.file, Message: strings.TrimPrefix(err.Error(), "toml: ")}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		f.Line, _ = e.Position()
		f.Key = strings.Join(e.Key(), ".")
	}
	return Faults{f}
}

// enter begins the section that names name.
func (d *decoder) enter(names []string, repeated bool, line int) {
	d.section, d.target, d.index = section{}, reflect.Value{}, 0
	name := strings.Join(names, ".")
	var known []string
	for _, s := range d.config.sections() {
		known = append(known, s.name)
		if s.name == name {
			d.section = s
		}
	}
	s := d.section
	switch {
	case s.name == "":
		d.fault(line, name, "unknown section%s", didYouMean(name, known))
		return
	case s.repeated() && !repeated:
		d.fault(line, name, "must be written with two brackets, [[%s]], as it may stand several times", name)
		return
	case !s.repeated() && repeated:
		d.fault(line, name, "must be written with one bracket, [%s], as it stands once", name)
		return
	}
	d.target = s.value
	if s.repeated() {
		fresh := reflect.New(s.value.Type().Elem()).Elem()
		if fresh.Type() == reflect.TypeFor[JWT]() {
			fresh.Set(reflect.ValueOf(defaultJWT()))
		}
		s.value.Set(reflect.Append(s.value, fresh))
		d.index = s.value.Len() - 1
		d.target = s.value.Index(d.index)
	}
	d.places[place{s.name, d.index, ""}] = source{file: d.file, line: line}
}

// keyValue sets the key that names name, below the section the decoder is in.
// Dotted keys and inline tables name a section and a key at the top.
func (d *decoder) keyValue(names []string, value *unstable.Node, line int) {
	switch {
	case !d.inside:
		d.topLevel(names, value, line)
		return
	case !d.target.IsValid():
		return // the section is at fault
	}
	name := strings.Join(names, ".")
	var known []string
	for _, k := range d.section.keysOf(d.target) {
		known = append(known, k.name)
		if k.name != name {
			continue
		}
		err := d.set(k, value)
		if err != nil {
			d.fault(line, k.String(), "%v", err)
		}
		d.places[place{k.section, d.index, k.name}] = source{d.file, line, err != nil}
		return
	}
	d.fault(line, d.section.name+"."+name, "unknown key%s", didYouMean(name, known))
}

// topLevel sets what stands before the first section: listenerConfig.httpPort = 1,
// or listenerConfig = {httpPort = 1}.
func (d *decoder) topLevel(names []string, value *unstable.Node, line int) {
	d.inside = true
	switch {
	case len(names) == 1 && value.Kind == unstable.InlineTable:
		d.enter(names, false, line)
		for it := value.Children(); it.Next(); {
			pair := it.Node()
			var below []string
			for key := pair.Key(); key.Next(); {
				below = append(below, string(key.Node().Data))
			}
			d.keyValue(below, pair.Value(), line)
		}
	case len(names) > 1:
		d.enter(names[:1], false, line)
		d.keyValue(names[1:], value, line)
	default:
		d.fault(line, names[0], "stands in no section, like [listenerConfig]")
	}
	d.section, d.target, d.inside = section{}, reflect.Value{}, false
}

func didYouMean(name string, known []string) string {
	if n := nearest(name, known); n != "" {
		return fmt.Sprintf("; did you mean %s?", n)
	}
	return "; there are " + strings.Join(known, ", ")
}

// set sets k to a value of the file.
func (d *decoder) set(k key, value *unstable.Node) error {
	if k.value.Kind() != reflect.Slice {
		return d.setOne(k, k.value, value)
	}
	list := reflect.MakeSlice(k.value.Type(), 0, 4)
	add := func(n *unstable.Node) error {
		item := reflect.New(k.value.Type().Elem()).Elem()
		if err := d.setOne(k, item, n); err != nil {
			return err
		}
		if item.Kind() != reflect.String || item.String() != "" {
			list = reflect.Append(list, item)
		}
		return nil
	}
	if value.Kind != unstable.Array {
		if err := add(value); err != nil {
			return err
		}
	} else {
		for it := value.Children(); it.Next(); {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			if err := add(it.Node()); err != nil {
				return err
			}
		}
	}
	k.value.Set(list)
	return nil
}

// setOne sets v, which is k's value or one in its list.
func (d *decoder) setOne(k key, v reflect.Value, value *unstable.Node) error {
	text := string(value.Data)
	switch value.Kind {
	case unstable.String:
		expanded, err := d.expand(text)
		switch {
		case err != nil:
			return err
		case (v.Kind() == reflect.Bool || v.Type() == reflect.TypeFor[int]()) && expanded == text:
			if err := setText(v, text); err != nil {
				return err
			}
			return errors.New("must be written without quotes")
		}
		if k.field.Tag.Get("kind") == "file" && expanded != "" && !filepath.IsAbs(expanded) {
			expanded = filepath.Join(filepath.Dir(d.file), expanded)
		}
		return setText(v, expanded)
	case unstable.Integer:
		if v.Kind() == reflect.String {
			return errors.New("must be text in quotes")
		}
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil {
			return errors.New("is too large a number")
		}
		return setText(v, strconv.FormatInt(n, 10))
	case unstable.Bool:
		if v.Kind() == reflect.String {
			return errors.New("must be text in quotes")
		}
		return setText(v, text)
	case unstable.Array:
		return errors.New("must be one value, not a list")
	case unstable.InlineTable:
		return errors.New("must be one value, not a table")
	}
	if v.Kind() == reflect.String {
		return errors.New("must be text in quotes")
	}
	return setText(v, text)
}

// expand puts in the environment variables that text names.
func (d *decoder) expand(text string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$env{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, rest, found := strings.Cut(after, "}")
		if !found {
			return "", errors.New(`has "$env{" without "}"`)
		}
		value := d.getenv(name)
		if value == "" {
			return "", fmt.Errorf("names the environment variable %q, which is not set", name)
		}
		b.WriteString(value)
		text = rest
	}
}

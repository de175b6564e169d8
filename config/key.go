package config

import (
	"reflect"
	"strings"
	"unicode"
)

// A key is one place of a Config that can be set.
type key struct {
	section, name string
	field         reflect.StructField
	value         reflect.Value
}

// String returns the key with its section.
func (k key) String() string { return k.section + "." + k.name }

// env returns the name of the environment variable that overrides the key.
func (k key) env() string { return "WEIR_" + upperSnake(k.section) + "_" + upperSnake(k.name) }

// isSecret reports whether the key may also be in a file of its own.
func (k key) isSecret() bool { return k.value.Type() == reflect.TypeFor[Secret]() }

// fileSuffix is what the name of a secret has where its value is the file of it.
const fileSuffix = "_file"

// upperSnake returns a name in capitals with underscores between its words:
// httpsPort is HTTPS_PORT, jwksURL is JWKS_URL, http2 is HTTP2.
func upperSnake(name string) string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if unicode.IsUpper(r) && lower {
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r)
		if r == '.' || r == '-' {
			r = '_'
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// A section is one section of a Config.
type section struct {
	name  string
	field reflect.StructField
	value reflect.Value // a struct, or a slice of structs where it may stand several times
}

// sections returns the sections of c, which can be set through them.
func (c *Config) sections() []section {
	v := reflect.ValueOf(c).Elem()
	var all []section
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if name := f.Tag.Get("toml"); name != "" {
			all = append(all, section{name, f, v.Field(i)})
		}
	}
	return all
}

// repeated reports whether the section may stand several times.
func (s section) repeated() bool { return s.value.Kind() == reflect.Slice }

// only returns the name of the file in which the section may stand, or "" if it may
// in any.
func (s section) only() string { return s.field.Tag.Get("only") }

// keysOf returns the keys of a section's struct v: its fields, and those of structs
// that are embedded in it.
func (s section) keysOf(v reflect.Value) []key {
	var all []key
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			all = append(all, s.keysOf(v.Field(i))...)
			continue
		}
		all = append(all, key{s.name, f.Tag.Get("toml"), f, v.Field(i)})
	}
	return all
}

// structs returns the section's structs with the keys' names for messages: one,
// or as many as there are of a section that may stand several times.
func (s section) structs() []reflect.Value {
	if !s.repeated() {
		return []reflect.Value{s.value}
	}
	all := make([]reflect.Value, s.value.Len())
	for i := range all {
		all[i] = s.value.Index(i)
	}
	return all
}

// add adds one more to a section that may stand several times.
func (s section) add() reflect.Value {
	fresh := reflect.New(s.value.Type().Elem())
	if d, ok := reflect.TypeAssert[interface{ setDefaults() }](fresh); ok {
		d.setDefaults()
	}
	s.value.Set(reflect.Append(s.value, fresh.Elem()))
	return s.value.Index(s.value.Len() - 1)
}

// sample returns a struct of the section, to see what keys there are.
func (s section) sample() reflect.Value {
	if !s.repeated() {
		return s.value
	}
	return reflect.New(s.value.Type().Elem()).Elem()
}

// Changed names the sections in which was and is differ, the level of the log
// excepted, which is changed while the process runs.
func Changed(was, is *Config) []string {
	a, b := *was, *is
	a.Log.Level, b.Log.Level = "", ""
	var names []string
	before := a.sections()
	for i, s := range b.sections() {
		if !reflect.DeepEqual(s.value.Interface(), before[i].value.Interface()) {
			names = append(names, s.name)
		}
	}
	return names
}

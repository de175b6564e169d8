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
	all := make([]section, v.NumField())
	for i := range all {
		f := v.Type().Field(i)
		all[i] = section{f.Tag.Get("toml"), f, v.Field(i)}
	}
	return all
}

// repeated reports whether the section may stand several times.
func (s section) repeated() bool { return s.value.Kind() == reflect.Slice }

// keysOf returns the keys of a section's struct v.
func (s section) keysOf(v reflect.Value) []key {
	all := make([]key, v.NumField())
	for i := range all {
		f := v.Type().Field(i)
		all[i] = key{s.name, f.Tag.Get("toml"), f, v.Field(i)}
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

// nearest returns the candidate that text is most likely to mean, or "".
func nearest(text string, candidates []string) string {
	best, least := "", max(2, len(text)/3)+1
	for _, c := range candidates {
		if d := distance(fold(text), fold(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// fold makes http_port and httpPort the same.
func fold(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }

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

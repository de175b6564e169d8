package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

//go:generate go test -run ^TestReference$ -update .

const referenceHead = `# Configuration

<!-- Made from the code by 'go generate ./config'. -->

'weir gateway' reads the file that '--config' names, 'conf/micro-gw.conf' of a project for example; 'weir serve' reads
'deployment.toml', or what '--config' names. Both are TOML. Every key has a default, so that an empty file, or none, is a
configuration. An unknown key or section, or a value that is not allowed, stops the start with a line that says where it
stands and what may stand there. 'weir validate FILE' says so without starting anything: a '.conf' is read as
'micro-gw.conf', a '.toml' as 'deployment.toml'.

- Sections and keys that WSO2's Microgateway and API Manager have are spelled as there; those that only Weir has are in lower
  case with underscores. WSO2's keys that have no counterpart here are [below](#keys-without-effect).
- The environment variable beside a key overrides it, whatever the file says. Items of lists are separated by commas.
  Sections that may stand several times have no variables.
- '$env{NAME}' in a text of the file stands for the value of the environment variable NAME, which must be set.
- A secret may be in a file of its own: its key then ends in '_file', its variable in '_FILE', and the value is the path.
- Durations are written "500ms", "30s", "5m", "1h"; sizes as a number of bytes or "32KiB", "100MiB".
- Relative paths start at the folder of the configuration file; in a variable, at the working directory.

Where defaults differ, the first is that of 'weir gateway'; what differs from it is said with the role for which
'weir serve' has it.
`

const foreignHead = `
## Keys without effect

WSO2's keys that mean nothing here may stand in a file. The log says at the start that they have no effect, and why; one
whose effect would be missed is refused unless it has the one value that is given.

| section | keys | must be | why |
|---|---|---|---|
`

// Reference returns docs/configuration.md: every key with its default, what is
// allowed, its environment variable and its meaning.
func Reference() string {
	var b strings.Builder
	b.WriteString(codeText(referenceHead))
	roles := []Role{Microgateway, Gateway, TrafficManager}
	defaults := make([]Config, len(roles))
	sections := make([][]section, len(roles))
	for i, r := range roles {
		defaults[i] = DefaultOf(r)
		sections[i] = defaults[i].sections()
	}
	for n, s := range sections[0] {
		writeHead(&b, s)
		v := s.value
		if s.repeated() {
			v = s.add()
		}
		for i, k := range s.keysOf(v) {
			values := []string{valueText(k.value)}
			for _, other := range sections[1:] {
				if !s.repeated() {
					values = append(values, valueText(s.keysOf(other[n].value)[i].value))
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |", k.name, defaultText(values, roles), k.allowed())
			if !s.repeated() {
				fmt.Fprintf(&b, " `%s` |", k.env())
			}
			fmt.Fprintf(&b, " %s |\n", cellText(k.field.Tag.Get("doc")))
		}
	}
	writeForeign(&b)
	return b.String()
}

// writeHead begins a section.
func writeHead(b *strings.Builder, s section) {
	title := "[" + s.name + "]"
	if s.repeated() {
		title = "[" + title + "]"
	}
	fmt.Fprintf(b, "\n## `%s`\n\n", title)
	if only := s.only(); only != "" {
		fmt.Fprintf(b, "In `%s` only. ", only)
	}
	fmt.Fprintf(b, "%s\n\n", codeText(s.field.Tag.Get("doc")))
	if s.repeated() {
		b.WriteString("| key | default | allowed | meaning |\n|---|---|---|---|\n")
	} else {
		b.WriteString("| key | default | allowed | environment variable | meaning |\n|---|---|---|---|---|\n")
	}
}

// defaultText returns the defaults of the roles.
func defaultText(values []string, roles []Role) string {
	texts := []string{"`" + values[0] + "`"}
	for i, v := range values[1:] {
		if v != values[0] {
			texts = append(texts, fmt.Sprintf("%s: `%s`", roles[i+1], v))
		}
	}
	return strings.Join(texts, "; ")
}

// quoted is what stands in single quotes; those within words are apostrophes.
var quoted = regexp.MustCompile(`(?m)(^|[\s(])'([^'\n]+)'`)

// codeText returns a text with what stands in single quotes as code.
func codeText(s string) string { return quoted.ReplaceAllString(s, "$1`$2`") }

// cellText is codeText for a table.
func cellText(s string) string { return strings.ReplaceAll(codeText(s), "|", `\|`) }

func writeForeign(b *strings.Builder) {
	b.WriteString(foreignHead)
	for _, f := range foreign() {
		var keys []string
		for _, name := range f.names() {
			keys = append(keys, "`"+name+"`")
		}
		only := ""
		if f.only != "" {
			only = "`" + f.only + "`"
		}
		if f.refused {
			only = "not there"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.section, strings.Join(keys, ", "), only, f.reason)
	}
}

// allowed says in words what may be the value of k.
func (k key) allowed() string {
	if oneOf := k.field.Tag.Get("oneof"); oneOf != "" {
		text := strings.ReplaceAll(strings.TrimPrefix(oneOf, ","), ",", ", ")
		if k.value.Kind() == reflect.Slice {
			return "list of " + text
		}
		return text
	}
	if least := k.field.Tag.Get("min"); least != "" {
		if most := k.field.Tag.Get("max"); most != "" {
			return least + " to " + most
		}
		return "at least " + least
	}
	switch {
	case k.isSecret():
		return "secret; also `" + k.name + fileSuffix + "`"
	case k.field.Tag.Get("kind") == "file":
		return "path of a file"
	case k.value.Type() == reflect.SliceOf(prefixType):
		return "list of addresses and networks"
	case k.value.Kind() == reflect.Slice:
		return "list of texts"
	case k.value.Kind() == reflect.Bool:
		return "true, false"
	}
	return "text"
}

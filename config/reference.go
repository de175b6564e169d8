package config

import (
	"fmt"
	"reflect"
	"strings"
)

//go:generate go test -run ^TestReference$ -update .

const referenceHead = `# Configuration

<!-- Made from the code by 'go generate ./config'. -->

'weir gateway' reads the file that '--config' names, 'conf/micro-gw.conf' of a project for example. It is TOML. Every
key has a default, so that an empty file, or none, is a configuration. An unknown key or section, or a value that is
not allowed, stops the start with a line that says where it stands and what may stand there.

- Sections and keys that the Microgateway of WSO2 has are spelled as there; those that only Weir has are in lower case with
  underscores.
- The environment variable beside a key overrides it, whatever the file says. Items of lists are separated by commas.
  Sections that may stand several times have no variables.
- '$env{NAME}' in a text of the file stands for the value of the environment variable NAME, which must be set.
- Durations are written "500ms", "30s", "5m", "1h"; sizes as a number of bytes or "32KiB", "100MiB".
- Relative paths start at the folder of the configuration file; in a variable, at the working directory.
`

// Reference returns docs/configuration.md: every key with its default, what is
// allowed, its environment variable and its meaning.
func Reference() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(referenceHead, "'", "`"))
	c := Default()
	c.JWT = []JWT{defaultJWT()}
	for _, s := range c.sections() {
		v := s.value
		title := "[" + s.name + "]"
		if s.repeated() {
			title, v = "["+title+"]", v.Index(0)
		}
		fmt.Fprintf(&b, "\n## `%s`\n\n%s\n\n", title, s.field.Tag.Get("doc"))
		if s.repeated() {
			b.WriteString("| key | default | allowed | meaning |\n|---|---|---|---|\n")
		} else {
			b.WriteString("| key | default | allowed | environment variable | meaning |\n|---|---|---|---|---|\n")
		}
		for _, k := range s.keysOf(v) {
			fmt.Fprintf(&b, "| `%s` | `%s` | %s |", k.name, valueText(k.value), k.allowed())
			if !s.repeated() {
				fmt.Fprintf(&b, " `%s` |", k.env())
			}
			fmt.Fprintf(&b, " %s |\n", strings.ReplaceAll(k.field.Tag.Get("doc"), "|", `\|`))
		}
	}
	return b.String()
}

// allowed says in words what may be the value of k.
func (k key) allowed() string {
	if oneOf := k.field.Tag.Get("oneof"); oneOf != "" {
		text := strings.ReplaceAll(oneOf, ",", ", ")
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

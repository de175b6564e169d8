package sim

import (
	"fmt"
	"maps"
	"strings"
)

// files are a project's files by their path in it.
type files map[string]string

// split takes a script file apart: the script, and the project's files behind it,
// each after a line "-- path --".
func split(text string) (script string, out files, err error) {
	out = files{}
	var b strings.Builder
	name := ""
	keep := func() error {
		if name == "" {
			script = b.String()
		} else if _, twice := out[name]; twice {
			return fmt.Errorf("file %s is there twice", name)
		} else {
			out[name] = b.String()
		}
		b.Reset()
		return nil
	}
	for line := range strings.Lines(text) {
		mark := strings.TrimSpace(line)
		if len(mark) > 6 && strings.HasPrefix(mark, "-- ") && strings.HasSuffix(mark, " --") {
			if err := keep(); err != nil {
				return "", nil, err
			}
			name = mark[3 : len(mark)-3]
			continue
		}
		b.WriteString(line)
	}
	return script, out, keep()
}

// menu is the API of scripts that bring none.
const menu = `openapi: 3.0.3
info: {title: pizza, version: "1"}
x-wso2-basePath: /pizza/1
x-wso2-production-endpoints: {urls: ["http://127.0.0.1:1"]}
paths:
  /menu:
    get: {responses: {"200": {description: fine}}}
    post: {responses: {"200": {description: fine}}}
`

// under returns the files of a project once those under prefix are laid over
// it, each in place of the one of the same name. Without a prefix it returns the
// project as it is at first.
func (f files) under(prefix string) files {
	out := files{"policies.yaml": "", "applications.yaml": ""}
	over := files{}
	apis := false
	for name, text := range f {
		if isBase(name) {
			out[name] = text
			apis = apis || strings.HasPrefix(name, "api_definitions/")
		} else if rest, ok := strings.CutPrefix(name, prefix+"/"); ok && prefix != "" {
			over[rest] = text
		}
	}
	if !apis {
		out["api_definitions/pizza.yaml"] = menu
	}
	maps.Copy(out, over)
	return out
}

// isBase tells a file of the project from one that is laid over it.
func isBase(name string) bool {
	first, _, nested := strings.Cut(name, "/")
	return !nested || first == "api_definitions" || first == "conf"
}

// has reports whether there is anything under prefix.
func (f files) has(prefix string) bool {
	for name := range f {
		if strings.HasPrefix(name, prefix+"/") {
			return true
		}
	}
	return false
}

package project

import (
	"net/url"
	"path"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/weir-project/weir/gateway/route"
)

// context returns the path under which the API is served, and where that is said:
// x-wso2-basePath, or the path of the first server, or the API's name and version.
func (d *openAPI) context(file string) (string, value) {
	if v, ok := d.at("x-wso2-basePath"); ok {
		text, ok := v.text()
		if !ok {
			return "", v
		}
		text = strings.ReplaceAll(text, "{version}", d.out.api.Version)
		context, err := canonicalContext(text)
		if strings.ContainsAny(text, "{}") {
			err = "has a parameter; only {version} can stand in it"
		}
		if err != "" {
			v.fault("x-wso2-basePath %s %s", quoted(text), err)
		}
		return context, v
	}
	return d.defaultContext(file)
}

// defaultContext returns the context of an API whose file does not say it.
func (d *openAPI) defaultContext(file string) (string, value) {
	server, at := d.serverURL()
	if u, err := url.Parse(server); err == nil {
		if context, err := canonicalContext(u.EscapedPath()); err == "" && context != "/" {
			return context, at
		}
	}
	return nameContext(d.out.api.Name, d.out.api.Version, file), d.out.identityAt
}

// nameContext returns the context that is made of an API's name and version.
func nameContext(name, version, file string) string {
	slug := slugOf(name)
	if slug == "" {
		slug = slugOf(strings.TrimSuffix(file, path.Ext(file)))
	}
	if slug == "" {
		slug = "api"
	}
	v := strings.Trim(strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '.' || r == '_' || r == '-') {
			return r
		}
		return '-'
	}, version), ".-")
	if v == "" {
		return "/" + slug
	}
	return "/" + slug + "/" + v
}

// slugOf returns a name in lower-case ASCII letters and digits, with hyphens
// between words.
func slugOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return r >= unicode.MaxASCII || (!unicode.IsLetter(r) && !unicode.IsDigit(r))
	})
	return strings.Join(words, "-")
}

// canonicalContext returns the one form of a context, or what is wrong with it.
func canonicalContext(text string) (context, fault string) {
	if text == "" || text == "/" {
		return "/", ""
	}
	if text[0] != '/' {
		return "", "does not start with a slash"
	}
	text = strings.TrimSuffix(text, "/")
	context, err := route.Canonical(text)
	if err != nil {
		return "", "cannot be requested: " + err.Error()
	}
	if context != text {
		return "", "must be written " + context
	}
	_, err = route.Build([]route.API{{Context: context}})
	if err != nil {
		_, reason, found := strings.Cut(err.Error(), quoted(context)+" ")
		if !found {
			reason = err.Error()
		}
		return "", reason
	}
	return context, ""
}

// serverURL returns the URL of the first server, variables put in, and its
// place; "" if there is none.
func (d *openAPI) serverURL() (string, value) {
	if servers, ok := d.at("servers"); ok && servers.node.Kind == yaml.SequenceNode && len(servers.node.Content) > 0 {
		first := servers.list()[0]
		at, ok := first.at("url")
		if !ok || at.node.Kind != yaml.ScalarNode {
			return "", first
		}
		text := at.node.Value
		variables, _ := first.at("variables")
		pairs, _ := variables.pairs()
		for _, p := range pairs {
			if v, ok := p.value.at("default"); ok && v.node.Kind == yaml.ScalarNode {
				text = strings.ReplaceAll(text, "{"+p.name+"}", v.node.Value)
			}
		}
		return text, at
	}
	return d.oldServerURL()
}

// oldServerURL is serverURL for OpenAPI 2.0.
func (d *openAPI) oldServerURL() (string, value) {
	base, at := "", d.value
	if v, ok := d.at("basePath"); ok && v.node.Kind == yaml.ScalarNode {
		base, at = v.node.Value, v
	}
	host, ok := d.at("host")
	if !ok || host.node.Kind != yaml.ScalarNode {
		return base, at
	}
	scheme := "https"
	if v, ok := d.at("schemes"); ok && v.node.Kind == yaml.SequenceNode && len(v.node.Content) > 0 {
		scheme = v.node.Content[0].Value
	}
	return scheme + "://" + host.node.Value + base, at
}

// server returns the URL of the first server if it could be a backend's, "" if
// it could not.
func (d *openAPI) server() string {
	text, _ := d.serverURL()
	text = strings.TrimSuffix(text, "/")
	if checkURL(text) != "" {
		return ""
	}
	return text
}

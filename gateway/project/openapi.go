package project

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/policy"
)

// A definitionFile is one OpenAPI file as the gateway serves it, with the places
// of what may be at fault in a project as a whole.
type definitionFile struct {
	value      // the document
	api        gateway.API
	backend    *policy.Backend
	tiers      []tierUse
	resources  []value // where the API's resources stand
	contextAt  value
	identityAt value // the title
}

// An openAPI is an OpenAPI document that is being read.
type openAPI struct {
	value
	out       *definitionFile
	endpoints map[string]*gateway.Endpoints // named by x-wso2-endpoints
	tier      bool                          // the whole API has one
	pointers  pointers
}

func newOpenAPI(doc *value) *openAPI {
	return &openAPI{value: *doc, out: &definitionFile{value: *doc}, pointers: pointers{}}
}

// readDefinition reads an OpenAPI file: 3.0, 3.1, 3.2 or 2.0. Faults go to the report;
// it returns nil if there is no use in looking further.
func readDefinition(name string, text []byte, r *report) *definitionFile {
	doc := readOpenAPI(name, text, r)
	if doc == nil {
		return nil
	}
	before := len(r.faults)
	d := newOpenAPI(doc)
	if !d.info() {
		return nil
	}
	d.readAPI()
	d.readPaths()
	if len(r.faults) == before {
		d.checkEndpoints()
		d.checkThroughput()
	}
	return d.out
}

// readOpenAPI returns the document in an OpenAPI file that is valid, nil for any
// other.
func readOpenAPI(name string, text []byte, r *report) *value {
	root, err := readDocument(name, text, r)
	if err != nil {
		r.add(err)
		return nil
	}
	doc := value{place{file: name, node: root}, r}
	if root == nil || root.Kind != yaml.MappingNode {
		doc.fault("is no OpenAPI definition: it must be a mapping with openapi, info and paths")
		return nil
	}
	before := len(r.faults)
	of := doc.specification()
	if of == "" {
		return nil
	}
	doc.checkReferences(of)
	if len(r.faults) == before {
		doc.check(of)
	}
	if len(r.faults) > before {
		return nil
	}
	return &doc
}

// at returns the value at a path of keys, and whether there is one. If there is
// none, the value is empty, and its place that of what lacks it.
func (v value) at(keys ...string) (value, bool) {
	for _, k := range keys {
		pairs, _ := v.pairs()
		i := slices.IndexFunc(pairs, func(p pair) bool { return p.name == k })
		if i < 0 {
			return value{place{v.file, &yaml.Node{Line: v.node.Line, Column: v.node.Column}, v.path}, v.report}, false
		}
		v = pairs[i].value
	}
	return v, true
}

// info reads the API's name and version.
func (d *openAPI) info() bool {
	api := &d.out.api
	title, ok := d.at("info", "title")
	if !ok {
		d.fault("info.title is missing: it is the name of the API")
		return false
	}
	version, ok := d.at("info", "version")
	if !ok {
		d.fault("info.version is missing")
		return false
	}
	d.out.identityAt = title
	api.Name = strings.Join(strings.Fields(title.node.Value), " ")
	api.Version = strings.TrimSpace(version.node.Value)
	switch {
	case title.node.Kind != yaml.ScalarNode || strings.ContainsFunc(api.Name, isControl):
		title.fault("info.title must be text on one line")
	case api.Name == "":
		title.fault("info.title is empty: it is the name of the API")
	case api.Version == "":
		version.fault("info.version is empty")
	case version.node.Kind != yaml.ScalarNode || strings.ContainsFunc(api.Version, isControl):
		version.fault("info.version must be text on one line")
	default:
		return true
	}
	return false
}

// readAPI reads what holds for the API as a whole.
func (d *openAPI) readAPI() {
	api := &d.out.api
	d.readNamedEndpoints()
	api.Context, d.out.contextAt = d.context(path.Base(d.file))
	e := d.extensions(d.value, levelAPI)
	api.Tier, d.tier = e.tier, e.tier != ""
	api.DisableSecurity = e.disableSecurity
	api.AuthHeader = e.authHeader
	api.CORS = e.cors
	api.Production, api.Sandbox = e.production, e.sandbox
	if e.throughput != nil {
		e.throughput.Context, e.throughput.Version = api.Context, api.Version
		d.out.backend = e.throughput
	}
}

// methods are the operations of OpenAPI and the requests that they are for.
// Empty are those that no gateway forwards.
var methods = map[string]string{
	"get": "GET", "head": "HEAD", "post": "POST", "put": "PUT", "patch": "PATCH",
	"delete": "DELETE", "options": "OPTIONS", "trace": "", "query": "",
}

// readPaths reads the API's resources.
func (d *openAPI) readPaths() {
	paths, ok := d.at("paths")
	pairs, isMapping := paths.pairs()
	if ok && !isMapping && !paths.isNull() {
		paths.fault("paths must be a mapping of paths to operations")
		return
	}
	for _, p := range pairs {
		if strings.HasPrefix(p.name, "/") {
			d.readPath(p)
		}
	}
	d.out.api.DisableSecurity = d.out.api.DisableSecurity && !slices.ContainsFunc(d.out.api.Resources,
		func(r gateway.Resource) bool { return !r.DisableSecurity })
	if len(d.out.api.Resources) == 0 {
		at := d.value
		if ok {
			at = paths
		}
		at.warn("declares no path that can be served: every call will be answered with 404")
	}
}

// readPath reads the operations of one path.
func (d *openAPI) readPath(p pair) {
	item := d.follow(p.value, 0)
	if err := checkTemplate(p.name); err != nil {
		p.key.warn("path %s is not served: its template %v", p.name, err)
		return
	}
	onPath := d.extensions(item, levelPath)
	pairs, _ := item.pairs()
	for _, o := range pairs {
		if o.name == "additionalOperations" {
			more, _ := o.value.pairs()
			for _, o := range more {
				o.unserved(p.name)
			}
		}
		method, ok := methods[o.name]
		if !ok {
			continue
		}
		if method == "" {
			o.unserved(p.name)
			continue
		}
		e := d.extensions(o.value, levelOperation)
		e.inherit(onPath)
		if !e.saysSecurity {
			e.disableSecurity = d.out.api.DisableSecurity
		}
		d.out.resources = append(d.out.resources, o.key)
		d.out.api.Resources = append(d.out.api.Resources, gateway.Resource{
			Method: method, Template: p.name, Tier: e.tier, DisableSecurity: e.disableSecurity,
			Weight: e.weight, Production: e.production, Sandbox: e.sandbox,
		})
	}
}

// unserved warns of an operation that no gateway forwards.
func (p pair) unserved(path string) {
	p.key.warn("%s %s is not served: the gateway forwards no such requests", strings.ToUpper(p.name), path)
}

// follow returns what a path refers to, if it does: the check of the document
// has made sure that it is there.
func (d *openAPI) follow(v value, hops int) value {
	ref, ok := v.at("$ref")
	if !ok || hops == 10 {
		return v
	}
	n := d.pointers.resolve(d.node, ref.node.Value)
	if n == nil {
		ref.fault("$ref %s leads nowhere", quoted(ref.node.Value))
		return v
	}
	return d.follow(value{place{v.file, n, v.path}, v.report}, hops+1)
}

// checkEndpoints reports an API without backends. Servers are never taken for
// them: their URLs are for those who call, often of this very gateway.
func (d *openAPI) checkEndpoints() {
	at, lacks := d.lacksEndpoints()
	if !lacks {
		return
	}
	backend := "https://backend.example.com"
	if server := d.server(); server != "" {
		backend = server
	}
	at.fault("has no endpoints: add 'x-wso2-production-endpoints: {urls: [%s]}' with the address of the backend", quoted(backend))
}

// lacksEndpoints reports whether the API, or one of its resources (where others
// have endpoints), has no backend, and where that shows.
func (d *openAPI) lacksEndpoints() (value, bool) {
	api := &d.out.api
	if api.Production != nil || api.Sandbox != nil {
		return d.value, false
	}
	if len(api.Resources) == 0 {
		return d.value, true
	}
	some := slices.ContainsFunc(api.Resources, func(r gateway.Resource) bool { return r.Production != nil || r.Sandbox != nil })
	for i, r := range api.Resources {
		switch {
		case r.Production != nil || r.Sandbox != nil:
		case some:
			return d.out.resources[i], true
		default:
			return d.value, true
		}
	}
	return d.value, false
}

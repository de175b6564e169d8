package route

import (
	"errors"
	"fmt"
)

// An API is what a [Router] needs to know of one version of an API.
type API struct {
	Name string // for error texts
	// Context is the path under which the API is served, without a trailing
	// slash; "/" alone is the root.
	Context   string
	Resources []Resource
}

// A Resource is one method on one path template, below the API's context.
//
// In a template a segment {id} stands for any segment that is not empty, text
// and parameters may be mixed within one ({name}.json, {from}:{to}), and a last
// segment "*" stands for whatever is left, nothing included: /pets/* is also
// /pets. Case and a trailing slash matter: /pets/ is not /pets, and unless both
// are declared the other is not found. Only the template "/" stands for the
// API's context with and without a slash.
type Resource struct {
	Method   string // in capitals
	Template string
}

// A Router finds the API and the resource that a request is for. It never
// changes and is safe for concurrent use.
type Router struct {
	contexts contextNode
}

// A contextNode is the APIs that share a beginning of their contexts.
type contextNode struct {
	children children[contextNode]
	api      *apiTree // nil if no context ends here
}

// An apiTree is the resources of one API.
type apiTree struct {
	index int
	root  node
}

// A Match is what a path and a method name.
type Match struct {
	API      int // index of the API, -1 if no context fits
	Resource int // index of the resource within the API, -1 if none fits
	// Allowed is, if Resource is -1, the methods that the API declares on the
	// path: for a 405 and its Allow field, and for CORS. It is empty if no
	// template matches, which is a 404.
	Allowed Methods
	// Rest is the path below the context: empty, or a slash and more.
	Rest string
}

// Build makes a Router. The error names every fault with its API and resource:
// contexts and templates that are malformed or could not be requested, unknown
// methods, and declarations that would be the same.
func Build(apis []API) (*Router, error) {
	r := new(Router)
	var faults []error
	for i, api := range apis {
		tree, err := r.insert(api.Context)
		if err != nil {
			faults = append(faults, fmt.Errorf("api %q: context %q %w", api.Name, api.Context, err))
			continue
		}
		tree.index = i
		for j, resource := range api.Resources {
			if err := tree.add(j, resource, api.Resources); err != nil {
				faults = append(faults, fmt.Errorf("api %q: resource %s %s: %w", api.Name, resource.Method, resource.Template, err))
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return r, nil
}

// insert returns the new tree of the API at context.
func (r *Router) insert(context string) (*apiTree, error) {
	n := &r.contexts
	if context != "/" {
		segments, err := parseTemplate(context)
		if err != nil {
			return nil, err
		}
		for _, s := range segments {
			if s.kind != literal {
				return nil, errors.New("has a parameter or a wildcard")
			}
			if s.text == "" {
				return nil, errors.New("ends with a slash")
			}
			n = n.children.insert(s.text)
		}
	}
	if n.api != nil {
		return nil, errors.New("is the context of another API too")
	}
	n.api = new(apiTree)
	return n.api, nil
}

// add enters the resource with index i; all are the API's, for error texts.
func (t *apiTree) add(i int, resource Resource, all []Resource) error {
	m, ok := ParseMethod(resource.Method)
	if !ok {
		return fmt.Errorf("method %q is not served", resource.Method)
	}
	segments, err := parseTemplate(resource.Template)
	if err != nil {
		return fmt.Errorf("template %w", err)
	}
	l := t.root.insert(segments)
	if l.methods.Has(m) {
		return fmt.Errorf("matches the same requests as %s", all[l.resources[m]].Template)
	}
	l.methods = l.methods.With(m)
	l.resources[m] = int32(i)
	if resource.Template == "/" {
		t.root.end = l
	}
	return nil
}

// Lookup returns what path, in canonical form, and m name. The API with the
// longest context that is path or ends at a slash of it is the only one looked
// at. Of its templates that match and declare m, the first from the left to
// have text where others have a parameter, or a parameter where others have a
// wildcard, wins. It allocates only for a segment with escapes where templates
// have reserved characters or parameters within text.
func (r *Router) Lookup(path string, m Method) Match {
	if path == "" || path[0] != '/' {
		return Match{API: -1, Resource: -1}
	}
	tree, below := r.contexts.api, path
	n := &r.contexts
	for rest := path; rest != ""; {
		var seg string
		seg, rest = cutSegment(rest)
		if n = n.children.get(seg); n == nil {
			break
		}
		if n.api != nil {
			tree, below = n.api, rest
		}
	}
	if tree == nil {
		return Match{API: -1, Resource: -1}
	}
	match := Match{API: tree.index, Rest: below}
	if match.Resource = int(tree.root.find(below, m, &match.Allowed)); match.Resource >= 0 {
		match.Allowed = 0
	}
	return match
}

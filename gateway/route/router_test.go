package route

import (
	"fmt"
	"strings"
	"testing"
)

// resources makes resources of lines like "GET /pets".
func resources(lines ...string) []Resource {
	var all []Resource
	for _, line := range lines {
		method, template, _ := strings.Cut(line, " ")
		all = append(all, Resource{method, template})
	}
	return all
}

func build(t testing.TB, apis ...API) *Router {
	t.Helper()
	r, err := Build(apis)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	return r
}

// found returns what a look-up found in words: the resource, the methods that
// are allowed, or nothing.
func found(apis []API, m Match) string {
	switch {
	case m.API < 0:
		return "no api"
	case m.Resource >= 0:
		r := apis[m.API].Resources[m.Resource]
		return apis[m.API].Name + " " + r.Method + " " + r.Template
	case m.Allowed != 0:
		return apis[m.API].Name + " allows " + m.Allowed.String()
	}
	return apis[m.API].Name + " no path"
}

func TestLookup(t *testing.T) {
	apis := []API{
		{"pets", "/petstore/v1", resources(
			"GET /pets", "POST /pets", "GET /pets/{id}", "DELETE /pets/{id}", "GET /pets/mine", "POST /pets/import",
			"GET /pets/{id}/photos/", "GET /pets/{id}/photos/{name}.json", "GET /pets/{id}/photos/{name}",
			"GET /pets/{id}/photos/{name}.min.json", "GET /pets/{id}/photos/main",
			"GET /range/{from}:{to}", "POST /users:batch", "POST /users/{id}:cancel",
			"GET /files/*", "PUT /files/{id}", "GET /files/index", "GET /files/index/raw",
			"OPTIONS /pets", "GET /a/b/{x}/end", "GET /a/{y}/c/other", "GET /grö%C3%9Fe", "GET /at/@me",
		)},
		{"pets2", "/petstore/v1/beta", resources("GET /", "GET /pets", "GET /*")},
		{"root", "/", resources("GET /", "GET /health", "GET /petstore/{x}")},
		{"empty", "/empty", nil},
	}
	r := build(t, apis...)
	for _, test := range []struct{ request, want string }{
		{"GET /petstore/v1/pets", "pets GET /pets"},
		{"POST /petstore/v1/pets", "pets POST /pets"},
		{"OPTIONS /petstore/v1/pets", "pets OPTIONS /pets"},
		{"PUT /petstore/v1/pets", "pets allows GET, POST, OPTIONS"},
		{"HEAD /petstore/v1/pets", "pets allows GET, POST, OPTIONS"}, // as declared, nothing more
		{"GET /petstore/v1/pets/", "pets no path"},
		{"GET /petstore/v1/PETS", "pets no path"},
		{"GET /petstore/v1/pets/7", "pets GET /pets/{id}"},
		{"GET /petstore/v1/pets/7/", "pets no path"},
		{"GET /petstore/v1/pets/%20", "pets GET /pets/{id}"},

		// text goes before a parameter, for the methods that it has
		{"GET /petstore/v1/pets/mine", "pets GET /pets/mine"},
		{"DELETE /petstore/v1/pets/mine", "pets DELETE /pets/{id}"},
		{"PUT /petstore/v1/pets/mine", "pets allows GET, DELETE"},
		{"POST /petstore/v1/pets/import", "pets POST /pets/import"},
		{"GET /petstore/v1/pets/import", "pets GET /pets/{id}"},
		{"PATCH /petstore/v1/pets/import", "pets allows GET, POST, DELETE"},

		// text and parameters in one segment
		{"GET /petstore/v1/pets/7/photos/a.json", "pets GET /pets/{id}/photos/{name}.json"},
		{"GET /petstore/v1/pets/7/photos/a.min.json", "pets GET /pets/{id}/photos/{name}.min.json"},
		{"GET /petstore/v1/pets/7/photos/.json", "pets GET /pets/{id}/photos/{name}"},
		{"GET /petstore/v1/pets/7/photos/main", "pets GET /pets/{id}/photos/main"},
		{"GET /petstore/v1/pets/7/photos/", "pets GET /pets/{id}/photos/"},
		{"GET /petstore/v1/pets/7/photos", "pets no path"},
		{"GET /petstore/v1/range/1:2", "pets GET /range/{from}:{to}"},
		{"GET /petstore/v1/range/1%3A2", "pets GET /range/{from}:{to}"},
		{"GET /petstore/v1/range/1:", "pets no path"},
		{"GET /petstore/v1/range/:2", "pets no path"},
		{"POST /petstore/v1/users:batch", "pets POST /users:batch"},
		{"POST /petstore/v1/users%3Abatch", "pets POST /users:batch"}, // the same to a backend
		{"POST /petstore/v1/users/7:cancel", "pets POST /users/{id}:cancel"},
		{"POST /petstore/v1/users/7:stop", "pets no path"},
		{"GET /petstore/v1/gr%C3%B6%C3%9Fe", "pets GET /grö%C3%9Fe"},
		{"GET /petstore/v1/at/%40me", "pets GET /at/@me"},

		// a parameter goes before a wildcard, which takes what is left
		{"GET /petstore/v1/files", "pets GET /files/*"},
		{"GET /petstore/v1/files/", "pets GET /files/*"},
		{"GET /petstore/v1/files/a", "pets GET /files/*"},
		{"PUT /petstore/v1/files/a", "pets PUT /files/{id}"},
		{"GET /petstore/v1/files/a/b/c", "pets GET /files/*"},
		{"GET /petstore/v1/files/index", "pets GET /files/index"},
		{"GET /petstore/v1/files/index/raw", "pets GET /files/index/raw"},
		{"GET /petstore/v1/files/index/other", "pets GET /files/*"},
		{"POST /petstore/v1/files/a", "pets allows GET, PUT"},
		{"POST /petstore/v1/files/a/b", "pets allows GET"},

		// a way that ends nowhere is given up
		{"GET /petstore/v1/a/b/c/end", "pets GET /a/b/{x}/end"},
		{"GET /petstore/v1/a/b/c/other", "pets GET /a/{y}/c/other"},
		{"GET /petstore/v1/a/b/c/none", "pets no path"},

		// the longest context is the only one
		{"GET /petstore/v1/beta", "pets2 GET /"},
		{"GET /petstore/v1/beta/", "pets2 GET /"},
		{"GET /petstore/v1/beta/pets", "pets2 GET /pets"},
		{"GET /petstore/v1/beta/x/y", "pets2 GET /*"},
		{"POST /petstore/v1/beta/pets", "pets2 allows GET"},
		{"GET /petstore/v1/beta2", "pets no path"},
		{"GET /petstore/v1", "pets no path"},
		{"GET /petstore/v1/", "pets no path"},
		{"GET /petstore/v2", "root GET /petstore/{x}"},
		{"GET /petstore/v10/pets", "root no path"},
		{"GET /PETSTORE/v1/pets", "root no path"},
		{"GET /", "root GET /"},
		{"GET /health", "root GET /health"},
		{"GET /health/", "root no path"},
		{"GET /empty", "empty no path"},
		{"GET /empty/x", "empty no path"},
	} {
		name, path, _ := strings.Cut(test.request, " ")
		method, _ := ParseMethod(name)
		if got := found(apis, r.Lookup(path, method)); got != test.want {
			t.Errorf("%s: %s, want %s", test.request, got, test.want)
		}
	}
}

func TestLookupWithoutRoot(t *testing.T) {
	apis := []API{{"caf", "/caf%C3%A9/v1", resources("GET /x")}}
	r := build(t, apis...)
	for path, want := range map[string]string{
		"":                 "no api",
		"x":                "no api",
		"/":                "no api",
		"/caf%C3%A9":       "no api",
		"/caf%C3%A9/v1/x":  "caf GET /x",
		"/caf%C3%A9/v1/xy": "caf no path",
		"/caf%C3%A9/v11/x": "no api",
	} {
		if got := found(apis, r.Lookup(path, GET)); got != want {
			t.Errorf("GET %q: %s, want %s", path, got, want)
		}
	}
	if m := new(Router).Lookup("/x", GET); m.API != -1 || m.Resource != -1 {
		t.Errorf("an empty router finds %+v", m)
	}
}

func TestLookupRest(t *testing.T) {
	r := build(t, API{"a", "/a/v1", resources("GET /*")}, API{"root", "/", resources("GET /*")})
	for path, want := range map[string]string{
		"/a/v1":       "",
		"/a/v1/":      "/",
		"/a/v1/x%20y": "/x%20y",
		"/a/v1/x/":    "/x/",
		"/b/c":        "/b/c",
		"/":           "/",
	} {
		if got := r.Lookup(path, GET).Rest; got != want {
			t.Errorf("below the context of %q: %q, want %q", path, got, want)
		}
	}
}

func TestBuildManyChildren(t *testing.T) {
	api := API{Name: "many", Context: "/"}
	for i := range 500 {
		api.Resources = append(api.Resources, Resource{"GET", fmt.Sprintf("/r%d/x", i)})
	}
	r := build(t, api)
	for i := range 500 {
		if m := r.Lookup(fmt.Sprintf("/r%d/x", i), GET); m.Resource != i {
			t.Errorf("resource %d: got %d", i, m.Resource)
		}
	}
	if m := r.Lookup("/r500/x", GET); m.Resource != -1 || m.Allowed != 0 {
		t.Errorf("unknown resource: %+v", m)
	}
}

func TestBuildFaults(t *testing.T) {
	for _, test := range []struct {
		name string
		apis []API
		want string
	}{
		{"context without a slash", []API{{"a", "x", nil}}, `api "a": context "x" does not start with a slash`},
		{"no context", []API{{"a", "", nil}}, `api "a": context "" does not start`},
		{"context with a slash behind", []API{{"a", "/x/", nil}}, "ends with a slash"},
		{"context with a parameter", []API{{"a", "/x/{v}", nil}}, "has a parameter"},
		{"context with a wildcard", []API{{"a", "/x/*", nil}}, "has a parameter or a wildcard"},
		{"context twice", []API{{"a", "/x", nil}, {"b", "/%78", nil}}, `api "b": context "/%78" is the context of another`},
		{"root twice", []API{{"a", "/", nil}, {"b", "/", nil}}, "another API"},
		{"context with dots", []API{{"a", "/x/../y", nil}}, "dot segment"},
		{"unknown method", []API{{"a", "/x", resources("TRACE /y")}}, `api "a": resource TRACE /y: method "TRACE" is not served`},
		{"small method", []API{{"a", "/x", resources("get /y")}}, "not served"},
		{"template twice", []API{{"a", "/x", resources("GET /y", "GET /y")}}, "same requests as /y"},
		{"parameters differ in name", []API{{"a", "/x", resources("GET /y/{a}", "GET /y/{b}")}}, "same requests as /y/{a}"},
		{"patterns differ in name", []API{{"a", "/x", resources("GET /{a}.js", "GET /{b}.js")}}, "same requests"},
		{"wildcard twice", []API{{"a", "/x", resources("GET /y/*", "GET /y/*")}}, "same requests"},
		{"escaped twin", []API{{"a", "/x", resources("GET /a:b", "GET /a%3Ab")}}, "same requests"},
		{"no slash", []API{{"a", "/x", resources("GET y")}}, "template does not start with a slash"},
		{"empty template", []API{{"a", "/x", []Resource{{"GET", ""}}}}, "does not start with a slash"},
		{"empty segment", []API{{"a", "/x", resources("GET /a//b")}}, "empty segment"},
		{"dots", []API{{"a", "/x", resources("GET /a/../b")}}, "dot segment"},
		{"escaped dots", []API{{"a", "/x", resources("GET /a/%2e%2E/b")}}, "dot segment"},
		{"open brace", []API{{"a", "/x", resources("GET /{a")}}, `"{" without a "}"`},
		{"closed brace", []API{{"a", "/x", resources("GET /a}")}}, `"}" without a "{"`},
		{"brace over a slash", []API{{"a", "/x", resources("GET /{a/b}")}}, `"{" without a "}"`},
		{"no name", []API{{"a", "/x", resources("GET /{}")}}, "without a name"},
		{"braces in braces", []API{{"a", "/x", resources("GET /{a{b}}")}}, "within a parameter"},
		{"neighbours", []API{{"a", "/x", resources("GET /{a}{b}")}}, "nothing between"},
		{"greedy parameter", []API{{"a", "/x", resources("GET /{proxy+}")}}, `end the template with "/*"`},
		{"star parameter", []API{{"a", "/x", resources("GET /{path*}")}}, `end the template with "/*"`},
		{"star in the middle", []API{{"a", "/x", resources("GET /*/b")}}, `"*" before its last segment`},
		{"star in text", []API{{"a", "/x", resources("GET /a*")}}, "only for a whole last segment"},
		{"query", []API{{"a", "/x", resources("GET /a?b={c}")}}, `has a '?'`},
		{"fragment", []API{{"a", "/x", resources("GET /a#b")}}, `has a '#'`},
		{"semicolon", []API{{"a", "/x", resources("GET /a;b={c}")}}, `has a ';'`},
		{"backslash", []API{{"a", "/x", resources(`GET /a\b`)}}, "has a"},
		{"escaped slash", []API{{"a", "/x", resources("GET /a%2Fb")}}, "escaped slash"},
		{"bad escape", []API{{"a", "/x", resources("GET /a%2")}}, "invalid escape"},
		{"control", []API{{"a", "/x", resources("GET /a%00")}}, "control character"},
		{"deep", []API{{"a", "/x", resources("GET " + strings.Repeat("/a", maxSegments+1))}}, "more than 64 segments"},
	} {
		r, err := Build(test.apis)
		if err == nil || !strings.Contains(err.Error(), test.want) || r != nil {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestBuildNamesEveryFault(t *testing.T) {
	_, err := Build([]API{{"a", "/x", resources("GET y", "PUT /{")}, {"b", "z", nil}})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three faults: %v", err)
	}
}

// ServeMux panics on these; OpenAPI allows them.
func TestBuildOverlaps(t *testing.T) {
	apis := []API{{"a", "/", resources(
		"GET /{a}/x", "GET /y/{b}", "GET /{a}/{b}/z", "GET /{a}/y/{c}", "GET /*", "GET /{a}.{b}", "GET /v{a}", "GET /{a}v",
	)}}
	r := build(t, apis...)
	for path, want := range map[string]string{
		"/q/x":   "a GET /{a}/x",
		"/y/x":   "a GET /y/{b}",
		"/q/q/z": "a GET /{a}/{b}/z",
		"/q/y/z": "a GET /{a}/y/{c}",
		"/q/q/q": "a GET /*",
		"/q":     "a GET /*",
		"/a.b":   "a GET /{a}.{b}",
		"/vv":    "a GET /v{a}", // as much text in both: in order of their text
		"/av":    "a GET /{a}v",
		"/v.v":   "a GET /v{a}",
	} {
		if got := found(apis, r.Lookup(path, GET)); got != want {
			t.Errorf("GET %s: %s, want %s", path, got, want)
		}
	}
}

func TestLookupAllocates(t *testing.T) {
	r := build(t, API{"a", "/shop/v1", resources(
		"GET /items", "GET /items/{id}", "GET /items/{id}/photos/{name}.json", "GET /users:batch", "GET /files/*",
	)})
	for _, path := range []string{
		"/shop/v1/items/42", "/shop/v1/items/42/photos/a.json", "/shop/v1/files/a/b/c", "/shop/v1/none", "/none",
		"/shop/v1/items/%E4%BD%A0",
	} {
		if n := testing.AllocsPerRun(100, func() { r.Lookup(path, GET); r.Lookup(path, PUT) }); n != 0 {
			t.Errorf("Lookup(%q) allocates %v times", path, n)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	r := build(b, API{"pets", "/petstore/v1", resources(
		"GET /pets", "POST /pets", "GET /pets/{id}", "DELETE /pets/{id}", "GET /pets/{id}/photos", "GET /store/orders/{id}",
		"GET /store/inventory", "GET /users/{name}", "GET /files/{name}.json", "GET /health",
	)}, API{"b", "/petstore/v2", nil}, API{"c", "/shop/v1", nil})
	for _, path := range []string{"/petstore/v1/pets", "/petstore/v1/pets/42", "/petstore/v1/files/a.json", "/petstore/v1/none"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Lookup(path, GET)
			}
		})
	}
}

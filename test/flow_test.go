package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestThreeCommands goes the documents' way in an empty folder: init, build,
// gateway, with an OpenAPI file that knows nothing of Weir but where its backend is.
func TestThreeCommands(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "pets")
	dir := t.TempDir()
	text := fmt.Sprintf(`openapi: 3.0.3
info: {title: Swagger Petstore, version: 1.0.0}
x-wso2-basePath: /petstore/v1
x-wso2-production-endpoints: {urls: [%s]}
x-wso2-disable-security: true
paths:
  /pet/findByStatus:
    get: {responses: {"200": {description: fine}}}
  /pet/{petId}:
    parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]
    get: {x-wso2-throttling-tier: 10kPerMin, responses: {"200": {description: fine}}}
    delete: {responses: {"200": {description: fine}}}
`, b.URL)
	if err := os.WriteFile(filepath.Join(dir, "petstore.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out := must(t, dir, "init", "petstore", "-a", "petstore.yaml")
	if !strings.Contains(out.stdout, "petstore") || out.stderr != "" {
		t.Errorf("weir init printed %q, %q", out.stdout, out.stderr)
	}
	out = must(t, dir, "build", "petstore")
	if !strings.Contains(out.stdout, "petstore") || out.stderr != "" {
		t.Errorf("weir build printed %q, %q", out.stdout, out.stderr)
	}
	for _, want := range []string{"api_definitions", "policies.yaml", "applications.yaml", "conf/micro-gw.conf", "target/petstore.weir"} {
		if _, err := os.Stat(filepath.Join(dir, "petstore", want)); err != nil {
			t.Error(err)
		}
	}
	http1, management := freePort(t), freePort(t)
	conf := filepath.Join(dir, "micro-gw.conf")
	if err := os.WriteFile(conf, []byte(configuration(http1, -1, management, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	g := &gatewayProcess{addr: local(http1), management: local(management)}
	g.process = start(t, dir, "gateway", "petstore/target/petstore.weir", "--config", conf)
	g.awaitReady()
	c := g.h1(t)
	r := c.get(t, "/petstore/v1/pet/7").want(t, 200, "")
	if r.text != "pets /pet/7\n" || r.number("X-RateLimit-Remaining") != 499 {
		t.Errorf("got %q, X-RateLimit-Remaining %q", r.text, r.Header.Get("X-RateLimit-Remaining"))
	}
	c.get(t, "/petstore/v1/pet/findByStatus?status=sold").want(t, 200, "")
	if last := b.last(t); last.path != "/pet/findByStatus" || last.query != "status=sold" {
		t.Errorf("the backend saw %s?%s", last.path, last.query)
	}
	c.call(t, http.MethodDelete, "/petstore/v1/pet/7", "").want(t, 200, "")
	c.get(t, "/petstore/v1/store").want(t, 404, "404")
	g.stop(syscall.SIGINT)
}

// TestOpenAPIFiles builds and serves OpenAPI files of every kind there is.
func TestOpenAPIFiles(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	var many strings.Builder
	many.WriteString("openapi: 3.0.0\ninfo: {title: many, version: '1'}\nx-wso2-basePath: /many\nx-wso2-disable-security: true\nx-wso2-production-endpoints: {urls: [BACKEND]}\npaths:\n")
	for i := range 1000 {
		fmt.Fprintf(&many, "  /r%d/{id}/x: {parameters: [{$ref: '#/components/parameters/id'}], get: {responses: {'200': {description: fine}}}}\n", i)
	}
	many.WriteString("components: {parameters: {id: {name: id, in: path, required: true, schema: {type: string}}}}\n")
	all := files{
		"api_definitions/many.yaml": many.String(),
		"api_definitions/v30.json": `{"openapi":"3.0.2","info":{"title":"v30","version":"2"},"x-wso2-basePath":"/v30/2",
			"x-wso2-disable-security":true,"x-wso2-production-endpoints":{"urls":["BACKEND"]},
			"paths":{"/a/{b}":{"parameters":[{"name":"b","in":"path","required":true,"schema":{"type":"string"}}],
				"get":{"responses":{"200":{"description":"fine"}}},"head":{"responses":{"200":{"description":"fine"}}}}}}`,
		"api_definitions/v31.yaml": `
openapi: 3.1.0
info: {title: v31, version: 1.0.0, summary: with what only 3.1 has}
jsonSchemaDialect: https://json-schema.org/draft/2020-12/schema
x-wso2-basePath: /v31
x-wso2-disable-security: true
x-wso2-production-endpoints: {urls: [BACKEND]}
paths:
  /a:
    get:
      responses: {"200": {description: fine, content: {application/json: {schema: {type: [string, "null"]}}}}}
webhooks:
  newPet: {post: {responses: {"200": {description: fine}}}}
`,
		"api_definitions/refs.yaml": `
openapi: 3.0.3
info: {title: refs, version: "1"}
x-wso2-basePath: /refs
x-wso2-disable-security: true
x-wso2-production-endpoints: "#/x-wso2-endpoints/main"
x-wso2-endpoints:
  - main: {urls: [BACKEND]}
paths:
  /a:
    get: {responses: {"200": {$ref: "#/components/responses/fine"}}}
  /a/b/{c}/d: {parameters: [{name: c, in: path, required: true, schema: {type: string}}], get: {responses: {"200": {$ref: "#/components/responses/fine"}}}}
  /a/{b}/c: {parameters: [{name: b, in: path, required: true, schema: {type: string}}], get: {responses: {"200": {$ref: "#/components/responses/fine"}}}}
components:
  responses:
    fine: {description: fine}
`,
	}
	p := newProject(t, b.URL, all)
	g := p.serve("")
	c := g.h1(t)
	for path, want := range map[string]string{
		"/many/r0/x/x": "/r0/x/x", "/many/r999/1/x": "/r999/1/x", "/v30/2/a/b": "/a/b", "/v31/a": "/a",
		"/refs/a": "/a", "/refs/a/b/c/d": "/a/b/c/d", "/refs/a/x/c": "/a/x/c",
	} {
		r := c.get(t, path).want(t, 200, "")
		if r.text != "one "+want+"\n" {
			t.Errorf("%s: got %q", path, r.text)
		}
	}
	c.call(t, http.MethodHead, "/v30/2/a/b", "").want(t, 200, "")
	c.get(t, "/many/r1000/1/x").want(t, 404, "404")
	c.get(t, "/refs/a/x/d").want(t, 404, "404")
}

// TestServersAreNoBackends builds a file whose servers are all there is: they
// name where the API is published, and are not silently called as backends.
func TestServersAreNoBackends(t *testing.T) {
	t.Parallel()
	p := newProject(t, "", files{"api_definitions/pizza.yaml": `
openapi: 3.0.3
info: {title: pizza, version: "1"}
servers: [{url: "http://169.254.169.254/latest"}]
paths:
  /menu: {get: {responses: {"200": {description: fine}}}}
`})
	r := weir(t, p.home, "build", name)
	if r.code == 0 {
		e := p.explain(t, "--path", "/pizza/1/menu")
		if e.Answer.Forward {
			t.Errorf("explain tells %+v", e.Answer)
		}
	} else if r.code != 1 || !strings.Contains(r.stderr, "pizza.yaml") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

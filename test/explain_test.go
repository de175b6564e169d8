package test

import (
	"encoding/json"
	"testing"
)

// An explanation is what weir explain -o json prints.
type explanation struct {
	Request struct {
		API, Version, Resource, Application, User string
	}
	Denied *struct{ ID string }
	Checks []struct {
		Level, Policy, Key, Limit string
		Shadow                    bool
		Uses, Remaining           int64
		Reset                     int64 `json:"reset_seconds"`
		Refuses                   bool
	}
	Answer struct {
		Forward                     bool
		URLs                        []string
		Status                      int
		Code, Reason, Level, Policy string
	}
}

// explain asks what would be decided for a request to the project.
func (p *project) explain(t testing.TB, args ...string) explanation {
	t.Helper()
	out := must(t, p.home, append([]string{"explain", name, "-o", "json"}, args...)...)
	var e explanation
	if err := json.Unmarshal([]byte(out.stdout), &e); err != nil {
		t.Fatalf("weir explain printed %q: %v", out.stdout, err)
	}
	return e
}

// TestExplainAgrees asks explain about requests of every kind, and then sends
// them: status, code and backend are as it said.
func TestExplainAgrees(t *testing.T) {
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"policies.yaml": `
resourcePolicies:
  - None: {count: 0, unitTime: 1, timeUnit: min}
  - Small: {dataAmount: 1, dataUnit: KB, unitTime: 1, timeUnit: day}
denyPolicies:
  - {id: mallory, type: USER, value: mallory}
customRules:
  - name: Robots
    when: request.headers["x-robot"] == "yes"
    key: robots
    limit: {count: 0, unitTime: 1, timeUnit: min}
`,
		"applications.yaml": `
applications:
  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: pizza, version: "1", tier: Gold}]}
  - {name: mall, owner: mallory, tier: Unlimited, subscriptions: [{api: pizza, version: "1", tier: Gold}]}
  - {name: idle, owner: ann, tier: Unlimited}
`,
		"api_definitions/pizza.yaml": `
openapi: 3.0.3
info: {title: pizza, version: "1"}
x-wso2-basePath: /pizza/1
x-wso2-production-endpoints: {urls: [BACKEND]}
paths:
  /menu:
    get: {responses: {"200": {description: fine}}}
  /none:
    get: {x-wso2-throttling-tier: None, responses: {"200": {description: fine}}}
  /small:
    post: {x-wso2-throttling-tier: Small, responses: {"200": {description: fine}}}
  /open:
    get: {x-wso2-disable-security: true, responses: {"200": {description: fine}}}
  /orders/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {responses: {"200": {description: fine}}}
`,
	})
	shop, sandbox := p.key("shop", "PRODUCTION"), p.key("shop", "SANDBOX")
	mall, idle := p.key("mall", "PRODUCTION"), p.key("idle", "PRODUCTION")
	g := p.serve("")
	c := g.h1(t)
	for _, test := range []struct {
		name, method, path, key string
		header                  [2]string
		status                  int
		code                    string
	}{
		{name: "forwarded", path: "/pizza/1/menu", key: shop, status: 200},
		{name: "forwarded by template", path: "/pizza/1/orders/a%20b?x=1", key: shop, status: 200},
		{name: "open", path: "/pizza/1/open", status: 200},
		{name: "key in the query", path: "/pizza/1/menu?apikey=" + shop, status: 200},
		{name: "a limit of zero", path: "/pizza/1/none", key: shop, status: 429, code: "900802"},
		{name: "custom rule", path: "/pizza/1/menu", key: shop, header: [2]string{"X-Robot", "yes"}, status: 429, code: "900806"},
		{name: "denied user", path: "/pizza/1/menu", key: mall, status: 403, code: "900805"},
		{name: "no credentials", path: "/pizza/1/menu", status: 401, code: "900902"},
		{name: "no such key", path: "/pizza/1/menu", key: "weir_x", status: 401, code: "900901"},
		{name: "no subscription", path: "/pizza/1/menu", key: idle, status: 403, code: "900908"},
		{name: "no sandbox", path: "/pizza/1/menu", key: sandbox, status: 401, code: "900901"},
		{name: "no such path", path: "/pizza/1/nothing", key: shop, status: 404, code: "404"},
		{name: "no such API", path: "/pasta", key: shop, status: 404, code: "404"},
		{name: "no such method", method: "DELETE", path: "/pizza/1/menu", key: shop, status: 405, code: "405"},
		{name: "ambiguous path", path: "/pizza//1/menu", key: shop, status: 400, code: "400"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.method == "" {
				test.method = "GET"
			}
			args, header := []string{"--method", test.method, "--path", test.path}, []string{}
			if test.key != "" {
				args, header = append(args, "--api-key", test.key), append(header, "ApiKey", test.key)
			}
			if test.header[0] != "" {
				args, header = append(args, "--header", test.header[0]+": "+test.header[1]), append(header, test.header[0], test.header[1])
			}
			told := p.explain(t, args...)
			c.call(t, test.method, test.path, "", header...).want(t, test.status, test.code)
			if test.code == "" && (!told.Answer.Forward || len(told.Answer.URLs) != 1) {
				t.Errorf("explain tells %+v of a request that was forwarded", told.Answer)
			}
			if test.code != "" && (told.Answer.Forward || told.Answer.Status != test.status || told.Answer.Code != test.code) {
				t.Errorf("explain tells %+v of %d %s", told.Answer, test.status, test.code)
			}
		})
	}
}

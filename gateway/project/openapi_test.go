package project

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/policy"
)

// apiOf returns the API that a definition with this text after its head defines.
func apiOf(t *testing.T, text string) (gateway.API, Faults) {
	t.Helper()
	text = "openapi: 3.1.0\ninfo: {title: Pets, version: 1.0.0}\n" + text
	p, err := LoadFS(with(map[string]string{"api_definitions/petstore.yaml": text}), "", "x")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p.Definition.APIs[0], p.Warnings
}

const answers = "responses: {default: {description: x}}"

// TestExtensionsInherit has what an operation takes from its path and its API.
func TestExtensionsInherit(t *testing.T) {
	urls := func(u string) *gateway.Endpoints { return &gateway.Endpoints{URLs: []string{u}} }
	api, _ := apiOf(t, `
x-wso2-disable-security: true
x-wso2-production-endpoints: {urls: [http://api]}
paths:
  /a:
    x-wso2-disable-security: false
    x-wso2-throttling-tier: 10kPerMin
    x-wso2-production-endpoints: {urls: [http://path]}
    x-wso2-sandbox-endpoints: {urls: [http://path-sandbox]}
    x-weir-weight: 3
    get: {`+answers+`}
    put:
      x-wso2-disable-security: true
      x-wso2-throttling-tier: 20kPerMin
      x-wso2-production-endpoints: {urls: [http://operation]}
      x-weir-weight: 4
      `+answers+`
  /b:
    get: {`+answers+`}
`)
	if api.DisableSecurity {
		t.Error("the API asks for no credentials, although one of its operations does")
	}
	same(t, "resources", api.Resources, []gateway.Resource{
		{Method: "GET", Template: "/a", Tier: "10kPerMin", Weight: 3, Production: urls("http://path"), Sandbox: urls("http://path-sandbox")},
		{Method: "PUT", Template: "/a", Tier: "20kPerMin", Weight: 4, Production: urls("http://operation"), Sandbox: urls("http://path-sandbox"), DisableSecurity: true},
		{Method: "GET", Template: "/b", DisableSecurity: true},
	})
}

func TestDisableSecurity(t *testing.T) {
	tests := []struct {
		api, operation string
		wantAPI, want  bool
	}{
		{"", "", false, false},
		{"x-wso2-disable-security: true", "", true, true},
		{"x-wso2-disable-security: false", "", false, false},
		{"", "x-wso2-disable-security: true,", false, true},
		{"x-wso2-disable-security: true", "x-wso2-disable-security: false,", false, false},
		{"x-wso2-disable-security: true", "x-wso2-disable-security: true,", true, true},
	}
	for _, tt := range tests {
		api, _ := apiOf(t, tt.api+"\nx-wso2-production-endpoints: {urls: [http://a]}\npaths: {/a: {get: {"+tt.operation+answers+"}}}\n")
		if api.DisableSecurity != tt.wantAPI || api.Resources[0].DisableSecurity != tt.want {
			t.Errorf("%q, %q: got %t and %t, want %t and %t", tt.api, tt.operation,
				api.DisableSecurity, api.Resources[0].DisableSecurity, tt.wantAPI, tt.want)
		}
	}
}

func TestNamedEndpoints(t *testing.T) {
	for _, named := range []string{
		"[{a b: {urls: [http://x, http://y], type: failover}}, {c: {urls: http://z}}]",
		"{a b: {urls: [http://x, http://y], type: failover}, c: {urls: http://z}}",
	} {
		api, _ := apiOf(t, "x-wso2-endpoints: "+named+`
x-wso2-production-endpoints: "#/x-wso2-endpoints/a%20b"
x-wso2-sandbox-endpoints: "#/x-wso2-endpoints/c"
paths: {}
`)
		same(t, "production", api.Production, &gateway.Endpoints{URLs: []string{"http://x", "http://y"}, Failover: true})
		same(t, "sandbox", api.Sandbox, &gateway.Endpoints{URLs: []string{"http://z"}})
	}
}

func TestCORS(t *testing.T) {
	tests := []struct {
		text string
		want *gateway.CORS
	}{
		{"{corsConfigurationEnabled: false, accessControlAllowOrigins: ['*']}", nil},
		{"{accessControlAllowOrigins: ['*']}", &gateway.CORS{AllowOrigins: []string{"*"}}},
		{"{accessControlAllowOrigins: 'https://a, https://b,'}", &gateway.CORS{AllowOrigins: []string{"https://a", "https://b"}}},
		{"{corsConfigurationEnabled: true, accessControlAllowMethods: [get, Put]}", &gateway.CORS{AllowMethods: []string{"GET", "PUT"}}},
	}
	for _, tt := range tests {
		api, _ := apiOf(t, "x-wso2-cors: "+tt.text+"\nx-wso2-production-endpoints: {urls: [http://a]}\npaths: {}\n")
		same(t, tt.text, api.CORS, tt.want)
	}
}

func TestTransports(t *testing.T) {
	tests := []struct {
		text  string
		warns bool
	}{
		{"[http, https]", false}, {"[http]", false}, {"'http,https'", false}, {"[https]", true}, {"https", true}, {"[]", true},
	}
	for _, tt := range tests {
		_, warnings := apiOf(t, "x-wso2-transports: "+tt.text+"\nx-wso2-production-endpoints: {urls: [http://a]}\npaths: {/a: {get: {"+answers+"}}}\n")
		if got := len(warnings) > 0; got != tt.warns {
			t.Errorf("%s: got %v", tt.text, warnings)
		}
	}
}

// TestThroughputUnits has the units of the maximum throughput: milliseconds, a
// second if nothing is said.
func TestThroughputUnits(t *testing.T) {
	tests := []struct{ text, production, sandbox string }{
		{"{productionMaxCount: 5}", "5 requests per 1s", ""},
		{"{productionMaxCount: 600, productionUnitTime: 60000}", "600 requests per 1m", ""},
		{"{sandboxMaxCount: 700, sandboxUnitTime: 300000}", "", "700 requests per 5m"},
		{"{productionMaxCount: 1, productionUnitTime: 1, sandboxMaxCount: 2147483647}", "1 requests per 1ms", "2147483647 requests per 1s"},
	}
	for _, tt := range tests {
		text := goodProject()["api_definitions/petstore.yaml"] + "x-weir-max-throughput: " + tt.text + "\n"
		p, err := LoadFS(with(map[string]string{"api_definitions/petstore.yaml": text}), "", "x")
		if err != nil {
			t.Fatal(err)
		}
		b := p.Definition.Policies.Backends[0]
		production, sandbox := "", ""
		if b.Production != nil {
			production = fmt.Sprintf("%d requests per %s", b.Production.Count, b.Production.Window)
		}
		if b.Sandbox != nil {
			sandbox = fmt.Sprintf("%d requests per %s", b.Sandbox.Count, b.Sandbox.Window)
		}
		if production != tt.production || sandbox != tt.sandbox {
			t.Errorf("%s: got %q and %q, want %q and %q", tt.text, production, sandbox, tt.production, tt.sandbox)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for _, text := range []string{
		"http://a", "https://a.example:8443/b/c", "http://127.0.0.1:9091/", "http://[::1]:80/x", "http://stock_1.internal", "HTTP://a",
	} {
		if fault := checkURL(text); fault != "" {
			t.Errorf("%s: %s", text, fault)
		}
	}
	for _, text := range []string{
		"", "a", "//a", "http:", "http://", "http:///b", "http:a", "mailto:a@b", "http://a:0", "http://a:", "http://a:65536", "http://a b",
		"http://a?", "http://a?b", "http://a#", "http://u@a", "http://a//", "http://a/./b", "http://a/b;c", "http://a\\b", "http://a/ä",
		"http://a/\n", "http://[::1", "http://[fe80::1%25eth0]", "http://a..b", "unix:///run/x.sock",
	} {
		if fault := checkURL(text); fault == "" {
			t.Errorf("%q: got no fault", text)
		}
	}
}

func TestCanonicalContext(t *testing.T) {
	tests := []struct{ text, want, fault string }{
		{"", "/", ""},
		{"/", "/", ""},
		{"/a", "/a", ""},
		{"/a/", "/a", ""},
		{"/a/1.0.0", "/a/1.0.0", ""},
		{"a", "", "does not start with a slash"},
		{"//a", "", "empty segment"},
		{"/a//", "", "ends with a slash"},
		{"/a/..", "", "dot segment"},
		{"/a b", "", "cannot be requested"},
		{"/ä", "", "cannot be requested"},
		{"/%2f", "", "escaped slash"},
		{"/*", "", "wildcard"},
		{strings.Repeat("/a", 65), "", "more than 64 segments"},
	}
	for _, tt := range tests {
		got, fault := canonicalContext(tt.text)
		if got != tt.want || !strings.Contains(fault, tt.fault) || (tt.fault == "") != (fault == "") {
			t.Errorf("%q: got %q, %q; want %q, %q", tt.text, got, fault, tt.want, tt.fault)
		}
	}
}

func TestReaches(t *testing.T) {
	tests := []struct {
		template, below string
		want            bool
	}{
		{"/pets", "admin", false},
		{"/admin", "admin", true},
		{"/admin/x", "admin", true},
		{"/admin", "admin/x", false},
		{"/{a}", "admin", true},
		{"/{a}/y", "admin/x", false},
		{"/{a}/{b}", "admin/x", true},
		{"/*", "admin/x", true},
		{"/admin/*", "admin/x", true},
		{"/pets/*", "admin", false},
		{"/", "admin", false},
		{"/a{b}", "admin", true},
	}
	for _, tt := range tests {
		if got := reaches(tt.template, strings.Split(tt.below, "/")); got != tt.want {
			t.Errorf("%s below %s: got %t, want %t", tt.template, tt.below, got, tt.want)
		}
	}
}

func TestManyDefinitions(t *testing.T) {
	texts := map[string]string{}
	for i := range maxDefinitions + 1 {
		texts[fmt.Sprintf("api_definitions/%d.yaml", i)] = "openapi: 3.0.3\n"
	}
	_, err := LoadFS(filesOf(texts), "", "x")
	if err == nil || err.Error() != "api_definitions: has 1001 API definitions, at most 1000 are possible" {
		t.Errorf("got %v", err)
	}
}

// TestPipesAreNotWaitedFor has a project with a pipe in the place of a file, to
// which nobody writes.
func TestPipesAreNotWaitedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	if _, err := Init(dir, InitOptions{API: write(t, "a.yaml", plainAPI)}); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "api_definitions", "pipe.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := Load(dir); err == nil || err.Error() != pipe+": cannot be read: is no regular file" {
		t.Errorf("load: got %v", err)
	}
	if _, err := Validate(pipe, nil); err == nil || err.Error() != pipe+": cannot be read: is no regular file" {
		t.Errorf("validate: got %v", err)
	}
	if _, err := Open(pipe); err == nil || err.Error() != pipe+": is no regular file" {
		t.Errorf("open: got %v", err)
	}
}

// TestUnreadableFiles has files that nobody may read.
func TestUnreadableFiles(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	name := write(t, "policies.yaml", "")
	if err := os.Chmod(name, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Validate(name, nil); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("got %v", err)
	}
}

// TestFaultyPoliciesHaveNames keeps one fault from making others: a tier whose
// policy is at fault is there all the same.
func TestFaultyPoliciesHaveNames(t *testing.T) {
	got := reportOf(with(map[string]string{
		"policies.yaml":     "applicationPolicies:\n  - Mine: {count: -1, timeUnit: min}\n",
		"applications.yaml": "applications:\n  - {name: a, owner: b, tier: Mine}\n",
	}))
	if want := "policies.yaml:2: count must be a whole number from 0 to 9007199254740992, not \"-1\"\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

// TestDefaultTiers has every default policy in use.
func TestDefaultTiers(t *testing.T) {
	applications := "applications:\n"
	for i, p := range policy.Defaults() {
		switch p.Kind {
		case policy.Application:
			applications += fmt.Sprintf("  - {name: a%d, owner: b, tier: %s}\n", i, p.Name)
		case policy.Subscription:
			applications += fmt.Sprintf("  - {name: a%d, owner: b, tier: Unlimited, subscriptions: [{api: Petstore, tier: %s}]}\n", i, p.Name)
		}
	}
	if got := reportOf(with(map[string]string{"applications.yaml": applications})); got != "" {
		t.Errorf("got %s", got)
	}
}

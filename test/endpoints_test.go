package test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// petAPI returns an OpenAPI file of an open API, /pet, with extra lines at its top.
func openAPI(extra string) string {
	return `
openapi: 3.0.3
info: {title: pet, version: "1"}
x-wso2-basePath: /pet
x-wso2-disable-security: true
` + extra + `
paths:
  /status/{code}: {parameters: [{name: code, in: path, required: true, schema: {type: integer}}], get: {responses: {"200": {description: fine}}}}
  /slow: {get: {responses: {"200": {description: fine}}}}
  /echo: {get: {responses: {"200": {description: fine}}}, post: {responses: {"200": {description: fine}}}}
  /a:
    get: {responses: {"200": {description: fine}}}
    post: {responses: {"200": {description: fine}}}
`
}

// generous lets one address ask more often than the default of Unauthenticated.
const generous = "subscriptionPolicies:\n  - Unauthenticated: {count: 1000000, unitTime: 1, timeUnit: day}\n"

// TestSandboxAndProduction calls by keys of both types: each goes to its own
// endpoints, under the path of the URL.
func TestSandboxAndProduction(t *testing.T) {
	t.Parallel()
	production, sandbox := newBackend(t, "production"), newBackend(t, "sandbox")
	p := newProject(t, production.URL, files{
		"applications.yaml": "applications:\n  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: pet, version: \"1\", tier: Gold}]}\n",
		"api_definitions/pet.yaml": strings.Replace(openAPI(fmt.Sprintf(
			"x-wso2-production-endpoints: {urls: [BACKEND/live]}\nx-wso2-sandbox-endpoints: {urls: [%s/trial/]}", sandbox.URL)),
			"x-wso2-disable-security: true\n", "", 1),
	})
	live, trial := p.key("shop", "PRODUCTION"), p.key("shop", "SANDBOX")
	c := p.serve("").h1(t)
	if r := c.get(t, "/pet/a", "ApiKey", live).want(t, 200, ""); r.text != "production /live/a\n" {
		t.Errorf("got %q", r.text)
	}
	if r := c.get(t, "/pet/a", "ApiKey", trial).want(t, 200, ""); r.text != "sandbox /trial/a\n" {
		t.Errorf("got %q", r.text)
	}
}

// TestLoadBalance spreads calls over backends; one that dies is passed over, and
// no call fails for it.
func TestLoadBalance(t *testing.T) {
	t.Parallel()
	one, two := newBackend(t, "one"), newBackend(t, "two")
	p := newProject(t, one.URL, files{
		"policies.yaml":            generous,
		"api_definitions/pet.yaml": openAPI(fmt.Sprintf("x-wso2-production-endpoints: {urls: [BACKEND, %s], type: load_balance}", two.URL)),
	})
	c := p.serve("").h1(t)
	for range 20 {
		c.get(t, "/pet/a").want(t, 200, "")
	}
	if one.hits() != 10 || two.hits() != 10 {
		t.Errorf("one had %d calls, two had %d", one.hits(), two.hits())
	}
	two.CloseClientConnections()
	two.Close()
	for i := range 50 {
		if r := c.get(t, "/pet/a"); r.StatusCode != 200 || r.text != "one /a\n" {
			t.Fatalf("call %d with one of two backends: status %d, %s", i, r.StatusCode, r.text)
		}
	}
}

// TestFailover asks the first backend for as long as it is there, then the second,
// and the first again once it is back.
func TestFailover(t *testing.T) {
	t.Parallel()
	second := newBackend(t, "second")
	port := freePort(t)
	first := serveOn(t, port, "first")
	p := newProject(t, "http://"+local(port), files{
		"policies.yaml":            generous,
		"api_definitions/pet.yaml": openAPI(fmt.Sprintf("x-wso2-production-endpoints: {urls: [BACKEND, %s], type: failover}", second.URL)),
	})
	c := p.serve("[backend]\nmax_backoff = \"250ms\"\n").h1(t)
	for range 5 {
		if r := c.get(t, "/pet/a").want(t, 200, ""); r.text != "first" {
			t.Fatalf("got %q", r.text)
		}
	}
	_ = first.Close() // killed, with its connections
	for range 20 {
		if r := c.get(t, "/pet/a").want(t, 200, ""); r.text != "second /a\n" {
			t.Fatalf("got %q", r.text)
		}
	}
	serveOn(t, port, "first again")
	until(t, "the first backend to be asked again", func() bool {
		return c.get(t, "/pet/a").want(t, 200, "").text == "first again"
	})
}

// serveOn starts a backend on a port that answers with text.
func serveOn(t *testing.T, port int, text string) *http.Server {
	t.Helper()
	var l net.Listener
	until(t, "the port to be free", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", local(port))
		return err == nil
	})
	s := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Backend", text)
		fmt.Fprint(w, text)
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return s
}

// TestBackendFails reads the gateway's own answers where a backend gives none, and
// sees that what no backend was reached for is not charged.
func TestBackendFails(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	rude, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer rude.Close()
	go func() {
		for {
			conn, err := rude.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = conn.Write([]byte("what?\r\n\r\n")) // no HTTP
				conn.Close()
			}()
		}
	}()
	api := func(name, url string) string {
		return strings.ReplaceAll(strings.Replace(openAPI("x-wso2-production-endpoints: {urls: ["+url+"]}"), "/pet", "/"+name, 1), "title: pet", "title: "+name)
	}
	p := newProject(t, b.URL, files{
		"api_definitions/one.yaml":  api("one", "BACKEND"),
		"api_definitions/none.yaml": api("none", "http://"+local(freePort(t))),
		"api_definitions/rude.yaml": api("rude", "http://"+rude.Addr().String()),
	})
	g := p.serve("[backend]\nresponse_timeout = \"300ms\"\nconnect_timeout = \"200ms\"\n")
	for _, c := range []*client{g.h1(t), g.h2c(t)} {
		left := c.get(t, "/none/a").want(t, 502, "502").number("X-RateLimit-Remaining")
		if again := c.get(t, "/none/a").want(t, 502, "502").number("X-RateLimit-Remaining"); again != left || left < 0 {
			t.Errorf("X-RateLimit-Remaining was %d, then %d, though no backend was reached", left, again)
		}
		c.get(t, "/rude/a").want(t, 502, "502")
		began := time.Now()
		c.get(t, "/one/slow").want(t, 504, "504")
		if d := time.Since(began); d < 300*time.Millisecond || d > 5*time.Second {
			t.Errorf("504 came after %s, the timeout is 300ms", d)
		}
		// what a backend says is passed on, whatever it is
		for _, status := range []int{204, 302, 404, 429, 500, 503} {
			if r := c.get(t, "/one/status/"+itoa(status)); r.StatusCode != status {
				t.Errorf("status %d became %d", status, r.StatusCode)
			}
		}
	}
}

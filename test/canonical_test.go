package test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// newAdminProject makes a project in which /api/admin may be called a thousand
// times a day.
func newAdminProject(t *testing.T, b *backend) *project {
	t.Helper()
	return newProject(t, b.URL, files{
		"policies.yaml": generous + "resourcePolicies:\n  - Few: {count: 1000, unitTime: 1, timeUnit: day}\n",
		"api_definitions/api.yaml": `
openapi: 3.0.3
info: {title: api, version: "1"}
x-wso2-basePath: /api
x-wso2-disable-security: true
x-wso2-production-endpoints: {urls: [BACKEND]}
paths:
  /admin: {get: {x-wso2-throttling-tier: Few, responses: {"200": {description: fine}}}}
  /open/{id}: {parameters: [{name: id, in: path, required: true, schema: {type: string}}], get: {responses: {"200": {description: fine}}}}
`,
	})
}

// spellings returns all ways to write path that mean the same: with each of its
// letters as it is or escaped, in capitals or not.
func spellings(path string) (all []string) {
	letters := strings.Count(path, "") - 1 - strings.Count(path, "/")
	for bits := range 1 << letters {
		for _, form := range []string{"%%%02x", "%%%02X"} {
			var b strings.Builder
			n := 0
			for _, c := range []byte(path) {
				switch {
				case c == '/':
					b.WriteByte(c)
					continue
				case bits>>n&1 == 1:
					fmt.Fprintf(&b, form, c)
				default:
					b.WriteByte(c)
				}
				n++
			}
			all = append(all, b.String())
		}
	}
	return all
}

// TestSpellings asks for one resource in 512 ways of writing its path: it has one
// counter, and the backend sees one path. What could be another way to write it is
// refused, or is not there.
func TestSpellings(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	g := newAdminProject(t, b).serve("")
	clients := []*client{g.h1(t), g.h2c(t)}
	all := spellings("/api/admin")
	for i, path := range all {
		r := clients[i%2].get(t, path).want(t, 200, "")
		if left := r.number("X-RateLimit-Remaining"); left != 999-i || b.last(t).path != "/admin" {
			t.Fatalf("%s: %d are left, want %d; the backend saw %s", path, left, 999-i, b.last(t).path)
		}
	}
	if len(all) != 512 {
		t.Errorf("there are %d spellings", len(all))
	}
	for path, want := range map[string]int{
		"//api/admin": 400, "/api//admin": 400, "/api/./admin": 400, "/api/open/../admin": 400, "/api/open/%2e%2e/admin": 400,
		"/api/open/..%2fadmin": 400, "/api/open/..%5cadmin": 400, "/api/open/..;/admin": 400, "/api/open/%252e%252e%252fadmin": 400,
		"/api/admin%2f": 400, "/api%2fadmin": 400, "/api/admin;x": 400, "/api/admin;x=y": 400, "/api\\admin": 400, "\\api\\admin": 400,
		"/api/admin#": 400, "/api/admin#x": 400, "/api..%2fadmin": 400, "/api/%252f": 400, "/api/%2561dmin": 400, "/api/admin%00": 400,
		"/api/admin%0a": 400, "/api/admin%": 400, "/api/admin%c0%af": 400, "api/admin": 400,
		"/api/ADMIN": 404, "/API/admin": 404, "/api/admin/": 404, "/api/admin%20": 404, "/api/admin.": 404, "/api/admin%3f": 404,
		"/api/admin?a=1;ApiKey=x": 400, "/api/admin?a=%": 400, "/api/admin?" + strings.Repeat("a&", 3000) + "ApiKey=x": 400,
		"/api/admin?" + strings.Repeat("a&", 10_000) + "ApiKey=x": 414,
	} {
		if got := g.rawTarget(t, "GET", path); !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", want)) || !strings.Contains(got, fmt.Sprintf(`{"code":"%d"`, want)) {
			t.Errorf("%.40s: got %q, want %d", path, got, want)
		}
		if got := g.rawH2(t, ":path", path); got != itoa(want) && (want != 400 || got != "reset") {
			t.Errorf("%.40s over HTTP/2: got %s, want %d", path, got, want)
		}
	}
	if b.hits() != len(all) {
		t.Errorf("%d requests reached the backend, want %d", b.hits(), len(all))
	}
}

// TestMethods asks by methods that servers take for others: none of them reaches a
// backend, nor the metrics.
func TestMethods(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	g := newAdminProject(t, b).serve("")
	before := len(g.metrics(t))
	for method, want := range map[string]int{
		"get": 501, "GeT": 501, "TRACE": 501, "PROPFIND": 501, "FOO": 501, "G-T": 501, strings.Repeat("A", 8<<10): 501,
		"DELETE": 405, "POST": 405, "OPTIONS": 405, "HEAD": 405,
	} {
		body := fmt.Sprintf(`{"code":"%d"`, want)
		if got := g.rawTarget(t, method, "/api/admin"); !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", want)) || method != "HEAD" && !strings.Contains(got, body) {
			t.Errorf("%.10s: got %q, want %d", method, got, want)
		}
		if got := g.rawH2(t, ":method", method, ":path", "/api/admin"); got != itoa(want) {
			t.Errorf("%.10s over HTTP/2: got %s, want %d", method, got, want)
		}
	}
	if got := g.rawTarget(t, "CONNECT", "weir.test:80"); !strings.HasPrefix(got, "HTTP/1.1 501 ") {
		t.Errorf("CONNECT: got %q", got)
	}
	if b.hits() != 0 {
		t.Errorf("%d requests reached the backend", b.hits())
	}
	for _, c := range []*client{g.h1(t), g.h2c(t)} {
		for _, field := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			c.get(t, "/api/admin", field, "DELETE").want(t, 200, "")
			if last := b.last(t); last.method != "GET" || last.header.Get(field) != "" {
				t.Errorf("the backend saw %s with %s: %q", last.method, field, last.header.Get(field))
			}
		}
	}
	if after := len(g.metrics(t)); after > before+2 {
		t.Errorf("there were %d metrics, and are %d", before, after)
	}
}

// TestHosts names the host in every way there is: there is one counter for all of
// them, and over TLS it must be the host that TLS was set up for.
func TestHosts(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newAdminProject(t, b)
	cert := newCertificate(t, t.TempDir(), 1)
	g := p.serve(cert.conf())
	calls := 0
	for _, host := range []string{"weir.test", "WEIR.Test", "weir.test.", "weir.test:80", "else.test", "127.0.0.1", "[::1]:8280"} {
		for _, target := range []string{"/api/admin", "http://" + host + "/api/admin"} {
			if got := g.rawText(t, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("%s, %s: got %q", target, host, got)
			}
		}
		if got := g.rawH2(t, ":authority", host, ":path", "/api/admin"); got != "200" {
			t.Errorf("HTTP/2, %s: got %s", host, got)
		}
		calls += 3
	}
	for _, host := range []string{"x@weir.test", "weir.test/api", "weir test", "weir.test:x", "weir.test,else.test", "weir%2etest", ""} {
		if got := g.rawText(t, "GET /api/admin HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("%s: got %q", host, got)
		}
		if got := g.rawH2(t, ":authority", host, ":path", "/api/admin"); got != "400" && got != "reset" {
			t.Errorf("HTTP/2, %s: got %s", host, got)
		}
	}
	for host, want := range map[string]int{"localhost": 200, "LOCALHOST.:8243": 200, "else.test": 421} {
		if want == 200 {
			calls += 2
		}
		tc := g.dialTLS(t, cert.roots, "http/1.1")
		fmt.Fprintf(tc, "GET /api/admin HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
		if got, _ := drain(tc, patience); !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", want)) {
			t.Errorf("over TLS, %s: got %q, want %d", host, got, want)
		}
		if got := ask(newH2(t, g.dialTLS(t, cert.roots, "h2")), ":scheme", "https", ":authority", host, ":path", "/api/admin"); got != itoa(want) {
			t.Errorf("HTTP/2 over TLS, %s: got %s, want %d", host, got, want)
		}
	}
	if got := g.h1(t).get(t, "/api/admin").number("X-RateLimit-Remaining"); got != 999-calls {
		t.Errorf("%d calls are left after %d", got, calls)
	}
}

// rawText sends text over a connection of its own and returns what comes back.
func (g *gatewayProcess) rawText(t *testing.T, text string) string {
	t.Helper()
	got, _ := raw(t, g.addr, text, patience)
	return got
}

// rawTarget sends a request with the target as it is.
func (g *gatewayProcess) rawTarget(t *testing.T, method, target string) string {
	t.Helper()
	return g.rawText(t, method+" "+target+" HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\n\r\n")
}

// rawH2 sends a request over HTTP/2, with pairs as they are, and returns the
// answer's status, or "reset".
func (g *gatewayProcess) rawH2(t *testing.T, pairs ...string) string {
	t.Helper()
	return ask(dialH2(t, g.addr), pairs...)
}

// ask sends one request over c, returns the status of the answer, or "reset", and
// closes c.
func ask(c *h2Conn, pairs ...string) string {
	c.t.Helper()
	defer c.conn.Close()
	c.request(pairs...)
	c.send()
	for {
		switch f := c.frame().(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset"
		}
	}
}

// dialTLS sets up TLS for localhost.
func (g *gatewayProcess) dialTLS(t *testing.T, roots *x509.CertPool, proto string) *tls.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	tc, err := tls.DialWithDialer(&d, "tcp", g.secure, &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{proto}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tc.Close() })
	_ = tc.SetWriteDeadline(time.Now().Add(patience))
	return tc
}

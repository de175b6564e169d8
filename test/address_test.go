package test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// claimed are fields by which clients say who they are.
var claimed = []string{
	"X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Client-IP", "Forwarded",
}

// TestClientAddress rotates every such field, ten times as often as its address may
// call: for a peer that is no trusted proxy there is one counter, and the backend
// hears of no address but the client's own.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"policies.yaml":            "subscriptionPolicies:\n  - Unauthenticated: {count: 37, unitTime: 1, timeUnit: day}\n",
		"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"),
	})
	g := p.serve("[client_address]\ntrusted_proxies = [\"10.0.0.0/8\"]\n") // of others
	clients := []*client{g.h1(t), g.h2c(t)}
	passed := 0
	for i := range 370 {
		field, value := claimed[i%len(claimed)], fmt.Sprintf("10.0.%d.66", i%250)
		if field == "Forwarded" {
			value = "for=" + value
		}
		if r := clients[i%2].get(t, "/pet/a", field, value); r.StatusCode != 200 {
			r.want(t, 429, "900804")
			continue
		}
		passed++
		for name, values := range b.last(t).header {
			if strings.Contains(strings.Join(values, ","), ".66") {
				t.Errorf("the backend heard %s: %q", name, values)
			}
		}
		if got := b.last(t).header["X-Forwarded-For"]; len(got) != 1 || got[0] != "127.0.0.1" {
			t.Errorf("the backend heard X-Forwarded-For: %q", got)
		}
	}
	if passed != 37 || b.hits() != 37 {
		t.Errorf("%d passed and %d reached the backend, want 37", passed, b.hits())
	}
	// Servers that take _ for - would read this as one of them.
	for _, c := range clients {
		c.get(t, "/pet/a", "X_Forwarded_For", "10.0.0.66").want(t, 400, "400")
	}
}

// TestTrustedProxy believes a proxy that it is told to, and counts its clients
// each for himself.
func TestTrustedProxy(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"policies.yaml":            "subscriptionPolicies:\n  - Unauthenticated: {count: 2, unitTime: 1, timeUnit: day}\n",
		"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"),
	})
	g := p.serve("[client_address]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n")
	c := g.h1(t)
	for _, test := range []struct {
		forwarded []string
		status    int
	}{
		{[]string{"192.0.2.1"}, 200},
		{[]string{"203.0.113.5, 192.0.2.1"}, 200}, // what stands left of it is the client's own word
		{[]string{"192.0.2.1, 10.1.2.3"}, 429},
		{[]string{"203.0.113.7", "192.0.2.1:5000"}, 429},
		{[]string{"192.0.2.2"}, 200},
		{[]string{strings.Repeat("203.0.113.8, ", 1000) + "192.0.2.1"}, 429},
		{[]string{"[2001:db8::1]:443"}, 200},
		{[]string{"2001:db8::1%eth0, ,"}, 200},
		{[]string{"2001:db8::2"}, 429}, // of the same /64
		{[]string{"2001:db8:0:1::2"}, 200},
	} {
		var header []string
		for _, v := range test.forwarded {
			header = append(header, "X-Forwarded-For", v)
		}
		if r := c.get(t, "/pet/a", header...); r.StatusCode != test.status {
			t.Errorf("X-Forwarded-For %q: status %d, want %d", test.forwarded, r.StatusCode, test.status)
		}
	}
	g.h2c(t).get(t, "/pet/a", "X-Forwarded-For", "192.0.2.1").want(t, 429, "900804")
	if got := b.last(t).header.Get("X-Forwarded-For"); got != "2001:db8:0:1::2" {
		t.Errorf("the backend heard X-Forwarded-For %q", got)
	}
}

// TestBandwidth sends bodies both ways against a quota of bytes: they count as
// transferred, whatever their framing and over every protocol.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	apps := "applications:\n"
	for _, app := range []string{"a", "b", "c"} {
		apps += "  - {name: " + app + ", owner: ann, tier: Unlimited, subscriptions: [{api: pet, version: '1', tier: Thin}]}\n"
	}
	p := newProject(t, b.URL, files{
		"policies.yaml":            "subscriptionPolicies:\n  - Thin: {dataAmount: 2, dataUnit: KB, unitTime: 1, timeUnit: day}\n",
		"applications.yaml":        apps,
		"api_definitions/pet.yaml": strings.Replace(openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"), "x-wso2-disable-security: true\n", "", 1),
	})
	keys := []string{p.key("a", "PRODUCTION"), p.key("b", "PRODUCTION"), p.key("c", "PRODUCTION")}
	g := p.serve("")
	for i, c := range []*client{g.h1(t), g.h2c(t)} {
		// 512 there and 512 back, twice
		for range 2 {
			c.call(t, "POST", "/pet/echo", strings.Repeat("x", 512), "ApiKey", keys[i]).want(t, 200, "")
		}
		c.call(t, "POST", "/pet/echo", "x", "ApiKey", keys[i]).want(t, 429, "900804")
	}
	chunked := "POST /pet/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nApiKey: " + keys[2] + "\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n" +
		strings.Repeat("x", 512) + "\r\n0\r\n\r\n"
	for i, want := range []int{200, 200, 429} {
		got, _ := raw(t, g.addr, chunked, patience)
		if all := statuses(got); len(all) != 1 || all[0] != want {
			t.Errorf("call %d of chunks: got %v, want %d", i+1, all, want)
		}
	}
}

// TestCompressedBandwidth sends bodies both ways that are a hundred times as large
// once they are decompressed: they go through as they are, and count as they are.
func TestCompressedBandwidth(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 300_000)) // into memory
	_ = z.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); !bytes.Equal(body, packed.Bytes()) || r.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("the backend got %d bytes, Content-Encoding %q", len(body), r.Header.Get("Content-Encoding"))
		}
		w.Header().Set("X-Backend", "one")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	defer s.Close()
	p := newProject(t, s.URL, files{
		"policies.yaml":            "subscriptionPolicies:\n  - Unauthenticated: {dataAmount: 1, dataUnit: MB, unitTime: 1, timeUnit: day}\n",
		"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"),
	})
	g := p.serve("[client_address]\ntrusted_proxies = [\"127.0.0.1\"]\n")
	for i, c := range []*client{g.h1(t), g.h2c(t)} {
		left := 1 << 20
		for range 3 {
			r := c.call(t, "POST", "/pet/a", packed.String(), "Content-Encoding", "gzip", "X-Forwarded-For", "192.0.2."+itoa(i)).want(t, 200, "")
			if r.text != packed.String() || r.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("got %d bytes, Content-Encoding %q", len(r.text), r.Header.Get("Content-Encoding"))
			}
			// What comes back is charged once it has gone.
			if got := r.number("X-RateLimit-Remaining"); got != left-packed.Len() {
				t.Errorf("%d bytes are left, want %d", got, left-packed.Len())
			}
			left -= 2 * packed.Len()
		}
	}
}

// TestCORS asks as a browser does: the preflight is answered by the gateway, and
// refusals can be read by the page too.
func TestCORS(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"applications.yaml": "applications:\n  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: pet, version: '1', tier: Gold}]}\n",
		"api_definitions/pet.yaml": strings.Replace(openAPI(`x-wso2-production-endpoints: {urls: [BACKEND]}
x-wso2-cors: {accessControlAllowOrigins: ["https://shop.test"], accessControlAllowHeaders: [ApiKey], accessControlAllowMethods: [GET]}`), "x-wso2-disable-security: true\n", "", 1),
	})
	key := p.key("shop", "PRODUCTION")
	g := p.serve("")
	for _, c := range []*client{g.h1(t), g.h2c(t)} {
		r := c.call(t, "OPTIONS", "/pet/a", "", "Origin", "https://shop.test", "Access-Control-Request-Method", "GET").want(t, 204, "")
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "https://shop.test", "Access-Control-Allow-Methods": "GET", "Access-Control-Allow-Headers": "ApiKey", "Vary": "Origin",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("preflight: %s is %q, want %q", name, got, want)
			}
		}
		for _, header := range [][]string{{"ApiKey", key}, {"ApiKey", "wrong"}} {
			r := c.get(t, "/pet/a", append(header, "Origin", "https://shop.test")...)
			if got := r.Header.Get("Access-Control-Allow-Origin"); got != "https://shop.test" {
				t.Errorf("status %d: Access-Control-Allow-Origin is %q", r.StatusCode, got)
			}
		}
		if r := c.get(t, "/pet/a", "ApiKey", key, "Origin", "https://else.test"); r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("another origin is allowed: %v", r.Header)
		}
	}
	if b.hits() != 4 {
		t.Errorf("%d requests reached the backend, want 4", b.hits())
	}
}

// TestPreflights floods with preflights, which need no key: they count for their
// client's address, like calls of anybody, and spend nothing of those with a key.
func TestPreflights(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"policies.yaml":     "subscriptionPolicies:\n  - Unauthenticated: {count: 20, unitTime: 1, timeUnit: day}\n  - Ten: {count: 10, unitTime: 1, timeUnit: day}\n",
		"applications.yaml": "applications:\n  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: pet, version: '1', tier: Ten}]}\n",
		"api_definitions/pet.yaml": strings.Replace(openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}\nx-wso2-cors: {}"),
			"x-wso2-disable-security: true\n", "", 1),
	})
	key := p.key("shop", "PRODUCTION")
	g := p.serve("")
	clients := []*client{g.h1(t), g.h2c(t)}
	passed := 0
	for i := range 200 {
		r := clients[i%2].call(t, "OPTIONS", "/pet/a", "", "Origin", fmt.Sprintf("https://%d.test", i), "Access-Control-Request-Method", "GET")
		if r.StatusCode == 204 {
			passed++
		} else {
			r.want(t, 429, "900804")
		}
	}
	if passed != 20 || b.hits() != 0 {
		t.Errorf("%d preflights passed, want 20; %d reached the backend", passed, b.hits())
	}
	if left := clients[0].get(t, "/pet/a", "ApiKey", key).want(t, 200, "").number("X-RateLimit-Remaining"); left != 9 {
		t.Errorf("%d calls are left to the application, want 9", left)
	}
}

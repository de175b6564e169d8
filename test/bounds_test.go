package test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// metrics returns the figures on /metrics by their names with labels.
func (g *gatewayProcess) metrics(t testing.TB) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + g.management + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		var v float64
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := fmt.Sscan(value, &v); ok && err == nil && name != "#" {
			all[name] = v
		}
	}
	return all
}

// TestBounds has thousands of strangers come, each with an address, a key and a
// path of its own, and half of them hang up: counters, metrics and connections
// stay within their bounds, and all that is theirs is gone when they are (I14).
func TestBounds(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"policies.yaml":            generous,
		"applications.yaml":        "applications:\n  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: shut, version: '1', tier: Gold}]}\n",
		"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"),
		"api_definitions/shut.yaml": strings.NewReplacer("pet", "shut", "x-wso2-disable-security: true\n", "").Replace(
			openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")),
	})
	g := p.serve("[client_address]\ntrusted_proxies = [\"127.0.0.1\"]\n[limiter]\nmax_keys = 1024\n[backend]\nkeep_alive = \"1s\"\n[timeouts]\nidle = \"1s\"\n")
	before := g.metrics(t)
	var all sync.WaitGroup
	clients := []*client{g.h1(t), g.h2c(t)}
	const each = 500
	for i := range 16 {
		all.Go(func() {
			c := clients[i%2]
			for n := range each {
				who := fmt.Sprintf("10.%d.%d.%d", i, n/250, n%250)
				for _, call := range []struct {
					path   string
					header []string
					status int
				}{
					{"/pet/a", []string{"X-Forwarded-For", who}, 200},
					{"/shut/a", []string{"X-Forwarded-For", who, "ApiKey", fmt.Sprintf("weir_%049d", i*each+n)}, 401},
					{"/pet/" + who, nil, 404},
				} {
					r, err := c.do("GET", call.path, "", call.header...)
					if err != nil || r.StatusCode != call.status {
						t.Errorf("%s: %v, %q", call.path, err, r.text)
						return
					}
				}
				if n%10 != 0 {
					continue
				}
				if conn, err := net.DialTimeout("tcp", g.addr, patience); err == nil {
					_, _ = io.WriteString(conn, "POST /pet/a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf") // and gone
					conn.Close()
				}
			}
		})
	}
	all.Wait()
	after := g.metrics(t)
	if held := after["weir_gateway_counters_held"]; held < 512 || held > 1024*1.25 {
		t.Errorf("%v counters are held, at most 1024 should be", held)
	}
	if len(after) > len(before)+5 {
		t.Errorf("there were %d metrics, and are %d", len(before), len(after))
	}
	got, want := after[`weir_gateway_requests_total{outcome="rejected"}`], float64(2*16*each)
	if got < want {
		t.Errorf("%v requests were rejected, want %v at least", got, want)
	}
	for _, c := range clients {
		c.http.CloseIdleConnections()
	}
	until(t, "all that was theirs to be gone", func() bool {
		now := g.metrics(t)
		return now["go_goroutines"] <= before["go_goroutines"]+5 && now["process_open_fds"] <= before["process_open_fds"]+10
	})
	if log := g.stderr.String(); strings.Count(log, "\n") > 20 {
		t.Errorf("the log has %d lines: %s", strings.Count(log, "\n"), tail(log))
	}
	g.h1(t).get(t, "/pet/a", "X-Forwarded-For", "192.0.2.99").want(t, 200, "")
}

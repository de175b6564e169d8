package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/time/rate"
)

// A system is a proxy under test.
type system struct {
	name    string
	command []string
	addr    string
	request map[string]string // what to send, by load
	refusal int               // the status of a refusal
	quiet   bool              // drop what it logs
	beside  []string          // command of a process that it works with, on the other core
}

// prepare writes the configuration of every system asked for.
func prepare(dir, backend, only, weir string) ([]system, error) {
	makers := []struct {
		name string
		make func(dir, addr, backend string) (system, error)
	}{
		{"weir", func(dir, addr, backend string) (system, error) { return makeWeir(dir, addr, backend, weir) }},
		{"weir+tm", func(dir, addr, backend string) (system, error) { return makeTold(dir, addr, weir) }},
		{"nginx", makeNginx},
		{"haproxy", makeHAProxy},
		{"net/http", makeReverseProxy},
	}
	wanted := strings.Split(only, ",")
	var systems []system
	for _, m := range makers {
		if only != "" && !slices.Contains(wanted, m.name) {
			continue
		}
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		s, err := m.make(dir, addr, backend)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		s.name, s.addr = m.name, addr
		systems = append(systems, s)
	}
	return systems, nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// request is what clients send. Every system gets the same headers.
func request(path string, fields ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n" + strings.Join(fields, "") + "\r\n"
}

func plainRequests() map[string]string {
	return map[string]string{"forwarded": request("/forwarded"), "refused": request("/refused")}
}

func makeNginx(dir, addr, backend string) (system, error) {
	file := filepath.Join(dir, "nginx.conf")
	conf := fmt.Sprintf(`
daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log /dev/null crit;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 60s;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  limit_req_zone $binary_remote_addr zone=wide:10m rate=1000000r/s;
  limit_req_zone $binary_remote_addr zone=none:10m rate=1r/m;
  limit_req_status 429;
  upstream backend { server %[3]s; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen %[2]s;
    location / { limit_req zone=wide burst=1000000 nodelay; proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }
    location /refused { limit_req zone=none; proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}`, dir, addr, backend)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return system{}, err
	}
	return system{command: []string{"nginx", "-c", file, "-e", "/dev/null"}, request: plainRequests(), refusal: 429, quiet: true}, nil
}

func makeHAProxy(dir, addr, backend string) (system, error) {
	file := filepath.Join(dir, "haproxy.cfg")
	conf := fmt.Sprintf(`
global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 2s
  timeout http-keep-alive 60s
  http-reuse always
frontend in
  bind %s
  stick-table type ip size 100k expire 1h store http_req_rate(60s)
  http-request track-sc0 src
  http-request deny deny_status 429 if { path_beg /refused } { sc_http_req_rate(0) gt 0 }
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000000000 }
  default_backend out
backend out
  server s %s
`, addr, backend)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return system{}, err
	}
	return system{command: []string{"haproxy", "-q", "-f", file}, request: plainRequests(), refusal: 429, quiet: true}, nil
}

func makeReverseProxy(_, addr, backend string) (system, error) {
	self, err := os.Executable()
	return system{command: []string{self, "reverseproxy", addr, backend}, request: plainRequests(), refusal: 429}, err
}

// serveReverseProxy is what many would write: ReverseProxy behind x/time/rate.
func serveReverseProxy(args []string) error {
	target := &url.URL{Scheme: "http", Host: args[1]}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 128
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	wide, none := rate.NewLimiter(1e9, 1e9), rate.NewLimiter(0, 0)
	return http.ListenAndServe(args[0], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := wide
		if r.URL.Path == "/refused" {
			l = none
		}
		if !l.Allow() {
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
}

// makeWeir makes a project in which every level is held to a limit that is
// never reached, but for one resource whose limit is 0.
func makeWeir(dir, addr, backend, binary string) (system, error) {
	if binary == "" {
		binary = filepath.Join(dir, "weir")
		if out, err := exec.Command("go", "build", "-C", "..", "-o", binary, "./cmd/weir").CombinedOutput(); err != nil {
			return system{}, fmt.Errorf("build: %s: %w", out, err)
		}
	}
	project := filepath.Join(dir, "bench")
	openapi := filepath.Join(dir, "bench.yaml")
	if err := os.WriteFile(openapi, fmt.Appendf(nil, benchAPI, backend), 0o600); err != nil {
		return system{}, err
	}
	host, port, _ := net.SplitHostPort(addr)
	files := map[string]string{
		"policies.yaml":     benchPolicies(),
		"applications.yaml": benchApplications,
		"conf/micro-gw.conf": fmt.Sprintf("[listenerConfig]\nhost = %q\nhttpPort = %s\n[management]\nport = -1\n",
			host, port),
	}
	if out, err := exec.Command(binary, "init", project, "-a", openapi).CombinedOutput(); err != nil {
		return system{}, fmt.Errorf("init: %s: %w", out, err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			return system{}, err
		}
	}
	key, err := exec.Command(binary, "key", "create", project, "--application", "shop", "--type", "PRODUCTION").Output()
	if err != nil {
		return system{}, fmt.Errorf("key create: %w", err)
	}
	if out, err := exec.Command(binary, "build", project).CombinedOutput(); err != nil {
		return system{}, fmt.Errorf("build: %s: %w", out, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), bytes.TrimSpace(key), 0o600); err != nil {
		return system{}, err
	}
	field := "ApiKey: " + strings.TrimSpace(string(key)) + "\r\n"
	return system{
		command: []string{binary, "gateway", filepath.Join(project, "target", "bench.weir"), "--config", filepath.Join(project, "conf/micro-gw.conf")},
		request: map[string]string{"forwarded": request("/bench/1/forwarded", field), "refused": request("/bench/1/refused", field)},
		refusal: 429, quiet: true,
	}, nil
}

// makeTold is makeWeir with a traffic manager that is told of every call. Weir must
// have been made before.
func makeTold(dir, addr, binary string) (system, error) {
	if binary == "" {
		binary = filepath.Join(dir, "weir")
	}
	artifact := filepath.Join(dir, "bench", "target", "bench.weir")
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		return system{}, fmt.Errorf("weir must be measured too: %w", err)
	}
	events, err := freeAddr()
	if err != nil {
		return system{}, err
	}
	topic, err := freeAddr()
	if err != nil {
		return system{}, err
	}
	host, port, _ := net.SplitHostPort(addr)
	_, eventsPort, _ := net.SplitHostPort(events)
	manager, gateway := filepath.Join(dir, "manager.toml"), filepath.Join(dir, "told.conf")
	for name, text := range map[string]string{
		manager: fmt.Sprintf("[node]\ndata = \"manager\"\n[traffic_manager]\nartifact = %q\n[management]\nport = -1\nhttps_port = %s\n[broker]\nlisten = %q\n",
			artifact, eventsPort, topic),
		gateway: fmt.Sprintf("[listenerConfig]\nhost = %q\nhttpPort = %s\n[management]\nport = -1\n[throttlingConfig]\nenabledGlobalTMEventPublishing = true\n"+
			"throttleEndpointUrl = \"https://%s/endpoints\"\njmsConnectionProviderUrl = \"nats://%s\"\n", host, port, events, topic),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return system{}, err
		}
	}
	field := "ApiKey: " + string(key) + "\r\n"
	return system{
		command: []string{binary, "gateway", artifact, "--config", gateway},
		request: map[string]string{"forwarded": request("/bench/1/forwarded", field), "refused": request("/bench/1/refused", field)},
		refusal: 429, quiet: true,
		beside: []string{binary, "serve", "--role", "traffic-manager", "--config", manager},
	}, nil
}

const benchAPI = `
openapi: 3.0.3
info: {title: bench, version: "1"}
x-wso2-basePath: /bench/1
x-wso2-production-endpoints: {urls: ["http://%s"]}
x-weir-max-throughput: {productionMaxCount: 1000000000, productionUnitTime: 1000}
paths:
  /forwarded:
    get: {x-wso2-throttling-tier: Wide, responses: {"200": {description: fine}}}
  /refused:
    get: {x-wso2-throttling-tier: Nothing, responses: {"200": {description: fine}}}
`

const benchApplications = `
applications:
  - name: shop
    owner: alice
    tier: Wide
    subscriptions: [{api: bench, version: "1", tier: Wide}]
`

func benchPolicies() string {
	var b strings.Builder
	b.WriteString(`
resourcePolicies:
  - Wide: {count: 1000000000, unitTime: 1, timeUnit: min}
  - Nothing: {count: 0, unitTime: 1, timeUnit: min}
applicationPolicies:
  - Wide: {count: 1000000000, unitTime: 1, timeUnit: min}
subscriptionPolicies:
  - Wide: {count: 1000000000, unitTime: 1, timeUnit: min, rateLimitCount: 100000000, rateLimitTimeUnit: sec}
customRules:
  - name: PerAddress
    when: request.method == "GET"
    key: $apiContext:$clientIp
    limit: {count: 1000000000, unitTime: 1, timeUnit: min}
denyPolicies:
`)
	for i := range 256 {
		fmt.Fprintf(&b, "  - {type: IP, value: 192.0.2.%d}\n", i)
	}
	return b.String()
}

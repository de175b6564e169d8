package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A logbook is a log that can be read while it is written.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// count returns how many lines have text in them.
func (l *logbook) count(text string) int { return strings.Count(l.String(), text) }

// eventually waits until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// pets is a definition with one API and one application, which may call it
// perDay times a day, and its key.
func pets(t *testing.T, backend string, perDay int64) (gateway.Definition, string) {
	t.Helper()
	key, hash := identity.NewKey()
	return gateway.Definition{
		APIs: []gateway.API{{
			Name: "Pets", Version: "1", Context: "/pets/1",
			Production: &gateway.Endpoints{URLs: []string{backend}},
			Resources: []gateway.Resource{
				{Method: "GET", Template: "/all"},
				{Method: "GET", Template: "/open", DisableSecurity: true},
			},
		}},
		Applications: []identity.Application{{
			ID: "1", Name: "demo", Owner: "alice", Tier: "Few",
			Keys:          []identity.Key{{Hash: hash}},
			Subscriptions: []identity.Subscription{{API: "Pets", Tier: "Unlimited"}},
		}},
		Policies: policy.Definition{Policies: append(policy.Defaults(), few(perDay))},
	}, key
}

func few(perDay int64) policy.Policy {
	return policy.Policy{
		Kind: policy.Application, Name: "Few",
		Limit: &limiter.Limit{Count: perDay, Window: limiter.Window{Length: 24 * time.Hour}},
	}
}

// A process is an App that runs.
type process struct {
	Addresses
	log    *logbook
	stop   context.CancelFunc
	done   chan error
	hangup chan os.Signal
}

// start runs an App on free ports.
func start(t *testing.T, o Options) *process {
	t.Helper()
	p := &process{log: &logbook{}, done: make(chan error, 1), hangup: make(chan os.Signal, 1)}
	o.Config.Listener.Host, o.Config.Listener.HTTPPort, o.Config.Listener.HTTPSPort = "127.0.0.1", 0, 0
	o.Config.Management.Port = 0
	o.Log, o.Hangup, o.Version = p.log, p.hangup, "test"
	started := make(chan Addresses, 1)
	o.Started = func(a Addresses) { started <- a }
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(t.Context())
	go func() { p.done <- a.Run(ctx); close(p.done) }()
	select {
	case p.Addresses = <-started:
	case err := <-p.done:
		t.Fatalf("ended at once: %v\n%s", err, p.log)
	}
	t.Cleanup(func() {
		p.stop()
		if err := <-p.done; err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	return p
}

// get asks for a URL and returns the status and the body.
func get(t *testing.T, url, key string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("ApiKey", key)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(body)
}

// backend is a server that answers with what it was asked for.
func backend(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestServe(t *testing.T) {
	d, key := pets(t, backend(t)+"/shop", 3)
	p := start(t, Options{Config: config.Default(), Gateway: Source{Read: func() (gateway.Definition, error) { return d, nil }}})
	url := "http://" + p.HTTP.String() + "/pets/1/all"
	for i := range 3 {
		if status, body := get(t, url, key); status != 200 || body != "GET /shop/all" {
			t.Fatalf("call %d: got %d %s", i+1, status, body)
		}
	}
	if status, body := get(t, url, key); status != 429 || !strings.Contains(body, `"code":"900803"`) || !strings.Contains(body, `"policy":"Few"`) {
		t.Errorf("call 4: got %d %s", status, body)
	}
	if status, _ := get(t, url, ""); status != 401 {
		t.Errorf("without a key: got %d, want 401", status)
	}
	if status, _ := get(t, "http://"+p.HTTP.String()+"/pets/1/open", ""); status != 200 {
		t.Errorf("open resource: got %d, want 200", status)
	}
	management := "http://" + p.Management.String()
	for path, want := range map[string]string{
		"/healthz": "healthy",
		"/readyz":  "ready",
	} {
		if status, body := get(t, management+path, ""); status != 200 || !strings.HasPrefix(body, want) {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	_, metrics := get(t, management+"/metrics", "")
	for _, want := range []string{
		`weir_gateway_requests_total{outcome="forwarded"} 4`,
		`weir_gateway_refusals_total{code="900803",level="application"} 1`,
		`weir_gateway_requests_total{outcome="rejected"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if strings.Contains(metrics, key) || strings.Contains(p.log.String(), key) {
		t.Error("the key stands in the metrics or in the log")
	}
}

func TestReload(t *testing.T) {
	d, key := pets(t, backend(t), 2)
	var mu sync.Mutex
	var broken error
	source := func() (gateway.Definition, error) {
		mu.Lock()
		defer mu.Unlock()
		return d, broken
	}
	p := start(t, Options{Config: config.Default(), Gateway: Source{Read: source}})
	url := "http://" + p.HTTP.String() + "/pets/1/all"
	expect := func(want ...int) {
		t.Helper()
		for i, w := range want {
			if status, body := get(t, url, key); status != w {
				t.Fatalf("call %d: got %d %s, want %d", i+1, status, body, w)
			}
		}
	}
	reload := func(line string, change func()) {
		t.Helper()
		mu.Lock()
		change()
		mu.Unlock()
		before := p.log.count(line)
		p.hangup <- syscall.SIGHUP
		eventually(t, line, func() bool { return p.log.count(line) > before })
	}
	expect(200, 200, 429)

	// A higher limit holds at once, and what was spent stays spent.
	reload("artifact applied", func() { d.Policies.Policies = append(policy.Defaults(), few(3)) })
	expect(200, 429)

	// What cannot be read, and what is wrong, change nothing and are one line each.
	reload("no such artifact", func() { broken = errors.New("no such artifact") })
	reload("artifact refused", func() { broken, d.Applications[0].Tier = nil, "Nowhere" })
	if got := p.log.count("\n"); got != p.log.count(" level=") {
		t.Errorf("%d lines, of which %d have a level:\n%s", got, p.log.count(" level="), p.log)
	}
	expect(429)
	_, metrics := get(t, "http://"+p.Management.String()+"/metrics", "")
	for _, want := range []string{`weir_gateway_reloads_total{result="applied"} 1`, `weir_gateway_reloads_total{result="refused"} 2`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

func TestWatchReloads(t *testing.T) {
	d, _ := pets(t, backend(t), 2)
	file := t.TempDir() + "/petstore.weir"
	if err := os.WriteFile(file, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, Options{Config: config.Default(), Gateway: Source{Watch: file, Read: func() (gateway.Definition, error) { return d, nil }}})
	if err := os.WriteFile(file, []byte("22"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second artifact is applied", func() bool { return p.log.count("artifact applied") == 2 })
}

func TestReloadSaysWhatTakesARestart(t *testing.T) {
	d, _ := pets(t, backend(t), 2)
	conf := config.Default()
	var mu sync.Mutex
	next := conf
	var wrong error
	p := start(t, Options{
		Config: conf, Gateway: Source{Read: func() (gateway.Definition, error) { return d, nil }},
		Reread: func() (config.Config, error) {
			mu.Lock()
			defer mu.Unlock()
			return next, wrong
		},
	})
	reload := func(change func()) {
		t.Helper()
		mu.Lock()
		change()
		mu.Unlock()
		before := p.log.count("artifact applied")
		p.hangup <- syscall.SIGHUP
		eventually(t, "reload", func() bool { return p.log.count("artifact applied") > before })
	}
	reload(func() { next.Log.Level = "debug" })
	if p.log.count("log level changed") != 1 || p.log.count("takes a restart") != 1 {
		// The ports of the test differ from those of the file, which is said.
		t.Errorf("after a change of the level:\n%s", p.log)
	}
	reload(func() { next.Limits.BodyBytes, next.JWT = 1, []config.JWT{{Issuer: "x"}} })
	if !strings.Contains(p.log.String(), `jwtTokenConfig limits`) {
		t.Errorf("after a change of the limits:\n%s", p.log)
	}
	reload(func() { wrong = errors.New("micro-gw.conf:1: one\nmicro-gw.conf:2: two") })
	if !strings.Contains(p.log.String(), `micro-gw.conf:1: one; micro-gw.conf:2: two`) {
		t.Errorf("after a wrong configuration:\n%s", p.log)
	}
}

// TestStopFinishesCalls shows that a call under way when the process is told to
// stop is answered, and that the process no longer wants to be sent others.
func TestStopFinishesCalls(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-finish
		_, _ = io.WriteString(w, "all of it")
	}))
	defer s.Close()
	d, key := pets(t, s.URL, 10)
	p := start(t, Options{Config: config.Default(), Gateway: Source{Read: func() (gateway.Definition, error) { return d, nil }}})
	type answer struct {
		status int
		body   string
	}
	got := make(chan answer, 1)
	go func() {
		status, body := get(t, "http://"+p.HTTP.String()+"/pets/1/all", key)
		got <- answer{status, body}
	}()
	<-began
	p.stop()
	eventually(t, "it is no longer ready", func() bool {
		status, _ := get(t, "http://"+p.Management.String()+"/readyz", "")
		return status == http.StatusServiceUnavailable
	})
	eventually(t, "the port is closed", func() bool {
		_, err := http.Get("http://" + p.HTTP.String() + "/pets/1/open")
		return err != nil
	})
	close(finish)
	if a := <-got; a.status != 200 || a.body != "all of it" {
		t.Errorf("got %d %q", a.status, a.body)
	}
}

func TestRunSaysThatAPortIsTaken(t *testing.T) {
	taken := loopback(t)
	d, _ := pets(t, "http://127.0.0.1:1", 1)
	port := int(netip.MustParseAddrPort(taken.Addr().String()).Port())
	for name, set := range map[string]func(*config.Config){
		"listenerConfig.httpPort: port": func(c *config.Config) { c.Listener.HTTPPort = port },
		"management.port: port":         func(c *config.Config) { c.Management.Port = port },
		"no port to listen":             func(c *config.Config) { c.Listener.HTTPPort = config.Off },
	} {
		c := config.Default()
		c.Listener.Host, c.Listener.HTTPPort, c.Management.Port = "127.0.0.1", 0, 0
		set(&c)
		a, err := New(Options{Config: c, Log: io.Discard, Gateway: Source{Read: func() (gateway.Definition, error) { return d, nil }}})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good, _ := pets(t, "http://127.0.0.1:1", 1)
	bad := good
	bad.APIs = []gateway.API{{Name: "Pets", Context: "/x", Tier: "Nowhere"}}
	source := func() (gateway.Definition, error) { return good, nil }
	tests := []struct {
		name string
		o    Options
		want string
	}{
		{"no source", Options{Config: config.Default(), Log: io.Discard}, "Options.Gateway"},
		{"no log", Options{Config: config.Default(), Gateway: Source{Read: source}}, "Log"},
		{"bad source", Options{Config: config.Default(), Log: io.Discard, Gateway: Source{Read: func() (gateway.Definition, error) {
			return gateway.Definition{}, errors.New("petstore.weir: truncated")
		}}}, "truncated"},
		{"bad definition", Options{Config: config.Default(), Log: io.Discard, Gateway: Source{Read: func() (gateway.Definition, error) { return bad, nil }}}, "Nowhere"},
	}
	for _, tt := range tests {
		if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s in it", tt.name, err, tt.want)
		}
	}
	wrong := []struct {
		want string
		set  func(*config.Config)
	}{
		{"backend.ca_file", func(c *config.Config) { c.Backend.CAFile = "missing.pem" }},
		{"backend.cert_file", func(c *config.Config) { c.Backend.CertFile, c.Backend.KeyFile = "missing.pem", "missing.key" }},
		{"jwtTokenConfig", func(c *config.Config) { c.JWT = []config.JWT{{Issuer: "x", JWKSFile: "missing.json"}} }},
		{"trusted_proxies", func(c *config.Config) {
			c.ClientAddress.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
		}},
		{"xml", func(c *config.Config) { c.Log.Format = "xml" }},
	}
	for _, tt := range wrong {
		c := config.Default()
		tt.set(&c)
		if _, err := New(Options{Config: c, Log: io.Discard, Gateway: Source{Read: source}}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.want, err)
		}
	}
}

func logTo(l *logbook) *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

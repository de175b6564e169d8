package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFleetMicrogateways is the document's own example: with a limit of ten, three
// gateways let thirty through; and ten once they work together.
func TestFleetMicrogateways(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	tm := f.manager("")
	conf := tm.throttlingConfig("")
	documented(t, f, tm,
		func() *gatewayProcess { return f.micro("") },
		func() *gatewayProcess { return f.micro(conf) })
}

// byTheDocument follows the steps of the document: a project petstore, an API and an
// application in it, the build, the file micro-gw.conf of the project with the keys of
// the table, and the command. What differs is names and ports, which three gateways on
// one machine can't share: those are in the environment.
func byTheDocument(t *testing.T, f *fleet, tm *managerProcess, broker string) {
	must(t, f.home, "init", "petstore")
	for _, file := range []string{"policies.yaml", "applications.yaml", "api_definitions/pizza.yaml", "api_definitions/pet.yaml"} {
		text, err := os.ReadFile(f.path(filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		replace(t, filepath.Join(f.home, "petstore", filepath.FromSlash(file)), text)
	}
	must(t, f.home, "build", "petstore")
	gateway := func() *gatewayProcess {
		http, management := freePort(t), freePort(t)
		g := &gatewayProcess{addr: local(http), management: local(management)}
		g.process = startBinary(t, "env", f.home, "WEIR_LISTENER_CONFIG_HOST=127.0.0.1", "WEIR_LISTENER_CONFIG_HTTP_PORT="+itoa(http), "WEIR_MANAGEMENT_PORT="+itoa(management),
			server, "gateway", filepath.Join(f.home, "petstore", "target", "petstore.weir"))
		g.awaitReady()
		return g
	}
	conf := filepath.Join(f.home, "petstore", "conf", "micro-gw.conf")
	old, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	documented(t, f, tm, gateway, func() *gatewayProcess {
		replace(t, conf, fmt.Appendf(old, `
[throttlingConfig]
enabledGlobalTMEventPublishing=true
jmsConnectionProviderUrl = "%s"
jmsConnectionUsername = ""
jmsConnectionPassword = ""
throttleEndpointUrl = "%s"
throttleEndpointbase64Header = "admin:admin"
`, broker, strings.Replace(tm.url(), "127.0.0.1", "localhost", 1)))
		return gateway()
	})
}

// documented holds three gateways of each kind to what the document says.
func documented(t *testing.T, f *fleet, tm *managerProcess, one, other func() *gatewayProcess) {
	alone := []*gatewayProcess{one(), one(), one()}
	passed := 0
	for i := range 60 {
		if f.call(t, alone[i%3]).StatusCode == 200 {
			passed++
		}
	}
	if passed != 30 {
		t.Errorf("%d of 60 passed three gateways that work alone, want 30", passed)
	}

	together := []*gatewayProcess{other(), other(), other()}
	for _, g := range together {
		g.awaitJoined(t)
	}
	f.passSlowly(t, 0, 10, []*managerProcess{tm}, together...)
	awaitHeard(t, 1, together...)
	for i := range 12 {
		r := f.call(t, together[i%3]).want(t, 429, "900804")
		truthful(t, r)
	}
	if hits := f.hits(); hits != 30+10 {
		t.Errorf("%d calls reached the backend, want 40", hits)
	}
}

// truthful holds what a refusal says of a limit of ten a day to what is known of it.
func truthful(t *testing.T, r reply) {
	t.Helper()
	left := time.Until(time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)).Seconds()
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset"} {
		if n := float64(r.number(name)); n < left-5 || n > left+5 {
			t.Errorf("%s is %q, and the day ends in %.0f s", name, r.Header.Get(name), left)
		}
	}
	if r.number("X-RateLimit-Limit") != 10 || r.number("X-RateLimit-Remaining") != 0 {
		t.Errorf("X-RateLimit-Limit is %q and X-RateLimit-Remaining %q, want 10 and 0",
			r.Header.Get("X-RateLimit-Limit"), r.Header.Get("X-RateLimit-Remaining"))
	}
	if got := r.refusal(t); got.Level != "subscription" || got.Policy != "Plan" || got.NextAccessTime == "" {
		t.Errorf("the refusal says %s", r.text)
	}
}

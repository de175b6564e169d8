package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A fleet is gateways and traffic managers, each a process of its own, that hold
// the limits of one project together.
//
// Each of its applications may call the API pizza a number of times a day, and is
// counted under a key of its own: the methods that call mean the one of app. Anybody
// may call the API pet.
type fleet struct {
	*project
	backend *backend
	app     string
	clients *sync.Map // of *client, by address: a poll must not open connections
}

// fleetApps are the applications of each fleet.
var fleetApps = []string{"shop", "mall", "barn", "cave", "dock"}

// perDay returns the limit of the fleet's subscription: of a day, so that hardly any
// test meets the end of its window.
func perDay(limit int) string { return "{count: " + itoa(limit) + ", unitTime: 1, timeUnit: day}" }

// fleetPolicies returns policies.yaml with that limit.
func fleetPolicies(limit int) string {
	_, anybody, _ := strings.Cut(generous, "\n")
	return plan(perDay(limit)) + anybody
}

// newFleet makes a project in which each application may call the API so often.
func newFleet(t testing.TB, limit int) *fleet {
	t.Helper()
	b := newBackend(t, "one")
	apps := "applications:\n"
	for _, app := range fleetApps {
		apps += "  - {name: " + app + ", owner: ann, tier: Unlimited, subscriptions: [{api: pizza, version: \"1\", tier: Plan}]}\n"
	}
	f := &fleet{project: newProject(t, b.URL, files{
		"policies.yaml": fleetPolicies(limit), "applications.yaml": apps, "api_definitions/pizza.yaml": reloadAPI,
		"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"),
	}), backend: b, app: fleetApps[0], clients: new(sync.Map)}
	f.key(f.app, "PRODUCTION")
	return f
}

// with returns the fleet as another application calls it. It comes before the first
// process, since it makes a key.
func (f *fleet) with(app string) *fleet {
	f.t.Helper()
	other := *f
	other.app = app
	f.key(app, "PRODUCTION")
	return &other
}

// limit writes another limit into the artifact.
func (f *fleet) limit(n int) {
	f.t.Helper()
	f.write(files{"policies.yaml": fleetPolicies(n)})
	f.build()
}

// finish builds the artifact unless it is there.
func (f *fleet) finish() {
	f.t.Helper()
	if !f.made {
		f.build()
	}
}

// configure writes a configuration of its own for a process, and returns its path.
// What the node keeps is beside it.
func (f *fleet) configure(name, text string) string {
	f.t.Helper()
	file := filepath.Join(f.t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return file
}

// A managerProcess is the binary as a traffic manager.
type managerProcess struct {
	*process
	fleet *fleet
	args  []string
	// Where it takes events, where it has no TLS, and where its broker is.
	events, management, topic string
}

// manager starts a traffic manager. The lines of conf before its first section
// belong to the section broker; without any its broker is NATS, in the process.
func (f *fleet) manager(conf string, args ...string) *managerProcess {
	f.t.Helper()
	f.finish()
	events, management := freePort(f.t), freePort(f.t)
	m := &managerProcess{fleet: f, events: local(events), management: local(management), topic: local(freePort(f.t))}
	broker, rest, _ := strings.Cut("\n"+conf, "\n[")
	if strings.TrimSpace(broker) == "" {
		broker = fmt.Sprintf("listen = %q", m.topic)
	}
	if rest != "" {
		rest = "[" + rest
	}
	file := f.configure("deployment.toml", fmt.Sprintf(
		"[traffic_manager]\nartifact = %q\n\n[management]\nport = %d\nhttps_port = %d\n\n[broker]\n%s\n\n%s\n",
		f.artifact(), management, events, broker, rest))
	m.args = append([]string{"serve", "--role", "traffic-manager", "--config", file}, args...)
	m.start()
	return m
}

// start starts the traffic manager again, and returns once it is ready.
func (m *managerProcess) start() {
	m.fleet.t.Helper()
	m.process = startBinary(m.fleet.t, m.fleet.binary, m.fleet.home, m.args...)
	m.awaitReady(m.management)
}

// awaitReady returns once /readyz says so.
func (p *process) awaitReady(management string) {
	p.t.Helper()
	until(p.t, "the process to be ready", func() bool {
		if p.ended() {
			p.t.Fatalf("the process ended: %v\n%s", p.err, p.stderr.String())
		}
		resp, err := http.Get("http://" + management + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// url returns where the traffic manager takes events.
func (m *managerProcess) url() string { return "https://" + m.events + "/endpoints" }

// ask asks the traffic manager's internal data API, as the user admin.
func (m *managerProcess) ask(t testing.TB, path string) reply {
	t.Helper()
	return newClient(t, "http://"+m.management, http.DefaultTransport).get(t, "/internal/data/v1/"+path, "Authorization", basic("admin:admin"))
}

func basic(login string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(login)) }

// used returns what the traffic manager has counted of the fleet's application.
func (m *managerProcess) used(t testing.TB, f *fleet) int {
	t.Helper()
	var top struct {
		Keys []struct {
			ThrottleKey string
			Used        int
		}
	}
	if err := json.Unmarshal([]byte(m.ask(t, "top?n=100").text), &top); err != nil {
		t.Fatal(err)
	}
	for _, k := range top.Keys {
		if strings.HasPrefix(k.ThrottleKey, f.app+":") {
			return k.Used
		}
	}
	return 0
}

// awaitUsed returns once the traffic manager has counted so much, and no more.
func (m *managerProcess) awaitUsed(t testing.TB, f *fleet, n int) {
	t.Helper()
	got := -1
	until(t, "the traffic manager to have counted "+itoa(n), func() bool { got = m.used(t, f); return got >= n })
	if got != n {
		t.Fatalf("the traffic manager counted %d, want %d", got, n)
	}
}

// throttlingConfig returns the lines of micro-gw.conf by which a gateway tells the
// traffic manager and listens to a topic, or to that of the traffic manager.
func (m *managerProcess) throttlingConfig(topic string) string {
	if topic == "" {
		topic = "nats://" + m.topic
	}
	return fmt.Sprintf(`[throttlingConfig]
enabledGlobalTMEventPublishing = true
jmsConnectionProviderUrl = %q
throttleEndpointUrl = %q
throttleEndpointbase64Header = "admin:admin"
`, topic, m.url())
}

// urlGroup returns the lines of deployment.toml by which a gateway tells the traffic
// managers, and listens to all their topics.
func urlGroup(kind string, managers ...*managerProcess) string {
	var urls, topics []string
	for _, m := range managers {
		urls, topics = append(urls, strconv.Quote(m.url())), append(topics, strconv.Quote("nats://"+m.topic))
	}
	return fmt.Sprintf("[apim.throttling]\nthrottle_decision_endpoints = [%s]\n\n[[apim.throttling.url_group]]\ntype = %q\ntraffic_manager_urls = [%s]\n",
		strings.Join(topics, ", "), kind, strings.Join(urls, ", "))
}

// micro starts `weir gateway` with a micro-gw.conf.
func (f *fleet) micro(conf string) *gatewayProcess {
	f.t.Helper()
	g := f.launchMicro(server, conf)
	g.awaitReady()
	return g
}

// launchMicro is micro, by one of the binaries, and does not wait.
func (f *fleet) launchMicro(binary, conf string) *gatewayProcess {
	f.t.Helper()
	f.finish()
	http, management := freePort(f.t), freePort(f.t)
	file := f.configure("micro-gw.conf", configuration(http, -1, management, conf))
	return &gatewayProcess{
		process: startBinary(f.t, binary, f.home, "gateway", f.artifact(), "--config", file),
		addr:    local(http), management: local(management),
	}
}

// serveRole starts `weir serve` as a gateway, alone or with all other roles, with a
// deployment.toml. Lines of conf before its first section belong to management.
func (f *fleet) serveRole(role, conf string, args ...string) *gatewayProcess {
	f.t.Helper()
	f.finish()
	http, management := freePort(f.t), freePort(f.t)
	file := f.configure("deployment.toml", fmt.Sprintf(
		"[gateway]\nartifact = %q\n\n[listenerConfig]\nhost = \"127.0.0.1\"\nhttpPort = %d\nhttpsPort = -1\n\n[management]\nport = %d\n%s\n",
		f.artifact(), http, management, conf))
	args = append([]string{"serve", "--role", role, "--config", file}, args...)
	g := &gatewayProcess{process: startBinary(f.t, f.binary, f.home, args...), addr: local(http), management: local(management)}
	g.awaitReady()
	return g
}

// awaitJoined returns once the gateway has told all its traffic managers what it
// counted, and listens to all its topics.
func (g *gatewayProcess) awaitJoined(t testing.TB) {
	t.Helper()
	until(t, "the gateway to work together with all traffic managers and topics", func() bool {
		m := readMetrics(t, g.management)
		return m.all("weir_events_traffic_manager_up", 1) && m.all("weir_broker_listening", 1)
	})
}

// secret returns the key of the fleet's application.
func (f *fleet) secret() string { return f.keys[f.app+" PRODUCTION"] }

// client returns the client with which the gateway is called.
func (f *fleet) client(g *gatewayProcess) *client {
	c, ok := f.clients.Load(g.addr)
	if !ok {
		c, _ = f.clients.LoadOrStore(g.addr, g.h1(f.t))
	}
	return c.(*client)
}

// call makes one call that counts.
func (f *fleet) call(t testing.TB, g *gatewayProcess) reply {
	t.Helper()
	return f.client(g).get(t, "/pizza/1/menu", "ApiKey", f.secret())
}

// passSlowly is pass, but each call waits until all traffic managers have counted
// the one before; so many have been counted already.
func (f *fleet) passSlowly(t testing.TB, before, n int, managers []*managerProcess, gateways ...*gatewayProcess) {
	t.Helper()
	for i := range n {
		f.call(t, gateways[i%len(gateways)]).want(t, 200, "")
		for _, m := range managers {
			m.awaitUsed(t, f, before+i+1)
		}
	}
}

// hits returns how many calls of the API pizza have reached the backend.
func (f *fleet) hits() (n int) {
	for _, s := range f.backend.seen() {
		if s.path == "/menu" {
			n++
		}
	}
	return n
}

// pass makes n calls, in turn at each of the gateways, all of which have to pass.
func (f *fleet) pass(t testing.TB, n int, gateways ...*gatewayProcess) {
	t.Helper()
	for i := range n {
		f.call(t, gateways[i%len(gateways)]).want(t, 200, "")
	}
}

// refuse makes a call at each gateway, which has to be refused.
func (f *fleet) refuse(t testing.TB, gateways ...*gatewayProcess) {
	t.Helper()
	for _, g := range gateways {
		f.call(t, g).want(t, 429, "900804")
	}
}

// awaitHeard returns once each gateway has heard of so many decisions on its topics.
func awaitHeard(t testing.TB, n int, gateways ...*gatewayProcess) {
	t.Helper()
	for _, g := range gateways {
		until(t, "the gateway to hear of "+itoa(n)+" decisions", func() bool {
			m := readMetrics(t, g.management)
			const heard = "weir_decisions_heard_total"
			return m.value(t, heard, `result="applied"`)+m.value(t, heard, `result="outdated"`) >= float64(n)
		})
	}
}

// Metrics are the values that /metrics shows, by name and labels.
type metrics map[string]float64

// readMetrics reads /metrics of a process.
func readMetrics(t testing.TB, management string) metrics {
	t.Helper()
	resp, err := http.Get("http://" + management + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := metrics{}
	for line := range strings.Lines(string(text)) {
		i := strings.LastIndexByte(line, ' ') // labels may have spaces
		if i < 0 || line[0] == '#' {
			continue
		}
		if m[line[:i]], err = strconv.ParseFloat(strings.TrimSpace(line[i:]), 64); err != nil {
			t.Fatalf("/metrics has %q", line)
		}
	}
	return m
}

// value returns the sum of a metric over those of its labels that have all of some.
func (m metrics) value(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	sum, found := 0.0, false
	for full, v := range m {
		if m.is(full, name, labels) {
			sum, found = sum+v, true
		}
	}
	if !found {
		t.Fatalf("there is no metric %s with %q", name, labels)
	}
	return sum
}

func (m metrics) is(full, name string, labels []string) bool {
	bare, rest, _ := strings.Cut(full, "{")
	for _, l := range labels {
		if !strings.Contains(rest, l) {
			return false
		}
	}
	return bare == name
}

// all reports whether a metric is there, and all of it has a value.
func (m metrics) all(name string, want float64) bool {
	found := false
	for full, v := range m {
		if m.is(full, name, nil) {
			if found = true; v != want {
				return false
			}
		}
	}
	return found
}

// kill ends the process without warning.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	<-p.done
	p.err = nil // as it was told to
}

// hang stops the process until resume, with all that it has open.
func (p *process) hang() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.resume) // else nothing could end it but -9
}

// resume lets the process go on.
func (p *process) resume() {
	if !p.ended() {
		_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may end between the two
	}
}

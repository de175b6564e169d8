package app

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/test/realserver"
)

// configure reads a configuration, with ports that are free.
func configure(t *testing.T, r config.Role, text string) config.Config {
	t.Helper()
	name := "deployment.toml"
	if r == config.Microgateway {
		name = "micro-gw.conf"
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.LoadOf(r, file, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if c.Management.HTTPSPort != config.Off {
		c.Management.HTTPSPort = 0
	}
	return c
}

// A fleet is traffic managers and gateways that share a definition.
type fleet struct {
	t          *testing.T
	definition gateway.Definition
	key        string
	nats       string // where the traffic manager tells its decisions
}

func newFleet(t *testing.T, perDay int64) *fleet {
	d, key := pets(t, backend(t), perDay)
	return &fleet{t: t, definition: d, key: key, nats: realserver.FreeAddress(t)}
}

func (f *fleet) source() Source {
	return Source{Read: func() (gateway.Definition, error) { return f.definition, nil }}
}

// manager starts a traffic manager.
func (f *fleet) manager(text string) *process {
	c := configure(f.t, config.TrafficManager, fmt.Sprintf("[broker]\nlisten = %q\n%s", f.nats, text))
	return start(f.t, Options{Config: c, TrafficManager: f.source()})
}

// micro starts a gateway by the document's steps: it is told to work together with the
// traffic manager at an address. Its broker is NATS, or what else is said.
func (f *fleet) micro(at netip.AddrPort, text string, scheme ...string) *process {
	c := configure(f.t, config.Microgateway, fmt.Sprintf(`
[throttlingConfig]
enabledGlobalTMEventPublishing=true
jmsConnectionProviderUrl = "%s://%s"
throttleEndpointUrl = "https://%s/endpoints"
throttleEndpointbase64Header = "admin:admin"
%s`, append(scheme, "nats")[0], f.nats, at, text))
	return start(f.t, Options{Config: c, Gateway: f.source()})
}

// call calls a gateway and returns the status.
func (f *fleet) call(p *process) int {
	f.t.Helper()
	status, _ := get(f.t, "http://"+p.HTTP.String()+"/pets/1/all", f.key)
	return status
}

// pass makes n calls that must pass.
func (f *fleet) pass(p *process, n int) {
	f.t.Helper()
	for i := range n {
		if got := f.call(p); got != 200 {
			f.t.Fatalf("call %d: got %d\n%s", i+1, got, p.log)
		}
	}
}

// refuses calls a gateway until it refuses. Before that no more than most calls may
// pass: far fewer than it would let pass if it counted alone.
func (f *fleet) refuses(what string, p *process, most int) {
	f.t.Helper()
	passed := 0
	eventually(f.t, what, func() bool {
		if f.call(p) == 429 {
			return true
		}
		passed++
		return false
	})
	if passed > most {
		f.t.Errorf("%s: %d calls passed before", what, passed)
	}
}

// joined waits until a gateway knows the traffic manager at an address and its topic.
func (f *fleet) joined(p *process, at netip.AddrPort) {
	f.t.Helper()
	eventually(f.t, "the gateway has joined", func() bool {
		return p.log.count("listening to the topic") > 0 &&
			metric(f.t, p, fmt.Sprintf(`weir_events_traffic_manager_up{traffic_manager="https://%s/endpoints"}`, at)) == 1
	})
}

// metric returns the value of a metric.
func metric(t *testing.T, p *process, name string) float64 {
	t.Helper()
	_, text := get(t, "http://"+p.Management.String()+"/metrics", "")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no metric %s in\n%s", name, text)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDocumentedLimit is the document's own example, times thirty so that it is seen
// who refuses: a limit of ten and three gateways let thirty through, unless they work
// together.
func TestDocumentedLimit(t *testing.T) {
	f := newFleet(t, 300)
	tm := f.manager("")
	gateways := []*process{f.micro(tm.ManagementHTTPS, ""), f.micro(tm.ManagementHTTPS, ""), f.micro(tm.ManagementHTTPS, "")}
	for _, g := range gateways {
		f.joined(g, tm.ManagementHTTPS)
	}
	for _, g := range gateways {
		f.pass(g, 100)
	}
	for i, g := range gateways {
		f.refuses(fmt.Sprintf("gateway %d refuses", i+1), g, 50)
	}
	if n := metric(t, tm, "weir_decisions_in_force"); n != 1 {
		t.Errorf("%g decisions in force, want 1", n)
	}
	if n := counted(t, tm); n < 300 || n > 330 {
		t.Errorf("%d requests counted", n)
	}
	for _, g := range gateways {
		eventually(t, "the topic has told of it, besides the answers to events", func() bool {
			heard := 0.0
			for _, result := range []string{"applied", "outdated"} {
				heard += metric(t, g, fmt.Sprintf(`weir_decisions_heard_total{broker="nats://admin@%s",result=%q}`, f.nats, result))
			}
			return heard > 0
		})
	}
	late := f.micro(tm.ManagementHTTPS, "")
	f.refuses("a gateway that starts late refuses", late, 50)
}

// TestAlone shows what holds without distribution.
func TestAlone(t *testing.T) {
	f := newFleet(t, 10)
	passed := 0
	for range 3 {
		p := start(t, Options{Config: config.Default(), Gateway: f.source()})
		for range 15 {
			if f.call(p) == 200 {
				passed++
			}
		}
	}
	if passed != 30 {
		t.Errorf("%d passed, want 30", passed)
	}
}

// TestGatewayStartsWithEverythingDown: nobody is there, and requests are served.
func TestGatewayStartsWithEverythingDown(t *testing.T) {
	f := newFleet(t, 10)
	began := time.Now()
	p := f.micro(netip.MustParseAddrPort(realserver.FreeAddress(t)), "")
	for i := range 11 {
		if got, want := f.call(p), map[bool]int{true: 200, false: 429}[i < 10]; got != want {
			t.Errorf("call %d: got %d, want %d", i+1, got, want)
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v to start and serve", took)
	}
	for _, line := range []string{
		"deny policies and key templates not available", "topic is not heard", "traffic manager does not answer",
	} {
		eventually(t, line, func() bool { return p.log.count(line) == 1 })
	}
}

// TestTrafficManagerRestarts shows that nothing of an open window is lost when a
// traffic manager ends and another begins.
func TestTrafficManagerRestarts(t *testing.T) {
	f := newFleet(t, 100)
	address := realserver.FreeAddress(t)
	port := netip.MustParseAddrPort(address).Port()
	startManager := func() *process {
		c := configure(t, config.TrafficManager, fmt.Sprintf("[broker]\nlisten = %q\n", f.nats))
		c.Management.HTTPSPort = int(port)
		return start(t, Options{Config: c, TrafficManager: f.source()})
	}
	tm := startManager()
	one, two := f.micro(tm.ManagementHTTPS, ""), f.micro(tm.ManagementHTTPS, "")
	f.pass(one, 60)
	eventually(t, "the traffic manager has counted them", func() bool { return counted(t, tm) == 60 })
	tm.stop()
	if err := <-tm.done; err != nil {
		t.Fatal(err)
	}
	f.pass(one, 20) // with the traffic manager away
	tm = startManager()
	eventually(t, "the gateway says again what it counted", func() bool { return counted(t, tm) == 80 })
	f.joined(two, tm.ManagementHTTPS)
	f.pass(two, 20)
	f.refuses("60, 20 and 20 are 100", two, 40)
}

// counted returns how many requests a traffic manager has counted under its keys.
func counted(t *testing.T, tm *process) int64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+tm.Management.String()+"/internal/data/v1/top?n=10", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("admin", "admin")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode != 200 {
		t.Fatalf("got %d %s, %v", w.StatusCode, text, err)
	}
	var most int64
	for _, m := range regexp.MustCompile(`"used": ?(\d+)`).FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.ParseInt(m[1], 10, 64)
		most = max(most, n)
	}
	return most
}

// TestAllInOne runs both roles in one process: what its gateway lets pass counts for
// others, and what others let pass counts for it.
func TestAllInOne(t *testing.T) {
	f := newFleet(t, 200)
	c := configure(t, config.All, fmt.Sprintf("[broker]\ntype = \"embedded-nats\"\nlisten = %q\n", f.nats))
	all := start(t, Options{Config: c, Gateway: f.source(), TrafficManager: f.source()})
	other := f.micro(all.ManagementHTTPS, "")
	f.joined(other, all.ManagementHTTPS)
	eventually(t, "the gateway of the process listens", func() bool { return all.log.count("listening to the topic") == 1 })
	f.pass(all, 100)
	f.pass(other, 100)
	f.refuses("the gateway of the process refuses", all, 50)
	f.refuses("the other gateway refuses", other, 50)
	if n := metric(t, all, `weir_decisions_heard_total{broker="memory",result="applied"}`); n == 0 {
		t.Error("nothing was heard within the process")
	}
}

// TestDenyPoliciesComeFromTheTrafficManager shows that what a traffic manager is told
// at a reload holds at gateways whose artifacts do not have it.
func TestDenyPoliciesComeFromTheTrafficManager(t *testing.T) {
	f := newFleet(t, 1000)
	d := f.definition
	tmDefinition := d
	c := configure(t, config.TrafficManager, fmt.Sprintf("[broker]\nlisten = %q\n", f.nats))
	tm := start(t, Options{Config: c, TrafficManager: Source{Read: func() (gateway.Definition, error) { return tmDefinition, nil }}})
	p := f.micro(tm.ManagementHTTPS, "")
	eventually(t, "it listens", func() bool { return p.log.count("listening to the topic") == 1 })
	if got := f.call(p); got != 200 {
		t.Fatalf("got %d", got)
	}
	reload := func() {
		before := tm.log.count("artifact applied")
		tm.hangup <- os.Interrupt
		eventually(t, "reload", func() bool { return tm.log.count("artifact applied") > before })
	}
	tmDefinition.Policies.Denies = []policy.Deny{{ID: "1", Kind: policy.DenyAPI, Value: "/pets/1"}}
	reload()
	eventually(t, "the API is denied", func() bool { return f.call(p) == 403 })
	tmDefinition.Policies.Denies = nil
	reload()
	eventually(t, "the API is no longer denied", func() bool { return f.call(p) == 200 })
	tmDefinition.Policies.Denies = []policy.Deny{{ID: "2", Kind: policy.DenyAPI, Value: "/pets/1"}}
	reload()
	late := f.micro(tm.ManagementHTTPS, "")
	eventually(t, "a gateway that starts late asks for it", func() bool { return f.call(late) == 403 })
}

// TestManagementOfATrafficManager shows who is told what, and over which port.
func TestManagementOfATrafficManager(t *testing.T) {
	f := newFleet(t, 10)
	tm := f.manager("")
	for _, tt := range []struct {
		path   string
		login  bool
		status int
	}{
		{"/healthz", false, 200},
		{"/readyz", false, 200},
		{"/metrics", false, 200},
		{"/internal/data/v1/block", false, 401},
		{"/internal/data/v1/block", true, 200},
		{"/internal/data/v1/keyTemplates", true, 200},
		{"/internal/data/v1/decisions", true, 200},
		{"/endpoints/events", false, 401},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+tm.Management.String()+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.login {
			r.SetBasicAuth("admin", "admin")
		}
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		w.Body.Close()
		if w.StatusCode != tt.status {
			t.Errorf("%s, logged in %t: got %d, want %d", tt.path, tt.login, w.StatusCode, tt.status)
		}
	}
	if strings.Contains(tm.log.String(), "admin:admin") {
		t.Error("the password stands in the log")
	}
}

package doctor

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/app"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/nats"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/test/realserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configure reads a configuration.
func configure(t *testing.T, r config.Role, format string, args ...any) config.Config {
	t.Helper()
	name := map[bool]string{true: "micro-gw.conf", false: "deployment.toml"}[r == config.Microgateway]
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.LoadOf(r, file, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// free returns ports that nobody has.
func free(t *testing.T, n int) []any {
	t.Helper()
	var ports []any
	for range n {
		port, err := strconv.Atoi(realserver.FreePort(t))
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

// serve runs a node until the test ends.
func serve(t *testing.T, c config.Config) {
	t.Helper()
	source := app.Source{Read: func() (gateway.Definition, error) {
		return gateway.Definition{Policies: policy.Definition{Policies: policy.Defaults()}}, nil
	}}
	started := make(chan app.Addresses, 1)
	a, err := app.New(app.Options{
		Config: c, Gateway: source, TrafficManager: source, Log: io.Discard, Version: "test",
		Started: func(at app.Addresses) { started <- at },
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, a.Run)
	select {
	case <-started:
	case <-time.After(20 * time.Second):
		t.Fatal("the node does not start")
	}
}

// manager returns the configuration of a traffic manager on ports for events, health
// and its broker.
func manager(t *testing.T, ports []any, rest string) config.Config {
	t.Helper()
	return configure(t, config.TrafficManager, "[management]\nhttps_port = %d\nport = %d\n[broker]\nlisten = \"127.0.0.1:%d\"\n%s", append(ports, rest)...)
}

// member returns the configuration of a gateway that tells traffic managers at
// ports what it lets pass.
func member(t *testing.T, rest string, managers ...[]any) config.Config {
	t.Helper()
	var events, brokers []string
	for _, m := range managers {
		events = append(events, fmt.Sprintf("\"https://127.0.0.1:%d/endpoints\"", m[0]))
		brokers = append(brokers, fmt.Sprintf("\"nats://127.0.0.1:%d\"", m[2]))
	}
	ports := free(t, 2)
	return configure(t, config.Gateway, "[listenerConfig]\nhost = \"127.0.0.1\"\nhttpPort = %d\n[management]\nport = %d\n"+
		"[[apim.throttling.url_group]]\ntraffic_manager_urls = [%s]\n[broker]\nurl = [%s]\n%s",
		ports[0], ports[1], strings.Join(events, ","), strings.Join(brokers, ","), rest)
}

func sharing(s *redistest.Server) string {
	return fmt.Sprintf("[apim.distributed_throttling]\nenable = true\n[apim.distributed_throttling.keyvalue_store]\nhost = \"127.0.0.1\"\nport = %s\n", s.Port())
}

// examine returns what is found, a line each.
func examine(t *testing.T, c config.Config) string {
	t.Helper()
	r := Examine(t.Context(), Options{Config: c, File: "deployment.toml", Version: "test", Timeout: 5 * time.Second})
	return lines(&r)
}

func lines(r *Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s: %s → %s\n", f.Level, f.Check, f.Found, f.Advice)
	}
	return b.String()
}

// wants fails the test if no line is as each of patterns, or if there are other faults
// and warnings than these say.
func wants(t *testing.T, got string, patterns ...string) {
	t.Helper()
	rest := got
	for _, p := range patterns {
		re := regexp.MustCompile("(?m)^" + p + ".*\n")
		if !re.MatchString(rest) {
			t.Errorf("no line %q in\n%s", p, got)
		}
		rest = re.ReplaceAllString(rest, "")
	}
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "fault") || strings.HasPrefix(line, "warning") {
			t.Errorf("got %s", line)
		}
	}
}

// TestHealthy looks at a fleet that shares its counters, before it runs and while it
// does.
func TestHealthy(t *testing.T) {
	store := redistest.Start(t, redistest.Options{})
	one, two := free(t, 3), free(t, 3)
	secret := "[node]\nsecret = \"a long and common secret\"\n"
	tm1, tm2 := manager(t, one, secret+sharing(store)), manager(t, two, secret+sharing(store))
	gw := member(t, secret+sharing(store), one, two)
	before := examine(t, tm1)
	wants(t, before, fmt.Sprintf(`ok port %d: 127.0.0.1:%[1]d is free \(management.https_port\)`, one[0]), `ok store redis at .*: counters can be shared`)
	for _, c := range []config.Config{tm1, tm2, gw} {
		serve(t, c)
	}
	wants(t, examine(t, tm1),
		fmt.Sprintf(`ok port %d: 127.0.0.1:%[1]d is in use by a node that runs version test \(management.https_port\)`, one[0]),
		fmt.Sprintf(`ok port %d: .* is in use by a node that runs version test \(management.port\)`, one[1]),
		fmt.Sprintf(`ok port %d: .* is in use by a broker that lets gateways listen`, one[2]),
		`ok clock of store`)
	wants(t, examine(t, gw),
		`ok configuration: deployment.toml is valid, for the role gateway`,
		`ok store redis at .*: Redis [67]`,
		`ok traffic manager https://127.0.0.1:\d+/endpoints: .* takes the credentials, and runs version test`,
		`ok traffic manager .*: it shares its counters through the same store as this gateway, and has the same secret`,
		`ok traffic manager .*: TLS: the certificate holds until 20`,
		`ok group 1 of traffic managers: its 2 share their counters`,
		`ok data API .*: it tells deny policies`,
		`ok topic on nats://admin@127.0.0.1:\d+: it can be listened to`,
		`ok port \d+: .* is in use by a gateway`,
		`ok clock of traffic manager`,
		`ok clock of store`,
		`ok clocks of all: at most \d+ ms apart`)
	other := gw
	other.Node.Secret = "another secret, as long"
	wants(t, examine(t, other), `info traffic manager .*: it shares its counters, but not as this gateway does`)
}

// TestFaults breaks one thing at a time.
func TestFaults(t *testing.T) {
	ports := free(t, 3)
	serve(t, manager(t, ports, ""))
	store := redistest.Start(t, redistest.Options{Args: []string{"--maxmemory-policy", "allkeys-lru"}})
	replica := redistest.Start(t, redistest.Options{Of: store})
	for _, tt := range []struct {
		name   string
		config func(t *testing.T) config.Config
		want   []string
	}{
		{"wrong password", func(t *testing.T) config.Config {
			return member(t, "[apim.throttling]\npassword = \"wrong\"\n", ports)
		}, []string{
			`fault traffic manager .*: it refuses the user admin or the password → give the user and the password that the traffic manager has`,
			`fault data API .*: it refuses the user admin`, `fault topic on .*: .*it refuses the user or the password`,
		}},
		{"nobody there", func(t *testing.T) config.Config { return member(t, "", free(t, 3)) }, []string{
			`fault traffic manager .*connection refused → start the traffic manager`,
			`fault data API .*connection refused`, `fault topic on .*: it cannot be listened to: .* → start the broker`,
		}},
		{"the same one twice", func(t *testing.T) config.Config {
			c := member(t, "", ports)
			c.URLGroups[0].URLs = append(c.URLGroups[0].URLs, fmt.Sprintf("https://localhost:%d/endpoints", ports[0]))
			return c
		}, []string{`warning traffic managers: .* and .* are the same one`}},
		{"another certificate authority", func(t *testing.T) config.Config {
			s := httptest.NewTLSServer(nil)
			defer s.Close()
			return member(t, fmt.Sprintf("[events]\nca_file = %q\n", pemOf(t, s.Certificate().Raw)), ports)
		}, []string{`fault traffic manager .*: .*certificate signed by unknown authority → set events.ca_file`, `fault data API .*unknown authority`}},
		{"no traffic manager", func(t *testing.T) config.Config {
			s := httptest.NewTLSServer(http.NotFoundHandler())
			t.Cleanup(s.Close)
			return member(t, "", []any{s.Listener.Addr().(*net.TCPAddr).Port, 0, ports[2]})
		}, []string{`fault traffic manager .*: what answers takes no events: 404`, `fault data API .*: what answers does not tell deny policies: 404`}},
		{"a store that forgets", func(t *testing.T) config.Config { return member(t, sharing(store), ports) }, []string{
			`warning store .*: maxmemory-policy is allkeys-lru.* → set maxmemory-policy to noeviction`,
			`info traffic manager .*: it does not share its counters, as this gateway does through redis`,
		}},
		{"a replica", func(t *testing.T) config.Config { return member(t, sharing(replica), ports) }, []string{
			`fault store .*: the server is a replica of 127.0.0.1`, `fault store .*: counters cannot be shared`,
		}},
		{"no store", func(t *testing.T) config.Config {
			return member(t, strings.Replace(sharing(store), "port = "+store.Port(), fmt.Sprintf("port = %d", free(t, 1)[0]), 1), ports)
		}, []string{`fault store .*: the server cannot be used: .*connection refused → start the server`}},
		{"a port that is taken", func(t *testing.T) config.Config {
			c := member(t, "", ports)
			s := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(s.Close)
			c.Listener.HTTPPort = s.Listener.Addr().(*net.TCPAddr).Port
			return c
		}, []string{`fault port \d+: .* is in use by something else \(listenerConfig.httpPort\) → end what listens there`}},
		{"one port twice", func(t *testing.T) config.Config {
			c := member(t, "", ports)
			c.Management.Port = c.Listener.HTTPPort
			return c
		}, []string{`fault port \d+: listenerConfig.httpPort and management.port are the same`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wants(t, examine(t, tt.config(t)), tt.want...)
		})
	}
}

// pemOf writes a certificate to a file.
func pemOf(t *testing.T, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSilence shows that what never answers is waited for no longer than Timeout.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { // connections are accepted, and that is it
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			})
		}
	})
	defer l.Close()
	at := l.Addr().(*net.TCPAddr).Port
	c := member(t, fmt.Sprintf("[apim.distributed_throttling]\nenable = true\n[apim.distributed_throttling.keyvalue_store]\nhost = \"127.0.0.1\"\nport = %d\n", at), []any{at, 0, at})
	began := time.Now()
	r := Examine(t.Context(), Options{Config: c, Timeout: time.Second})
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	wants(t, lines(&r), `fault store .*: the server cannot be used: no answer in time`, `fault traffic manager .*`, `fault data API .*`, `fault topic on .*`)
}

// TestTopic looks at a broker that runs apart as a traffic manager does, while others
// publish there.
func TestTopic(t *testing.T) {
	at := fmt.Sprintf("127.0.0.1:%d", free(t, 1)...)
	server, err := nats.NewServer(nats.ServerOptions{
		Listen: at, Managers: nats.Login{User: "tm", Password: "publishes"}, Gateways: nats.Login{User: "gw", Password: "listens"},
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, server.Run)
	<-server.Ready()
	for _, tt := range []struct {
		name, user, password, secret string
		want                         []string
	}{
		{"all alike", "tm", "publishes", "the secret of all", []string{
			`ok topic on .*: it can be listened to`, `ok topic on .*: what is published is heard`, `ok topic on .*: all of \d+ messages are signed`,
		}},
		{"another secret", "tm", "publishes", "the secret of others", []string{
			`fault topic on .*: (\d+) of \d+ messages are not signed with the secret of this node → give all nodes the same`,
		}},
		{"may not publish", "gw", "listens", "the secret of all", []string{
			`fault topic on .*: .* → let the user publish on the topics throttleData and notification`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := configure(t, config.TrafficManager, "[node]\nsecret = %q\n[management]\nport = -1\nhttps_port = -1\n"+
				"[broker]\ntype = \"nats\"\nurl = [\"nats://%s\"]\nuser = %q\npassword = %q\n", "the secret of all", at, tt.user, tt.password)
			others := configure(t, config.TrafficManager, "[node]\nsecret = %q\n", tt.secret)
			publish(t, at, broker.NewSecret(others.FleetSecret()))
			r := Examine(t.Context(), Options{Config: c, File: "x", Timeout: 3 * time.Second})
			wants(t, lines(&r), tt.want...)
		})
	}
}

// publish says something on the topic again and again until the test ends.
func publish(t *testing.T, at string, secret broker.Secret) {
	t.Helper()
	n, err := nats.New(nats.Options{URL: broker.URL{
		Scheme: broker.NATS, User: "tm", Password: "publishes", Brokers: []broker.Broker{{Address: at}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := broker.NewPublisher(n, secret)
	if err != nil {
		t.Fatal(err)
	}
	run(t, n.Run)
	run(t, func(ctx context.Context) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := uint64(1); ; i++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
			// It fails until there is a connection.
			_ = p.PublishKeyTemplate(ctx, &broker.KeyTemplate{New: "$userId", Origin: broker.Origin{Issuer: "tm", Seq: i, Issued: time.Now()}})
		}
	})
}

// run runs f until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRefused(t *testing.T) {
	r := Refused(errors.Join(errors.New("a.toml:1: one"), errors.New("a.toml:2: two")))
	wants(t, lines(&r), "fault configuration: a.toml:1: one → correct it", "fault configuration: a.toml:2: two")
	if r.Count(Fault) != 2 {
		t.Errorf("got %d faults", r.Count(Fault))
	}
}

func TestCompareClocks(t *testing.T) {
	r := Report{Findings: compareClocks([]Clock{
		{"a", 0.2, 0.1}, {"b", 260, 5}, {"c", -300, 1}, {"d", 400_000, 1}, {"e", 900, 800},
	})}
	wants(t, lines(&r),
		"ok clock of a: within 1 ms of this host's",
		"warning clock of b: 260 ms ahead of this host's → set the clocks",
		"warning clock of c: 300 ms behind",
		"fault clock of d: 400000 ms ahead",
		"ok clock of e: 900 ms ahead", // as far as that can be known
		"warning clocks of all: that of d is 400300 ms ahead of that of c")
	if got := compareClocks(nil); got != nil {
		t.Errorf("no clocks: got %v", got)
	}
}

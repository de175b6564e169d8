package test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-project/weir/broker/brokertest"
)

// TestFleetBadStart starts gateways and traffic managers with URLs, credentials and
// topics that can't be meant: each ends with exit code 1 and one line, which says
// where in the file what is wrong, and has no password in it.
func TestFleetBadStart(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	f.finish()
	const on = "[throttlingConfig]\nenabledGlobalTMEventPublishing = true\n"
	gateway := fmt.Sprintf("[gateway]\nartifact = %q\n", f.artifact())
	manager := fmt.Sprintf("[traffic_manager]\nartifact = %q\n", f.artifact())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	const away = "[apim.throttling]\npassword = \"hidden-secret\"\n"
	for _, test := range []struct{ what, role, conf, want string }{
		{"no URL for events", "", on + "throttleEndpointUrl = \"localhost:9443\"\n", "micro-gw.conf:3: throttlingConfig.throttleEndpointUrl"},
		{"another scheme", "", on + "throttleEndpointUrl = \"ftp://localhost:9443\"\n", "micro-gw.conf:3: throttlingConfig.throttleEndpointUrl"},
		{"in the clear", "", on + "throttleEndpointUrl = \"http://tm.example.com:9763\"\nthrottleEndpointbase64Header = \"gw:hidden-secret\"\n", "micro-gw.conf:3: throttlingConfig.throttleEndpointUrl"},
		{"a password in the URL", "", on + "throttleEndpointUrl = \"https://gw:hidden-secret@localhost:9443\"\n", "micro-gw.conf:3: throttlingConfig.throttleEndpointUrl"},
		{"no user", "", on + "throttleEndpointbase64Header = \"hidden-secret\"\n", "micro-gw.conf:3: throttlingConfig.throttleEndpointbase64Header"},
		{"a known password elsewhere", "", on + "throttleEndpointUrl = \"https://tm.example.com:9443/endpoints\"\n", "throttlingConfig.throttleEndpointbase64Header"},
		{"no URL of a broker", "", on + "jmsConnectionProviderUrl = \"localhost:5672\"\n", "micro-gw.conf:3: throttlingConfig.jmsConnectionProviderUrl"},
		{"another broker", "", on + "jmsConnectionProviderUrl = \"kafka://localhost:9092\"\n", "micro-gw.conf:3: throttlingConfig.jmsConnectionProviderUrl"},
		{"no list of brokers", "", on + "jmsConnectionProviderUrl = \"amqp://gw:hidden-secret@carbon/carbon?brokerlist=''\"\n", "micro-gw.conf:3: throttlingConfig.jmsConnectionProviderUrl"},
		{"no port", "", on + "jmsConnectionProviderUrl = \"amqp://gw:hidden-secret@carbon/carbon?brokerlist='tcp://localhost:x'\"\n", "micro-gw.conf:3: throttlingConfig.jmsConnectionProviderUrl"},
		{"an option that is none", "", on + "jmsConnectionProviderUrl = \"amqp://gw:hidden-secret@carbon/carbon?brokerlist='tcp://localhost:5672?retrys='5''\"\n", "micro-gw.conf:3: throttlingConfig.jmsConnectionProviderUrl"},
		{"no traffic managers", "gateway", gateway + "[[apim.throttling.url_group]]\ntraffic_manager_urls = []\n", "deployment.toml:4: apim.throttling.url_group.traffic_manager_urls"},
		{"one twice", "gateway", gateway + "[[apim.throttling.url_group]]\ntraffic_manager_urls = [\"https://localhost:9443\", \"https://localhost:9443/endpoints\"]\n", "deployment.toml:4: apim.throttling.url_group.traffic_manager_urls"},
		{"a type that is none", "gateway", gateway + "[[apim.throttling.url_group]]\ntraffic_manager_urls = [\"https://localhost:9443\"]\ntype = \"random\"\n", "deployment.toml:5: apim.throttling.url_group.type"},
		{"a queue for a topic", "gateway", gateway + "[apim.throttling.jms]\ndestination_type = \"queue\"\n", "deployment.toml:4: apim.throttling.jms.destination_type"},
		{"no address to listen at", "traffic-manager", manager + "[broker]\nlisten = \"everywhere\"\n", "deployment.toml:4: broker.listen"},
		{"everybody may listen", "traffic-manager", manager + "[broker]\nlisten = \"0.0.0.0:4222\"\n", "deployment.toml:4: broker.listen"},
		{"everybody may tell", "traffic-manager", manager + "[management]\nhttps_host = \"0.0.0.0\"\n", "deployment.toml:4: management.https_host"},
		{"a broker and no URL", "traffic-manager", manager + "[broker]\ntype = \"amqp\"\n", "broker.url"},
		{"one broker and the URL of another", "traffic-manager", manager + "[broker]\ntype = \"amqp\"\nurl = \"nats://localhost:4222\"\n", "deployment.toml:5: broker.url"},
		{"a topic that nobody hears", "traffic-manager", manager + "[broker]\ntype = \"memory\"\n", "deployment.toml:4: broker.type"},
		{"no password", "traffic-manager", manager + "[apim.throttling]\npassword = \"\"\n", "apim.throttling.password"},
		{"a short secret", "traffic-manager", manager + away + "[node]\nsecret = \"short\"\n", "deployment.toml:6: node.secret"},
		{"no certificate", "traffic-manager", manager + "[management]\ncert_file = \"nowhere.pem\"\nkey_file = \"nowhere.key\"\n", "nowhere.pem"},
		{"the port of the broker is taken", "traffic-manager", manager + fmt.Sprintf("[broker]\nlisten = \"127.0.0.1:%s\"\n[management]\nport = 0\nhttps_port = 0\n", port), port},
		{"the port for events is taken", "traffic-manager", manager + fmt.Sprintf("[broker]\nlisten = \"127.0.0.1:0\"\n[management]\nport = 0\nhttps_port = %s\n", port), "management.https_port: port " + port + " is taken"},
	} {
		t.Run(test.what, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"gateway", f.artifact(), "--config", "micro-gw.conf"}
			if test.role != "" {
				args = []string{"serve", "--role", test.role, "--config", "deployment.toml"}
			}
			if err := os.WriteFile(filepath.Join(dir, args[len(args)-1]), []byte(test.conf), 0o600); err != nil {
				t.Fatal(err)
			}
			r := weir(t, dir, args...)
			var lines []string
			for line := range strings.Lines(r.stderr) {
				if strings.HasPrefix(line, "weir: ") {
					lines = append(lines, line)
				}
			}
			if r.code != 1 || len(lines) != 1 || !strings.Contains(lines[0], test.want) || strings.Contains(r.stderr, "hidden-secret") {
				t.Errorf("exit code %d, want 1 and one line with %q:\n%s%s", r.code, test.want, r.stdout, r.stderr)
			}
		})
	}
}

// throttling returns a micro-gw.conf of where events go, as whom, and where the topic is.
func throttling(manager, login, topic string) string {
	return fmt.Sprintf("[throttlingConfig]\nenabledGlobalTMEventPublishing = true\nthrottleEndpointUrl = %q\nthrottleEndpointbase64Header = %q\njmsConnectionProviderUrl = %q\n",
		manager, login, topic)
}

// The beginnings of the lines that a gateway logs of what is wrong with its
// surroundings.
const (
	notTold       = `level=ERROR msg="traffic manager is not told; events wait, requests go on"`
	noAnswer      = `level=WARN msg="traffic manager does not answer; events wait, requests go on"`
	noData        = `level=WARN msg="deny policies and key templates not available; those that are known stay in force"`
	brokerRefuses = `level=ERROR msg="broker refuses"`
	notHeard      = `level=WARN msg="topic is not heard; decisions are heard from traffic managers"`
	badLogin      = "it refuses the user or the password"
	badEvents     = "401 Unauthorized"
)

// TestFleetMisfits starts gateways with wrong URLs and credentials, which only what
// is there can tell: each serves, holds its limits by itself, and says in a line each
// what is wrong.
func TestFleetMisfits(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 5)
	// Those that the traffic manager hears of must not spend each other's limit.
	two, three, four, alone := f.with("mall"), f.with("barn"), f.with("cave"), f.with("dock")
	tm := f.manager("")
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>") })
	web, none := httptest.NewServer(page), httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	t.Cleanup(none.Close)
	topic, bus := "nats://"+tm.topic, "amqp://"+tm.topic
	for _, test := range []struct {
		what, conf string
		as         *fleet
		lines      [][2]string // how each begins, and what else it has
	}{
		{"a wrong password", throttling(tm.url(), "admin:wrong", topic), alone, [][2]string{{notTold, badEvents}, {noData, badEvents}, {brokerRefuses, badLogin}}},
		{"a wrong password at the broker", throttling(tm.url(), "admin:admin", "nats://admin:wrong@"+tm.topic), alone, [][2]string{{brokerRefuses, badLogin}}},
		{"nothing there", throttling(none.URL, "admin:admin", topic), alone, [][2]string{{notTold, "check the URL"}, {noData, "404"}}},
		{"something else there", throttling(web.URL, "admin:admin", topic), alone, [][2]string{{noAnswer, "no traffic manager"}, {noData, "not as it should be"}}},
		{"a wrong path", throttling("https://"+tm.events+"/endpoint", "admin:admin", topic), alone, [][2]string{{notTold, "check the URL"}}},
		{"no TLS", throttling("https://"+tm.management, "admin:admin", topic), alone, [][2]string{{noAnswer, "TLS"}, {noData, "HTTP response to HTTPS client"}}},
		{"TLS", throttling("http://"+tm.events, "admin:admin", topic), alone, [][2]string{{notTold, "HTTP request to an HTTPS server"}, {noData, "400"}}},
		{"NATS is no AMQP", throttling(tm.url(), "admin:admin", bus), two, [][2]string{{notHeard, "is not AMQP 0-9-1"}}},
		{"HTTPS is no NATS", throttling(tm.url(), "admin:admin", "nats://"+tm.events), three, [][2]string{{notHeard, "there is no answer"}}},
		{"HTTP is no AMQP", throttling(tm.url(), "admin:admin", "amqp://"+tm.management), four, [][2]string{{notHeard, "there is no answer"}}},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			g := f.micro(test.conf)
			test.as.copes(t, g, test.lines)
		})
	}
}

// copes sees that a gateway holds its own limit of five, and has single lines in its
// log of what is wrong, and no others.
func (f *fleet) copes(t *testing.T, g *gatewayProcess, lines [][2]string) {
	t.Helper()
	f.passSoon(t, 5, g)
	f.refuse(t, g)
	for _, l := range lines {
		until(t, "a line "+l[0], func() bool { return strings.Contains(g.stderr.String(), l[0]) })
	}
	g.stop(syscall.SIGTERM)
	left := slices.Clone(lines)
	for _, line := range g.stderr.lines(0) {
		if strings.Contains(line, "level=INFO") {
			continue
		}
		i := slices.IndexFunc(left, func(l [2]string) bool { return strings.Contains(line, l[0]) && strings.Contains(line, l[1]) })
		if i < 0 {
			t.Errorf("the log has: %s", line)
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		t.Errorf("the log has no lines as %q:\n%s", left, g.stderr.String())
	}
	if strings.Contains(g.stderr.String(), "wrong@") || strings.Contains(g.stderr.String(), "admin:") {
		t.Errorf("the log has a password:\n%s", g.stderr.String())
	}
}

// TestFleetManagerMisfits starts traffic managers whose broker refuses them, or is
// another one: they count and decide, and gateways hear of it with their answers.
func TestFleetManagerMisfits(t *testing.T) {
	t.Parallel()
	n := brokertest.StartNATS(t)
	for _, test := range []struct{ what, broker, line, says string }{
		{"a wrong password", "type = \"nats\"\nurl = \"nats://manager:wrong@" + n.Address + "\"", brokerRefuses, badLogin},
		{"who may only listen", "type = \"nats\"\nurl = \"nats://gateway:g4teway@" + n.Address + "\"", "", ""},
		{"another protocol", "type = \"amqp\"\nurl = \"amqp://manager:m4nager@" + n.Address + "\"", "level=WARN msg=\"topic is away; gateways hear of decisions when they tell events\"", "is not AMQP 0-9-1"},
		{"nobody", "type = \"amqp\"\nurl = \"amqp://" + local(freePort(t)) + "\"", "level=WARN msg=\"topic is away; gateways hear of decisions when they tell events\"", "connection refused"},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 10)
			tm := f.manager(test.broker)
			gateways := []*gatewayProcess{f.micro(tm.throttlingConfig("nats://gateway:g4teway@" + n.Address)), f.micro(tm.throttlingConfig("nats://gateway:g4teway@" + n.Address))}
			for _, g := range gateways {
				g.awaitJoined(t)
			}
			f.passSlowly(t, 0, 10, []*managerProcess{tm}, gateways...)
			f.awaitAnswered(t, gateways...)
			f.refuse(t, gateways...)
			until(t, "a line about the broker", func() bool {
				for _, line := range tm.stderr.lines(0) {
					if strings.Contains(line, test.line) && strings.Contains(line, test.says) {
						return true
					}
				}
				return false
			})
			if strings.Contains(tm.stderr.String(), "wrong@") {
				t.Errorf("the log has a password:\n%s", tm.stderr.String())
			}
		})
	}
}

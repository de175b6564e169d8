package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-project/weir/broker/brokertest"
)

// TestFleetAllInOne starts `weir serve` with its defaults in a folder that has
// nothing but an artifact: it serves, counts and decides.
func TestFleetAllInOne(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	f.finish()
	dir := t.TempDir()
	artifact, err := os.ReadFile(f.artifact())
	if err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(dir, "shop.weir"), artifact)
	http, https, management := freePort(t), freePort(t), freePort(t)
	port := func(key string, n int) string { return fmt.Sprintf("WEIR_%s=%d", key, n) }
	p := startBinary(t, "env", dir, "WEIR_GATEWAY_ARTIFACT=shop.weir", "WEIR_LISTENER_CONFIG_HOST=127.0.0.1",
		port("LISTENER_CONFIG_HTTP_PORT", http), port("MANAGEMENT_HTTPS_PORT", https), port("MANAGEMENT_PORT", management),
		server, "serve")
	g := &gatewayProcess{process: p, addr: local(http), management: local(management)}
	g.awaitReady()
	m := &managerProcess{process: p, events: local(https), management: local(management)}
	f.passSlowly(t, 0, 10, []*managerProcess{m}, g)
	f.refuse(t, g)
	until(t, "the traffic manager to have decided", func() bool {
		return readMetrics(t, g.management).value(t, "weir_decisions_in_force") == 1
	})
	var kept []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		kept = append(kept, e.Name())
	}
	if !slices.Equal(kept, []string{"data", "shop.weir"}) {
		t.Errorf("the folder has %q", kept)
	}
}

// TestFleetAllInOneAndOthers has gateways of their own work together with a process
// of all roles: they hold one limit.
func TestFleetAllInOneAndOthers(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	https, topic := freePort(t), freePort(t)
	all := f.serveRole("all", fmt.Sprintf("https_port = %d\n[broker]\ntype = \"embedded-nats\"\nlisten = %q\n", https, local(topic)))
	m := &managerProcess{process: all.process, events: local(https), management: all.management, topic: local(topic)}
	others := []*gatewayProcess{f.micro(m.throttlingConfig("")), f.serveRole("gateway", urlGroup("loadbalance", m))}
	f.holds(t, []*managerProcess{m}, others, all)
}

// TestFleetOfRoles has three gateways and two traffic managers, which do not share
// their counters and are written as one group: each counts everything, so the limit
// is held as if there were one of them, and the log warns of it.
func TestFleetOfRoles(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"loadbalance", "failover"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 10)
			one, two := f.manager(""), f.manager("")
			conf := urlGroup(kind, one, two)
			gateways := []*gatewayProcess{f.serveRole("gateway", conf), f.serveRole("gateway", conf), f.serveRole("gateway", conf)}
			f.holds(t, []*managerProcess{one, two}, gateways)
			for _, g := range gateways {
				const warning = "traffic managers of a group do not share their counters"
				if n := strings.Count(g.stderr.String(), warning); n != 1 {
					t.Errorf("the log warns %d times that they do not share", n)
				}
			}
		})
	}
}

// TestFleetGroups has two groups of one traffic manager each: both are told all.
func TestFleetGroups(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	one, two := f.manager(""), f.manager("")
	conf := fmt.Sprintf(`[apim.throttling]
receiver_url = "{%s},{%s}"
throttle_decision_endpoints = ["nats://%s", "nats://%s"]
`, one.url(), two.url(), one.topic, two.topic)
	gateways := []*gatewayProcess{f.serveRole("gateway", conf), f.serveRole("gateway", conf)}
	f.holds(t, []*managerProcess{one, two}, gateways)
	for _, g := range gateways {
		if strings.Contains(g.stderr.String(), "do not share") {
			t.Errorf("the log warns of groups that are as they should be:\n%s", g.stderr.String())
		}
	}
}

// TestFleetNATSApart has the topic on a NATS server that is a process of its own.
func TestFleetNATSApart(t *testing.T) {
	t.Parallel()
	f, n := newFleet(t, 10), brokertest.StartNATS(t)
	gateway, manager := natsURLs(n)
	one, two := f.manager(manager), f.manager(manager)
	conf := urlGroup("loadbalance", one, two)
	conf = strings.Replace(conf, "throttle_decision_endpoints", "throttle_decision_endpoints = ["+gateway+"] #", 1)
	micro := one.throttlingConfig(strings.Trim(gateway, `"`))
	gateways := []*gatewayProcess{f.serveRole("gateway", conf), f.serveRole("gateway", conf), f.micro(micro)}
	f.holds(t, []*managerProcess{one}, gateways)
}

// natsURLs returns how gateways, and traffic managers, are told to use a server.
func natsURLs(n *brokertest.NATS) (gateway, broker string) {
	url := func(user, password string) string {
		return fmt.Sprintf("\"nats://%s:%s@%s\"", user, password, n.Address)
	}
	return url(brokertest.Gateway.User, brokertest.Gateway.Password),
		"type = \"nats\"\nurl = " + url(brokertest.Manager.User, brokertest.Manager.Password)
}

// holds spends the limit of ten at gateways that work together with all of the
// traffic managers, and at those that have one in them: no more pass.
func (f *fleet) holds(t *testing.T, managers []*managerProcess, gateways []*gatewayProcess, all ...*gatewayProcess) {
	t.Helper()
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	gateways = append(gateways, all...)
	f.passSlowly(t, 0, 10, managers, gateways...)
	awaitHeard(t, 1, gateways...)
	f.refuse(t, gateways...)
	f.refuse(t, gateways...)
}

// TestFleetWithoutTopic has gateways that listen to no topic: they hear of decisions
// when their events are answered.
func TestFleetWithoutTopic(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	tm := f.manager("")
	conf := strings.Replace(urlGroup("loadbalance", tm), "throttle_decision_endpoints", "enable_decision_connection = false #", 1)
	gateways := []*gatewayProcess{f.serveRole("gateway", conf), f.serveRole("gateway", conf)}
	f.awaitAnswered(t, gateways...)
	f.passSlowly(t, 0, 10, []*managerProcess{tm}, gateways...)
	f.awaitAnswered(t, gateways...)
	f.refuse(t, gateways...)
	late := f.serveRole("gateway", conf)
	f.awaitAnswered(t, late)
	f.refuse(t, late)
}

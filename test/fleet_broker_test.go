package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/broker/brokertest"
)

// awaitAnswered returns once each gateway has told its traffic manager of another
// event, and was answered: by then it has heard of all that was in force before,
// whatever came over a topic.
func (f *fleet) awaitAnswered(t testing.TB, gateways ...*gatewayProcess) {
	t.Helper()
	for _, g := range gateways {
		sent := readMetrics(t, g.management).value(t, "weir_events_sent_total")
		until(t, "the gateway to be answered", func() bool {
			f.client(g).get(t, "/pet/a").want(t, 200, "") // for an event to be told
			return readMetrics(t, g.management).value(t, "weir_events_acknowledged_total") > sent
		})
	}
}

// awaitListening returns once each gateway listens to all its topics, or to none.
func awaitListening(t testing.TB, yes float64, gateways ...*gatewayProcess) {
	t.Helper()
	for _, g := range gateways {
		until(t, fmt.Sprintf("the gateway's listening to be %g", yes), func() bool {
			return readMetrics(t, g.management).all("weir_broker_listening", yes)
		})
	}
}

// TestFleetBrokerFails has the topic on a NATS server that is killed, comes back
// empty, and hangs: limits are held all the while, and calls go on.
func TestFleetBrokerFails(t *testing.T) {
	t.Parallel()
	f, n := newFleet(t, 10), brokertest.StartNATS(t)
	gateway, manager := natsURLs(n)
	f.outlives(t, n.Disturber(), manager, strings.Trim(gateway, `"`))
}

// TestFleetRabbitMQ has the topic on RabbitMQ, as the documents have it.
func TestFleetRabbitMQ(t *testing.T) {
	r := brokertest.StartRabbitMQ(t) // while nothing else wants the processor
	t.Parallel()
	_, port, _ := strings.Cut(r.Address, ":")
	manager := fmt.Sprintf("type = \"amqp\"\nurl = \"amqp://%s:%s@%s/carbon\"", brokertest.Manager.User, brokertest.Manager.Password, r.Address)
	// In the document's words, but for names and port.
	gateway := fmt.Sprintf("amqp://%s:%s@carbon/carbon?brokerlist='tcp://localhost:%s'", brokertest.Gateway.User, brokertest.Gateway.Password, port)
	t.Run("apart", func(t *testing.T) {
		t.Run("document", func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 10)
			byTheDocument(t, f, f.manager(manager), gateway)
		})
		t.Run("root", func(t *testing.T) { // where the topics are not those of the other fleet
			t.Parallel()
			manager := strings.TrimSuffix(manager, `carbon"`) + `"`
			t.Run("roles", func(t *testing.T) { rolesOverRabbit(t, r, manager) })
			t.Run("hostile", func(t *testing.T) {
				hostileRabbit(t, r, manager, fmt.Sprintf("amqp://%s:%s@%s", brokertest.Gateway.User, brokertest.Gateway.Password, r.Address))
			})
		})
	})
	t.Run("misfits", func(t *testing.T) {
		f := newFleet(t, 5)
		away := "https://" + local(freePort(t))
		for at, says := range map[string]string{
			"gateway:wrong@" + r.Address + "/carbon":    badLogin,
			"nobody:g4teway@" + r.Address + "/carbon":   badLogin,
			"gateway:g4teway@" + r.Address + "/nowhere": "vhost nowhere not found",
		} {
			f.copes(t, f.micro(throttling(away, "admin:admin", "amqp://"+at)), [][2]string{{brokerRefuses, says}, {noAnswer, ""}, {noData, ""}})
		}
	})
	t.Run("fails", func(t *testing.T) {
		newFleet(t, 10).outlives(t, r.Disturber(), manager, gateway)
	})
}

// rolesOverRabbit has traffic managers and gateways by deployment.toml.
func rolesOverRabbit(t *testing.T, r *brokertest.RabbitMQ, manager string) {
	f := newFleet(t, 10)
	one, two := f.manager(manager), f.manager(manager)
	conf := urlGroup("loadbalance", one, two)
	conf = strings.Replace(conf, "throttle_decision_endpoints", fmt.Sprintf("throttle_decision_endpoints = [\"tcp://%s\"] #", r.Address), 1) +
		fmt.Sprintf("\n[apim.throttling.jms]\nusername = %q\npassword = %q\n", brokertest.Gateway.User, brokertest.Gateway.Password)
	gateways := []*gatewayProcess{f.serveRole("gateway", conf), f.serveRole("gateway", conf), f.serveRole("gateway", conf)}
	f.holds(t, []*managerProcess{one, two}, gateways)
}

// outlives holds gateways to limits while a broker is disturbed. Each limit is that
// of another application, so that it is spent under the disturbance.
func (f *fleet) outlives(t *testing.T, d brokertest.Disturber, manager, gateway string) {
	killed, back, hung, resumed := f.with("mall"), f.with("barn"), f.with("cave"), f.with("dock")
	tm := f.manager(manager)
	conf := tm.throttlingConfig(gateway)
	gateways := []*gatewayProcess{f.micro(conf), f.micro(conf)}
	spend := func(f *fleet) {
		t.Helper()
		for i := range 10 {
			f.passSoon(t, 1, gateways[i%2])
			tm.awaitUsed(t, f, i+1)
		}
		f.awaitAnswered(t, gateways...)
		f.refuse(t, gateways...)
	}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	spend(f)
	awaitHeard(t, 1, gateways...)

	d.Kill(t)
	awaitListening(t, 0, gateways...)
	spend(killed)
	f.refuse(t, gateways...)

	d.Start(t)
	began := time.Now()
	awaitListening(t, 1, gateways...)
	within(t, began, recovery, "to listen again")
	until(t, "the traffic manager to tell all in force anew", func() bool {
		return readMetrics(t, tm.management).value(t, "weir_broker_connected") == 1
	})
	spend(back)
	awaitHeard(t, 2, gateways...)

	d.Hang(t)
	spend(hung)
	f.refuse(t, gateways...)
	d.Resume(t)
	began = time.Now()
	spend(resumed)
	awaitListening(t, 1, gateways...)
	within(t, began, 3*recovery, "to hold a limit and listen again") // ten calls, one by one
	for _, g := range gateways {
		if log := g.stderr.String(); strings.Contains(log, "level=ERROR") {
			t.Errorf("the log has an error:\n%s", log)
		}
	}
}

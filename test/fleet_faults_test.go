package test

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// recovery is how soon limits are held again once a fault has passed.
const recovery = 5 * time.Second

// within fails the test if what began then took longer.
func within(t testing.TB, began time.Time, most time.Duration, what string) {
	t.Helper()
	if d := time.Since(began); d > most {
		t.Errorf("%s took %s, want %s at most", what, d.Round(time.Millisecond), most)
	}
}

// passSoon is pass, and none of the calls waits for what is away.
func (f *fleet) passSoon(t testing.TB, n int, gateways ...*gatewayProcess) {
	t.Helper()
	for i := range n {
		began := time.Now()
		f.pass(t, 1, gateways[i%len(gateways)])
		within(t, began, time.Second, "a call")
	}
}

// TestFleetManagerKilled kills the traffic manager in the middle of a window, again
// and again. Calls go on meanwhile; gateways tell the next one what they counted, and
// exactly the limit passes.
func TestFleetManagerKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 30)
	tm := f.manager("")
	conf := tm.throttlingConfig("")
	gateways := []*gatewayProcess{f.micro(conf), f.micro(conf), f.micro(conf)}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	f.pass(t, 8, gateways...)
	tm.awaitUsed(t, f, 8)

	tm.kill()
	f.passSoon(t, 9, gateways...)
	tm.start()
	began := time.Now()
	tm.awaitUsed(t, f, 17)
	within(t, began, recovery, "to count again what was counted")

	tm.kill() // with nothing to be told but what was counted before
	tm.start()
	tm.awaitUsed(t, f, 17)
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	f.passSlowly(t, 17, 13, []*managerProcess{tm}, gateways...)
	awaitHeard(t, 1, gateways...)
	f.refuse(t, gateways...)

	tm.kill() // when the limit is spent
	f.refuse(t, gateways...)
	tm.start()
	tm.awaitUsed(t, f, 30)
	f.refuse(t, gateways...)
	late := f.micro(conf)
	late.awaitJoined(t)
	f.refuse(t, late)
	if n := f.hits(); n != 30 {
		t.Errorf("%d calls reached the backend, want 30", n)
	}
}

// TestFleetManagerKilledUnderLoad kills the traffic manager while clients call: not
// one call fails, and not less than the limit passes, nor much more.
func TestFleetManagerKilledUnderLoad(t *testing.T) {
	t.Parallel()
	const limit, pause = 60, 100 * time.Millisecond
	f := newFleet(t, limit)
	tm := f.manager("")
	conf := tm.throttlingConfig("")
	gateways := []*gatewayProcess{f.micro(conf), f.micro(conf), f.micro(conf)}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	calls := f.load(t, pause, gateways...)
	until(t, "a third to have passed", func() bool { return calls.passed.Load() >= limit/3 })
	tm.kill()
	until(t, "a half to have passed", func() bool { return calls.passed.Load() >= limit/2 })
	tm.start()
	until(t, "the limit to be spent", func() bool { return calls.passed.Load() >= limit })
	spent := time.Now()
	until(t, "all gateways to refuse", calls.refusing)
	within(t, spent, recovery, "to refuse")
	// What came until a decision was known: the loop takes a fraction of a second.
	if n := calls.stop(); n < limit || n > limit+30 {
		t.Errorf("%d passed, want %d or a little more", n, limit)
	}
}

// TestFleetManagerHangs stops the process of one of two traffic managers: calls and
// the other traffic manager go on; when it goes on, it catches up.
func TestFleetManagerHangs(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 20)
	one, two := f.manager(""), f.manager("")
	conf := urlGroup("loadbalance", one, two)
	gateways := []*gatewayProcess{f.serveRole("gateway", conf), f.serveRole("gateway", conf), f.serveRole("gateway", conf)}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	f.passSlowly(t, 0, 8, []*managerProcess{one, two}, gateways...)
	one.hang()
	for i := range 12 {
		f.passSoon(t, 1, gateways[i%3])
		two.awaitUsed(t, f, 8+i+1)
	}
	awaitHeard(t, 1, gateways...)
	f.refuse(t, gateways...)
	one.resume()
	began := time.Now()
	one.awaitUsed(t, f, 20)
	within(t, began, recovery, "to count what was missed")
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	f.refuse(t, gateways...)
	if n := f.hits(); n != 20 {
		t.Errorf("%d calls reached the backend, want 20", n)
	}
}

// TestFleetAllManagersDown has both traffic managers killed: each gateway goes on by
// its own counters; once one of them is back, the limit of all is held again.
func TestFleetAllManagersDown(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	one, two := f.manager(""), f.manager("")
	conf := urlGroup("failover", one, two)
	gateways := []*gatewayProcess{f.serveRole("gateway", conf), f.serveRole("gateway", conf), f.serveRole("gateway", conf)}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	f.passSlowly(t, 0, 3, []*managerProcess{one, two}, gateways...)
	one.kill()
	two.kill()
	f.passSoon(t, 9, gateways[0]) // its own ten
	f.refuse(t, gateways[0])
	f.passSoon(t, 4, gateways[1:]...)
	two.start()
	began := time.Now()
	two.awaitUsed(t, f, 16)
	f.awaitAnswered(t, gateways...) // the topic may have told of it before they listened again
	within(t, began, recovery, "to hold the limit again")
	f.refuse(t, gateways...)
	for _, g := range gateways {
		for _, line := range []string{"traffic manager does not answer; events wait, requests go on", "traffic manager answers again"} {
			if !strings.Contains(g.stderr.String(), line) {
				t.Errorf("the log has no line %q", line)
			}
		}
	}
}

// TestFleetNothingIsThere starts gateways whose traffic manager and broker are not
// there, or are there and silent, or have names that nobody knows: they serve within
// two seconds.
func TestFleetNothingIsThere(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 5)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts nobody
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	f.finish()
	for _, test := range []struct{ name, manager, broker, password string }{
		{"closed", local(freePort(t)), "nats://" + local(freePort(t)), "admin"},
		{"closed, AMQP", local(freePort(t)), "amqp://" + local(freePort(t)), "admin"},
		{"silent", silent.Addr().String(), "nats://" + silent.Addr().String(), "admin"},
		{"silent, AMQP", silent.Addr().String(), "amqp://" + silent.Addr().String(), "admin"},
		{"unknown", "traffic-manager.invalid:9443", "amqp://broker.invalid:5672", "a-long-secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			began := time.Now()
			g := f.launchMicro(plain, "[throttlingConfig]\nenabledGlobalTMEventPublishing = true\njmsConnectionProviderUrl = \""+test.broker+
				"\"\nthrottleEndpointUrl = \"https://"+test.manager+"/endpoints\"\nthrottleEndpointbase64Header = \"admin:"+test.password+"\"\n")
			until(t, "the first call to pass", func() bool {
				r, err := f.client(g).do("GET", "/pizza/1/menu", "", "ApiKey", f.secret())
				return err == nil && r.StatusCode == 200
			})
			within(t, began, 2*time.Second, "to start and serve")
			f.passSoon(t, 4, g)
			f.refuse(t, g)
			g.stop(syscall.SIGTERM)
			within(t, began, 12*time.Second, "to start, serve and stop")
		})
	}
}

// TestFleetQueueIsBounded lets events wait for no more than a second while the traffic
// manager is away: what is dropped is counted, said in one line, and told in sum when
// it is back, so that nothing is missing.
func TestFleetQueueIsBounded(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 20)
	tm := f.manager("")
	conf := tm.throttlingConfig("") + "[events]\nqueue_age = \"1s\"\n"
	gateways := []*gatewayProcess{f.micro(conf), f.micro(conf)}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	f.passSlowly(t, 0, 4, []*managerProcess{tm}, gateways...)
	tm.kill()
	f.passSoon(t, 8, gateways...)
	for _, g := range gateways {
		until(t, "the events to be dropped", func() bool {
			m := readMetrics(t, g.management)
			return m.value(t, "weir_events_dropped_total") >= 1 && m.value(t, "weir_events_queue_events") == 0
		})
	}
	f.passSoon(t, 2, gateways...)
	tm.start()
	began := time.Now()
	tm.awaitUsed(t, f, 14)
	within(t, began, recovery, "to be told in sum")
	for _, g := range gateways {
		g.awaitJoined(t)
		if n := strings.Count(g.stderr.String(), "events dropped that waited for a traffic manager"); n != 1 {
			t.Errorf("the log says %d times that events were dropped", n)
		}
	}
	f.passSlowly(t, 14, 6, []*managerProcess{tm}, gateways...)
	awaitHeard(t, 1, gateways...)
	f.refuse(t, gateways...)
}

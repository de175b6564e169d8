package test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-project/weir/broker/brokertest"
)

// TestFleetLastEvents stops gateways before they would tell what they counted: they
// tell it before they end. The one that takes its place goes on where it stopped.
func TestFleetLastEvents(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 20)
	tm := f.manager("")
	slow := tm.throttlingConfig("") + "[events]\nflush = \"1s\"\n"
	one, two := f.micro(slow), f.serveRole("gateway", urlGroup("loadbalance", tm)+"[events]\nflush = \"1s\"\n")
	for i, g := range []*gatewayProcess{one, two} {
		g.awaitJoined(t)
		f.pass(t, 7, g)
		began := time.Now()
		g.stop(syscall.SIGTERM)
		within(t, began, 3*time.Second, "to stop")
		if n := tm.used(t, f); n != 7*(i+1) {
			t.Errorf("the traffic manager has counted %d once %d gateways have ended, want %d", n, i+1, 7*(i+1))
		}
	}
	next := f.micro(tm.throttlingConfig(""))
	next.awaitJoined(t)
	f.passSlowly(t, 14, 6, []*managerProcess{tm}, next)
	awaitHeard(t, 1, next)
	f.refuse(t, next)
}

// TestFleetStopsWithAHungManager stops a gateway whose traffic manager takes what it
// has to say, and never answers: it does not wait for long.
func TestFleetStopsWithAHungManager(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	tm := f.manager("")
	g := f.micro(tm.throttlingConfig(""))
	g.awaitJoined(t)
	tm.hang()
	f.passSoon(t, 3, g)
	began := time.Now()
	g.stop(syscall.SIGTERM)
	within(t, began, 6*time.Second, "to stop")
	tm.resume()
	began = time.Now()
	tm.stop(syscall.SIGTERM)
	within(t, began, 6*time.Second, "to stop")
}

// TestFleetKilledGateway kills a gateway: what it told stays counted, the others hold
// the limit, and so does the one that is started in its place.
func TestFleetKilledGateway(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	tm := f.manager("")
	conf := tm.throttlingConfig("")
	one, two := f.micro(conf), f.micro(conf)
	one.awaitJoined(t)
	two.awaitJoined(t)
	f.passSlowly(t, 0, 4, []*managerProcess{tm}, one, two)
	one.kill()
	f.passSlowly(t, 4, 2, []*managerProcess{tm}, two)
	one = f.micro(conf)
	one.awaitJoined(t)
	f.passSlowly(t, 6, 4, []*managerProcess{tm}, one, two)
	awaitHeard(t, 1, one, two)
	f.refuse(t, one, two)
}

// A lineman forwards connections, and cuts them.
type lineman struct {
	net.Listener
	to string

	mu       sync.Mutex
	open     map[net.Conn]bool
	accepted int
	all      sync.WaitGroup
}

// newLineman forwards to an address until the test ends.
func newLineman(t testing.TB, to string) *lineman {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &lineman{Listener: l, to: to, open: map[net.Conn]bool{}}
	m.all.Go(m.run)
	t.Cleanup(func() {
		l.Close()
		m.cut()
		m.all.Wait()
	})
	return m
}

func (m *lineman) run() {
	for {
		in, err := m.Accept()
		if err != nil {
			return
		}
		out, err := net.DialTimeout("tcp", m.to, patience)
		if err != nil {
			in.Close()
			continue
		}
		m.mu.Lock()
		m.open[in], m.open[out] = true, true
		m.accepted++
		m.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			m.all.Go(func() {
				_, _ = io.Copy(pair[0], pair[1]) // until either end closes
				m.close(pair[0])
			})
		}
	}
}

func (m *lineman) close(c net.Conn) {
	c.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, c)
}

// cut closes all connections.
func (m *lineman) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.open {
		c.Close()
	}
}

// times returns how many connections there have been.
func (m *lineman) times() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.accepted
}

// TestFleetReconnects cuts the connections between a gateway, its traffic manager and
// its brokers fifty times each: neither has more goroutines or files open afterwards.
func TestFleetReconnects(t *testing.T) {
	t.Parallel()
	f, n := newFleet(t, 10), brokertest.StartNATS(t)
	gateway, manager := natsURLs(n)
	tm := f.manager(manager)
	events := newLineman(t, tm.events)
	var topics []*lineman
	var urls []string
	for range 10 {
		l := newLineman(t, n.Address)
		topics = append(topics, l)
		urls = append(urls, strings.Replace(gateway, n.Address, l.Addr().String(), 1))
	}
	g := f.serveRole("gateway", fmt.Sprintf("[apim.throttling]\nthrottle_decision_endpoints = [%s]\n[[apim.throttling.url_group]]\ntraffic_manager_urls = [\"https://%s\"]\n",
		strings.Join(urls, ", "), events.Addr()))
	g.awaitJoined(t)
	f.pass(t, 2, g)
	f.awaitAnswered(t, g)
	was := map[*process]metrics{g.process: readMetrics(t, g.management), tm.process: readMetrics(t, tm.management)}

	for i := range 50 {
		before := events.times()
		events.cut()
		if i%10 == 0 {
			for _, l := range topics {
				l.cut()
			}
		}
		until(t, "the gateway to connect again", func() bool {
			f.client(g).get(t, "/pet/a").want(t, 200, "")
			return events.times() > before
		})
		f.awaitAnswered(t, g) // cut in the middle of a handshake, it would wait before the next
		if i%10 == 0 {
			g.awaitJoined(t)
		}
	}
	g.awaitJoined(t)
	for _, l := range topics {
		if l.times() < 6*2 {
			t.Errorf("a broker was connected to %d times, want 6 for each of two topics", l.times())
		}
	}
	for what, p := range map[string]*process{g.management: g.process, tm.management: tm.process} {
		for _, name := range []string{"process_open_fds", "go_goroutines"} {
			var now float64
			until(t, fmt.Sprintf("%s to be about %g", name, was[p].value(t, name)), func() bool {
				now = readMetrics(t, what).value(t, name)
				return now <= was[p].value(t, name)+4
			})
		}
	}
	f.passSlowly(t, 2, 8, []*managerProcess{tm}, g)
	awaitHeard(t, 10, g)
	f.refuse(t, g)
	if d := readMetrics(t, g.management).value(t, "weir_events_dropped_total"); d != 0 {
		t.Errorf("%g events were dropped", d)
	}
}

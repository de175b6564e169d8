//go:build unix

package nats_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/brokertest"
	"github.com/weir-project/weir/broker/nats"
	"github.com/weir-project/weir/test/realserver"
)

func TestMain(m *testing.M) {
	if brokertest.Child() {
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// run runs f until the test ends.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// transport returns a Transport.
func transport(t testing.TB, o nats.Options) *nats.Transport {
	t.Helper()
	o.Queue, o.PingInterval = brokertest.Queue, time.Second
	tr, err := nats.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// publishing returns a Transport that is ready to publish.
func publishing(t testing.TB, tr *nats.Transport) *nats.Transport {
	t.Helper()
	run(t, tr.Run)
	until(t, "it is connected", func() bool { return tr.Err() == nil })
	return tr
}

func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// A server that runs in a process of its own.
func TestConformanceAlone(t *testing.T) {
	n := brokertest.StartNATS(t)
	brokertest.Run(t, func(t *testing.T) (publisher, subscriber broker.Transport, d brokertest.Disturber) {
		return publishing(t, transport(t, nats.Options{URL: n.URL(brokertest.Manager)})),
			transport(t, nats.Options{URL: n.URL(brokertest.Gateway)}), n.Disturber()
	})
}

// A server that runs in the process of who publishes.
func TestConformanceEmbedded(t *testing.T) {
	brokertest.Run(t, func(t *testing.T) (publisher, subscriber broker.Transport, d brokertest.Disturber) {
		s, stop := serve(t, nats.ServerOptions{Listen: realserver.FreeAddress(t)})
		own, err := s.Transport(nats.Options{Queue: brokertest.Queue})
		if err != nil {
			t.Fatal(err)
		}
		return publishing(t, own), transport(t, nats.Options{URL: url(brokertest.Gateway, s.Addr())}), brokertest.Disturber{
			Kill: func(testing.TB) { stop() },
			Start: func(t testing.TB) {
				stop = run(t, s.Run)
				until(t, "the server listens", func() bool { return s.Addr() != "" })
			},
		}
	})
}

// serve runs a server with the usual users.
func serve(t testing.TB, o nats.ServerOptions) (s *nats.Server, stop func()) {
	t.Helper()
	if o.Listen != "" {
		o.Managers, o.Gateways = brokertest.Manager, brokertest.Gateway
	}
	s, err := nats.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	stop = run(t, s.Run)
	select {
	case <-s.Ready():
	case <-time.After(20 * time.Second):
		t.Fatal("the server does not listen")
	}
	return s, stop
}

// url returns the URL of servers.
func url(l nats.Login, addresses ...string) broker.URL {
	u := broker.URL{Scheme: broker.NATS, User: l.User, Password: l.Password}
	for _, a := range addresses {
		u.Brokers = append(u.Brokers, broker.Broker{Address: a})
	}
	return u
}

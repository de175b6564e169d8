//go:build unix

package brokertest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/nats"
	"github.com/weir-project/weir/test/realserver"
)

// listenVariable tells a test binary to be a NATS server, and where.
const listenVariable = "WEIR_BROKERTEST_NATS"

// The users of the brokers that are started here: one that may publish and
// subscribe, and one that may only subscribe.
var (
	Manager = nats.Login{User: "manager", Password: "m4nager"}
	Gateway = nats.Login{User: "gateway", Password: "g4teway"}
)

// Child runs a NATS server if this process was started by [StartNATS], and reports
// whether it was. A TestMain calls it first, and runs no tests if it was.
func Child() bool {
	address := os.Getenv(listenVariable)
	if address == "" {
		return false
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := nats.NewServer(nats.ServerOptions{Listen: address, Managers: Manager, Gateways: Gateway})
	if err == nil {
		err = s.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return true
}

// A NATS is a NATS server in a process of its own.
type NATS struct {
	Address string
	process *realserver.Process
}

// StartNATS starts a NATS server that ends with the test. TestMain must call
// [Child].
func StartNATS(t testing.TB) *NATS {
	t.Helper()
	if os.Getenv(listenVariable) != "" {
		t.Fatal("TestMain does not call brokertest.Child")
	}
	n := &NATS{Address: "127.0.0.1:" + realserver.FreePort(t)}
	n.Start(t)
	t.Cleanup(func() { n.Kill(t) })
	return n
}

// URL returns the URL for a user.
func (n *NATS) URL(l nats.Login) broker.URL {
	return broker.URL{Scheme: broker.NATS, User: l.User, Password: l.Password, Brokers: []broker.Broker{{Address: n.Address}}}
}

// Start starts the server again.
func (n *NATS) Start(t testing.TB) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n.process = realserver.Start(t, "", append(os.Environ(), listenVariable+"="+n.Address), self, "-test.run=^$")
	realserver.Until(t, patience, "the NATS server listens", func() bool {
		if n.process.Ended() {
			t.Fatalf("the NATS server has ended:\n%s", n.process.Output())
		}
		return answers(n.Address, "", 'I') // it says INFO
	})
}

// Kill ends the server without warning.
func (n *NATS) Kill(testing.TB) { n.process.Kill() }

// Hang stops the server's process.
func (n *NATS) Hang(testing.TB) { n.process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (n *NATS) Resume(testing.TB) { n.process.Signal(syscall.SIGCONT) }

// Disturber returns what disturbs n.
func (n *NATS) Disturber() Disturber {
	return Disturber{Kill: n.Kill, Start: n.Start, Hang: n.Hang, Resume: n.Resume, Notice: 5 * time.Second}
}

// answers reports whether whoever listens at address says first, once it is told
// hello.
func answers(address, hello string, first byte) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	got := make([]byte, 1)
	if _, err := c.Write([]byte(hello)); err != nil {
		return false
	}
	_, err = c.Read(got)
	return err == nil && got[0] == first
}

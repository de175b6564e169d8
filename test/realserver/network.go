package realserver

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// A Network is the way to a server, which a test can make worse. It ends with the test.
type Network struct {
	Addr string // where the server is found

	t      testing.TB
	server string
	all    sync.WaitGroup

	mu    sync.Mutex
	to    string // the server, or what makes the way to it worse
	conns map[net.Conn]bool
}

// NewNetwork returns a network that is well.
func NewNetwork(t testing.TB, server string) *Network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &Network{Addr: l.Addr().String(), t: t, server: server, to: server, conns: make(map[net.Conn]bool)}
	n.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.all.Go(func() { n.pass(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		n.lead("")
		n.all.Wait()
	})
	return n
}

// Worse makes the network worse, as toxiproxy's toxic of a kind does to a stream ("upstream"
// or "downstream"), until less is called. All connections end both times: toxiproxy
// waits for seconds, and lets nobody connect, where one ends while its toxic is taken away. It
// is well again at the end of the test in any case.
func (n *Network) Worse(kind, stream string, attributes map[string]any) (less func()) {
	n.t.Helper()
	text, err := json.Marshal(map[string]any{"name": kind, "type": kind, "stream": stream, "toxicity": 1, "attributes": attributes})
	if err != nil {
		n.t.Fatal(err)
	}
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), kind, "127.0.0.1:0", n.server)
	if _, err := p.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
		n.t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.lead(p.Listen)
	less = sync.OnceFunc(func() {
		n.lead(n.server)
		p.Stop()
	})
	n.t.Cleanup(less)
	return less
}

// lead has connections lead somewhere else from now on; nowhere, if to is empty.
func (n *Network) lead(to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.to = to
	for c := range n.conns {
		_ = c.Close()
	}
}

// pass passes on what two say to each other.
func (n *Network) pass(near net.Conn) {
	n.mu.Lock()
	to := n.to
	n.conns[near] = true
	n.mu.Unlock()
	defer n.end(near)
	if to == "" {
		return
	}
	far, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return
	}
	n.mu.Lock()
	n.conns[far] = true
	led := n.to == to
	n.mu.Unlock()
	defer n.end(far)
	if !led {
		return
	}
	n.all.Go(func() {
		_, _ = io.Copy(far, near) // until one of them ends
		_ = far.Close()
		_ = near.Close()
	})
	_, _ = io.Copy(near, far)
}

func (n *Network) end(c net.Conn) {
	_ = c.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

//go:build unix

package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/weir-project/weir/test/realserver"
)

// Master is the name under which Sentinels know the primary.
const Master = "mymaster"

// Sentinels are Sentinels that watch a primary. They find it down after half a second.
type Sentinels struct {
	// Addresses are their hosts and ports.
	Addresses []string
	processes []*realserver.Process
}

// StartSentinels starts n Sentinels that watch a primary, of which more than half
// must agree, and waits until they know each other and the primary's replicas. The first of them
// run at the places that are given, the others here.
func StartSentinels(t testing.TB, n, replicas int, primary *Server, at ...Place) *Sentinels {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("NOT TESTED: there is no redis-server here (apt-get install redis-server)")
	}
	s := &Sentinels{}
	for i := range n {
		place := Place{}
		if i < len(at) {
			place = at[i]
		}
		dir, port := t.TempDir(), realserver.FreePort(t)
		path := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("bind %s\nport %s\ndir %s\nsentinel monitor %s %s %s %d\n"+
			"sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 2000\n",
			place.host(), port, dir, Master, primary.options.At.host(), primary.port, n/2+1, Master, Master)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := place.start(t, dir, program, path, "--sentinel")
		t.Cleanup(p.Kill)
		s.processes = append(s.processes, p)
		s.Addresses = append(s.Addresses, net.JoinHostPort(place.host(), port))
	}
	for i, address := range s.Addresses {
		realserver.Until(t, patience, "Sentinel "+address+" knows the others", func() bool {
			if s.processes[i].Ended() {
				t.Fatalf("the Sentinel has ended:\n%s", s.processes[i].Output())
			}
			m := s.state(address)
			return m["num-other-sentinels"] == fmt.Sprint(n-1) && m["num-slaves"] == fmt.Sprint(replicas) && m["flags"] == "master"
		})
	}
	return s
}

func (s *Sentinels) state(address string) map[string]string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c := redis.NewSentinelClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	defer c.Close()
	m, _ := c.Master(ctx, Master).Result() // nil while it does not answer
	return m
}

// Primary returns the host and port of the primary as most of the Sentinels know it; empty if they
// don't agree.
func (s *Sentinels) Primary() string {
	votes := make(map[string]int)
	for _, address := range s.Addresses {
		m := s.state(address)
		at := m["ip"] + ":" + m["port"]
		if votes[at]++; votes[at] > len(s.Addresses)/2 && !strings.HasPrefix(at, ":") {
			return at
		}
	}
	return ""
}

// Ask has a server at an address carry out a command.
func Ask(address string, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	defer c.Close()
	return c.Do(ctx, args...).Result()
}

package test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/test/realserver"
)

// A split is a fleet whose store's primary can be cut off from its replica and from most of
// the Sentinels. The first gateway is cut off with it.
type split struct {
	f         *sharedFleet
	replica   *redistest.Server
	sentinels *redistest.Sentinels
	old       string // where the old primary can be asked, cut off or not
	cut, mend func()
}

// try cuts the primary off under load: the Sentinels make the replica a primary, and the
// old one lives on and serves its gateway. Then all is mended. It returns the trial, which is to
// be judged.
func (s *split) try(t *testing.T) *trial {
	t.Helper()
	tr := newTrial(t, s.f)
	tr.split = true
	tr.phase("cut off", func() {
		s.cut()
		until(t, "the Sentinels to have another primary", func() bool { return s.sentinels.Primary() == s.replica.Addr })
	})
	tr.granted(time.Now(), 1, 2)
	both := tr.phase("two primaries", func() { time.Sleep(2 * time.Second) })
	if clients := askOld(t, s.old, "CLIENT", "LIST"); !strings.Contains(clients, "weir-gateway") {
		t.Errorf("the first gateway is no longer with the old primary, which has the clients %s", clients)
	}
	if role := askOld(t, s.old, "ROLE"); !strings.HasPrefix(role, "[master") {
		t.Errorf("the old primary says %s of its role", role)
	}
	early := slices.DeleteFunc(tr.load.passes(t, "tick"), func(c sharedCall) bool { return c.gateway != 0 || c.sent < both.from.UnixNano() })
	if n := len(early); n > 0 {
		t.Errorf("exact: the first gateway was granted %d by a primary that was cut off", n)
	}
	tr.phase("mended", s.mend)
	tr.granted(time.Now())
	return tr
}

// askOld returns what the old primary says.
func askOld(t *testing.T, at string, command ...any) string {
	t.Helper()
	answer, err := redistest.Ask(at, command...)
	if err != nil {
		t.Fatalf("the old primary: %v: %v", command, err)
	}
	return fmt.Sprint(answer)
}

// TestSharedOldPrimary has a wall in this process, which knows who speaks, cut the old primary
// off. That takes no rights, and the first gateway hears all the time, of a Sentinel that is
// behind, that the old primary is the one.
func TestSharedOldPrimary(t *testing.T) {
	t.Parallel()
	old := redistest.Start(t, redistest.Options{})
	w := newWall(t, old.Addr)
	replica := redistest.Start(t, redistest.Options{})
	_, port, _ := net.SplitHostPort(w.addr())
	replica.Do(t, "REPLICAOF", "127.0.0.1", port)
	old.AwaitReplicas(t, 1)
	sentinels := watchBehind(t, old, port)
	h := newHerald(t, w.addr()) // the first gateway does not hear of another primary
	f := newSharedFleet(t, faultKinds)
	f.binary = plain
	f.startGateways(1, watchedBy([]string{h.Addr().String()}))
	f.startGateways(2, watchedBy(sentinels.Addresses))
	s := split{
		f: f, replica: replica, sentinels: sentinels, old: old.Addr,
		cut:  func() { w.closed.Store(true) },
		mend: func() { h.primary.Store(&replica.Addr); w.open() },
	}
	s.try(t).judge(replica)
}

// watchBehind starts Sentinels that see a primary, which has a replica, at another port.
func watchBehind(t *testing.T, primary *redistest.Server, port string) *redistest.Sentinels {
	t.Helper()
	sentinels := redistest.StartSentinels(t, 3, 1, primary)
	for _, at := range sentinels.Addresses {
		for _, c := range [][]any{
			{"SENTINEL", "REMOVE", redistest.Master},
			{"SENTINEL", "MONITOR", redistest.Master, "127.0.0.1", port, 2},
			{"SENTINEL", "SET", redistest.Master, "down-after-milliseconds", 500, "failover-timeout", 2000},
		} {
			if _, err := redistest.Ask(at, c...); err != nil {
				t.Fatalf("%v: %v", c, err)
			}
		}
	}
	awaitWatched(t, sentinels)
	return sentinels
}

// TestSharedOldPrimaryNamespace has the old primary, its gateway and one of the Sentinels live in
// a network namespace, to which the cable is pulled. Once it is back, the old primary becomes a
// replica of the new one.
func TestSharedOldPrimaryNamespace(t *testing.T) {
	t.Parallel()
	n := realserver.NewNamespace(t)
	here, there := redistest.Place{Host: n.Back.Here}, redistest.Place{Host: n.Back.There, Namespace: n}
	old := redistest.Start(t, redistest.Options{At: there, Args: []string{"--bind", n.Back.There, n.Front.There}})
	replica := redistest.Start(t, redistest.Options{At: here, Of: old})
	old.AwaitReplicas(t, 1)
	sentinels := redistest.StartSentinels(t, 3, 1, old, here, here, there)
	f := newSharedFleetBefore(t, n.Front.Here, faultKinds)
	f.binary = plain
	f.startGatewayIn(n, watchedBy(sentinels.Addresses))
	f.startGateways(2, watchedBy(sentinels.Addresses))
	s := split{
		f: f, replica: replica, sentinels: sentinels, old: net.JoinHostPort(n.Front.There, old.Port()),
		cut: func() { n.Cut(t) }, mend: func() { n.Mend(t) },
	}
	tr := s.try(t)
	tr.phase("a replica again", func() {
		until(t, "the old primary to be a replica", func() bool { return old.Info("role") == "slave" && old.Info("master_link_status") == "up" })
	})
	tr.granted(time.Now())
	tr.judge(replica)
}

// startGatewayIn starts a gateway in a namespace.
func (f *sharedFleet) startGatewayIn(n *realserver.Namespace, conf string) {
	f.t.Helper()
	f.finish()
	http, management := freePort(f.t), freePort(f.t)
	file := f.configure("deployment.toml", fmt.Sprintf(
		"[gateway]\nartifact = %q\n\n[listenerConfig]\nhost = %q\nhttpPort = %d\nhttpsPort = -1\n\n[management]\nhost = %[2]q\nport = %[4]d\n%[5]s\n",
		f.artifact(), n.Front.There, http, management, conf))
	command := n.Command(f.binary, "serve", "--role", "gateway", "--config", file)
	at := func(port int) string { return net.JoinHostPort(n.Front.There, itoa(port)) }
	g := &gatewayProcess{process: startBinary(f.t, command[0], f.home, command[1:]...), addr: at(http), management: at(management)}
	f.gateways = append(f.gateways, g)
	g.awaitReady()
}

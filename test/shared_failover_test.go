package test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/redis/redistest"
)

// watchedBy returns lines for gateways that ask Sentinels where the store is.
func watchedBy(sentinels []string) string {
	return fmt.Sprintf("[apim.redis_config]\nsentinel_master = %q\nsentinel_addresses = [\"%s\"]\n\n[throttle_properties]\n'throttling.distributed.counter.type' = \"redis\"\n",
		redistest.Master, strings.Join(sentinels, `", "`))
}

// TestSharedFailover kills the store's primary again and again, under load. There are a
// replica and three Sentinels.
func TestSharedFailover(t *testing.T) {
	t.Parallel()
	kills := 2
	if long() {
		kills = 10
	}
	primary := redistest.Start(t, redistest.Options{})
	replica := redistest.Start(t, redistest.Options{Of: primary})
	primary.AwaitReplicas(t, 1)
	sentinels := redistest.StartSentinels(t, 3, 1, primary)
	f := newSharedFleet(t, faultKinds)
	f.binary = plain
	f.startGateways(3, watchedBy(sentinels.Addresses))
	tr := newTrial(t, f)
	for i := range kills {
		killed := time.Now()
		tr.phase(fmt.Sprintf("primary killed %d", i+1), func() {
			primary.Kill()
			until(t, "the Sentinels to have another primary", func() bool { return sentinels.Primary() == replica.Addr })
		})
		promoted := time.Now()
		tr.granted(promoted)
		t.Logf("another primary after %.1f s, exact limits are granted again after %.1f s", promoted.Sub(killed).Seconds(), time.Since(killed).Seconds())
		primary, replica = replica, primary
		replica.Restart(t)
		replica.Do(t, "REPLICAOF", "127.0.0.1", primary.Port())
		primary.AwaitReplicas(t, 1)
		awaitWatched(t, sentinels)
	}
	if epochs := f.stores(t, "weir_shared_epochs_total"); epochs < float64(kills*len(f.gateways)) {
		t.Errorf("the gateways heard of %g new epochs, want %d each", epochs, kills)
	}
	tr.judge(primary)
}

// awaitWatched returns once each Sentinel finds that the primary and its replica live, and knows
// the other Sentinels.
func awaitWatched(t *testing.T, s *redistest.Sentinels) {
	t.Helper()
	for _, at := range s.Addresses {
		until(t, "the Sentinel to know the primary, its replica and the others", func() bool {
			primary, err1 := redistest.Ask(at, "SENTINEL", "MASTER", redistest.Master)
			replica, err2 := redistest.Ask(at, "SENTINEL", "REPLICAS", redistest.Master)
			master, slave := fmt.Sprint(primary), fmt.Sprint(replica)
			return err1 == nil && err2 == nil && strings.Contains(master, "flags master ") && strings.Contains(master, "num-other-sentinels "+itoa(len(s.Addresses)-1)) &&
				strings.Contains(slave, "flags slave ") && strings.Contains(slave, "master-link-status ok")
		})
	}
}

// watchBehind starts Sentinels that see a primary, which has a replica, at another port.
func watchBehind(t *testing.T, primary *redistest.Server, port string) *redistest.Sentinels {
	t.Helper()
	sentinels := redistest.StartSentinels(t, 3, 1, primary)
	for _, at := range sentinels.Addresses {
		for _, c := range [][]any{
			{"SENTINEL", "REMOVE", redistest.Master},
			{"SENTINEL", "MONITOR", redistest.Master, "127.0.0.1", port, 2},
			{"SENTINEL", "SET", redistest.Master, "down-after-milliseconds", 500, "failover-timeout", 3000},
		} {
			if _, err := redistest.Ask(at, c...); err != nil {
				t.Fatalf("%v: %v", c, err)
			}
		}
	}
	awaitWatched(t, sentinels)
	return sentinels
}

// TestSharedOldPrimary cuts the store's primary off from its replica and from the
// Sentinels, which make the replica a primary. One gateway is with the old primary, which
// lives on and serves it; the others go to the new one. What a network namespace of its own
// would do needs root; a wall in this process, which knows who speaks, does it anywhere.
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
	tr := newTrial(t, f)
	tr.split = true

	tr.phase("cut off", func() {
		w.closed.Store(true)
		until(t, "the Sentinels to have another primary", func() bool { return sentinels.Primary() == replica.Addr })
	})
	promoted := time.Now()
	tr.granted(promoted, 1, 2)
	both := tr.phase("two primaries", func() { time.Sleep(2 * time.Second) })
	if !strings.Contains(fmt.Sprint(old.Do(t, "CLIENT", "LIST")), "weir-gateway") || old.Info("role") != "master" {
		t.Error("the first gateway is no longer with the old primary")
	}
	early := slices.DeleteFunc(tr.load.passes(t, "tick"), func(c sharedCall) bool { return c.gateway != 0 || c.sent < both.from.UnixNano() })
	if n := len(early); n > 0 {
		t.Errorf("exact: the first gateway was granted %d by a primary that was cut off", n)
	}
	tr.phase("mended", func() {
		h.primary.Store(&replica.Addr)
		w.open()
	})
	tr.granted(time.Now())
	tr.judge(replica)
}

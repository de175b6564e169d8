package test

import (
	"fmt"
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
	kills := 10
	if long() {
		kills = 30
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

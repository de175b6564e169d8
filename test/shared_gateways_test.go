package test

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/redis/redistest"
)

// pause is for how long a gateway is stopped. Its rights, and the windows that they are
// for, are over by then.
const pause = 10 * time.Second

// TestSharedGatewayPaused stops the process of a gateway that holds rights, and lets it go
// on when others have been granted them, or their window is over.
func TestSharedGatewayPaused(t *testing.T) {
	t.Parallel()
	store := startStore(t, redistest.Options{})
	f := newSharedFleet(t, faultKinds)
	f.binary = plain
	f.startGateways(3, clusterAt(t, store.Addr, storeUser, storePassword))
	tr := newTrial(t, f)
	rounds := 1
	if long() {
		rounds = 6
	}
	for round := range rounds {
		if held := readMetrics(t, f.gateways[0].management).value(t, "weir_shared_limit_rights_held", `policy="total"`); held == 0 && round == 0 {
			t.Error("the gateway holds no rights")
		}
		tr.phase("gateway paused", func() {
			f.gateways[0].hang()
			time.Sleep(pause)
			f.gateways[0].resume()
		}).paused = []int{0}
		tr.granted(time.Now())
	}
	tr.judge(store)
}

// TestSharedGatewayKilled kills a gateway that holds rights: what it did not tell is lost, of
// 100 ms at most, and the others go on.
func TestSharedGatewayKilled(t *testing.T) {
	t.Parallel()
	store := startStore(t, redistest.Options{})
	kinds := slices.Clone(faultKinds)
	for i := range kinds {
		if kinds[i].name == "ample" {
			kinds[i].perSecond = 60
		}
	}
	f := newSharedFleet(t, kinds)
	f.binary = plain
	kills, gateways := 2, 4
	if long() {
		kills, gateways = 4, 6
	}
	f.startGateways(gateways, clusterAt(t, store.Addr, storeUser, storePassword))
	tr := newTrial(t, f)
	for g := range kills {
		tr.phase("gateway killed", func() {
			tr.load.away[g].Store(true)
			f.gateways[g].kill()
		})
		tr.granted(time.Now())
		tr.mayLack += 60 / 10 // what it let pass in 100 ms
		tr.mayExceed++        // what it had counted and not yet passed on
	}
	tr.judge(store)
}

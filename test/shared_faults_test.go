package test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/weir-project/weir/limiter/redis/redistest"
)

// long tells that the tests of faults are to take their time.
func long() bool { return os.Getenv("WEIR_LONG") == "1" }

const (
	tickLimit  = 20 // a second, exact; and as much again, bounded
	totalLimit = 300
	idleLimit  = 30
	idleSpent  = 18 // of it, by all gateways, before anything fails
)

// The fleets that are put to faults run without the race detector, which takes several times the
// processor: how soon they are well again, and that nobody waits, is what is looked at.

// faultKinds are limits that show what a fault does. Of the first three far more is asked
// for than may pass; the next two are never spent, so that every unit can be found
// again; the next is not asked for while the faults last, so that nothing but the fault is a
// reason to tell of it; the last is not limited at all, so that the store cannot delay it.
var faultKinds = []sharedKind{
	{name: "tick", policy: "count: 20, unitTime: 1, timeUnit: sec, accuracy: exact", perSecond: 15},
	{name: "total", policy: "count: 300, unitTime: 1, timeUnit: day, accuracy: exact", perSecond: 12},
	{name: "loose", policy: "count: 20, unitTime: 1, timeUnit: sec, accuracy: bounded", perSecond: 15},
	{name: "ample", policy: "count: 1000000, unitTime: 1, timeUnit: day, accuracy: bounded", perSecond: 10},
	{name: "quota", policy: "count: 1000000, unitTime: 1, timeUnit: day", perSecond: 5},
	{name: "idle", policy: "count: 30, unitTime: 1, timeUnit: day, accuracy: bounded"},
	{name: "free", perSecond: 20},
}

// A wire is what is between nodes and a store.
type wire struct {
	*toxiproxy.Proxy
	t testing.TB
}

func newWire(t testing.TB, to string) wire {
	t.Helper()
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "wire", "127.0.0.1:0", to)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return wire{p, t}
}

// worse makes it worse for a while.
func (w wire) worse(kind, attributes string, while func()) {
	w.t.Helper()
	text := fmt.Sprintf(`{"name": %q, "type": %[1]q, "stream": "downstream", "toxicity": 1, "attributes": {%s}}`, kind, attributes)
	if !json.Valid([]byte(text)) {
		w.t.Fatalf("%s is no JSON", text)
	}
	if _, err := w.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		w.t.Fatal(err)
	}
	defer func() {
		if err := w.Toxics.RemoveToxic(context.Background(), kind); err != nil {
			w.t.Error(err)
		}
	}()
	while()
}

// TestSharedStoreFails has the store lose its data in two ways, hang, become slow and
// go silent, one after the other, under load.
func TestSharedStoreFails(t *testing.T) {
	t.Parallel()
	store := startStore(t, redistest.Options{})
	f, w := newSharedFleet(t, faultKinds), newWire(t, store.Addr)
	f.binary = plain
	f.startManagers(2, distributedAt(t, w.Listen))
	f.startGateways(3, balancedOver(t, f.managers...)+"\n"+clusterAt(t, w.Listen, storeUser, storePassword))
	tr := newTrial(t, f)
	while := func() { time.Sleep(1500 * time.Millisecond) }
	rounds := 1
	if long() {
		rounds = 10
	}
	for range rounds {
		tr.phase("flushed", func() { store.Do(t, "FLUSHALL") })
		tr.granted(time.Now())
		tr.toldAgain(store)
		tr.phase("restarted empty", func() { restart(t, store) })
		tr.granted(time.Now())
		tr.toldAgain(store)
		tr.phase("stopped", func() { store.Hang(); while(); store.Resume() })
		tr.granted(time.Now())
		tr.phase("50 ms away", func() { w.worse("latency", `"latency": 50`, while) })
		tr.granted(time.Now())
		tr.phase("a black hole", func() { w.worse("timeout", `"timeout": 0`, while) })
		tr.granted(time.Now())
		tr.flushedBehind(store)
	}
	tr.judge(store)
}

// toldAgain holds the gateways to having told a store that lost its data, before it grants
// anything again, also of what nobody asks for.
func (tr *trial) toldAgain(store *redistest.Server) {
	tr.t.Helper()
	if sums := dailySums(tr.t, store); len(sums) != 3 || sums[0] != idleSpent {
		tr.t.Errorf("%s: the store was told again of %d spent by the day, want %d first", tr.phases[len(tr.phases)-1].name, sums, idleSpent)
	}
}

// flushedBehind has the store lose its data behind the back of a gateway that is paused: what it
// has spent must not be granted to others before it could tell of it again. The limit of a day
// is spent by then, and that of a second, too.
func (tr *trial) flushedBehind(store *redistest.Server) {
	tr.t.Helper()
	middle := time.Now().Truncate(time.Second).Add(time.Second + 600*time.Millisecond)
	time.Sleep(time.Until(middle))
	tr.phase("flushed behind", func() {
		tr.f.gateways[0].hang()
		store.Do(tr.t, "FLUSHALL")
		time.Sleep(time.Second) // half of the fence
		tr.f.gateways[0].resume()
	}).paused = []int{0}
	tr.granted(time.Now())
}

// restart starts a store again, which then has no data but its user.
func restart(t testing.TB, store *redistest.Server) {
	t.Helper()
	store.Restart(t)
	store.Do(t, "ACL", "SETUSER", storeUser, "on", ">"+storePassword, "~weir:*", "+@all")
}

package test

import (
	"os"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/test/realserver"
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

// TestSharedStoreFails has the store lose its data in two ways, hang, become slow and
// go silent, one after the other, under load.
func TestSharedStoreFails(t *testing.T) {
	t.Parallel()
	store := startStore(t, redistest.Options{})
	f, w := newSharedFleet(t, faultKinds), realserver.NewNetwork(t, store.Addr)
	f.binary = plain
	f.startManagers(2, distributedAt(t, w.Addr))
	f.startGateways(3, balancedOver(t, f.managers...)+"\n"+clusterAt(t, w.Addr, storeUser, storePassword))
	tr := newTrial(t, f)
	while := func() { time.Sleep(1500 * time.Millisecond) }
	worse := func(kind string, milliseconds int) func() {
		return func() {
			defer w.Worse(kind, "downstream", map[string]any{kind: milliseconds})()
			while()
		}
	}
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
		tr.phase("50 ms away", worse("latency", 50))
		tr.granted(time.Now())
		tr.phase("a black hole", worse("timeout", 0))
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

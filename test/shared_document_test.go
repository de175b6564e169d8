package test

import (
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/redis/redistest"
)

// documentKinds are limits of every kind, each of them far below what is asked for. The
// first three leave to their level how closely a fleet keeps them.
var documentKinds = []sharedKind{
	{name: "quota", policy: "count: 60, unitTime: 1, timeUnit: day", perSecond: 15},
	{name: "burst", policy: "count: 1000000, unitTime: 1, timeUnit: day, rateLimitCount: 15, rateLimitTimeUnit: sec", perSecond: 15},
	{name: "backend", throughput: "productionMaxCount: 15, productionUnitTime: 1000", perSecond: 15},
	{name: "exact", policy: "count: 15, unitTime: 1, timeUnit: sec, accuracy: exact", perSecond: 15},
	{name: "sliding", policy: "count: 15, unitTime: 1, timeUnit: sec, algorithm: sliding-window, accuracy: exact", perSecond: 15},
	{name: "bucket", policy: "count: 12, unitTime: 1, timeUnit: sec, algorithm: token-bucket, bucketSize: 15, accuracy: exact", perSecond: 15},
	{name: "bytes", policy: "dataAmount: 32, dataUnit: KB, unitTime: 1, timeUnit: sec, accuracy: bounded", perSecond: 15, size: 2 << 10},
}

// TestSharedByTheDocuments has the two documents' snippets as they are, in the files of two
// traffic managers and of three gateways: they share every limit, so what passes is
// what one gateway alone would let pass.
func TestSharedByTheDocuments(t *testing.T) {
	for _, kind := range []string{"redis", "valkey"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			byTheDocuments(t, startStore(t, redistest.Options{Valkey: kind == "valkey"}), kind)
		})
	}
}

func byTheDocuments(t *testing.T, store *redistest.Server, kind string) {
	f := newSharedFleet(t, documentKinds)
	managers := distributedAt(t, store.Addr)
	gateways := clusterAt(t, store.Addr, storeUser, storePassword)
	if kind == "valkey" { // the documents have one word for both, and name the other
		managers = document(t, "traffic-manager.toml", `type = "redis"`, `type = "valkey"`, "<kvstore_host>", "127.0.0.1", "<kvstore_port>", store.Port())
	}
	f.startManagers(2, managers)
	f.startGateways(3, balancedOver(t, f.managers...)+"\n"+gateways)
	f.awaitSharing(t)
	load := f.load(t)
	until(t, "the store to grant rights", func() bool { return load.passedAt("exact", time.Unix(0, 0)) })
	from := time.Now()
	time.Sleep(4 * time.Second) // of load
	to := time.Now()
	load.stop()
	f.holdLimits(t, load, from, to)
	f.holdQuota(t, load)
}

// holdLimits holds what passed through all gateways to each limit that they share.
func (f *sharedFleet) holdLimits(t *testing.T, load *sharedLoad, from, to time.Time) {
	t.Helper()
	const second = time.Second
	// What arrives while the gateways hear of each other: what a busy machine does in a
	// third of a second; it is some hundredths of that if it is not.
	const while = 15 * 2 / 3
	bounded := func(c []sharedCall, limit int) int { return overOneWindow(c, limit, second) }
	for _, test := range []struct {
		name              string
		limit, most, each int // each second, what passes in the long run
		over              func(calls []sharedCall, limit int) int
	}{
		{"burst", 15, while, 15, bounded},
		{"backend", 15, while, 15, bounded},
		{"exact", 15, 0, 15, func(c []sharedCall, limit int) int { return overWindows(c, limit, second) }},
		{"sliding", 15, 0, 15, func(c []sharedCall, limit int) int { return overSliding(c, limit, second) }},
		{"bucket", 15, 0, 12, func(c []sharedCall, limit int) int { return overBucket(c, limit, 12) }},
		{"bytes", 16, while, 16, bounded},
	} {
		passes := load.passes(t, test.name)
		over, full := test.over(passes, test.limit), used(passes, test.each, second, from, to)
		t.Logf("%-8s %d passed, over by %d, %.0f %% used", test.name, len(passes), max(over, 0), full)
		if over > test.most {
			t.Errorf("%s: over by %d of %d, want %d at most", test.name, over, test.limit, test.most)
		}
		if full < 60 || full > 150 { // a bucket that was full passes a third more
			t.Errorf("%s: %.0f %% of what may pass did", test.name, full)
		}
		by := map[int]int{}
		for _, c := range passes {
			by[c.gateway]++
		}
		if len(by) != len(f.gateways) {
			t.Errorf("%s: requests passed %d gateways only", test.name, len(by))
		}
	}
}

// holdQuota holds the quota that traffic managers keep to its limit, and each event to
// having been counted once, by one of them.
func (f *sharedFleet) holdQuota(t *testing.T, load *sharedLoad) {
	t.Helper()
	passed := len(load.passes(t, "quota"))
	t.Logf("%-8s %d passed of 60", "quota", passed)
	// Until all have heard of the decision: a third of a second, or so.
	if passed < 60 || passed > 60+15 {
		t.Errorf("quota: %d passed, want 60 or a little more", passed)
	}
	until(t, "the traffic managers to have counted all", func() bool { return f.counted(t, "quota") >= passed })
	if n := f.counted(t, "quota"); n != passed {
		t.Errorf("the traffic managers counted %d, %d reached the backend", n, passed)
	}
	for i, m := range f.managers {
		if n := readMetrics(t, m.management).value(t, "weir_events_total", `result="counted"`); n == 0 {
			t.Errorf("traffic manager %d was told of nothing", i+1)
		}
	}
	for g := range f.gateways {
		if c := load.call(t, g, f.index("quota")); c.status != 429 {
			t.Errorf("gateway %d lets pass what is spent: status %d", g+1, c.status)
		}
	}
}

package app

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/test/realserver"
)

// sharingFleet is a fleet whose limit of perDay leaves its accuracy to its level.
func sharingFleet(t *testing.T, perDay int64) *fleet {
	f := newFleet(t, perDay)
	own := few(perDay)
	own.Limit.Accuracy = policy.ByLevel
	f.definition.Policies.Policies = append(policy.Defaults(), own)
	return f
}

// clusterText is the document's, for a gateway of a cluster.
func clusterText(s *redistest.Server, more string) string {
	return clusterAt(s.Addr, more)
}

func clusterAt(address, more string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf(`
[apim.redis_config]
host = %q
port = %q

[throttle_properties]
'throttling.distributed.counter.type' = "redis"
%s`, host, port, more)
}

// distributedText is the document's, for a traffic manager.
func distributedText(s *redistest.Server) string {
	return fmt.Sprintf(`
[apim.distributed_throttling]
enable = true
type = "redis"
sync_interval = 1
core_pool_size = 5

[apim.distributed_throttling.keyvalue_store]
host = "127.0.0.1"
port = %q
max_total = 20
max_idle = 20
min_idle = 4
block_when_exhausted = true
test_while_idle = true
min_evictable_idle_time_millis = 3000
time_between_eviction_runs_millis = 1200
`, s.Port())
}

// lone starts a gateway that knows no traffic manager.
func (f *fleet) lone(r config.Role, text string) *process {
	return start(f.t, Options{Config: configure(f.t, r, text), Gateway: f.source()})
}

// passes calls until n calls have passed: a store that is new grants nothing for some
// seconds, and on a machine that is busy an answer may take longer than a call waits.
func (f *fleet) passes(p *process, n int) {
	f.t.Helper()
	for i := range n {
		eventually(f.t, fmt.Sprintf("call %d passes", i+1), func() bool { return f.call(p) == 200 })
	}
}

const exactly = "[accuracy]\napplication = \"exact\"\n"

// TestExactLimitIsShared has three gateways hold one limit, to the last request, whatever
// file tells them to.
func TestExactLimitIsShared(t *testing.T) {
	store := redistest.Start(t, redistest.Options{})
	const limit = 200
	f := sharingFleet(t, limit)
	gateways := []*process{
		f.lone(config.Gateway, clusterText(store, exactly)),
		f.lone(config.Microgateway, clusterText(store, exactly)),
		f.lone(config.Gateway, clusterText(store, exactly)),
	}
	f.passes(gateways[0], 1)
	var passed atomic.Int64
	passed.Add(1)
	var all sync.WaitGroup
	for _, g := range gateways {
		all.Go(func() {
			for range limit {
				if f.call(g) == 200 {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	for _, g := range gateways { // what one gave back, another may spend
		for range 20 {
			if f.call(g) == 200 {
				passed.Add(1)
			}
		}
	}
	if n := passed.Load(); n > limit || n < limit-10 {
		t.Errorf("%d requests passed of %d", n, limit)
	}
	for _, g := range gateways {
		if up := metric(t, g, `weir_shared_store_up{role="gateway"}`); up != 1 {
			t.Errorf("the store is up: %g", up)
		}
		eventually(t, "it knows of all three", func() bool { return metric(t, g, `weir_shared_nodes{role="gateway"}`) == 3 })
		if n := metric(t, g, `weir_shared_limit_over{accuracy="exact",level="application",policy="Few",role="gateway",unit="requests"}`); n != 0 {
			t.Errorf("the limit was exceeded by %g", n)
		}
		if n := metric(t, g, `weir_shared_assertions_total{role="gateway"}`); n == 0 {
			t.Error("nothing was told to the store")
		}
		if n := g.log.count("counters can be shared"); n != 1 {
			t.Errorf("%d lines say that counters can be shared\n%s", n, g.log)
		}
	}
}

// TestLastCountsAreTold: what a gateway spent is told before it ends, and what it holds
// and did not spend is given back.
func TestLastCountsAreTold(t *testing.T) {
	store := redistest.Start(t, redistest.Options{})
	f := sharingFleet(t, 10)
	first := f.lone(config.Gateway, clusterText(store, "throttling.replication.frequency = 60000\n"+exactly))
	f.passes(first, 7)
	first.stop()
	<-first.done
	second := f.lone(config.Gateway, clusterText(store, exactly))
	f.passes(second, 3)
	for range 20 {
		if got := f.call(second); got != 429 {
			t.Fatalf("after ten of ten: got %d", got)
		}
	}
}

// TestManagersShare has two traffic managers count together: a gateway sends each event
// to one of them only, and hears of the limit when both together have counted it.
func TestManagersShare(t *testing.T) {
	store := redistest.Start(t, redistest.Options{})
	f := newFleet(t, 300)
	tms := []*process{f.manager(distributedText(store))}
	f.nats = realserver.FreeAddress(t)
	tms = append(tms, f.manager(distributedText(store)))
	group := func() string {
		return fmt.Sprintf(`
[[apim.throttling.url_group]]
traffic_manager_urls = ["https://%s","https://%s"]
type = "loadbalance"
`, tms[0].ManagementHTTPS, tms[1].ManagementHTTPS)
	}
	var gateways []*process
	for range 2 {
		gateways = append(gateways, start(t, Options{Config: configure(t, config.Gateway, group()), Gateway: f.source()}))
	}
	for _, g := range gateways {
		for _, tm := range tms {
			eventually(t, "the gateway knows both", func() bool {
				return metric(t, g, fmt.Sprintf(`weir_events_traffic_manager_up{traffic_manager="https://%s/endpoints"}`, tm.ManagementHTTPS)) == 1
			})
		}
	}
	const calls = 145
	for range calls { // by turns, so that both are told
		for _, g := range gateways {
			f.pass(g, 1)
		}
	}
	eventually(t, "what both have counted is known", func() bool { return max(counted(t, tms[0]), counted(t, tms[1])) >= 2*calls })
	if n := max(counted(t, tms[0]), counted(t, tms[1])); n != 2*calls {
		t.Errorf("%d of %d requests counted", n, 2*calls)
	}
	for i, tm := range tms {
		if n := metric(t, tm, `weir_events_total{result="counted"}`); n == 0 {
			t.Errorf("traffic manager %d was told nothing", i+1)
		}
	}
	for i, g := range gateways {
		f.refuses(fmt.Sprintf("gateway %d refuses", i+1), g, 50)
	}
	// The one that told the store last has decided; the other has heard of it where it told something since.
	eventually(t, "a traffic manager has decided", func() bool {
		return max(metric(t, tms[0], "weir_decisions_in_force"), metric(t, tms[1], "weir_decisions_in_force")) == 1
	})
	for i, tm := range tms {
		eventually(t, fmt.Sprintf("traffic manager %d knows of both", i+1), func() bool {
			return metric(t, tm, `weir_shared_nodes{role="traffic_manager"}`) == 2
		})
	}
	for _, g := range gateways {
		if g.log.count("do not share their counters") > 0 {
			t.Errorf("a gateway says that they do not share:\n%s", g.log)
		}
	}
}

// TestAllInOneShares has both roles of two processes share, by one section.
func TestAllInOneShares(t *testing.T) {
	store := redistest.Start(t, redistest.Options{})
	f := newFleet(t, 100)
	var nodes []*process
	for range 2 {
		c := configure(t, config.All, distributedText(store))
		nodes = append(nodes, start(t, Options{Config: c, Gateway: f.source(), TrafficManager: f.source()}))
	}
	f.pass(nodes[0], 90)
	f.refuses("the other one refuses", nodes[1], 40)
	for _, p := range nodes {
		if roles := strings.Count(p.log.String(), "counters can be shared"); roles != 2 {
			t.Errorf("%d roles share, want 2\n%s", roles, p.log)
		}
	}
}

// TestStoreIsAway starts a gateway whose store is not there, then has it appear, hang and
// resume. Requests are served all the time, and the limit is held.
func TestStoreIsAway(t *testing.T) {
	at := realserver.FreeAddress(t)
	f := sharingFleet(t, 1000)
	p := f.lone(config.Gateway, clusterAt(at, "[accuracy]\napplication = \"bounded\"\n"))
	f.pass(p, 5)
	eventually(t, "it is said", func() bool { return p.log.count("store of shared counters is away") == 1 })
	if n := p.log.count("the server cannot be used"); n != 1 {
		t.Errorf("the check says it %d times\n%s", n, p.log)
	}
	if up := metric(t, p, `weir_shared_store_up{role="gateway"}`); up != 0 {
		t.Errorf("up is %g", up)
	}
	_, port, _ := net.SplitHostPort(at)
	store := redistest.Start(t, redistest.Options{Args: []string{"--port", port}})
	eventually(t, "it is back, and has been looked at", func() bool {
		return p.log.count("store of shared counters is back") == 1 && p.log.count("counters can be shared") == 1
	})
	store.Hang()
	eventually(t, "it hangs", func() bool { return p.log.count("store of shared counters is away") == 2 })
	f.pass(p, 5)
	store.Resume()
	eventually(t, "it is back again", func() bool { return p.log.count("store of shared counters is back") == 2 })
	f.pass(p, 5)
}

// TestClusterStopsTheStart refuses a server that is part of a sharded cluster.
func TestClusterStopsTheStart(t *testing.T) {
	store := redistest.Start(t, redistest.Options{Args: []string{"--cluster-enabled", "yes"}})
	f := newFleet(t, 10)
	log := &logbook{}
	c := configure(t, config.Gateway, clusterText(store, ""))
	c.Listener.Host, c.Listener.HTTPPort, c.Listener.HTTPSPort, c.Management.Port = "127.0.0.1", 0, 0, 0
	a, err := New(Options{Config: c, Gateway: f.source(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err = a.Run(ctx); err == nil || !strings.HasPrefix(err.Error(), "apim.redis_config: redis at "+store.Addr+": the server is part of a sharded cluster") {
		t.Errorf("got %v\n%s", err, log)
	}
}

// TestStoreByTLS shares by a server that is reached by TLS and asks for a user. A
// certificate of somebody else is not believed.
func TestStoreByTLS(t *testing.T) {
	store := redistest.Start(t, redistest.Options{TLS: true, Args: []string{"--user", "weir", "on", ">s3cret", "~weir:*", "+@all"}})
	conn, err := tls.Dial("tcp", store.Addr, store.TLS)
	if err != nil {
		t.Fatal(err)
	}
	chain := conn.ConnectionState().PeerCertificates
	_ = conn.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain[len(chain)-1].Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	text := func(more string) string {
		return strings.Replace(clusterText(store, exactly), "[throttle_properties]", "ssl = true\nuser = \"weir\"\npassword = \"s3cret\"\n"+more+"[throttle_properties]", 1)
	}
	f := sharingFleet(t, 10)
	f.passes(f.lone(config.Gateway, text(fmt.Sprintf("ca_file = %q\n", ca))), 1)
	p := f.lone(config.Gateway, text(""))
	eventually(t, "the certificate is not believed", func() bool {
		return p.log.count("certificate signed by unknown authority") > 0 && p.log.count("store of shared counters is away") == 1
	})
	if got := f.call(p); got != 429 {
		t.Errorf("an exact limit without a store: got %d, want 429", got)
	}
	c := configure(t, config.Gateway, text("ca_file = \"none.pem\"\n"))
	if _, err := New(Options{Config: c, Gateway: f.source(), Log: io.Discard}); err == nil || !strings.HasPrefix(err.Error(), "apim.redis_config.ca_file: ") {
		t.Errorf("no such file: got %v", err)
	}
}

// TestLimitsThatNeedAStore warns where policies ask for more than there is.
func TestLimitsThatNeedAStore(t *testing.T) {
	f := newFleet(t, 10)
	all := f.definition.Policies.Policies
	all[len(all)-1].Limit.Accuracy = limiter.Exact
	p := f.lone(config.Gateway, "")
	if p.log.count(`level=WARN msg="limits are bounded or exact, and this gateway shares no counters`) != 1 || p.log.count(`application policy \"Few\"`) != 1 {
		t.Errorf("it is not said\n%s", p.log)
	}
	f.pass(p, 10)
	if got := f.call(p); got != 429 {
		t.Errorf("got %d", got)
	}
}

func TestStoreNames(t *testing.T) {
	of := func(text string) config.Config {
		return configure(t, config.TrafficManager, "[apim.distributed_throttling]\nenable = true\n"+text)
	}
	kv := "[apim.distributed_throttling.keyvalue_store]\n"
	name := func(c config.Config) string { return sharesName(&c, c.Shared(config.TrafficManager)) }
	base := of(kv + "host = \"kv\"\n")
	for text, same := range map[string]bool{
		kv + "host = \"kv\"\nport = 6379\nmax_total = 3\n":                                        true,
		kv + "host = \"kv\"\ndatabase_id = 1\n":                                                   false,
		kv + "host = \"kv2\"\n":                                                                   false,
		kv + "host = \"kv\"\n[node]\nsecret = \"0123456789abcdef\"\n":                             false,
		kv + "host = \"localhost\"\n":                                                             false,
		kv + "sentinel_master = \"m\"\nsentinel_addresses = \"kv:6379\"\n":                        false,
		kv + "host = \"kv\"\n[apim.throttling]\nusername = \"other\"\npassword = \"s3cret\"\n":    false,
		kv + "host = \"kv\"\n[apim.throttling]\nusername = \"admin\"\n[log]\nlevel = \"error\"\n": true,
	} {
		if got := name(of(text)) == name(base); got != same {
			t.Errorf("%s: the same as another: %t", text, got)
		}
	}
	a := of(kv + "sentinel_master = \"m\"\nsentinel_addresses = [\"a\", \"b\"]\n")
	b := of(kv + "sentinel_master = \"m\"\nsentinel_addresses = [\"b:26379\", \"a\"]\n")
	if name(a) != name(b) {
		t.Errorf("the order of Sentinels matters: %s, %s", name(a), name(b))
	}
	many := make([]string, 60)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String()
	}
	if n := name(of(kv + "sentinel_master = \"m\"\nsentinel_addresses = \"" + strings.Join(many, ",") + "\"\n")); len(n) > 255 {
		t.Errorf("a name of %d bytes", len(n))
	}
	c := config.Default()
	if sharesName(&c, nil) != "" {
		t.Error("counters that are not shared have a name")
	}
	g, m := storePrefix(&base, "gateway"), storePrefix(&base, "traffic-manager")
	if g == m || len(g) != len("weir:12345678:g:") || g[:14] != m[:14] || !strings.HasSuffix(m, ":t:") {
		t.Errorf("got the prefixes %s and %s", g, m)
	}
	if got := clientName("gateway", "node 1\n"); got != "weir-gateway-node-1-" {
		t.Errorf("got %q", got)
	}
}

package test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/weir-project/weir/limiter/redis/redistest"
)

// A sharedKind is a limit of a shared fleet, with an API and an application of its
// own, both called as it is.
type sharedKind struct {
	name       string
	policy     string // of the subscription: what stands in its braces; empty: unlimited
	throughput string // of the backend, likewise
	perSecond  int    // calls at each gateway; zero: not by itself
	size       int    // of the answers
}

// A sharedFleet is gateways, and maybe traffic managers, that share counters through
// a store.
type sharedFleet struct {
	*fleet
	sink     *sink
	kinds    []sharedKind
	gateways []*gatewayProcess
	managers []*managerProcess
}

// newSharedFleet makes a project with these limits. It starts no process of Weir.
func newSharedFleet(t testing.TB, kinds []sharedKind) *sharedFleet {
	t.Helper()
	return newSharedFleetBefore(t, "127.0.0.1", kinds)
}

// newSharedFleetBefore is newSharedFleet with a backend that listens at an address.
func newSharedFleetBefore(t testing.TB, backend string, kinds []sharedKind) *sharedFleet {
	t.Helper()
	s := newSink(t, backend)
	project := files{}
	policies, apps := "subscriptionPolicies:\n", "applications:\n"
	for _, k := range kinds {
		tier := "Unlimited"
		if k.policy != "" {
			tier = k.name
			policies += fmt.Sprintf("  - %s: {%s}\n", k.name, k.policy)
		}
		apps += fmt.Sprintf("  - {name: %s, owner: ann, tier: Unlimited, subscriptions: [{api: %[1]s, version: \"1\", tier: %s}]}\n", k.name, tier)
		project["api_definitions/"+k.name+".yaml"] = k.definition()
	}
	project["policies.yaml"], project["applications.yaml"] = policies, apps
	f := &sharedFleet{fleet: &fleet{project: newProject(t, s.URL, project), clients: new(sync.Map)}, sink: s, kinds: kinds}
	for _, k := range kinds {
		f.key(k.name, "PRODUCTION")
	}
	f.build()
	return f
}

// definition returns the OpenAPI file of the kind's API.
func (k *sharedKind) definition() string {
	extra := ""
	if k.throughput != "" {
		extra = "x-weir-max-throughput: {" + k.throughput + "}\n"
	}
	return fmt.Sprintf("openapi: 3.0.3\ninfo: {title: %s, version: \"1\"}\nx-wso2-basePath: /%[1]s/1\n"+
		"x-wso2-production-endpoints: {urls: [BACKEND]}\n%s"+
		"paths:\n  /menu: {get: {responses: {\"200\": {description: fine}}}}\n", k.name, extra)
}

// index returns the kind with a name.
func (f *sharedFleet) index(name string) int {
	for i := range f.kinds {
		if f.kinds[i].name == name {
			return i
		}
	}
	f.t.Fatalf("there is no kind %q", name)
	return 0
}

// startGateways starts n gateways by the same lines of deployment.toml.
func (f *sharedFleet) startGateways(n int, conf string) {
	f.t.Helper()
	for range n {
		f.gateways = append(f.gateways, f.serveRole("gateway", conf))
	}
}

// startManagers starts n traffic managers by the same lines of deployment.toml, which
// are not about the broker.
func (f *sharedFleet) startManagers(n int, conf string) {
	f.t.Helper()
	for range n {
		topic := local(freePort(f.t))
		m := f.manager(fmt.Sprintf("listen = %q\n%s", topic, conf))
		m.topic = topic
		f.managers = append(f.managers, m)
	}
}

// counted returns what the traffic managers have counted of a kind, as the one says that
// knows most.
func (f *sharedFleet) counted(t testing.TB, kind string) (most int) {
	t.Helper()
	of := *f.fleet
	of.app = kind
	for _, m := range f.managers {
		most = max(most, m.used(t, &of))
	}
	return most
}

// awaitSharing returns once each process shares its counters with all others of its role.
func (f *sharedFleet) awaitSharing(t testing.TB) {
	t.Helper()
	all := map[string]int{}
	for _, g := range f.gateways {
		all[g.management] = len(f.gateways)
	}
	for _, m := range f.managers {
		all[m.management] = len(f.managers)
	}
	for at, nodes := range all {
		until(t, "all "+itoa(nodes)+" nodes to share", func() bool {
			m := readMetrics(t, at)
			return m.all("weir_shared_store_up", 1) && m.all("weir_shared_nodes", float64(nodes))
		})
	}
	if len(f.managers) > 0 {
		for _, g := range f.gateways {
			g.awaitJoined(t)
		}
	}
}

// stores returns the sum of a metric of sharing over all gateways.
func (f *sharedFleet) stores(t testing.TB, name string) (sum float64) {
	t.Helper()
	for _, g := range f.gateways {
		if !g.ended() {
			sum += readMetrics(t, g.management).value(t, name, `role="gateway"`)
		}
	}
	return sum
}

// document returns one of the documents' snippets, word for word but for what is to be
// replaced in it.
func document(t testing.TB, name string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "config", "testdata", "documents", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("%s has no %s", name, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(text))
}

// The user and the password that the document has.
const (
	storeUser     = "username"
	storePassword = "password"
)

// startStore starts a store that knows the documents' user, and nobody else.
func startStore(t testing.TB, o redistest.Options) *redistest.Server {
	t.Helper()
	s := redistest.Start(t, o)
	s.Do(t, "ACL", "SETUSER", storeUser, "on", ">"+storePassword, "~weir:*", "+@all")
	return s
}

// clusterAt returns the document's lines for gateways that share through a store.
func clusterAt(t testing.TB, address, user, password string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return document(t, "gateway-cluster.toml", "<Redis-host>", host, "<Redis-port>", port, "<Redis-username>", user, "<Redis-password>", password)
}

// distributedAt returns the document's lines for traffic managers that share through a
// store.
func distributedAt(t testing.TB, address string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return document(t, "traffic-manager.toml", "<kvstore_host>", host, "<kvstore_port>", port)
}

// balancedOver returns the document's lines for gateways that tell one of the traffic
// managers of each event, and ours for where the topics are.
func balancedOver(t testing.TB, managers ...*managerProcess) string {
	t.Helper()
	var urls, auth, topics []string
	for _, m := range managers {
		urls = append(urls, strconv.Quote(m.url()))
		auth = append(auth, strconv.Quote("ssl://"+m.events))
		topics = append(topics, strconv.Quote("nats://"+m.topic))
	}
	return fmt.Sprintf("[apim.throttling]\nthrottle_decision_endpoints = [%s]\n\n", strings.Join(topics, ", ")) +
		document(t, "gateway.toml", `"tm1_url","tm2_url", ...`, strings.Join(urls, ","), `"tm1_auth_url","tm2_auth_url", ...`, strings.Join(auth, ","))
}

package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/trafficmanager/ingest"
)

// shown returns what a process says of itself at a path of its management port.
func shown[T any](t *testing.T, p *process, path string) (v T) {
	t.Helper()
	status, text := get(t, "http://admin:admin@"+p.Management.String()+path, "")
	if err := json.Unmarshal([]byte(text), &v); err != nil || status != 200 {
		t.Fatalf("%s: %d %s: %v", path, status, text, err)
	}
	return v
}

// managerStats are those of a traffic manager, as far as they are about sharing.
type managerStats struct {
	Requests uint64
	Sharing  *ingest.Sharing
	Nodes    []struct {
		Name    string
		Sharing *ingest.Sharing
	}
}

// fewOf returns what is shown of the limit of the tests, nil if nothing is.
func fewOf(s *ingest.Sharing) *ingest.SharedLimit {
	if s == nil || len(s.Limits) == 0 || s.Limits[0].Policy != "Few" {
		return nil
	}
	return &s.Limits[0]
}

// TestSharingIsSeen has two gateways spend an exact limit. What they have of it, a traffic
// manager knows of both, and what it shares itself.
func TestSharingIsSeen(t *testing.T) {
	store := redistest.Start(t, redistest.Options{})
	const limit = 40
	f := sharingFleet(t, limit)
	tm := f.manager(distributedText(store))
	var gateways []*process
	for i := range 2 {
		text := clusterText(store, exactly) + fmt.Sprintf("[node]\nname = \"gw-%d\"\n[[apim.throttling.url_group]]\ntraffic_manager_urls = [\"https://%s\"]\n", i, tm.ManagementHTTPS)
		gateways = append(gateways, start(t, Options{Config: configure(t, config.Gateway, text), Gateway: f.source()}))
		f.passes(gateways[i], 10)
	}
	eventually(t, "the traffic manager knows of both", func() bool {
		v := shown[managerStats](t, tm, "/internal/data/v1/stats")
		known := 0
		for _, n := range v.Nodes {
			if l := fewOf(n.Sharing); l != nil && l.Assertions > 0 && n.Sharing.Nodes == 2 && n.Sharing.RecentRequests >= 10 {
				known++
			}
		}
		own := fewOf(v.Sharing)
		return known == 2 && own != nil && own.Assertions > 0 && v.Requests > 0
	})
	v := shown[managerStats](t, tm, "/internal/data/v1/stats")
	for _, n := range v.Nodes {
		l := fewOf(n.Sharing)
		if l == nil || l.Level != "application" || l.Accuracy != "exact" || l.Unit != "requests" || l.Group != -1 || l.Keys != 1 || l.Limit != limit ||
			l.Over != 0 || l.Held < 0 || l.Held > limit || l.Staleness <= 0 {
			t.Errorf("%s: %+v", n.Name, l)
		}
		if s := n.Sharing; s.Calls == 0 || s.RoundTrip <= 0 || s.LimitsInUse != 1 || s.RecentCalls == 0 || s.Node == v.Sharing.Node {
			t.Errorf("%s: %+v", n.Name, s)
		}
	}
	if l := fewOf(v.Sharing); l.Accuracy != "eventual" || l.Held != 0 || v.Sharing.Nodes != 1 {
		t.Errorf("its own: %+v", v.Sharing)
	}
	labels := `{accuracy="exact",level="application",policy="Few",role="gateway",unit="requests"}`
	for _, g := range gateways {
		for _, name := range []string{"keys", "staleness_seconds", "assertions_total"} {
			if n := metric(t, g, "weir_shared_limit_"+name+labels); n <= 0 {
				t.Errorf("%s is %g", name, n)
			}
		}
		if n := metric(t, g, `weir_shared_round_trips_per_request{role="gateway"}`); n <= 0 {
			t.Errorf("round trips per request: %g", n)
		}
	}
	store.Hang()
	eventually(t, "it is seen that the store is away", func() bool {
		lost := 0
		v := shown[managerStats](t, tm, "/internal/data/v1/stats")
		for _, n := range v.Nodes {
			if n.Sharing != nil && n.Sharing.Lost && n.Sharing.Losses > 0 {
				lost++
			}
		}
		return lost == 2 && v.Sharing.Lost
	})
	store.Resume()
}

// TestSharingIsSeenAtGateways asks a gateway that knows no traffic manager, and one that
// shares nothing.
func TestSharingIsSeenAtGateways(t *testing.T) {
	store := redistest.Start(t, redistest.Options{})
	f := sharingFleet(t, 1000)
	alone, p := f.lone(config.Gateway, ""), f.lone(config.Microgateway, clusterText(store, exactly+"[node]\nname = \"edge\"\n"))
	f.passes(p, 3)
	got := shown[sharingAnswer](t, p, "/sharing")
	if got.Name != "edge" || got.Now == 0 || len(got.Roles) != 1 || got.Roles[0].Role != "gateway" || fewOf(got.Roles[0].Sharing) == nil {
		t.Errorf("got %+v", got)
	}
	if got := shown[sharingAnswer](t, alone, "/sharing"); len(got.Roles) != 0 {
		t.Errorf("without a store: %+v", got)
	}
	if _, text := get(t, "http://"+alone.Management.String()+"/metrics", ""); strings.Contains(text, "weir_shared_") {
		t.Errorf("without a store:\n%s", text)
	}
}

// TestSharingIsSeenInOne: a gateway tells the traffic manager of its process.
func TestSharingIsSeenInOne(t *testing.T) {
	store := redistest.Start(t, redistest.Options{})
	f := sharingFleet(t, 1000)
	c := configure(t, config.All, distributedText(store)+exactly)
	p := start(t, Options{Config: c, Gateway: f.source(), TrafficManager: f.source()})
	f.passes(p, 3)
	eventually(t, "both are seen", func() bool {
		v := shown[managerStats](t, p, "/internal/data/v1/stats")
		return len(v.Nodes) == 1 && fewOf(v.Nodes[0].Sharing) != nil && fewOf(v.Sharing) != nil
	})
	if got := shown[sharingAnswer](t, p, "/sharing"); len(got.Roles) != 2 {
		t.Errorf("got %+v", got)
	}
}

package cli

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/redis/redistest"
)

// What a traffic manager says is what top shows: a gateway's calls, its key, that this
// is throttled, and what is refused because of it.
func TestTopOfFleet(t *testing.T) {
	shop := makeShop(t, backend(t), 6)
	artifact := filepath.Join(shop, "target", "shop.weir")
	dir := t.TempDir()
	topic, endpoints := freeAddress(t), netip.MustParseAddrPort(freeAddress(t))
	write(t, filepath.Join(dir, "tm.toml"), fmt.Sprintf(`
[traffic_manager]
artifact = %q
[management]
https_port = %d
[broker]
listen = %q
`, artifact, endpoints.Port(), topic))
	write(t, filepath.Join(dir, "gateway.toml"), fmt.Sprintf(`
[node]
name = "gw"
[gateway]
artifact = %q
[apim.throttling]
throttle_decision_endpoints = ["nats://%s"]
[[apim.throttling.url_group]]
traffic_manager_urls = ["https://%s/endpoints"]
`, artifact, topic, endpoints))
	serveFleet(t, map[string]string{}, "serve", "--role", "traffic-manager", "--config", filepath.Join(dir, "tm.toml")).
		wait(t, `msg=ready role=traffic-manager`, 1)
	gateway := serveFleet(t, map[string]string{"WEIR_LISTENER_CONFIG_HOST": "127.0.0.1", "WEIR_LISTENER_CONFIG_HTTP_PORT": "0"},
		"serve", "--role", "gateway", "--config", filepath.Join(dir, "gateway.toml"))
	url := "http://" + gateway.wait(t, `msg=ready .*http=(\S+)`, 1) + "/shop/pets"
	for range 7 {
		status(t, url)
	}
	url = "https://" + endpoints.String()
	for deadline := time.Now().Add(10 * time.Second); ; {
		code, out, errs := call(t, "top", "--url", url, "-o", "json")
		var v topView
		if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 {
			t.Fatalf("got %d %s %s: %v", code, out, errs, err)
		}
		if len(v.Keys) > 0 && v.Keys[0].Throttled && v.Managers[0].Throttled+v.Managers[0].Decisions == 2 && v.Keys[0].Refused > 0 {
			check(t, &v)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no key is throttled, and told to be refused:\n%s", out)
		}
	}
}

// check looks at what six calls leave behind; equal ones are told as one event.
func check(t *testing.T, v *topView) {
	t.Helper()
	k := &v.Keys[0]
	if k.Used != 6 || k.Limit != 6 || k.Share != 1 || k.Left <= 0 || k.Unit != "requests" || k.Window == "" || k.Key == "" || k.Level == "" || k.Policy == "" ||
		k.Refused != 1 || k.RefusedRate <= 0 || k.Local {
		t.Errorf("key %+v", k)
	}
	if m := &v.Managers[0]; !m.Ready || m.Events < 1 || m.Events > 6 || m.Throttled != 1 || m.Decisions != 1 || m.Keys < 1 || m.Issuer == "" || m.Batches == 0 {
		t.Errorf("manager %+v", m)
	}
	if len(v.Gateways) != 1 {
		t.Fatalf("gateways %+v", v.Gateways)
	}
	if g := &v.Gateways[0]; g.Name != "gw" || !g.Known || g.Events < 1 || g.Lag <= 0 || g.Silent > 5000 || g.Refused != 1 || g.Levels[k.Level] != 1 || g.RefusedRate <= 0 {
		t.Errorf("gateway %+v", g)
	}
}

// A gateway that shares counters is seen through its traffic manager, which shares its
// own, and by itself.
func TestTopOfSharingFleet(t *testing.T) {
	store := redistest.Start(t, redistest.Options{})
	shop := makeShop(t, backend(t), 6)
	artifact := filepath.Join(shop, "target", "shop.weir")
	dir := t.TempDir()
	endpoints := netip.MustParseAddrPort(freeAddress(t))
	write(t, filepath.Join(dir, "tm.toml"), fmt.Sprintf(`
[traffic_manager]
artifact = %q
[management]
https_port = %d
[broker]
listen = %q
[apim.distributed_throttling]
enable = true
[apim.distributed_throttling.keyvalue_store]
host = "127.0.0.1"
port = %q
`, artifact, endpoints.Port(), freeAddress(t), store.Port()))
	write(t, filepath.Join(dir, "gateway.toml"), fmt.Sprintf(`
[node]
name = "gw"
[gateway]
artifact = %q
[accuracy]
resource = "bounded"
[[apim.throttling.url_group]]
traffic_manager_urls = ["https://%s/endpoints"]
[apim.redis_config]
host = "127.0.0.1"
port = %q
[throttle_properties]
'throttling.distributed.counter.type' = "redis"
`, artifact, endpoints, store.Port()))
	serveFleet(t, map[string]string{}, "serve", "--role", "traffic-manager", "--config", filepath.Join(dir, "tm.toml")).
		wait(t, `msg=ready role=traffic-manager`, 1)
	gateway := serveFleet(t, map[string]string{"WEIR_LISTENER_CONFIG_HOST": "127.0.0.1", "WEIR_LISTENER_CONFIG_HTTP_PORT": "0"},
		"serve", "--role", "gateway", "--config", filepath.Join(dir, "gateway.toml"))
	status(t, "http://"+gateway.wait(t, `msg=ready .*http=(\S+)`, 1)+"/shop/pets")
	itself := "http://" + gateway.wait(t, `msg=ready .*management=(\S+)`, 1)
	for _, args := range [][]string{{"--url", "https://" + endpoints.String()}, {"--gateway", itself}} {
		for deadline := time.Now().Add(10 * time.Second); ; {
			code, out, errs := call(t, append([]string{"top", "-o", "json"}, args...)...)
			var v topView
			if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 {
				t.Fatalf("got %d %s %s: %v", code, out, errs, err)
			}
			seen := 0
			for i := range v.Sharing {
				if n := &v.Sharing[i]; n.StoreUp && n.Calls > 0 && n.RoundTrip > 0 && n.Nodes == 1 {
					seen++
				}
			}
			if seen == 1+len(v.Managers) && len(v.Limits) >= seen && v.Limits[0].Nodes == 1 && v.Limits[0].Keys > 0 && v.Limits[0].Policy != "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: it is not seen:\n%s", args, out)
			}
		}
	}
}

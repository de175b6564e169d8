package cli

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"
)

// serveFleet runs a command that serves and returns its screen.
func serveFleet(t *testing.T, env map[string]string, args ...string) *screen {
	t.Helper()
	maps.Copy(env, map[string]string{"GOGC": "100", "GOMEMLIMIT": "1GiB", "WEIR_MANAGEMENT_PORT": "0"})
	ctx, cancel := context.WithCancel(t.Context())
	s, done := &screen{}, make(chan error, 1)
	go func() {
		done <- Run(ctx, Env{Args: args, Stdout: s, Stderr: s, Getenv: func(name string) string { return env[name] }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%v stopped with %v", args, err)
		}
	})
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestServe runs a traffic manager and two gateways as an operator would: one by
// deployment.toml, one by the steps of the Microgateway's document. They hold one
// limit between them.
func TestServe(t *testing.T) {
	b := backend(t)
	shop := makeShop(t, b, 6)
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
[gateway]
artifact = %q
[apim.throttling]
throttle_decision_endpoints = ["nats://%s"]
[[apim.throttling.url_group]]
traffic_manager_urls = ["https://%s/endpoints"]
type = "loadbalance"
`, artifact, topic, endpoints))
	write(t, filepath.Join(dir, "micro-gw.conf"), fmt.Sprintf(`
[throttlingConfig]
enabledGlobalTMEventPublishing=true
jmsConnectionProviderUrl = "nats://%s"
throttleEndpointUrl = "https://%s/endpoints"
throttleEndpointbase64Header = "admin:admin"
`, topic, endpoints))
	tm := serveFleet(t, map[string]string{}, "serve", "--role", "traffic-manager", "--config", filepath.Join(dir, "tm.toml"), "--watch")
	tm.wait(t, `msg=ready role=traffic-manager`, 1)
	listener := func() map[string]string {
		return map[string]string{"WEIR_LISTENER_CONFIG_HOST": "127.0.0.1", "WEIR_LISTENER_CONFIG_HTTP_PORT": "0"}
	}
	one := serveFleet(t, listener(), "serve", "--role", "gateway", "--config", filepath.Join(dir, "gateway.toml"))
	two := serveFleet(t, listener(), "gateway", artifact, "--config", filepath.Join(dir, "micro-gw.conf"))
	urls := make([]string, 2)
	for i, s := range []*screen{one, two} {
		urls[i] = "http://" + s.wait(t, `msg=ready .*http=(\S+)`, 1) + "/shop/pets"
		s.wait(t, `(listening to the topic)`, 1)
	}
	for i := range 6 {
		if got := status(t, urls[i%2]); got != 200 {
			t.Fatalf("call %d: got %d", i+1, got)
		}
	}
	for _, url := range urls {
		for deadline := time.Now().Add(10 * time.Second); status(t, url) != 429; {
			if time.Now().After(deadline) {
				t.Fatalf("%s does not refuse", url)
			}
		}
	}
}

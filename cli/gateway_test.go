package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A screen is what a running command prints, readable while it does.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// wait returns what the n-th match of the pattern on the screen says.
func (s *screen) wait(t *testing.T, pattern string, n int) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if found := re.FindAllStringSubmatch(s.String(), -1); len(found) >= n {
			return found[n-1][len(found[n-1])-1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %d times %q on the screen:\n%s", n, pattern, s)
		}
		<-time.After(5 * time.Millisecond)
	}
}

const shopDefinition = `
openapi: 3.0.3
info: {title: Shop, version: 1.0.0}
x-wso2-basePath: /shop
x-wso2-production-endpoints: {urls: [%s]}
paths:
  /pets:
    x-wso2-disable-security: true
    get:
      x-wso2-throttling-tier: Yearly
      responses: {"200": {description: The pets}}
`

// makeShop makes a project whose one resource may be called perYear times.
func makeShop(t *testing.T, backend string, perYear int) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "shop")
	file := filepath.Join(t.TempDir(), "shop.yaml")
	write(t, file, fmt.Sprintf(shopDefinition, backend))
	mustCall(t, "init", dir, "-a", file)
	setYearly(t, dir, perYear)
	mustCall(t, "build", dir)
	return dir
}

func setYearly(t *testing.T, dir string, perYear int) {
	t.Helper()
	write(t, filepath.Join(dir, "policies.yaml"), fmt.Sprintf(`
resourcePolicies:
  - Yearly: {count: %d, timeUnit: year}
subscriptionPolicies:
  - Unauthenticated: {unlimited: true}
`, perYear))
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustCall(t *testing.T, args ...string) {
	t.Helper()
	if code, _, errs := call(t, args...); code != 0 {
		t.Fatalf("weir %s: %s", strings.Join(args, " "), errs)
	}
}

// serveShop runs 'weir gateway' and returns its screen and its URL.
func serveShop(t *testing.T, args ...string) (*screen, string) {
	t.Helper()
	env := map[string]string{
		"WEIR_LISTENER_CONFIG_HOST": "127.0.0.1", "WEIR_LISTENER_CONFIG_HTTP_PORT": "0", "WEIR_MANAGEMENT_PORT": "0",
		"GOGC": "100", "GOMEMLIMIT": "1GiB", // the test keeps its own
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, done := &screen{}, make(chan error, 1)
	go func() {
		done <- Run(ctx, Env{
			Args: append([]string{"gateway"}, args...), Stdout: s, Stderr: s,
			Getenv: func(name string) string { return env[name] },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	return s, "http://" + s.wait(t, `msg=ready .*http=(\S+)`, 1) + "/shop/pets"
}

func status(t *testing.T, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if _, err := io.Copy(io.Discard, w.Body); err != nil {
		t.Fatal(err)
	}
	return w.StatusCode
}

func backend(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestGatewayReloads changes a limit under a gateway that serves, at SIGHUP, and
// shows that a damaged artifact changes nothing.
func TestGatewayReloads(t *testing.T) {
	dir := makeShop(t, backend(t), 2)
	artifact := filepath.Join(dir, "target", "shop.weir")
	s, url := serveShop(t, artifact)
	expect := func(want ...int) {
		t.Helper()
		for i, w := range want {
			if got := status(t, url); got != w {
				t.Fatalf("call %d: got %d, want %d\n%s", i+1, got, w, s)
			}
		}
	}
	hangup := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	expect(200, 200, 429)
	setYearly(t, dir, 3)
	mustCall(t, "build", dir)
	expect(429) // nobody has asked for it yet
	hangup()
	s.wait(t, `msg="artifact (applied)"`, 2)
	expect(200, 429)

	whole, err := os.ReadFile(artifact)
	if err != nil {
		t.Fatal(err)
	}
	write(t, artifact, string(whole[:len(whole)/2]))
	hangup()
	if line := s.wait(t, `(?m)^.*msg="artifact refused.*$`, 1); !strings.Contains(line, "shop.weir: artifact is damaged") {
		t.Errorf("the log says %s", line)
	}
	expect(429)
}

// TestGatewayWatches builds a project again and again under load: no call is
// dropped, and every limit applies.
func TestGatewayWatches(t *testing.T) {
	dir := makeShop(t, backend(t), 1_000_000)
	s, url := serveShop(t, filepath.Join(dir, "target", "shop.weir"), "--watch")
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				if got := status(t, url); got != http.StatusOK {
					t.Errorf("a call under load: got %d", got)
					return
				}
			}
		})
	}
	for i := range 2 {
		setYearly(t, dir, 2_000_000+i)
		mustCall(t, "build", dir)
		s.wait(t, `msg="artifact (applied)"`, i+2)
	}
	cancel()
	load.Wait()
	setYearly(t, dir, 0)
	mustCall(t, "build", dir)
	s.wait(t, `msg="artifact (applied)"`, 4)
	if got := status(t, url); got != http.StatusTooManyRequests {
		t.Errorf("with a limit of none: got %d", got)
	}
}

// TestGatewayConfiguration shows where the configuration comes from, and that a
// wrong one stops the start.
func TestGatewayConfiguration(t *testing.T) {
	dir := makeShop(t, "http://127.0.0.1:9", 1)
	artifact := filepath.Join(dir, "target", "shop.weir")
	conf := filepath.Join(dir, "conf", "micro-gw.conf")
	write(t, conf, "[log]\nlevel = \"loud\"\n")
	if code, _, errs := call(t, "gateway", artifact); code != 1 || !strings.Contains(errs, "micro-gw.conf:2: log.level") {
		t.Errorf("got %d %s", code, errs)
	}
	other := filepath.Join(t.TempDir(), "other.conf")
	write(t, other, "[listenerConfig]\nhttpPort = \"x\"\nhost = 1\n")
	code, _, errs := call(t, "gateway", artifact, "--config", other)
	if code != 1 || strings.Count(errs, "weir: ") != 2 || !strings.Contains(errs, "other.conf:3") {
		t.Errorf("got %d %s, want a line for each of two faults", code, errs)
	}
	write(t, conf, "[log]\nformat = \"json\"\n")
	taken := httptest.NewServer(nil)
	defer taken.Close()
	env := map[string]string{
		"WEIR_LISTENER_CONFIG_HOST": "127.0.0.1", "WEIR_MANAGEMENT_PORT": "-1", "GOGC": "100", "GOMEMLIMIT": "1GiB",
		"WEIR_LISTENER_CONFIG_HTTP_PORT": taken.URL[strings.LastIndex(taken.URL, ":")+1:],
	}
	var out bytes.Buffer
	err := Run(t.Context(), Env{
		Args: []string{"gateway", artifact}, Stdout: &out, Stderr: &out,
		Getenv: func(name string) string { return env[name] },
	})
	if err == nil || !strings.Contains(err.Error(), "address already in use") || !strings.Contains(out.String(), `{"time":`) {
		t.Errorf("got %v and %s", err, out.String())
	}
}

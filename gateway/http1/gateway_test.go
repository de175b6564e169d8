package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// newGateway returns the real pipeline with one API, /pets/1, whose subscribers
// have a hundred calls in a day, and a key for it.
func newGateway(t *testing.T, backend string) (g *gateway.Gateway, apply func(tier string) error, key string) {
	t.Helper()
	targets := &upstream.Registry{}
	g, err := gateway.New(gateway.Options{Limiter: limiter.New(limiter.Options{}), Seed: limiter.NewSeed(), Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	key, hash := identity.NewKey()
	apply = func(tier string) error {
		return g.Apply(gateway.Definition{
			APIs: []gateway.API{{
				Name: "pets", Version: "1", Context: "/pets/1",
				Production: &gateway.Endpoints{URLs: []string{"http://" + backend + "/base"}},
				Resources:  []gateway.Resource{{Method: "GET", Template: "/{id}"}, {Method: "POST", Template: "/{id}"}},
			}},
			Applications: []identity.Application{{
				ID: "1", Name: "shop", Owner: "alice", Tier: "Unlimited",
				Keys:          []identity.Key{{Hash: hash}},
				Subscriptions: []identity.Subscription{{API: "pets", Version: "1", Tier: tier}},
			}},
			Policies: policy.Definition{Policies: policy.Merge(policy.Defaults(), []policy.Policy{
				{Kind: policy.Subscription, Name: "Hundred", Limit: &limiter.Limit{Count: 100, Window: limiter.Window{Length: 24 * time.Hour}}},
				{Kind: policy.Subscription, Name: "KB", Limit: &limiter.Limit{Count: 1 << 10, Cost: limiter.Bytes, Window: limiter.Window{Length: 24 * time.Hour}}},
			})},
		})
	}
	if err := apply("Hundred"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		group, err := targets.Group([]string{"http://" + backend + "/base"}, false)
		if err != nil {
			t.Fatal(err)
		}
		group.Targets()[0].Drop()
	})
	return g, apply, key
}

// With the real pipeline, of all that 64 clients ask at the same time exactly as
// many calls pass as the limit says, and the backend gets those, while the
// definition is replaced again and again.
func TestExactUnderLoad(t *testing.T) {
	var served atomic.Int64
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, r.URL.Path+r.Header.Get("ApiKey"))
	})
	g, apply, key := newGateway(t, backend)
	f := newFront(t, Options{Pipeline: g})
	var passed, refused, other atomic.Int64
	var clients sync.WaitGroup
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		for range 20 {
			if err := apply("Hundred"); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 64 {
		clients.Go(func() {
			nc, err := net.Dial("tcp", f.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			r := bufio.NewReader(nc)
			for range 10 {
				_, _ = fmt.Fprintf(nc, "GET /pets/1/7 HTTP/1.1\r\nHost: a\r\nApiKey: %s\r\n\r\n", key)
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(res.Body)
				switch {
				case res.StatusCode == 200 && string(body) == "/base/7" && res.Header.Get("X-RateLimit-Limit") == "100":
					passed.Add(1)
				case res.StatusCode == 429 && res.Header.Get("Retry-After") != "" && strings.Contains(string(body), `"900804"`):
					refused.Add(1)
				default:
					other.Add(1)
					t.Logf("got %d %s", res.StatusCode, body)
				}
			}
		})
	}
	clients.Wait()
	<-reloaded
	if passed.Load() != 100 || refused.Load() != 540 || other.Load() != 0 || served.Load() != 100 {
		t.Errorf("passed %d, refused %d, otherwise %d, at the backend %d; want 100, 540, 0, 100",
			passed.Load(), refused.Load(), other.Load(), served.Load())
	}
}

// Bytes are charged as they were transferred, both ways; what never reached a
// backend is not.
func TestBytesAreCharged(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	g, apply, key := newGateway(t, backend)
	if err := apply("KB"); err != nil {
		t.Fatal(err)
	}
	// On one connection a call is settled before the next is decided on.
	c := newFront(t, Options{Pipeline: g}).dial()
	for i, r := range []struct {
		size, want int
		remaining  string
	}{
		{100, 200, "924"}, // of what its head tells, 100 are charged at once
		{200, 200, "624"}, // and the other 100 once they went back
		{400, 200, "24"},
		{100, 429, "0"}, // 1400 have been spent
	} {
		text := fmt.Sprintf("POST /pets/1/7 HTTP/1.1\r\nHost: a\r\nApiKey: %s\r\nContent-Length: %d\r\n\r\n%s", key, r.size, strings.Repeat("x", r.size))
		res, _ := c.send(text).answer("POST")
		if res.StatusCode != r.want || res.Header.Get("X-RateLimit-Remaining") != r.remaining {
			t.Errorf("call %d: got %d, remaining %s; want %d, %s", i, res.StatusCode, res.Header.Get("X-RateLimit-Remaining"), r.want, r.remaining)
		}
	}
}

// What is not declared, or not canonical, is answered by the gateway.
func TestRealAnswers(t *testing.T) {
	g, _, key := newGateway(t, newBackend(t, echo))
	f := newFront(t, Options{Pipeline: g})
	for _, r := range []struct {
		text string
		want int
	}{
		{"GET /pets/1/7 HTTP/1.1\r\nHost: a\r\n\r\n", 401},
		{"GET /pets/1/7 HTTP/1.1\r\nHost: a\r\nApiKey: " + key + "\r\n\r\n", 200},
		{"get /pets/1/7 HTTP/1.1\r\nHost: a\r\nApiKey: " + key + "\r\n\r\n", 501},
		{"TRACE /pets/1/7 HTTP/1.1\r\nHost: a\r\nApiKey: " + key + "\r\n\r\n", 501},
		{"GET /pets/1//7 HTTP/1.1\r\nHost: a\r\nApiKey: " + key + "\r\n\r\n", 400},
		{"GET /pets/1/x/../7 HTTP/1.1\r\nHost: a\r\nApiKey: " + key + "\r\n\r\n", 400},
		{"GET /pets/1/%2e%2e HTTP/1.1\r\nHost: a\r\nApiKey: " + key + "\r\n\r\n", 400},
		{"GET /cats HTTP/1.1\r\nHost: a\r\n\r\n", 404},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
	} {
		got, body := f.ask(r.text)
		if r.want == 0 && got >= 400 && got < 500 {
			continue
		}
		if got != r.want {
			t.Errorf("%.40q: got %d %s, want %d", r.text, got, body, r.want)
		}
	}
}

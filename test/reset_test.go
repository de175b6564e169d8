package test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestResets attempts 100 000 streams that are reset at once, by the client and by
// what it makes the gateway do. Each connection ends after 200 of them at most, each
// call that was begun counts, and others hardly notice.
func TestResets(t *testing.T) {
	for name, reset := range map[string]func(c *h2Conn, stream uint32) error{
		"rapid reset": func(c *h2Conn, stream uint32) error { return c.WriteRSTStream(stream, http2.ErrCodeCancel) },
		"made you reset": func(c *h2Conn, stream uint32) error {
			return c.WriteRawFrame(http2.FrameWindowUpdate, 0, stream, make([]byte, 4))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, "one")
			p := newProject(t, b.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
			p.binary = plain // for time is looked at
			g := p.serve("[client_address]\ntrusted_proxies = [\"127.0.0.1\"]\n")
			const conns, streams, most = 200, 500, 100 * time.Millisecond
			attack := script(t)
			for range streams {
				attack.must(reset(attack, attack.request(":path", "/pet/slow", "x-forwarded-for", "192.0.2.66")))
			}
			attacks := 0
			for slow := true; slow && attacks < 3 && !t.Failed(); attacks++ { // what else runs here may be at fault
				peace := g.p99(t, func() { time.Sleep(time.Second / 2) })
				war := g.p99(t, func() { g.resets(t, conns, attack.out.Bytes()) })
				t.Logf("one in a hundred calls of good clients took %s or more, before the attack %s", war, peace)
				if slow = war > most+2*peace; slow && attacks == 2 {
					t.Errorf("one in a hundred calls of good clients took %s or more, before the attack %s; want %s", war, peace, most)
				}
			}
			hits := func() (n int) {
				for _, r := range b.seen() {
					if strings.HasPrefix(r.path, "/slow") {
						n++
					}
				}
				return n
			}
			until(t, "a call to reach the backend", func() bool { return hits() > 0 })
			b.release()
			left := g.h1(t).get(t, "/pet/a", "X-Forwarded-For", "192.0.2.66").number("X-RateLimit-Remaining")
			used := 1_000_000 - 1 - left
			t.Logf("%d calls of %d were begun, %d reached the backend", used, attacks*conns*streams, hits())
			if used < hits() || used > attacks*conns*200 {
				t.Errorf("%d calls were counted, %d reached the backend, want at most %d", used, hits(), attacks*conns*200)
			}
		})
	}
}

// resets opens connections, sends the attack on each in one write, and wants each
// closed.
func (g *gatewayProcess) resets(t *testing.T, conns int, attack []byte) {
	t.Helper()
	var attacking sync.WaitGroup
	for range 2 {
		attacking.Go(func() {
			for range conns / 2 {
				conn, err := net.DialTimeout("tcp", g.addr, patience)
				if err != nil {
					t.Error(err)
					return
				}
				_ = conn.SetWriteDeadline(time.Now().Add(patience))
				_, _ = conn.Write(attack) // it may be closed before its end
				_, closed := drain(conn, patience)
				if conn.Close(); !closed {
					t.Error("a connection stays open")
					return
				}
			}
		})
	}
	attacking.Wait()
}

// p99 has good clients call while f runs, and returns how long the slowest one in a
// hundred of their calls took at least.
func (g *gatewayProcess) p99(t *testing.T, f func()) time.Duration {
	t.Helper()
	var times []time.Duration
	var mu sync.Mutex
	var calling sync.WaitGroup
	done := make(chan struct{})
	clients := []*client{g.h1(t), g.h2c(t)}
	for i := range 4 {
		calling.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				began := time.Now()
				r, err := clients[i%2].do("GET", "/pet/a", "")
				took := time.Since(began)
				if err != nil || r.StatusCode != 200 {
					t.Errorf("a good client got %v, %.100q", err, r.text)
					return
				}
				mu.Lock()
				times = append(times, took)
				mu.Unlock()
			}
		})
	}
	f()
	close(done)
	calling.Wait()
	if len(times) < 100 {
		t.Fatalf("good clients made only %d calls", len(times))
	}
	slices.Sort(times)
	return times[len(times)*99/100]
}

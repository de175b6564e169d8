package test

import (
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestShutdownDrains stops a gateway while calls are being answered: they end well,
// new ones find nobody, and the exit code is 0.
func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			b := newBackend(t, "one")
			p := newProject(t, b.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
			g := p.serve("")
			clients := []*client{g.h1(t), g.h2c(t)}
			const each = 10
			var all sync.WaitGroup
			for i := range 2 * each {
				all.Go(func() {
					r, err := clients[i%2].do("GET", "/pet/slow", "")
					if err != nil || r.StatusCode != 200 || r.text != "one /slow\n" {
						t.Errorf("a call under way: %v, %q", err, r.text)
					}
				})
			}
			idle, err := net.DialTimeout("tcp", g.addr, patience)
			if err != nil {
				t.Fatal(err)
			}
			defer idle.Close()
			until(t, "the calls to reach the backend", func() bool { return b.held() == 2*each })
			g.signal(signal)
			until(t, "new calls to be turned away", func() bool {
				conn, err := net.DialTimeout("tcp", g.addr, time.Second)
				if err != nil {
					return true
				}
				conn.Close()
				return false
			})
			if g.ended() {
				t.Error("the gateway ended before the calls did")
			}
			b.release()
			all.Wait()
			g.stop(signal)
		})
	}
}

// TestShutdownEnds stops a gateway whose calls do not end: their time is limited.
func TestShutdownEnds(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	g := p.serve("[shutdown]\ngrace = \"500ms\"\n")
	failed := make(chan error, 1)
	go func() {
		_, err := g.h1(t).do("GET", "/pet/slow", "")
		failed <- err
	}()
	until(t, "the call to reach the backend", func() bool { return b.held() == 1 })
	g.signal(syscall.SIGTERM)
	select {
	case <-g.done:
	case <-time.After(10 * time.Second):
		t.Error("the gateway did not stop within 10s, though its grace is 500ms")
	}
	<-failed // with an answer or without: the client is not left waiting
	g.err = nil
}

// curl finds the lines that weir demo prints for people to try.
var curl = regexp.MustCompile(`curl [^\n]+`)

// TestDemo runs the demo, tries what it prints, and stops it with ^C.
func TestDemo(t *testing.T) {
	p := start(t, t.TempDir(), "demo")
	until(t, "the demo to say what to try", func() bool {
		if p.ended() {
			t.Fatalf("the demo ended: %v\n%s", p.err, p.stderr.String())
		}
		return curl.MatchString(p.stdout.String())
	})
	key := keyForm.FindString(p.stdout.String())
	found := regexp.MustCompile(`http://[^\s'"]+/pets\b`).FindString(p.stdout.String())
	if key == "" || found == "" {
		t.Fatalf("the demo printed no key or no URL:\n%s", p.stdout.String())
	}
	base, path, _ := strings.Cut(strings.TrimPrefix(found, "http://"), "/")
	c := newClient(t, "http://"+base, http.DefaultTransport)
	until(t, "the demo to answer", func() bool {
		_, err := c.do("GET", "/", "")
		return err == nil
	})
	windowOf(t, 5*time.Second)
	for i := range 10 {
		if r := c.get(t, "/"+path, "ApiKey", key); r.StatusCode != 200 {
			t.Fatalf("call %d: status %d, %s", i+1, r.StatusCode, r.text)
		}
	}
	r := c.get(t, "/"+path, "ApiKey", key).want(t, 429, "900803")
	if r.refusal(t).Policy != "10PerMin" {
		t.Errorf("the eleventh call got %s", r.text)
	}
	p.stop(syscall.SIGINT)
}

// windowOf waits, if the minute is about to end, for the next: eleven calls that
// belong together take less than room.
func windowOf(t *testing.T, room time.Duration) {
	t.Helper()
	now := time.Now()
	if left := now.Truncate(time.Minute).Add(time.Minute).Sub(now); left < room {
		select {
		case <-time.After(left):
		case <-t.Context().Done():
		}
	}
}

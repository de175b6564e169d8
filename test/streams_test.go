package test

import (
	"bufio"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// newStreams starts a backend with a WebSocket that echoes, at /echo, one that
// sends without being asked, at /talk, and event streams at /events.
func newStreams(t *testing.T) *httptest.Server {
	m := http.NewServeMux()
	m.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ws.SetReadLimit(1 << 20)
		for {
			kind, text, err := ws.Read(r.Context())
			if err != nil || ws.Write(r.Context(), kind, text) != nil {
				return
			}
		}
	})
	m.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 4 {
			fmt.Fprintf(w, "id: %d\ndata: number %d\n\n", i, i)
			w.(http.Flusher).Flush()
		}
		fmt.Fprint(w, ": done\n\n")
	})
	s := httptest.NewServer(m)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// newStreamProject makes a project in which anybody may call live, and shop may
// have five events a day of feed.
func newStreamProject(t *testing.T) *project {
	t.Helper()
	api := func(name, extra string) string {
		return "openapi: 3.0.3\ninfo: {title: " + name + ", version: '1'}\nx-wso2-basePath: /" + name + "\n" + extra +
			"x-wso2-production-endpoints: {urls: [BACKEND]}\npaths:\n" +
			"  /echo: {get: {responses: {'200': {description: fine}}}}\n  /events: {get: {responses: {'200': {description: fine}}}}\n"
	}
	return newProject(t, newStreams(t).URL, files{
		"policies.yaml":             generous + "  - Five: {eventCount: 5, unitTime: 1, timeUnit: day}\n",
		"applications.yaml":         "applications:\n  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: feed, version: '1', tier: Five}]}\n  - {name: till, owner: ann, tier: Unlimited, subscriptions: [{api: feed, version: '1', tier: Five}]}\n",
		"api_definitions/live.yaml": api("live", "x-wso2-disable-security: true\n"),
		"api_definitions/feed.yaml": api("feed", ""),
	})
}

// dialSocket opens a WebSocket through the gateway.
func dialSocket(t *testing.T, g *gatewayProcess, path string, header http.Header) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, "ws://"+g.addr+path, &websocket.DialOptions{HTTPHeader: header, Subprotocols: []string{"chat"}})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	if resp.Header.Get("X-RateLimit-Limit") == "" && path == "/live/echo" {
		t.Errorf("the answer has no rate limit fields: %v", resp.Header)
	}
	return ws
}

// say sends text and returns what comes back.
func say(t *testing.T, ws *websocket.Conn, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	_, got, err := ws.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// TestWebSocket talks through the gateway, in small messages and large.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	g := newStreamProject(t).serve("")
	ws := dialSocket(t, g, "/live/echo", nil)
	if ws.Subprotocol() != "chat" {
		t.Errorf("subprotocol is %q", ws.Subprotocol())
	}
	for _, text := range []string{"hello", "", strings.Repeat("x", 125), strings.Repeat("y", 126), strings.Repeat("z", 70_000), strings.Repeat("long ", 100_000)} {
		if got := say(t, ws, text); got != text {
			t.Fatalf("%d bytes became %d", len(text), len(got))
		}
	}
	if err := ws.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestWebSocketEvents has a quota of five events: a message and its echo are two.
// What is left out is told in the documents' words, and the connection stays.
func TestWebSocketEvents(t *testing.T) {
	t.Parallel()
	p := newStreamProject(t)
	key := p.key("shop", "PRODUCTION")
	g := p.serve("")
	ws := dialSocket(t, g, "/feed/echo", http.Header{"Apikey": {key}})
	for range 2 {
		if got := say(t, ws, "hello"); got != "hello" {
			t.Fatalf("got %q", got)
		}
	}
	// The fifth event is the message; its echo would be the sixth.
	if got := say(t, ws, "fifth"); !strings.Contains(got, `"4003"`) {
		t.Errorf("got %q", got)
	}
	c := g.h1(t)
	c.get(t, "/feed/events", "ApiKey", key).want(t, 429, "900804")
}

// TestEventStream reads server-sent events through the gateway, over HTTP/1.1 and
// HTTP/2; those beyond the quota are left out.
func TestEventStream(t *testing.T) {
	t.Parallel()
	p := newStreamProject(t)
	keys := []string{p.key("shop", "PRODUCTION"), p.key("till", "PRODUCTION")}
	g := p.serve("")
	for i, c := range []*client{g.h1(t), g.h2c(t)} {
		r := c.get(t, "/live/events").want(t, 200, "")
		if strings.Count(r.text, "data: number") != 4 || !strings.HasSuffix(r.text, ": done\n\n") {
			t.Errorf("got %q", r.text)
		}
		// Opening the stream is an event or it is none; of four events twice, no
		// more than five pass.
		numbers := 0
		for range 2 {
			r, err := c.do("GET", "/feed/events", "", "ApiKey", keys[i])
			if err == nil {
				numbers += strings.Count(r.text, "data: number")
			}
		}
		if numbers < 3 || numbers > 5 {
			t.Errorf("%d events passed, the limit is 5", numbers)
		}
	}
}

// TestLargeBodies echoes bodies that are larger together than the memory that the
// gateway may take: they come back as they were, while they are still being sent.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	p.binary = plain // for memory is looked at
	g := p.serve("")
	const size, each, most = 8 << 20, 8, 96 << 10
	var all sync.WaitGroup
	for i, c := range []*client{g.h1(t), g.h2c(t)} {
		for range each {
			all.Go(func() {
				sent, came := crc32.NewIEEE(), crc32.NewIEEE()
				body := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{byte(i)}), size), sent)
				resp, err := c.http.Post(c.base+"/pet/echo", "application/octet-stream", body)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				defer resp.Body.Close()
				n, err := io.Copy(came, resp.Body)
				if err != nil || resp.StatusCode != 200 || n != size || came.Sum32() != sent.Sum32() {
					t.Errorf("client %d: status %d, %d bytes of %d, %v", i, resp.StatusCode, n, size, err)
				}
			})
		}
	}
	all.Wait()
	got := memoryOf(t, g.cmd.Process.Pid, "VmHWM")
	t.Logf("the gateway took %d KiB", got)
	if got > most {
		t.Errorf("the gateway took %d KiB for bodies of %d KiB, want %d", got, 2*each*size>>10, most)
	}
}

// TestEventStreamIsNotHeldBack sees the first event while the stream is open.
func TestEventStreamIsNotHeldBack(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-more:
		case <-time.After(patience):
		case <-r.Context().Done():
		}
		fmt.Fprint(w, "data: second\n\n")
	}))
	defer s.Close()
	p := newProject(t, s.URL, files{"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	g := p.serve("")
	for _, c := range []*client{g.h1(t), g.h2c(t)} {
		resp, err := c.http.Get(c.base + "/pet/a")
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		if !lines.Scan() || lines.Text() != "data: first" {
			t.Fatalf("got %q, %v", lines.Text(), lines.Err())
		}
		more <- struct{}{}
		for lines.Scan() && lines.Text() != "data: second" {
		}
		if lines.Text() != "data: second" {
			t.Errorf("the second event did not come: %v", lines.Err())
		}
		resp.Body.Close()
	}
}

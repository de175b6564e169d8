package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rawBackend starts a backend that answers each request with what answer returns
// for its path, to the letter, and closes the connection after an answer that
// says so by a NUL at its end. Each answer is sent once.
func rawBackend(t *testing.T, answer func(path string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for in := bufio.NewReader(conn); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body) // what is left shows in the next request
					text := answer(r.URL.Path)
					if _, err := io.WriteString(conn, strings.TrimSuffix(text, "\x00")); err != nil || strings.HasSuffix(text, "\x00") {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// evil is an answer that no request was made for.
const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

// TestBrokenAnswers has a backend break every rule: the client sees that there is
// something wrong, and nobody ever gets an answer that was meant for no one.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\n"
	answers := map[string]brokenAnswer{
		"cut":      {head + "Content-Length: 100\r\n\r\nshort\x00", []int{brokenOff}},
		"cutchunk": {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n\x00", []int{brokenOff, 502}},
		"badchunk": {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nshort!!0\r\n\r\n\x00", []int{brokenOff, 502}},
		"cuthead":  {head + "Content-Le\x00", []int{502}},
		"nothing":  {"\x00", []int{502}},
		"both":     {head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, []int{502, 200}},
		"lengths":  {head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", []int{502}},
		"status":   {"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", []int{502}},
		"version":  {"HTTP/7.0 200 OK\r\nContent-Length: 0\r\n\r\n\x00", []int{502, 200}},
		"bare":     {"HTTP/1.1 200 OK\nX: y\r\n\n\x00", []int{502, 200}},
		"nul":      {head + "X: \x00y\r\nContent-Length: 0\r\n\r\n", []int{502}},
		"more":     {head + "Content-Length: 4\r\n\r\ngood" + evil, []int{200}},
		"none":     {"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n" + evil, []int{204}},
		// Go's client wants the body of a 304 whose length it is told.
		"same":   {"HTTP/1.1 304 Not Modified\r\nContent-Length: 40\r\n\r\n" + evil, []int{304, brokenOff}},
		"early":  {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + head + "Content-Length: 4\r\n\r\ngood", []int{200}},
		"switch": {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + evil, []int{502}},
		"old":    {"HTTP/1.0 200 OK\r\n\r\ngood\x00", []int{200}},
		"close":  {head + "\r\ngood\x00", []int{200}},
		"fields": {head + "X-A: " + strings.Repeat("a", 300<<10) + "\r\nContent-Length: 0\r\n\r\n", []int{502}},
	}
	api := "openapi: 3.0.3\ninfo: {title: pet, version: '1'}\nx-wso2-basePath: /pet\nx-wso2-disable-security: true\n" +
		"x-wso2-production-endpoints: {urls: [BACKEND]}\npaths:\n  /fine: {get: {responses: {'200': {description: fine}}}}\n"
	for path := range answers {
		api += "  /" + path + ": {get: {responses: {'200': {description: fine}}}}\n"
	}
	b := rawBackend(t, func(path string) string {
		if path == "/fine" {
			return head + "Content-Length: 4\r\n\r\nfine"
		}
		return answers[path[1:]].text
	})
	p := newProject(t, b, files{"policies.yaml": generous, "api_definitions/pet.yaml": api})
	g := p.serve("")
	for proto, c := range map[string]*client{"HTTP/1.1": g.h1(t), "HTTP/2": g.h2c(t)} {
		for path, answer := range answers {
			r, err := c.do("GET", "/pet/"+path, "")
			got := brokenOff
			if err == nil {
				got = r.StatusCode
			}
			if !slices.Contains(answer.want, got) || strings.Contains(r.text, "evil") {
				t.Errorf("%s, %s: got %d %q, %v, want one of %v", proto, path, got, r.text, err, answer.want)
			}
			for range 3 {
				if r := c.get(t, "/pet/fine"); r.StatusCode != 200 || r.text != "fine" {
					t.Errorf("%s, after %s: got %d %q", proto, path, r.StatusCode, r.text)
				}
			}
		}
	}
}

// brokenOff stands for an answer that the client sees to be incomplete.
const brokenOff = 0

// A brokenAnswer is what a backend says, and what may become of it.
type brokenAnswer struct {
	text string
	want []int
}

// TestBackendDropsIdle has a backend that closes its connections soon after each
// answer: no call fails for having met one that is about to go. (It may, if it is
// of a kind that must not be sent twice.)
func TestBackendDropsIdle(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.IdleTimeout = time.Millisecond
	s.Start()
	defer s.Close()
	p := newProject(t, s.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	g := p.serve("")
	var all sync.WaitGroup
	for i, c := range []*client{g.h1(t), g.h2c(t)} {
		for range 8 {
			all.Go(func() {
				for range 100 {
					if r, err := c.do("GET", "/pet/a", ""); err != nil || r.StatusCode != 200 {
						t.Errorf("client %d: %v, %q", i, err, r.text)
						return
					}
				}
			})
		}
	}
	all.Wait()
}

// TestRefusedBodies sends bodies with requests that are refused before they are
// read: nothing in them is taken for a request, and the connection goes on or ends.
func TestRefusedBodies(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"policies.yaml": generous + "resourcePolicies:\n  - None: {count: 0, unitTime: 1, timeUnit: min}\n",
		"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}") +
			"  /none: {post: {x-wso2-throttling-tier: None, responses: {'200': {description: fine}}}}\n" +
			"  /shut: {post: {x-wso2-disable-security: false, responses: {'200': {description: fine}}}}\n",
	})
	g := p.serve("")
	large := strings.Repeat(poison, 20_000)
	for _, test := range []struct {
		path   string
		status int
	}{{"/pet/none", 429}, {"/pet/nothing", 404}, {"/pet/slow", 405}, {"/pet//a", 400}} {
		for name, text := range map[string]string{
			"length":  fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", test.path, len(poison), poison),
			"chunked": fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", test.path, len(poison), poison),
			"large":   fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", test.path, len(large), large),
			"expect":  fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", test.path, len(poison)),
		} {
			if name != "expect" {
				text += last
			}
			got, closed := raw(t, g.addr, text, 5*time.Second)
			all := statuses(got)
			if !closed && name == "expect" {
				closed = true // it may wait for the body all the same
			}
			if len(all) == 0 && name == "large" && closed {
				continue // closed with data unread, which may take the answer with it
			}
			if !closed || len(all) == 0 || all[0] != test.status || len(all) > 2 || len(all) == 2 && all[1] != 200 {
				t.Errorf("%s with %s: got %v, closed %v, want %d and 200 or the end", test.path, name, all, closed, test.status)
			}
		}
	}
	for _, r := range b.seen() {
		if r.path != "/a" || r.method != "GET" {
			t.Errorf("the backend saw %s %s", r.method, r.path)
		}
	}
	got, _ := raw(t, g.addr, "HEAD /pet/none HTTP/1.1\r\nHost: a\r\n\r\n"+last, 5*time.Second)
	if all := statuses(got); len(all) != 2 || strings.Count(got, `{"code"`) != 0 || !strings.Contains(got, "one /a") {
		t.Errorf("after a refused HEAD: got %q", got)
	}
}

// TestExpectations floods a backend that answers 417 without reading, with bodies
// of which each waits to be asked for: all get that answer, and other calls over the
// same connections to the backend get theirs.
func TestExpectations(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "" {
			t.Error("the backend heard of the expectation") // it is the gateway that meets it
		}
		w.Header().Set("X-Backend", "one")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusExpectationFailed)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	p := newProject(t, s.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	g := p.serve("")
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	clients := []*client{
		newClient(t, "http://"+g.addr, &http.Transport{ExpectContinueTimeout: patience, MaxIdleConnsPerHost: 8}),
		newClient(t, "http://"+g.addr, &http.Transport{ExpectContinueTimeout: patience, Protocols: h2c}),
	}
	var all sync.WaitGroup
	for i, c := range clients {
		for range 4 {
			all.Go(func() {
				for n := range 100 {
					r, err := c.do("POST", "/pet/a", strings.Repeat("x", 100), "Expect", "100-continue")
					if err != nil || r.StatusCode != 417 {
						t.Errorf("client %d, expectation %d: %v, %q", i, n, err, r.text)
						return
					}
					if r, err = c.do("GET", "/pet/a", ""); err != nil || r.StatusCode != 200 {
						t.Errorf("client %d, after expectation %d: %v, %q", i, n, err, r.text)
						return
					}
				}
			})
		}
	}
	all.Wait()
	if n := opened.Load(); n > 50 {
		t.Errorf("%d connections to the backend were opened for 8 calls at a time", n)
	}
}

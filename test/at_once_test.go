package test

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// TestAllAtOnce asks 500 times in one write over one HTTP/2 connection, a hundred
// times over, and from 500 connections that are released together, where 10 may
// pass: 10 do, each time.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"policies.yaml":            "subscriptionPolicies:\n  - Unauthenticated: {count: 10, unitTime: 1, timeUnit: day}\n",
		"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"),
	})
	p.binary = plain // the more comes at once, the better
	g := p.serve("[client_address]\ntrusted_proxies = [\"127.0.0.1\"]\n[limits]\nstreams = 500\n")
	for run := range 100 {
		before := b.hits()
		n := oneWrite(t, g.addr, "192.0.2."+itoa(run), 500)
		if reached := b.hits() - before; n != 10 || reached != 10 {
			t.Errorf("run %d: in one write, %d passed and %d reached the backend, want 10", run+1, n, reached)
		}
	}
	before := b.hits()
	n := oneInstant(t, g.addr, "198.51.100.1", 500)
	if reached := b.hits() - before; n != 10 || reached != 10 {
		t.Errorf("at one time, %d passed and %d reached the backend, want 10", n, reached)
	}
}

// oneWrite sends n requests of who in one write, and returns how many were
// answered with 200.
func oneWrite(t *testing.T, addr, who string, n int) (passed int) {
	t.Helper()
	c := dialH2(t, addr)
	defer c.conn.Close()
	for range n {
		c.request(":path", "/pet/a", "x-forwarded-for", who)
	}
	c.send()
	for ended := 0; ended < n; {
		switch f := c.frame().(type) {
		case *http2.MetaHeadersFrame:
			if f.PseudoValue("status") == "200" {
				passed++
			}
			if f.StreamEnded() {
				ended++
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				ended++
			}
		case *http2.RSTStreamFrame:
			t.Fatalf("stream %d was reset: %v", f.StreamID, f.ErrCode)
		case *http2.GoAwayFrame:
			t.Fatalf("the gateway goes away: %v", f.ErrCode)
		}
	}
	return passed
}

// oneInstant sends all but the last byte of n requests of who over as many connections,
// then the last ones, and returns how many were answered with 200.
func oneInstant(t *testing.T, addr, who string, n int) (passed int) {
	t.Helper()
	head := fmt.Sprintf("GET /pet/a HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\nX-Forwarded-For: %s\r\n\r", who)
	conns := make([]net.Conn, n)
	for i := range conns {
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(head)); err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, conn := range conns {
		all.Go(func() {
			_, _ = conn.Write([]byte("\n")) // if it fails, so does what follows
			got, _ := drain(conn, patience)
			mu.Lock()
			defer mu.Unlock()
			switch s := statuses(got); {
			case len(s) != 1 || s[0] != 200 && s[0] != 429:
				t.Errorf("got %q", got)
			case s[0] == 200:
				passed++
			}
		})
	}
	all.Wait()
	return passed
}

package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSizes sends what is too large: it is refused at the limit, with the right
// status, and never reaches a backend.
func TestSizes(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	g := p.serve("[limits]\nbody_bytes = \"64KiB\"\n[timeouts]\nheader = \"1s\"\n")
	big := strings.Repeat("x", 64<<10)
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "X-%d: y\r\n", i)
		}
		return b.String()
	}
	for _, test := range []struct {
		name, text string
		status     int
	}{
		{"a body at the limit", "POST /pet/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 65536\r\n\r\n" + big, 200},
		{"a body beyond it", "POST /pet/a HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413},
		{"a body far beyond it", "POST /pet/a HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999\r\n\r\n", 413},
		{"chunks beyond it", "POST /pet/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + big + "\r\n1\r\nx\r\n0\r\n\r\n", 413},
		{"a long target", "GET /pet/a?" + big[:9<<10] + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"a long path", "GET /pet/" + big[:9<<10] + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"a long field", "GET /pet/a HTTP/1.1\r\nHost: a\r\nX-A: " + big[:40<<10] + "\r\n\r\n", 431},
		{"a field without an end", "GET /pet/a HTTP/1.1\r\nHost: a\r\nX-A: " + big, 431},
		{"many fields", "GET /pet/a HTTP/1.1\r\nHost: a\r\n" + many(101) + "\r\n", 431},
		{"10 000 fields", "GET /pet/a HTTP/1.1\r\nHost: a\r\n" + many(10_000) + "\r\n", 431},
		{"a cookie of a megabyte", "GET /pet/a HTTP/1.1\r\nHost: a\r\nCookie: a=" + strings.Repeat(big, 16) + "\r\n\r\n", 431},
		{"a target of 64 KiB", "GET /pet/" + big + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"a head that never ends", "GET /pet/a HTTP/1.1\r\nHost: a\r\n", 408},
		{"a long method", strings.Repeat("A", 9<<10) + " /pet/a HTTP/1.1\r\nHost: a\r\n\r\n", 0},
	} {
		got, closed := raw(t, g.addr, test.text, 10*time.Second)
		all := statuses(got)
		if !closed || len(all) != 1 || (test.status != 0 && all[0] != test.status) || all[0] >= 400 && !strings.Contains(got, `{"code":"`) {
			t.Errorf("%s: got %.200q, closed %v, want %d", test.name, got, closed, test.status)
		}
	}
	if got := b.hits(); got > 2 { // of the chunks, the beginning may have gone through
		t.Errorf("%d requests reached the backend", got)
	}
	h2 := g.h2c(t)
	h2.call(t, "POST", "/pet/a", big).want(t, 200, "")
	h2.call(t, "POST", "/pet/a", big+"x").want(t, 413, "413")
	h2.get(t, "/pet/a?"+big[:9<<10]).want(t, 414, "414")
	h2.get(t, "/pet/a", "X-A", big[:40<<10]).want(t, 431, "431")
	h2.get(t, "/pet/"+big).want(t, 414, "414")
	h2.get(t, "/pet/a", "Cookie", strings.Repeat(big, 4)).want(t, 431, "431")
	pairs := []string{":path", "/pet/a"}
	for i := range 10_000 {
		pairs = append(pairs, "x-"+itoa(i), "y")
	}
	if got := g.rawH2(t, pairs...); got != "431" {
		t.Errorf("10 000 fields over HTTP/2: got %s", got)
	}
	// What is far beyond is not read to its end.
	c := dialH2(t, g.addr)
	defer c.conn.Close()
	c.request(":path", "/pet/a", "cookie", strings.Repeat(big, 16))
	c.send()
	if _, closed := drain(c.conn, patience); !closed {
		t.Error("after a megabyte of a head the connection stays open")
	}
}

// TestConnectionsPerAddress opens as many connections as one address may have, and
// then one more; other addresses are served all the while.
func TestConnectionsPerAddress(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	g := p.serve("[limits]\nconnections_per_ip = 20\n")
	served := func(from string) bool {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
		conn, err := d.Dial("tcp", g.addr)
		if err != nil {
			return false
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, last); err != nil {
			return false
		}
		got, _ := drain(conn, patience)
		all := statuses(got)
		return len(all) == 1 && all[0] == 200
	}
	until(t, "a connection", func() bool { return served("127.0.0.1") })
	var open []net.Conn
	for range 20 {
		conn, err := net.DialTimeout("tcp", g.addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, conn)
		if _, err := io.WriteString(conn, "GET /pet/a HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if r, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || r.StatusCode != 200 {
			t.Fatalf("got %v, %v on connection %d of 20", r, err, len(open))
		}
	}
	if served("127.0.0.1") {
		t.Error("a 21st connection was served")
	}
	if !served("127.0.0.2") {
		t.Error("another address was not served")
	}
	for _, conn := range open {
		conn.Close()
	}
	until(t, "a connection after the others were closed", func() bool { return served("127.0.0.1") })
}

package test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestAllAtOnce asks 500 times in one write over one HTTP/2 connection, and from
// 500 connections that are released together, where 10 may pass: 10 do.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"policies.yaml":            "subscriptionPolicies:\n  - Ten: {count: 10, unitTime: 1, timeUnit: day}\n",
		"applications.yaml":        "applications:\n  - {name: shop, owner: ann, tier: Unlimited, subscriptions: [{api: pet, version: '1', tier: Ten}]}\n  - {name: till, owner: ann, tier: Unlimited, subscriptions: [{api: pet, version: '1', tier: Ten}]}\n",
		"api_definitions/pet.yaml": strings.Replace(openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"), "x-wso2-disable-security: true\n", "", 1),
	})
	shop, till := p.key("shop", "PRODUCTION"), p.key("till", "PRODUCTION")
	g := p.serve("")
	if n := oneWrite(t, g.addr, shop, 500); n != 10 || b.hits() != 10 {
		t.Errorf("in one write, %d passed and %d reached the backend, want 10", n, b.hits())
	}
	if n := oneInstant(t, g.addr, till, 500); n != 10 || b.hits() != 20 {
		t.Errorf("at one time, %d passed and %d reached the backend, want 10", n, b.hits()-10)
	}
}

// oneWrite sends n requests in as few writes as the number of streams that the
// gateway allows at a time asks for, and returns how many were answered with 200.
func oneWrite(t *testing.T, addr, key string, n int) (passed int) {
	t.Helper()
	const atOnce = 100
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience)) // a closed connection says so when it is used
	var out, block bytes.Buffer
	framer, encoder := http2.NewFramer(&out, conn), hpack.NewEncoder(&block)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	out.WriteString(http2.ClientPreface)
	write := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write(framer.WriteSettings())
	write(framer.WriteWindowUpdate(0, 1<<30))
	for sent, ended := 0, 0; ended < n; {
		for first := sent; sent < min(first+atOnce, n) && ended == first; sent++ {
			block.Reset()
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "weir.test"}, {":path", "/pet/a"}, {"apikey", key}} {
				write(encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
			}
			write(framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: uint32(2*sent + 1), BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true,
			}))
		}
		if out.Len() > 0 {
			_, err := conn.Write(out.Bytes())
			write(err)
			out.Reset()
		}
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("after %d answers: %v", ended, err)
		}
		switch f := frame.(type) {
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
		case *http2.SettingsFrame:
			if !f.IsAck() {
				write(framer.WriteSettingsAck())
			}
		case *http2.RSTStreamFrame:
			t.Fatalf("stream %d was reset: %v", f.StreamID, f.ErrCode)
		case *http2.GoAwayFrame:
			t.Fatalf("the gateway goes away: %v", f.ErrCode)
		}
	}
	return passed
}

// oneInstant sends all but the last byte of n requests over as many connections,
// then the last ones, and returns how many were answered with 200.
func oneInstant(t *testing.T, addr, key string, n int) (passed int) {
	t.Helper()
	head := fmt.Sprintf("GET /pet/a HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\nApiKey: %s\r\n\r", key)
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

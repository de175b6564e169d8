package test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A slowness is a way to hold a connection for as long as possible.
type slowness struct {
	name   string
	begin  string // sent at once
	drip   string // sent twice a second from then on
	secure bool   // to the TLS port
	status string // of the answer; "": none, or none that matters
	conns  int
	ends   int // after how many time-outs
}

// slownesses are the four ways of the well-known tools, and the same over HTTP/2.
// All time-outs being the same, each must be over after some of them.
func slownesses() []slowness {
	const many, some = 2000, 500
	const post = "POST /pet/a HTTP/1.1\r\nHost: a\r\n"
	ranges := "bytes=0-"
	for i := range 1000 {
		ranges += ",5-" + itoa(i)
	}
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	h2Post := preface + "\x00\x00\x11\x01\x04\x00\x00\x00\x01" + "\x83\x86\x41\x04weir" + "\x04\x06/pet/a\x90" +
		"\x00\x00\x04\x00\x00\x00\x00\x00\x01slow"
	return []slowness{
		{name: "header", begin: "GET /pet/a HTTP/1.1\r\nHost: a\r\n", drip: "X-Slow: b\r\n", status: " 408 ", conns: many, ends: 1},
		{name: "body", begin: post + "Content-Length: 100000\r\n\r\nslow", drip: "x", status: " 408 ", conns: many, ends: 1},
		{name: "chunks", begin: post + "Transfer-Encoding: chunked\r\n\r\n400\r\nslow", drip: "x", status: " 408 ", conns: some, ends: 1},
		{name: "ranges, then nothing", begin: "GET /pet/a HTTP/1.1\r\nHost: a\r\nRange: " + ranges + "\r\n\r\n", status: " 200 ", conns: many, ends: 1},
		{name: "nothing at all", conns: some, ends: 1},
		{name: "no handshake", secure: true, conns: some, ends: 1},
		{name: "HTTP/2 header", begin: preface + "\x00\x20\x00\x01\x05\x00\x00\x00\x01\x82", drip: "\x90", conns: some, ends: 1},
		{name: "HTTP/2 body", begin: h2Post, drip: "\x00\x00\x01\x00\x00\x00\x00\x00\x01x", conns: some, ends: 2},
		{name: "HTTP/2, then nothing", begin: preface, conns: some, ends: 1},
	}
}

const slowTime = 2 * time.Second

const slowConf = "[limits]\nconnections_per_ip = 0\n[timeouts]\nheader = \"2s\"\nbody_idle = \"2s\"\nwrite = \"2s\"\nidle = \"2s\"\n"

// TestSlowClients has thousands of clients send as slowly as they can, while
// others are served as if they were not there; all of them are got rid of in time.
func TestSlowClients(t *testing.T) {
	cert := newCertificate(t, t.TempDir(), 1)
	for _, s := range slownesses() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t, "one")
			p := newProject(t, b.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
			p.binary = plain // for time is looked at
			g := p.serve(cert.conf() + slowConf)
			defer g.stayAvailable(t)()
			s.hold(t, g)
		})
	}
}

// hold opens the connections, and wants each closed in time, with the right answer.
func (s *slowness) hold(t *testing.T, g *gatewayProcess) {
	t.Helper()
	addr := g.addr
	if s.secure {
		addr = g.secure
	}
	// With the time that HTTP/2 gives a client to go, and what thousands of others take of a machine
	// that may be slow.
	most := time.Duration(s.ends)*slowTime + 8*time.Second
	conns := make([]net.Conn, room(t, s.conns))
	var watching sync.WaitGroup
	defer watching.Wait()
	var open, peak atomic.Int64
	for i := range conns {
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, s.begin); err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
		opened := time.Now()
		peak.Store(max(peak.Load(), open.Add(1)))
		watching.Go(func() {
			got, closed := drain(conn, patience)
			open.Add(-1)
			if !closed || strings.Count(got, "HTTP/1.1 ") > 1 || s.status != "" && got != "" && !strings.HasPrefix(got, "HTTP/1.1"+s.status) {
				t.Errorf("connection %d got %.100q, closed %v", i, got, closed)
			}
			if d := time.Since(opened); d > most {
				t.Errorf("connection %d was open for %s", i, d)
			}
		})
	}
	stop := s.dripInto(conns)
	defer stop()
	watching.Wait()
	t.Logf("%d connections at a time", peak.Load())
}

// dripInto sends what is to be dripped, until it is stopped.
func (s *slowness) dripInto(conns []net.Conn) (stop func()) {
	quit := make(chan struct{})
	var dripping sync.WaitGroup
	dripping.Go(func() {
		tick := time.NewTicker(time.Second / 2)
		defer tick.Stop()
		for s.drip != "" {
			select {
			case <-tick.C:
			case <-quit:
				return
			}
			for _, conn := range conns {
				_, _ = io.WriteString(conn, s.drip) // into some that are closed by now
			}
		}
	})
	return func() {
		close(quit)
		dripping.Wait()
	}
}

// stayAvailable has a good client of each protocol call now and then until the
// function that it returns is called: all calls are answered, and soon.
func (g *gatewayProcess) stayAvailable(t *testing.T) (stop func()) {
	t.Helper()
	var calling sync.WaitGroup
	var quit atomic.Bool
	var calls [2]atomic.Int64
	for i, c := range []*client{g.h1(t), g.h2c(t)} {
		calling.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for ; !quit.Load(); calls[i].Add(1) {
				<-tick.C
				began := time.Now()
				r, err := c.do("GET", "/pet/a", "")
				if d := time.Since(began); err != nil || r.StatusCode != 200 || d > 2*time.Second {
					t.Errorf("a good client got %v, %.100q after %s", err, r.text, d)
					return
				}
			}
		})
	}
	return func() {
		t.Helper()
		quit.Store(true)
		calling.Wait()
		for i := range calls {
			if n := calls[i].Load(); n < 20 && !t.Failed() {
				t.Errorf("good client %d made %d calls", i, n)
			}
		}
	}
}

// room returns how many of n connections this process, and the gateway beside it,
// may have descriptors for.
func room(t *testing.T, n int) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	want := uint64(2*n + 1000)
	if limit.Cur < want {
		raised := syscall.Rlimit{Cur: max(limit.Cur, min(want, limit.Max)), Max: limit.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
			limit = raised
		}
	}
	if limit.Cur < want {
		fewer := max(int(limit.Cur)-1000, 100) / 2
		t.Logf("%d connections instead of %d: only %d descriptors are allowed", fewer, n, limit.Cur)
		return fewer
	}
	return n
}

// TestSlowReaders has clients ask for an endless answer and take next to nothing
// of it: they are given up, and the backend is let go.
func TestSlowReaders(t *testing.T) {
	endless := newEndless(t)
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{
		"policies.yaml":            generous,
		"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}"),
		"api_definitions/sea.yaml": strings.ReplaceAll(openAPI("x-wso2-production-endpoints: {urls: ["+endless.URL+"]}"), "pet", "sea"),
	})
	p.binary = plain
	g := p.serve(slowConf)
	defer g.stayAvailable(t)()
	// A small window and small segments, as a slow reader announces them; on
	// loopback they would be so large that each connection took megabytes.
	d := net.Dialer{Timeout: patience, Control: func(_, _ string, raw syscall.RawConn) error {
		var small, short error
		err := raw.Control(func(fd uintptr) {
			small = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
			short = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536)
		})
		return errors.Join(err, small, short)
	}}
	conns := make([]net.Conn, room(t, 2*2000)/2) // each has one to the backend, too
	for i := range conns {
		conn, err := d.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /sea/a HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
	}
	asked := time.Now()
	block := make([]byte, 32)
	until(t, "all answers to be given up", func() bool {
		for _, conn := range conns {
			_ = conn.SetReadDeadline(time.Now())
			_, _ = conn.Read(block) // what there is, if anything
		}
		return endless.ended.Load() == int64(len(conns))
	})
	if d := time.Since(asked); d > slowTime+5*time.Second {
		t.Errorf("the last was given up after %s", d)
	}
}

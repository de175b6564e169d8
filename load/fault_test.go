package load

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// faults returns r's faults as counts by kind.
func faults(r *Result) map[FaultKind]int64 {
	m := make(map[FaultKind]int64)
	for _, f := range r.Faults {
		m[f.Kind] += f.Count
	}
	return m
}

// badServer answers each request in another bad way, and on a connection of its own: one
// that is kept might be used before it is seen that this ends it.
func badServer(n *atomic.Int64) func(net.Conn) {
	ways := []func(net.Conn){
		func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
		},
		func(c net.Conn) { _, _ = io.WriteString(c, "220 smtp.example ESMTP ready\r\n") },
		func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, // a reset
		func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") },
		func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, // stands still
		func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		},
	}
	return func(c net.Conn) {
		if _, err := c.Read(make([]byte, 4096)); err == nil {
			ways[(n.Add(1)-1)%int64(len(ways))](c)
		}
	}
}

// Whatever a server does, each request has one outcome and the load goes on.
func TestFaults(t *testing.T) {
	var n atomic.Int64
	f := newFake(t, badServer(&n))
	r := run(t, Options{
		Targets: []string{f.url}, Rate: 100, Clients: 1, Duration: 400 * time.Millisecond, Timeout: 100 * time.Millisecond,
	})
	if n.Load() != r.Total.Sent() {
		t.Errorf("%d requests sent, %d arrived: what is sent is sent once", r.Total.Sent(), n.Load())
	}
	times := func(way int64) int64 { return (n.Load() + 5 - way) / 6 } // how often the server had it
	want := Count{Admitted: times(0), Other: times(5), Failed: times(1) + times(2) + times(3) + times(4)}
	if r.Total != want || want.Other == 0 {
		t.Errorf("got %+v, want %+v, and each of the ways", r.Total, want)
	}
	got := faults(r)
	if got[Malformed] != times(1) || got[Closed] != times(2)+times(3) || got[Timeout] != times(4) {
		t.Errorf("got %+v of %d requests", r.Faults, n.Load())
	}
	if r.Latency.Count != r.Total.Admitted+r.Total.Other {
		t.Errorf("%d latencies of %+v: only answers have one", r.Latency.Count, r.Total)
	}
	for _, f := range r.Faults {
		if f.Example == "" || len(f.Example) > maxExample {
			t.Errorf("%s: example %q", f.Kind, f.Example)
		}
	}
}

// A server that ended its kept connections, as they do when these are idle, is
// connected to anew, without a fault.
func TestIdleConnections(t *testing.T) {
	var conns atomic.Int64
	f := newFake(t, func(c net.Conn) {
		conns.Add(1)
		if _, err := c.Read(make([]byte, 4096)); err != nil {
			return
		}
		_, _ = io.WriteString(c, fineAnswer)
	})
	r := run(t, Options{Targets: []string{f.url}, Rate: 20, Clients: 1, Duration: 200 * time.Millisecond})
	if r.Total != (Count{Admitted: 4}) || conns.Load() != 4 {
		t.Errorf("got %+v over %d connections, faults %+v; want 4 admitted over as many", r.Total, conns.Load(), r.Faults)
	}
}

// A connection is kept unless its server says otherwise.
func TestKeepAlive(t *testing.T) {
	for _, tt := range []struct {
		answer string
		conns  int64
	}{
		{fineAnswer, 1},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 5},
	} {
		var conns atomic.Int64
		f := newFake(t, func(c net.Conn) {
			conns.Add(1)
			answering(always(tt.answer))(c)
		})
		r := run(t, Options{Targets: []string{f.url}, Rate: 100, Clients: 1, Duration: 50 * time.Millisecond})
		if r.Total.Admitted != 5 || conns.Load() != tt.conns {
			t.Errorf("%q: %+v over %d connections, want %d", tt.answer, r.Total, conns.Load(), tt.conns)
		}
	}
}

// Nothing there at the start is an error at once; a server that goes away later
// is counted.
func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	there := newFake(t, answering(always(fineAnswer)))
	l.Close()
	load, err := New(Options{Targets: []string{there.url, url}, Duration: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load.Run(t.Context()); faultKind(err) != ConnectRefused || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v, want that %s refuses", err, url)
	}
}

func TestServerGoesAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		l.Close()
		if err == nil {
			c.Close()
		}
	}()
	// Without a rate, it is not asked as fast as it goes.
	r := run(t, Options{Targets: []string{"http://" + l.Addr().String()}, Clients: 1, Duration: 300 * time.Millisecond})
	<-done
	if r.Total.Failed < 2 || r.Total.Failed > 8 || faults(r)[ConnectRefused] < 1 {
		t.Errorf("got %+v, %v; want a few refused connections", r.Total, r.Faults)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	o := Options{Targets: []string{s.URL}, Rate: 100, Clients: 2, Duration: 50 * time.Millisecond}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Run(t.Context()); faultKind(err) != TLSHandshake {
		t.Errorf("a certificate of nobody: got %v", err)
	}
	o.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
	if r := run(t, o); r.Total.Admitted != 5 {
		t.Errorf("got %+v, %v, want 5 admitted", r.Total, r.Faults)
	}
	plain := newFake(t, answering(always(fineAnswer)))
	o.Targets = []string{strings.Replace(plain.url, "http:", "https:", 1)}
	l, err = New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Run(t.Context()); faultKind(err) != TLSHandshake {
		t.Errorf("a server without TLS: got %v, %s", err, faultKind(err))
	}
}

func TestFaultKind(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want FaultKind
	}{
		{dialError{&net.DNSError{Err: "no such host"}}, Connect},
		{dialError{&net.DNSError{Err: "x", IsTimeout: true}}, ConnectTimeout},
		{handshakeError{errors.New("x")}, TLSHandshake},
		{handshakeError{&net.DNSError{IsTimeout: true}}, ConnectTimeout},
		{tls.RecordHeaderError{}, TLSHandshake},
		{io.ErrUnexpectedEOF, Closed},
		{malformed("x"), Malformed},
	} {
		if got := faultKind(tt.err); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.err, got, tt.want)
		}
	}
}

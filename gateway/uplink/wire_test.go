package uplink

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/test/realserver"
)

// good is an answer that says no more than it must.
func good() []byte {
	return event.AppendReply(nil, &event.Reply{Manager: 1, Issuer: "tm", Now: time.Now()})
}

func serve(w http.ResponseWriter) {
	w.Header().Set("Content-Type", event.MediaType)
	_, _ = w.Write(good())
}

// wireTo returns a wire to a URL, closed at the end of the test.
func wireTo(t testing.TB, url string, change func(*Options)) *wire {
	t.Helper()
	o := newWorld(t).options(Group{Managers: []Manager{{URL: url}}})
	o.Dial = nil
	if change != nil {
		change(&o)
	}
	o, addresses, err := o.complete()
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(addresses[0][0], &o)
	t.Cleanup(w.close)
	return w
}

// once makes a call without events.
func once(w *wire, bodies ...event.Body) (exchange, *fault) {
	h := event.Header{Node: "g1", Incarnation: 7, Seq: uint64(len(bodies))}
	return w.call(context.Background(), &h, bodies)
}

// raw serves what handle does with each connection.
func raw(t *testing.T, handle func(net.Conn)) (url string, conns *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			handle(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String(), conns
}

// receive reads one call, and reports whether there was one.
func receive(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// TestConnection shows that one connection serves all calls, and that the head of
// a call is what it should be.
func TestConnection(t *testing.T) {
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !ok || user != "u" || password != "p:ä" || r.URL.Path != "/base/events" || r.Host != r.Context().Value(http.LocalAddrContextKey).(net.Addr).String() || r.Header.Get("Accept") != event.MediaType {
			t.Errorf("%s %s of %s: %v", r.Method, r.URL, r.Host, r.Header)
		}
		batch, _ := io.ReadAll(r.Body)
		if h, _, err := decode(batch); err != nil || h.Node != "g1" || int64(len(batch)) != r.ContentLength {
			t.Errorf("batch of %d bytes, %d declared: %+v, %v", len(batch), r.ContentLength, h, err)
		}
		serve(w)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	w := wireTo(t, s.URL+"/base/", func(o *Options) { o.User, o.Password = "u", "p:ä" })
	for i := range 20 {
		x, f := once(w, body("a", i), body(strings.Repeat("b", i<<12), 1))
		if f != nil || x.reply.Issuer != "tm" {
			t.Fatalf("call %d: %+v, %v", i, x.reply, f)
		}
		if x.answered.Before(x.sent) || time.Since(x.sent) > time.Second {
			t.Errorf("call %d: sent %v, answered %v", i, x.sent, x.answered)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	// A manager that closes what is not used costs nothing.
	s.CloseClientConnections()
	if _, f := once(w); f != nil {
		t.Error(f)
	}
}

// TestFramings shows that every way in which HTTP/1.1 may frame an answer is read.
func TestFramings(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Type: " + event.MediaType + "\r\n"
	body := string(good())
	for name, tt := range map[string]struct {
		answer string
		keeps  bool
	}{
		"length":      {fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body), true},
		"chunked":     {fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, len(body), body), true},
		"interim":     {fmt.Sprintf("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n%sContent-Length: %d\r\n\r\n%s", head, len(body), body), true},
		"until close": {head + "\r\n" + body, false},
		"close":       {fmt.Sprintf("%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body), false},
		"HTTP/1.0":    {strings.Replace(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body), "1.1", "1.0", 1), false},
		"too much":    {fmt.Sprintf("%sContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\n", head, len(body), body), false},
	} {
		url, conns := raw(t, func(c net.Conn) {
			r := bufio.NewReader(c)
			for receive(r) {
				_, _ = io.WriteString(c, tt.answer)
				if !tt.keeps {
					return
				}
			}
		})
		w := wireTo(t, url, nil)
		for range 3 {
			if x, f := once(w); f != nil || x.reply.Manager != 1 {
				t.Errorf("%s: %+v, %v", name, x.reply, f)
			}
		}
		if want := map[bool]int64{true: 1, false: 3}[tt.keeps]; conns.Load() != want {
			t.Errorf("%s: %d connections, want %d", name, conns.Load(), want)
		}
		w.close()
	}
}

// TestBadAnswers shows that nothing that comes back costs more than the call: in
// time, in memory, or in trust.
func TestBadAnswers(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Type: " + event.MediaType + "\r\n"
	endless := func(before string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.WriteString(c, before)
			block := []byte(strings.Repeat("a: b\r\n", 10<<10))
			for err := error(nil); err == nil; {
				_, err = c.Write(block)
			}
		}
	}
	for name, tt := range map[string]struct {
		handle func(net.Conn)
		kind   kind
		says   string
	}{
		"bytes":          {func(c net.Conn) { _, _ = io.WriteString(c, "\x16\x03\x01\x02\n\n") }, unanswered, "malformed"},
		"half a head":    {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nA") }, unanswered, "read answer"},
		"half a body":    {func(c net.Conn) { _, _ = io.WriteString(c, head+"Content-Length: 10\r\n\r\nabc") }, unanswered, "EOF"},
		"nothing":        {func(net.Conn) {}, unanswered, "without an answer"},
		"silence":        {func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); _, _ = io.Copy(io.Discard, c) }, unanswered, "timeout"},
		"silence within": {func(c net.Conn) { _, _ = io.WriteString(c, head); _, _ = io.Copy(io.Discard, c) }, unanswered, "timeout"},
		"endless head":   {endless("HTTP/1.1 200 OK\r\n"), unanswered, "read answer"},
		"endless heads":  {endless(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10<<10)), unanswered, "too large"},
		"endless body":   {endless(head + "\r\n"), unanswered, "too large"},
		"long body":      {endless(head + "Content-Length: 99999999999\r\n\r\n"), unwell, "too large"},
		"two lengths":    {func(c net.Conn) { _, _ = io.WriteString(c, head+"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab") }, unanswered, "read answer"},
	} {
		url, _ := raw(t, func(c net.Conn) {
			if receive(bufio.NewReader(c)) {
				tt.handle(c)
			}
		})
		w := wireTo(t, url, func(o *Options) { o.Timeout = 300 * time.Millisecond })
		if strings.HasPrefix(name, "endless") {
			w.options.Timeout = 10 * time.Second
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, f := once(w)
		runtime.ReadMemStats(&after)
		if f == nil || f.kind != tt.kind || !strings.Contains(f.Error(), tt.says) {
			t.Errorf("%s: fault is %v, want %v, %q", name, f, tt.kind, tt.says)
		}
		if d := time.Since(start); d > w.options.Timeout+time.Second {
			t.Errorf("%s: it took %v", name, d)
		}
		if n := after.TotalAlloc - before.TotalAlloc; name != "endless body" && n > 1<<20 {
			t.Errorf("%s: it took %d KiB", name, n>>10)
		}
		if w.raw != nil {
			t.Errorf("%s: the connection is kept", name)
		}
		w.close()
	}
}

// TestEarlyAnswer shows that an answer is heard that comes before all was sent.
func TestEarlyAnswer(t *testing.T) {
	url, _ := raw(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	w := wireTo(t, url, nil)
	if _, f := once(w, body(strings.Repeat("x", 8<<20), 1)); f == nil || f.kind != tooLarge {
		t.Errorf("fault is %v, want 413", f)
	}
}

// TestCutOff shows that what runs ends when it is told to, whatever it waits for.
func TestCutOff(t *testing.T) {
	url, _ := raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for name, w := range map[string]*wire{
		"an answer": wireTo(t, url, func(o *Options) { o.Timeout = time.Minute }),
		"a connection": wireTo(t, "http://127.0.0.1:9", func(o *Options) {
			o.Timeout, o.ConnectTimeout = time.Minute, time.Minute
			o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		}),
	} {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(50*time.Millisecond, cancel)
		start := time.Now()
		if _, f := w.call(ctx, &event.Header{Incarnation: 1}, nil); f == nil || time.Since(start) > 10*time.Second {
			t.Errorf("%s: fault is %v after %v", name, f, time.Since(start))
		}
		w.close()
	}
}

// TestTLS shows who is believed: nobody without a reason, away from this machine.
func TestTLS(t *testing.T) {
	var shown atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown.Store(int64(len(r.TLS.PeerCertificates)))
		serve(w)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	own := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &s.TLS.Certificates[0], nil }

	for name, tt := range map[string]struct {
		change func(*Options)
		says   string
		shown  int64
	}{
		"no CA, on loopback": {nil, "", 0},
		"its CA":             {func(o *Options) { o.CAs = pool }, "", 0},
		"another CA":         {func(o *Options) { o.CAs = x509.NewCertPool() }, "TLS handshake: tls: failed to verify certificate", 0},
		"a certificate":      {func(o *Options) { o.Certificate = own }, "", 1},
		"no certificate to be had": {func(o *Options) {
			o.Certificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, errors.New("no file") }
		}, "no file", 0},
	} {
		w := wireTo(t, s.URL, tt.change)
		_, f := once(w)
		switch {
		case tt.says == "" && (f != nil || shown.Load() != tt.shown):
			t.Errorf("%s: %v, %d certificates shown", name, f, shown.Load())
		case tt.says != "" && (f == nil || f.kind != unreachable || !f.certain() || !strings.Contains(f.Error(), tt.says)):
			t.Errorf("%s: fault is %v, want %q", name, f, tt.says)
		}
		w.close()
	}
	w := wireTo(t, "https://tm1", func(o *Options) { o.User, o.Password = "u", "p" })
	if w.tls.InsecureSkipVerify || w.tls.MinVersion < tls.VersionTLS12 || w.tls.ServerName != "tm1" {
		t.Errorf("TLS to another machine is %+v", w.tls)
	}
	// What speaks no TLS is found out at once.
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if _, f := once(wireTo(t, strings.Replace(plain.URL, "http:", "https:", 1), nil)); f == nil || f.kind != unreachable {
		t.Errorf("fault is %v", f)
	}
}

// TestRealHang shows over real sockets that managers which take connections and say
// nothing, or refuse them, delay neither another nor the gateway (W14).
func TestRealHang(t *testing.T) {
	n := &network{}
	m := newFake(t, n, "real")
	s := httptest.NewServer(m)
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := newWorld(t)
	o := w.options(Group{Managers: []Manager{{"http://" + l.Addr().String()}, {s.URL}, {"http://" + realserver.FreeAddress(t)}}})
	o.Dial, o.Linger = nil, -1
	w.run(o)
	defer w.end()
	slowest := time.Duration(0)
	for range 100 {
		start := time.Now()
		w.ledger.tell(w.uplink)
		slowest = max(slowest, time.Since(start))
		time.Sleep(time.Millisecond)
	}
	if slowest > time.Second {
		t.Errorf("Events took %v", slowest)
	}
	for deadline := time.Now().Add(10 * time.Second); len(m.counted()) < 100; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("of 100 events, %d are counted", len(m.counted()))
		}
	}
	w.ledger.check(t, "the one that is well", m.counted())
}

// A canned connection answers with the same bytes, whatever it is told.
type canned struct {
	net.Conn
	answer *bytes.Reader
}

func (c *canned) Read(p []byte) (int, error)       { return c.answer.Read(p) }
func (c *canned) Write(p []byte) (int, error)      { return len(p), nil }
func (c *canned) Close() error                     { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// An echo answers each call with the same bytes.
type echo struct {
	canned
	text string
}

func (e *echo) Write(p []byte) (int, error) { e.answer.Reset([]byte(e.text)); return len(p), nil }

// echoing returns a link to a manager that takes everything, without a network.
func echoing(t testing.TB) *link {
	reply := good()
	text := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", event.MediaType, len(reply), reply)
	o := newWorld(t).options(Group{Managers: []Manager{{URL: "http://localhost"}}})
	o.Dial = func(context.Context, string, string) (net.Conn, error) {
		return &echo{canned{answer: bytes.NewReader(nil)}, text}, nil
	}
	u, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l := u.groups[0].links[0]
	t.Cleanup(l.wire.close)
	for l.phase != joined {
		step(t, l)
	}
	return l
}

// step sends what is to be sent next.
func step(t testing.TB, l *link) {
	if !l.next(time.Now()) || l.send(context.Background()) > time.Minute || l.failures > 0 {
		t.Fatalf("failed: %s", l.stats.LastError)
	}
}

// TestAllocations holds that telling is cheap: Events costs nothing but room in
// the queue, and a call what net/http needs to read an answer.
func TestAllocations(t *testing.T) {
	l := echoing(t)
	b := body(strings.Repeat("x", 1000), 10)
	n := uint64(0)
	for range 100 { // until the queue has grown
		n++
		l.uplink.Events(n, b)
	}
	step(t, l)
	if got := testing.AllocsPerRun(50, func() { n++; l.uplink.Events(n, b) }); got > 0 {
		t.Errorf("Events allocates %v times", got)
	}
	if got := testing.AllocsPerRun(100, func() { n++; l.uplink.Events(n, b); step(t, l) }); got > 30 {
		t.Errorf("a call allocates %v times", got)
	}
}

// BenchmarkTell is what a batch costs from Events to its answer, but for the network.
func BenchmarkTell(b *testing.B) {
	l := echoing(b)
	text := body(strings.Repeat("x", 20<<10), 200)
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		l.uplink.Events(n, text)
		step(b, l)
	}
}

// FuzzAnswer holds that whatever comes back is either a reply that says whose it
// is or a fault that says what is wrong, and that a link survives it.
func FuzzAnswer(f *testing.F) {
	reply := string(event.AppendReply(nil, &event.Reply{
		Manager: 9, Issuer: "tm", Now: time.Unix(1, 0), Restate: true, Refused: []event.Refusal{{Index: 1, Reason: "r"}}, Late: 1,
		Shares: "s", Decisions: []weir.Decision{{Text: "k", Ends: time.Unix(2, 0)}}, All: true, Version: 4,
	}))
	head := "HTTP/1.1 200 OK\r\nContent-Type: " + event.MediaType + "\r\n"
	f.Add([]byte(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(reply), reply)))
	f.Add([]byte(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 503 x\r\nRetry-After: 5\r\n\r\nwhy"))
	f.Add([]byte("HTTP/1.1 100 x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		o := newWorld(t).options(Group{Managers: []Manager{{URL: "http://localhost"}}})
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			return &canned{answer: bytes.NewReader(answer)}, nil
		}
		u, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		u.Events(1, body("a", 1))
		l := u.groups[0].links[0]
		for range 4 {
			if !l.next(time.Now()) {
				break
			}
			if wait := l.send(context.Background()); wait < 0 || wait > 10*time.Second {
				t.Errorf("waits %v", wait)
			}
		}
		l.wire.close()
		x, fault := once(l.wire)
		switch {
		case fault == nil && (x.reply.Manager == 0 || x.reply.Issuer == ""):
			t.Errorf("%q is the reply %+v", answer, x.reply)
		case fault != nil && (fault.Error() == "" || fault.after > 10*time.Second):
			t.Errorf("%q is the fault %v", answer, fault)
		}
	})
}

// TestBatch shows that package event reads what is sent, and counts as we do.
func TestBatch(t *testing.T) {
	var enc event.Encoder
	bodyOf := func(events int) event.Body {
		enc.Reset()
		for i := range events {
			enc.Spend(enc.Request(&weir.Fields{}, &weir.Request{Time: time.Now(), Context: fmt.Sprint("/pets/", i)}), weir.Spent{Requests: 1})
		}
		return enc.Body()
	}
	two, three := bodyOf(2), bodyOf(3)
	if count(two) != 2 || count(three) != 3 || count(append(bytes.Clone(two), three...)) != 5 {
		t.Errorf("counted %d and %d events, want 2 and 3", count(two), count(three))
	}
	var contexts []string
	var h event.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		batch, _ := io.ReadAll(r.Body)
		var dec event.Decoder
		refused, err := dec.Decode(batch, &h, func(_ int, e *weir.Event) error {
			contexts = append(contexts, strings.Clone(e.Request.Context))
			return nil
		})
		if err != nil || len(refused) > 0 {
			t.Errorf("refused %v, error %v", refused, err)
		}
		serve(w)
	}))
	defer s.Close()
	sent := event.Header{Node: "g1", Incarnation: 7, Seq: 3, Restates: true, First: true, Manager: 5, Version: 6}
	if _, f := wireTo(t, s.URL, nil).call(context.Background(), &sent, []event.Body{two, three}); f != nil {
		t.Fatal(f)
	}
	if got := strings.Join(contexts, " "); got != "/pets/0 /pets/1 /pets/0 /pets/1 /pets/2" {
		t.Errorf("told %s", got)
	}
	if age := time.Since(h.Sent); age < 0 || age > time.Minute {
		t.Errorf("sent %v ago", age)
	}
	if h.Sent = sent.Sent; h != sent {
		t.Errorf("header is %+v, want %+v", h, sent)
	}
}

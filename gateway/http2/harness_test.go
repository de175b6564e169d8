package http2

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A pipeline stands in for the gateway: it forwards to one group, up to a limit.
type pipeline struct {
	group   *upstream.Group
	limit   int64 // 0: none
	timeout time.Duration
	fields  []gateway.Field
	look    func(x *gateway.Exchange) // at what was received
	refuse  *gateway.Answer           // instead of forwarding

	admitted, refused, failed, finished atomic.Int64
	mu                                  sync.Mutex
	outcomes                            []gateway.Outcome
	held                                map[*gateway.Exchange]bool
	doubled                             bool // an exchange was finished twice
}

func (p *pipeline) hold(x *gateway.Exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[*gateway.Exchange]bool{}
	}
	p.held[x] = true
}

func (p *pipeline) Admit(x *gateway.Exchange) *gateway.Answer {
	p.hold(x)
	if p.look != nil {
		p.look(x)
	}
	x.Request.Verb = x.Method
	x.Request.ClientIP = x.Peer.Addr()
	x.Fields = append(x.Fields, p.fields...)
	if p.refuse != nil {
		p.refused.Add(1)
		return p.refuse
	}
	if n := p.admitted.Add(1); p.limit > 0 && n > p.limit {
		p.admitted.Add(-1)
		p.refused.Add(1)
		return &gateway.Answer{
			Status: 429, ContentType: "application/json; charset=utf-8",
			Body:   []byte(`{"code":"900804","message":"Message throttled out","description":"You have exceeded your quota"}`),
			Fields: []gateway.Field{{Name: "X-RateLimit-Limit", Value: []byte("10")}, {Name: "Retry-After", Value: []byte("7")}},
		}
	}
	x.Upstream, x.Timeout = p.group, p.timeout
	x.ForwardPath, x.ForwardQuery = x.Path, x.RawQuery
	return nil
}

func (p *pipeline) Fail(x *gateway.Exchange, status int) *gateway.Answer {
	p.hold(x)
	p.failed.Add(1)
	return &gateway.Answer{
		Status: status, ContentType: "application/json; charset=utf-8",
		Body: []byte(`{"code":"` + strconv.Itoa(status) + `","description":"it failed"}`),
	}
}

func (p *pipeline) Finish(x *gateway.Exchange, o gateway.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doubled = p.doubled || !p.held[x]
	delete(p.held, x)
	p.outcomes = append(p.outcomes, o)
	p.finished.Add(1)
}

// outcome waits for the only call, or the last, of n to finish.
func (p *pipeline) outcome(t *testing.T, n int64) gateway.Outcome {
	t.Helper()
	eventually(t, "calls finished", func() bool { return p.finished.Load() >= n })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doubled {
		t.Error("a call was finished twice")
	}
	return p.outcomes[len(p.outcomes)-1]
}

// settled reports whether every call has finished.
func (p *pipeline) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held) == 0
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		case <-tick.C:
		}
	}
}

// A door is a Server on a socket.
type door struct {
	*Server
	pipeline *pipeline
	addr     string
}

// open starts a door to the backends at urls. It is shut at the end of the test.
func open(t *testing.T, p *pipeline, o Options, urls ...string) *door {
	t.Helper()
	return openWith(t, p, o, upstream.Options{ConnectTimeout: time.Second}, nil, urls...)
}

func openWith(t *testing.T, p *pipeline, o Options, reach upstream.Options, config *tls.Config, urls ...string) *door {
	t.Helper()
	targets, err := upstream.New(reach)
	if err != nil {
		t.Fatal(err)
	}
	if len(urls) > 0 {
		if p.group, err = targets.Group(urls, true); err != nil {
			t.Fatal(err)
		}
	}
	o.Pipeline, o.Targets = p, targets
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				if config != nil {
					tc := tls.Server(conn, config)
					if err := tc.Handshake(); err != nil {
						conn.Close()
						return
					}
					conn = tc
				}
				s.ServeConn(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		s.Shutdown(ctx)
		wg.Wait()
	})
	return &door{s, p, l.Addr().String()}
}

// client returns a client that speaks HTTP/2 in the clear.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// backend starts an HTTP/1.1 server.
func backend(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// backend2 starts a server that speaks only HTTP/2 in the clear.
func backend2(t *testing.T, h http.Handler) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// get does a request and returns the answer with its body read.
func get(t *testing.T, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// certificate returns a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

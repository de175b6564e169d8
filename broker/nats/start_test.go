//go:build unix

package nats_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/brokertest"
	"github.com/weir-project/weir/broker/nats"
	"github.com/weir-project/weir/test/realserver"
)

// An ear is a subscriber that notes what it hears.
type ear struct {
	mu    sync.Mutex
	notes []string
}

func (e *ear) note(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.notes = append(e.notes, s)
}

func (e *ear) Connected()       { e.note("connected") }
func (e *ear) Lost(err error)   { e.note("lost: " + err.Error()) }
func (e *ear) Message(m []byte) { e.note(string(m)) }

// heard reports whether any note has text in it.
func (e *ear) heard(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.notes, func(s string) bool { return strings.Contains(s, text) })
}

// listen subscribes until the test ends.
func listen(t testing.TB, tr *nats.Transport) *ear {
	t.Helper()
	e := &ear{}
	run(t, func(ctx context.Context) error { return tr.Subscribe(ctx, broker.ThrottleData, e) })
	return e
}

// connected listens, and waits until it is connected.
func connected(t testing.TB, tr *nats.Transport) *ear {
	t.Helper()
	e := listen(t, tr)
	until(t, "the subscriber is connected", func() bool { return e.heard("connected") })
	return e
}

func publish(t testing.TB, tr *nats.Transport, message string) {
	t.Helper()
	if err := tr.Publish(t.Context(), broker.ThrottleData, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

// What a person got wrong is said in one line, at once, to whoever starts.
func TestRefusedAtStart(t *testing.T) {
	plain, _ := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0"})
	own := realserver.NewCertificate(t)
	server, ca := own.Server, own.Client
	secure, _ := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0", TLS: server})
	wrong := nats.Login{User: "gateway", Password: "s3cr3t"}
	encrypted := func(l nats.Login, address string) broker.URL {
		u := url(l, address)
		u.Brokers[0].TLS = true
		return u
	}
	for _, tt := range []struct {
		name  string
		o     nats.Options
		topic string
		want  string
	}{
		{"password", nats.Options{URL: url(wrong, plain.Addr())}, broker.ThrottleData, plain.Addr() + ": it refuses the user or the password"},
		{"nobody", nats.Options{URL: url(nats.Login{}, plain.Addr())}, broker.ThrottleData, "it refuses the user or the password"},
		{"topic", nats.Options{URL: url(brokertest.Gateway, plain.Addr())}, "cacheInvalidation", "it does not let the user listen on cacheInvalidation"},
		{"no TLS", nats.Options{URL: encrypted(brokertest.Gateway, plain.Addr())}, broker.ThrottleData, "it has no TLS"},
		{"unknown authority", nats.Options{URL: encrypted(brokertest.Gateway, secure.Addr())}, broker.ThrottleData, "certificate signed by unknown authority"},
		{"unknown authority, TLS not asked for", nats.Options{URL: url(brokertest.Gateway, secure.Addr())}, broker.ThrottleData, "certificate signed by unknown authority"},
		{"another host", nats.Options{URL: encrypted(brokertest.Gateway, strings.Replace(secure.Addr(), "127.0.0.1", "localhost", 1)), TLS: ca}, broker.ThrottleData, "wanted to match localhost"},
		{"password, TLS", nats.Options{URL: encrypted(wrong, secure.Addr()), TLS: ca}, broker.ThrottleData, "it refuses the user or the password"},
		{"password at the second of two", nats.Options{URL: url(wrong, realserver.FreeAddress(t), plain.Addr())}, broker.ThrottleData, "it refuses the user or the password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := transport(t, tt.o).Subscribe(ctx, tt.topic, &ear{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\r\n") || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("subscribe: %v, want %q in one line", err, tt.want)
			}
			if tt.topic != broker.ThrottleData {
				return
			}
			tr := transport(t, tt.o)
			if err := tr.Run(ctx); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run: %v, want %q in it", err, tt.want)
			}
			if err := tr.Publish(ctx, broker.ThrottleData, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("publish: %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	certificate := realserver.NewCertificate(t)
	s, _ := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0", TLS: certificate.Server})
	u := url(brokertest.Manager, s.Addr())
	u.Brokers[0].TLS = true
	tr := publishing(t, transport(t, nats.Options{URL: u, TLS: certificate.Client}))
	e := connected(t, tr)
	publish(t, tr, "over TLS")
	until(t, "it is heard", func() bool { return e.heard("over TLS") })
	// The traffic manager itself needs no certificate.
	own, err := s.Transport(nats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, publishing(t, own), "from within")
	until(t, "it is heard", func() bool { return e.heard("from within") })
}

// A broker that is set up anew with other passwords is one that is away: those who
// were connected wait until it knows them again. (The client gives up by default.)
func TestRefusedLater(t *testing.T) {
	address := realserver.FreeAddress(t)
	_, stop := serve(t, nats.ServerOptions{Listen: address})
	tr := publishing(t, transport(t, nats.Options{URL: url(brokertest.Manager, address)}))
	e := connected(t, tr)
	stop()
	other, err := nats.NewServer(nats.ServerOptions{
		Listen: address, Managers: nats.Login{User: "manager", Password: "x"}, Gateways: nats.Login{User: "gateway", Password: "y"},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop = run(t, other.Run)
	const refusal = "it refuses the user or the password"
	until(t, "the subscriber is refused twice", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		n := 0
		for _, s := range e.notes {
			if strings.Contains(s, refusal) {
				n++
			}
		}
		return n >= 2
	})
	until(t, "the publisher is refused", func() bool {
		err := tr.Publish(t.Context(), broker.ThrottleData, nil)
		return err != nil && strings.Contains(err.Error(), refusal)
	})
	stop()
	serve(t, nats.ServerOptions{Listen: address})
	until(t, "messages arrive again", func() bool {
		_ = tr.Publish(t.Context(), broker.ThrottleData, []byte("after"))
		return e.heard("after")
	})
}

// Gateways are to listen: what they say comes through to nobody, and they are told.
func TestGatewaysDoNotPublish(t *testing.T) {
	s, _ := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0"})
	good := publishing(t, transport(t, nats.Options{URL: url(brokertest.Manager, s.Addr())}))
	e := connected(t, good)
	bad := publishing(t, transport(t, nats.Options{URL: url(brokertest.Gateway, s.Addr())}))
	until(t, "the gateway is told", func() bool {
		err := bad.Publish(t.Context(), broker.ThrottleData, []byte("forged"))
		return err != nil && strings.Contains(strings.ToLower(err.Error()), "permissions violation")
	})
	publish(t, good, "right")
	until(t, "it is heard", func() bool { return e.heard("right") })
	if e.heard("forged") {
		t.Error("a gateway was heard")
	}
}

// The server itself refuses what is too large, and subjects that are nobody's.
func TestServerBounds(t *testing.T) {
	s, _ := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0"})
	c, err := client.Connect("nats://"+s.Addr(), client.UserInfo("manager", "m4nager"), client.NoReconnect(),
		client.ErrorHandler(func(*client.Conn, *client.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Publish(broker.ThrottleData, make([]byte, broker.MaxMessage+1)); !errors.Is(err, client.ErrMaxPayload) {
		t.Errorf("a message that is too large: %v", err)
	}
	for _, subject := range []string{">", "*", "_INBOX.x", "$SYS.>", "throttleData.x"} {
		if _, err := c.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := c.LastError(); !errors.Is(err, client.ErrPermissionViolation) {
			t.Errorf("subscribe to %s: %v", subject, err)
		}
	}
}

// Of two servers that are joined, gateways on either hear what is published at
// both, also after one of them was away.
func TestCluster(t *testing.T) {
	join := nats.Login{User: "route", Password: "r0ute"}
	first, second := realserver.FreeAddress(t), realserver.FreeAddress(t)
	certificate := realserver.NewCertificate(t)
	both := certificate.Server
	both.RootCAs, both.ClientCAs, both.ClientAuth = certificate.Client.RootCAs, certificate.Client.RootCAs, tls.RequireAndVerifyClientCert
	member := func(listen, route string) (*nats.Server, func()) {
		return serve(t, nats.ServerOptions{Listen: listen, Cluster: &nats.Cluster{Listen: route, Login: join, Routes: []string{first, second}, TLS: both}})
	}
	a, stopA := member(realserver.FreeAddress(t), first)
	b, _ := member("127.0.0.1:0", second)
	own := func(s *nats.Server) *nats.Transport {
		tr, err := s.Transport(nats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return publishing(t, tr)
	}
	atA, atB := own(a), own(b)
	onA := connected(t, transport(t, nats.Options{URL: url(brokertest.Gateway, a.Addr(), b.Addr())}))
	onB := connected(t, transport(t, nats.Options{URL: url(brokertest.Gateway, b.Addr())}))
	hear := func(tr *nats.Transport, message string) {
		t.Helper()
		until(t, "both hear "+message, func() bool {
			_ = tr.Publish(t.Context(), broker.ThrottleData, []byte(message))
			return onA.heard(message) && onB.heard(message)
		})
	}
	hear(atA, "from a")
	hear(atB, "from b")
	stopA()
	hear(atB, "from b alone") // the gateway of a has gone over to b
	run(t, a.Run)
	hear(atA, "from a again")
}

// What was published before the end is sent: the last decisions count.
func TestLastWords(t *testing.T) {
	s, _ := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0"})
	e := connected(t, transport(t, nats.Options{URL: url(brokertest.Gateway, s.Addr())}))
	tr := transport(t, nats.Options{URL: url(brokertest.Manager, s.Addr())})
	stop := run(t, tr.Run)
	until(t, "it is connected", func() bool { return tr.Err() == nil })
	for range 100 {
		publish(t, tr, "x")
	}
	publish(t, tr, "last")
	stop()
	until(t, "the last is heard", func() bool { return e.heard("last") })
	if err := tr.Publish(t.Context(), broker.ThrottleData, nil); err == nil {
		t.Error("published after the end")
	}
}

// A stranger does not get into the cluster.
func TestClusterRefusesStrangers(t *testing.T) {
	first := realserver.FreeAddress(t)
	a, _ := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0", Cluster: &nats.Cluster{Listen: first, Login: nats.Login{User: "route", Password: "right"}}})
	b, _ := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0", Cluster: &nats.Cluster{Listen: "127.0.0.1:0", Login: nats.Login{User: "route", Password: "wrong"}, Routes: []string{first}}})
	e := connected(t, transport(t, nats.Options{URL: url(brokertest.Gateway, a.Addr())}))
	stranger, err := b.Transport(nats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	publishing(t, stranger)
	for range 50 {
		publish(t, stranger, "forged")
		time.Sleep(10 * time.Millisecond) // for a route, if there were one
	}
	if e.heard("forged") {
		t.Error("a stranger was heard")
	}
}

func TestServerFaults(t *testing.T) {
	ok := func() nats.ServerOptions {
		return nats.ServerOptions{Listen: "127.0.0.1:0", Managers: brokertest.Manager, Gateways: brokertest.Gateway}
	}
	for want, change := range map[string]func(*nats.ServerOptions){
		"missing port":                     func(o *nats.ServerOptions) { o.Listen = "127.0.0.1" },
		"from 0 to 65535":                  func(o *nats.ServerOptions) { o.Listen = "127.0.0.1:x" },
		"gateways is empty":                func(o *nats.ServerOptions) { o.Gateways = nats.Login{} },
		"traffic managers is empty":        func(o *nats.ServerOptions) { o.Managers.Password = "" },
		"have the same user":               func(o *nats.ServerOptions) { o.Gateways.User = o.Managers.User },
		"begins with $2":                   func(o *nats.ServerOptions) { o.Gateways.Password = "$2a$04$s3cr3t" },
		"cluster: listen":                  func(o *nats.ServerOptions) { o.Cluster = &nats.Cluster{} },
		`route "x"`:                        func(o *nats.ServerOptions) { o.Cluster = &nats.Cluster{Listen: "127.0.0.1:0", Routes: []string{"x"}} },
		"password of the cluster is empty": func(o *nats.ServerOptions) { o.Cluster = &nats.Cluster{Listen: "127.0.0.1:0"} },
	} {
		o := ok()
		change(&o)
		if _, err := nats.NewServer(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	// An address that is taken is said by Run, which returns.
	s, _ := serve(t, ok())
	o := ok()
	o.Listen = s.Addr()
	second, err := nats.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	o = ok()
	o.Cluster = &nats.Cluster{Listen: s.Addr(), Login: brokertest.Manager}
	third, err := nats.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := third.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestTransportFaults(t *testing.T) {
	for _, u := range []broker.URL{{}, {Scheme: broker.AMQP}, {Scheme: broker.NATS}} {
		if _, err := nats.New(nats.Options{URL: u}); err == nil {
			t.Errorf("a transport to %v", u)
		}
	}
	tr := transport(t, nats.Options{URL: url(brokertest.Gateway, realserver.FreeAddress(t))})
	if err := tr.Publish(t.Context(), broker.ThrottleData, nil); err == nil || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("publish before Run: %v", err)
	}
}

// A server that runs as it should says nothing, and never a password.
func TestQuiet(t *testing.T) {
	var text lockedBuffer
	log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	join := nats.Login{User: "route", Password: "r0ute"}
	first := realserver.FreeAddress(t)
	a, stopA := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0", Log: log, Cluster: &nats.Cluster{Listen: first, Login: join}})
	_, stopB := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0", Log: log, Cluster: &nats.Cluster{Listen: "127.0.0.1:0", Login: join, Routes: []string{first}}})
	tr := publishing(t, transport(t, nats.Options{URL: url(brokertest.Manager, a.Addr())}))
	e := connected(t, tr)
	publish(t, tr, "x")
	until(t, "it is heard", func() bool { return e.heard("x") })
	err := transport(t, nats.Options{URL: url(nats.Login{User: "gateway", Password: "s3cr3t"}, a.Addr())}).Subscribe(t.Context(), broker.ThrottleData, &ear{})
	if err == nil {
		t.Error("a wrong password was taken")
	}
	until(t, "the server says that it refused somebody", func() bool { return strings.Contains(text.String(), "authentication error") })
	stopA()
	stopB()
	for line := range strings.Lines(text.String()) {
		if !strings.Contains(line, "level=DEBUG") && !strings.Contains(line, "authentication error") {
			t.Errorf("the server said: %s", line)
		}
	}
	for _, secret := range []string{"m4nager", "g4teway", "r0ute", "s3cr3t"} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the log has %s in it", secret)
		}
	}
}

// Whoever tries passwords does not fill the log.
func TestRefusalsAreNoFlood(t *testing.T) {
	var text lockedBuffer
	s, _ := serve(t, nats.ServerOptions{Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&text, nil))})
	for i := range 40 {
		wrong := nats.Login{User: "gateway", Password: fmt.Sprint(i)}
		if err := transport(t, nats.Options{URL: url(wrong, s.Addr())}).Subscribe(t.Context(), broker.ThrottleData, &ear{}); err == nil {
			t.Error("a wrong password was taken")
		}
	}
	if n := strings.Count(text.String(), "authentication error"); n < 1 || n > 10 {
		t.Errorf("40 wrong passwords became %d lines:\n%s", n, text.String())
	}
}

// A lockedBuffer is a buffer for many.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// What says nothing, as a server does that waits for TLS, is named as such.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u := url(brokertest.Gateway, l.Addr().String())
	u.Brokers[0].ConnectTimeout = 100 * time.Millisecond
	e := listen(t, transport(t, nats.Options{URL: u}))
	until(t, "it is said what is wrong", func() bool {
		return e.heard("lost: broker " + l.Addr().String() + ": there is no answer within 100ms")
	})
}

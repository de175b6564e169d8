//go:build unix

package amqp_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/amqp"
	"github.com/weir-project/weir/broker/brokertest"
	"github.com/weir-project/weir/broker/nats"
	"github.com/weir-project/weir/test/realserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRabbitMQ runs everything that needs a real broker on one, because it takes
// seconds to start.
func TestRabbitMQ(t *testing.T) {
	r := brokertest.StartRabbitMQ(t)
	t.Run("Conformance", func(t *testing.T) {
		brokertest.Run(t, func(t *testing.T) (publisher, subscriber broker.Transport, d brokertest.Disturber) {
			return publishing(t, transport(t, amqp.Options{URL: r.URL(brokertest.Manager, "/")})),
				transport(t, amqp.Options{URL: r.URL(brokertest.Gateway, "/")}), r.Disturber()
		})
	})
	for name, test := range map[string]func(*testing.T, *brokertest.RabbitMQ){
		"RefusedAtStart":        testRefusedAtStart,
		"TLS":                   testTLS,
		"Failover":              testFailover,
		"VirtualHost":           testVirtualHost,
		"GatewaysDoNotPublish":  testGatewaysDoNotPublish,
		"ChannelClosed":         testChannelClosed,
		"ConnectionClosed":      testConnectionClosed,
		"SubscriptionCancelled": testSubscriptionCancelled,
		"NoMemory":              testNoMemory,
		"TooLarge":              testTooLarge,
		"LastWords":             testLastWords,
	} {
		t.Run(name, func(t *testing.T) { test(t, r) })
	}
}

// transport returns a Transport that notices quickly what is lost.
func transport(t testing.TB, o amqp.Options) *amqp.Transport {
	t.Helper()
	o.Queue, o.Heartbeat = brokertest.Queue, time.Second
	tr, err := amqp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// run runs f until the test ends.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// publishing returns a Transport that is ready to publish.
func publishing(t testing.TB, tr *amqp.Transport) *amqp.Transport {
	t.Helper()
	run(t, tr.Run)
	until(t, "it is connected", func() bool { return tr.Err() == nil })
	return tr
}

func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

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
func (e *ear) heard(text string) bool { return e.times(text) > 0 }

// times returns how many notes have text in them.
func (e *ear) times(text string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.notes {
		if strings.Contains(s, text) {
			n++
		}
	}
	return n
}

// connected subscribes until the test ends.
func connected(t testing.TB, tr *amqp.Transport) *ear {
	t.Helper()
	e := &ear{}
	run(t, func(ctx context.Context) error { return tr.Subscribe(ctx, broker.ThrottleData, e) })
	until(t, "the subscriber is connected", func() bool { return e.heard("connected") })
	return e
}

// arrives publishes a message again and again until it is heard.
func arrives(t testing.TB, tr *amqp.Transport, e *ear, message string) {
	t.Helper()
	until(t, "message "+message+" arrives", func() bool {
		_ = tr.Publish(t.Context(), broker.ThrottleData, []byte(message))
		return e.heard(message)
	})
}

// What a person got wrong is said in one line, at once, to whoever starts.
func testRefusedAtStart(t *testing.T, r *brokertest.RabbitMQ) {
	secure := r.URL(brokertest.Manager, "/")
	secure.Brokers = []broker.Broker{{Address: r.Secure, TLS: true}}
	noTLS := r.URL(brokertest.Manager, "/")
	noTLS.Brokers[0].TLS = true
	list := r.URL(nats.Login{User: "manager", Password: "s3cr3t"}, "/")
	list.Brokers = append([]broker.Broker{{Address: realserver.FreeAddress(t), Retries: 1}}, list.Brokers...)
	for _, tt := range []struct {
		name string
		url  broker.URL
		want string
	}{
		{"password", r.URL(nats.Login{User: "manager", Password: "s3cr3t"}, "/"), r.Address + ": it refuses the user or the password"},
		{"password at the second of two", list, "it refuses the user or the password"},
		{"virtual host", r.URL(brokertest.Manager, "nowhere"), `vhost nowhere not found`},
		{"unknown authority", secure, "certificate signed by unknown authority"},
		{"no TLS", noTLS, "first record does not look like a TLS handshake"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			tr := transport(t, amqp.Options{URL: tt.url})
			err := tr.Subscribe(ctx, broker.ThrottleData, &ear{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\r\n") || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("subscribe: %v, want %q in one line", err, tt.want)
			}
			if tt.name != "password" {
				return // publishing is the same way to connect
			}
			if err := tr.Run(ctx); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run: %v, want %q in it", err, tt.want)
			}
			if err := tr.Publish(ctx, broker.ThrottleData, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("publish: %v, want %q in it", err, tt.want)
			}
		})
	}
}

func testTLS(t *testing.T, r *brokertest.RabbitMQ) {
	u := r.URL(brokertest.Manager, "/")
	u.Brokers = []broker.Broker{{Address: r.Secure, TLS: true}}
	tr := publishing(t, transport(t, amqp.Options{URL: u, TLS: r.Certificate.Client}))
	arrives(t, tr, connected(t, tr), "over TLS")
}

// The second broker is taken if the first is away, or does not answer.
func testFailover(t *testing.T, r *brokertest.RabbitMQ) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // it never accepts
	u := r.URL(brokertest.Manager, "/")
	u.Brokers = append([]broker.Broker{
		{Address: realserver.FreeAddress(t), Retries: 2, ConnectDelay: 20 * time.Millisecond},
		{Address: silent.Addr().String(), ConnectTimeout: 200 * time.Millisecond},
	}, u.Brokers...)
	tr := publishing(t, transport(t, amqp.Options{URL: u}))
	e := connected(t, tr)
	arrives(t, tr, e, "from the third")
	if refused, hung := e.times("connection refused"), e.times("no answer within 200ms"); refused != 3 || hung != 1 {
		t.Errorf("lost %d times because nobody listens, want 3, and %d because of silence, want 1: %q", refused, hung, e.notes)
	}
}

// Virtual hosts are apart.
func testVirtualHost(t *testing.T, r *brokertest.RabbitMQ) {
	root := publishing(t, transport(t, amqp.Options{URL: r.URL(brokertest.Manager, "/")}))
	carbon := publishing(t, transport(t, amqp.Options{URL: r.URL(brokertest.Manager, "carbon")}))
	e := connected(t, transport(t, amqp.Options{URL: r.URL(brokertest.Gateway, "carbon")}))
	if err := root.Publish(t.Context(), broker.ThrottleData, []byte("elsewhere")); err != nil {
		t.Fatal(err)
	}
	arrives(t, carbon, e, "here")
	if e.heard("elsewhere") {
		t.Error("heard what was said in another virtual host")
	}
}

// Gateways are to listen: what they say comes through to nobody, and they are told.
func testGatewaysDoNotPublish(t *testing.T, r *brokertest.RabbitMQ) {
	good := publishing(t, transport(t, amqp.Options{URL: r.URL(brokertest.Manager, "/")}))
	bad := publishing(t, transport(t, amqp.Options{URL: r.URL(brokertest.Gateway, "/")}))
	e := connected(t, good)
	until(t, "the gateway is told", func() bool {
		err := bad.Publish(t.Context(), broker.ThrottleData, []byte("forged"))
		return err != nil && strings.Contains(err.Error(), "ACCESS_REFUSED")
	})
	arrives(t, good, e, "right")
	if e.heard("forged") {
		t.Error("a gateway was heard")
	}
}

// after disturbs a subscriber and a publisher, and holds them to be back soon.
func after(t *testing.T, r *brokertest.RabbitMQ, what string, disturb ...string) {
	t.Helper()
	tr := publishing(t, transport(t, amqp.Options{URL: r.URL(brokertest.Manager, "/")}))
	e := connected(t, tr)
	arrives(t, tr, e, "before")
	r.Control(t, disturb...)
	until(t, what+" is noticed", func() bool { return e.heard("lost: ") })
	arrives(t, tr, e, "after")
	e.mu.Lock()
	defer e.mu.Unlock()
	lost := slices.IndexFunc(e.notes, func(s string) bool { return strings.HasPrefix(s, "lost: ") })
	t.Logf("%q", e.notes[lost])
	if e.notes[lost+1] != "connected" {
		t.Errorf("heard %q, want (connected) before any message", e.notes)
	}
}

// A channel that the broker closes, though the connection lives on, is one that
// nothing comes over.
func testChannelClosed(t *testing.T, r *brokertest.RabbitMQ) {
	after(t, r, "the end of all channels", "eval", "[exit(C, kill) || C <- rabbit_channel:list()].")
}

func testConnectionClosed(t *testing.T, r *brokertest.RabbitMQ) {
	after(t, r, "the end of all connections", "close_all_connections", "maintenance")
}

func testSubscriptionCancelled(t *testing.T, r *brokertest.RabbitMQ) {
	after(t, r, "the end of all queues", "eval", `[rabbit_amqqueue:delete(Q, false, false, <<"test">>) || Q <- rabbit_amqqueue:list()].`)
}

// A broker without memory does not read what publishers write: they are told at
// once, instead of waiting.
func testNoMemory(t *testing.T, r *brokertest.RabbitMQ) {
	tr := publishing(t, transport(t, amqp.Options{URL: r.URL(brokertest.Manager, "/")}))
	e := connected(t, tr)
	r.Control(t, "set_vm_memory_high_watermark", "absolute", "1")
	restore := sync.OnceFunc(func() { r.Control(t, "set_vm_memory_high_watermark", "0.8") })
	t.Cleanup(restore)
	until(t, "the publisher is told", func() bool {
		err := tr.Publish(t.Context(), broker.ThrottleData, []byte("x"))
		return err != nil && strings.Contains(err.Error(), `takes no messages: "low on memory"`)
	})
	restore()
	arrives(t, tr, e, "after")
}

// What was published before the end is sent: the last decisions count.
func testLastWords(t *testing.T, r *brokertest.RabbitMQ) {
	e := connected(t, transport(t, amqp.Options{URL: r.URL(brokertest.Gateway, "/")}))
	tr := transport(t, amqp.Options{URL: r.URL(brokertest.Manager, "/")})
	stop := run(t, tr.Run)
	until(t, "it is connected", func() bool { return tr.Err() == nil })
	for _, m := range append(slices.Repeat([]string{"x"}, 100), "last") {
		if err := tr.Publish(t.Context(), broker.ThrottleData, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	until(t, "the last is heard", func() bool { return e.heard("last") })
	if err := tr.Publish(t.Context(), broker.ThrottleData, nil); err == nil {
		t.Error("published after the end")
	}
}

// A message that is too large, which only others can publish, does not take the
// memory that it would need, and those after it arrive.
func testTooLarge(t *testing.T, r *brokertest.RabbitMQ) {
	tr := publishing(t, transport(t, amqp.Options{URL: r.URL(brokertest.Manager, "/")}))
	e := connected(t, tr)
	c, err := client.Dial("amqp://manager:m4nager@" + r.Address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ch, err := c.Channel()
	if err != nil {
		t.Fatal(err)
	}
	huge := make([]byte, 32<<20)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := ch.PublishWithContext(t.Context(), "amq.topic", broker.ThrottleData, false, false, client.Publishing{Body: huge}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is heard of", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return slices.Contains(e.notes, "")
	})
	runtime.ReadMemStats(&now)
	if took := now.TotalAlloc - before.TotalAlloc; took > 8<<20 {
		t.Errorf("a message of %d bytes took %d", len(huge), took)
	}
	arrives(t, tr, e, "after")
	if e.heard("lost") {
		t.Errorf("heard %.100q", e.notes)
	}
}

func TestTransportFaults(t *testing.T) {
	for _, u := range []broker.URL{{}, {Scheme: broker.NATS}, {Scheme: broker.AMQP}} {
		if _, err := amqp.New(amqp.Options{URL: u}); err == nil {
			t.Errorf("a transport to %v", u)
		}
	}
	tr := transport(t, amqp.Options{URL: broker.URL{Scheme: broker.AMQP, Brokers: []broker.Broker{{Address: realserver.FreeAddress(t)}}}})
	if err := tr.Publish(t.Context(), broker.ThrottleData, nil); err == nil || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("publish before Run: %v", err)
	}
}

// What is no broker of AMQP is named as such.
func TestNoBroker(t *testing.T) {
	for _, tt := range []struct {
		first      bool // it speaks first
		says, want string
	}{
		{true, "INFO {\"server_id\":\"x\"}\r\n", "what it says is not AMQP 0-9-1"},
		{false, "INFO {\"server_id\":\"x\"}\r\n", "what it says is not AMQP 0-9-1"},
		{false, "HTTP/1.1 400 Bad Request\r\n\r\n", "what it says is not AMQP 0-9-1"},
		{false, "", "it has hung up"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if tt.first {
					_, _ = io.WriteString(c, tt.says)
				}
				_, _ = io.ReadFull(c, make([]byte, 8)) // the protocol's name
				if !tt.first {
					_, _ = io.WriteString(c, tt.says)
				}
				c.Close()
			}
		}()
		u := broker.URL{Scheme: broker.AMQP, VHost: "/", Brokers: []broker.Broker{{Address: l.Addr().String()}}}
		e := &ear{}
		run(t, func(ctx context.Context) error {
			return transport(t, amqp.Options{URL: u}).Subscribe(ctx, broker.ThrottleData, e)
		})
		until(t, "it is said what is wrong", func() bool { return e.heard("lost: broker ") })
		if !e.heard("lost: broker " + l.Addr().String() + ": " + tt.want) {
			t.Errorf("of %q is said %q, want %s", tt.says, e.notes, tt.want)
		}
	}
}

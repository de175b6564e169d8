package test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/amqp"
	"github.com/weir-project/weir/broker/brokertest"
	"github.com/weir-project/weir/broker/nats"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/policy"
)

// fleetSecret returns what a fleet with nothing configured signs with: what anybody
// has who knows the credentials for events.
func fleetSecret(t testing.TB) broker.Secret {
	t.Helper()
	c, err := config.LoadOf(config.TrafficManager, "", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return broker.NewSecret(c.FleetSecret())
}

// An intruder is somebody at a broker, with the rights of a traffic manager there.
type intruder struct {
	t testing.TB
	broker.Transport

	mu    sync.Mutex
	heard [][]byte // on the topic of decisions
}

// newIntruder connects by a transport, which run keeps connected.
func newIntruder(t testing.TB, transport broker.Transport, run func(context.Context) error, err func() error) *intruder {
	t.Helper()
	i := &intruder{t: t, Transport: transport}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	connected := make(chan struct{}, 1)
	all.Go(func() {
		if err := run(ctx); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() {
		if err := transport.Subscribe(ctx, broker.ThrottleData, &overheard{i, connected}); err != nil {
			t.Error(err)
		}
	})
	<-connected
	until(t, "the intruder to be connected", func() bool { return err() == nil })
	return i
}

// An overheard is what an intruder hears. It implements broker.Subscriber.
type overheard struct {
	*intruder
	connected chan struct{}
}

func (o *overheard) Connected() {
	select {
	case o.connected <- struct{}{}:
	default:
	}
}

func (o *overheard) Lost(error) {}
func (o *overheard) Message(m []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = append(o.heard, bytes.Clone(m))
}

// decision returns the first message that was heard.
func (i *intruder) decision() []byte {
	i.t.Helper()
	var m []byte
	until(i.t, "a decision to be overheard", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		if len(i.heard) > 0 {
			m = i.heard[0]
		}
		return m != nil
	})
	return m
}

// say publishes a message n times.
func (i *intruder) say(topic string, n int, message []byte) {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(i.t.Context(), patience)
	defer cancel()
	for range n {
		if err := i.Publish(ctx, topic, message); err != nil {
			i.t.Fatal(err)
		}
	}
}

// TestFleetHostileTopic has somebody at the broker say what nobody should believe.
func TestFleetHostileTopic(t *testing.T) {
	t.Parallel()
	n := brokertest.StartNATS(t)
	gateway, manager := natsURLs(n)
	client, err := nats.New(nats.Options{URL: n.URL(brokertest.Manager)})
	if err != nil {
		t.Fatal(err)
	}
	newFleet(t, 10).hostile(t, newIntruder(t, client, client.Run, client.Err), manager, strings.Trim(gateway, `"`))
}

// hostileRabbit is the same at a RabbitMQ.
func hostileRabbit(t *testing.T, r *brokertest.RabbitMQ, manager, gateway string) {
	client, err := amqp.New(amqp.Options{URL: r.URL(brokertest.Manager, "/")})
	if err != nil {
		t.Fatal(err)
	}
	newFleet(t, 10).hostile(t, newIntruder(t, client, client.Run, client.Err), manager, gateway)
}

// hostile spends the limit of one application and lets that of another be, has the
// intruder say everything that could change either, and sees that nothing does.
func (f *fleet) hostile(t *testing.T, i *intruder, manager, gateway string) {
	other := f.with("mall")
	tm := f.manager(manager)
	g := f.micro(tm.throttlingConfig(gateway))
	f.holds(t, []*managerProcess{tm}, []*gatewayProcess{g})
	real := i.decision()
	was := readMetrics(t, g.management)
	secret := fleetSecret(t)
	d, err := broker.ParseDecision(secret, real)
	if err != nil {
		t.Fatalf("%v: %s", err, real)
	}
	malformed := [][]byte{
		{},
		[]byte("null"), []byte("[]"), []byte("not JSON"), []byte(`{"event":`),
		{0xff, 0xfe, 0},
		bytes.Repeat([]byte("["), broker.MaxMessage), bytes.Repeat([]byte(" "), broker.MaxMessage),
	}
	for _, m := range malformed {
		i.say(broker.ThrottleData, 1, m)
		i.say(broker.Notification, 1, m)
	}
	unsigned := forgeries(t, real)
	for topic, messages := range unsigned {
		for _, m := range messages {
			i.say(topic, 1, m)
		}
	}
	i.say(broker.Notification, 2, real) // on a topic that has no decisions
	i.say(broker.ThrottleData, 5, real) // said again

	free := d
	free.Throttled, free.Seq = false, d.Seq-min(d.Seq, 1)
	i.say(broker.ThrottleData, 3, broker.AppendDecision(nil, secret, &free)) // said before
	late := d
	late.Text, late.Key, late.Seq = "late", d.Key+1, d.Seq+100
	late.Begins, late.Ends = d.Begins.AddDate(0, 0, -1), d.Begins
	i.say(broker.ThrottleData, 4, broker.AppendDecision(nil, secret, &late))

	const heard, ignored = "weir_decisions_heard_total", "weir_broker_ignored_total"
	want := map[string]float64{
		`kind="malformed"`:  float64(2 * len(malformed)),
		`kind="unsigned"`:   float64(len(unsigned[broker.ThrottleData]) + len(unsigned[broker.Notification])),
		`kind="unknown"`:    2,
		`result="outdated"`: 5 + 3,
		`result="late"`:     4,
		`result="applied"`:  0,
		`result="unusable"`: 0,
	}
	for label, n := range want {
		name := heard
		if strings.HasPrefix(label, "kind") {
			name = ignored
		}
		var got float64
		until(t, fmt.Sprintf("%g more of %s{%s}", n, name, label), func() bool {
			got = readMetrics(t, g.management).value(t, name, label) - was.value(t, name, label)
			return got >= n
		})
		if got != n {
			t.Errorf("%s{%s} grew by %g, want %g", name, label, got, n)
		}
	}
	f.refuse(t, g)
	if n := strings.Count(g.stderr.String(), "messages on the topic have no effect"); n != 1 {
		t.Errorf("the log has %d lines about it, want 1", n)
	}
	other.passSlowly(t, 0, 10, []*managerProcess{tm}, g)
	awaitHeard(t, int(was.value(t, heard))+8+1, g) // what is right is believed all the same
	other.refuse(t, g)
}

// forgeries returns messages by topic that would throttle or free somebody, deny, or
// add a key template, if their signatures were looked at less closely; real is a
// decision on the application shop.
func forgeries(t *testing.T, real []byte) map[string][][]byte {
	t.Helper()
	d, err := broker.ParseDecision(fleetSecret(t), real)
	if err != nil {
		t.Fatal(err)
	}
	now, wrong := time.Now(), broker.NewSecret([]byte("not that of the fleet"))
	o := broker.Origin{Issuer: d.Issuer, Seq: d.Seq + 1, Issued: now}
	deny := broker.Deny{Deny: policy.Deny{ID: "1", Kind: policy.DenyAPI, Value: "/pizza/1"}, Origin: o}
	free := d
	free.Throttled, free.Seq = false, d.Seq+1
	change := func(from, to string) []byte {
		if !bytes.Contains(real, []byte(from)) {
			t.Fatalf("a decision has no %s: %s", from, real)
		}
		return bytes.Replace(real, []byte(from), []byte(to), 1)
	}
	return map[string][][]byte{
		broker.ThrottleData: {
			broker.AppendDecision(nil, wrong, &free),
			broker.AppendDecision(nil, broker.Secret{}, &free),
			broker.AppendDeny(nil, wrong, &deny),
			broker.AppendDeny(nil, broker.Secret{}, &deny),
			change(`"isThrottled":true`, `"isThrottled":false`),
			change(`shop:`, `mall:`),
			change(fmt.Sprintf(`"seq":%d`, d.Seq), fmt.Sprintf(`"seq":%d`, d.Seq+1)),
			// As WSO2's traffic managers and control planes say it.
			fmt.Appendf(nil, `{"event":{"payloadData":{"throttleKey":"mall:/pizza/1:1:Plan","isThrottled":true,"expiryTimeStamp":%d}}}`, now.Add(time.Hour).UnixMilli()),
			[]byte(`{"event":{"payloadData":{"id":7,"blockingCondition":"API","conditionValue":"/pizza/1","state":"true","tenantDomain":"carbon.super"}}}`),
		},
		broker.Notification: {
			broker.AppendKeyTemplate(nil, wrong, &broker.KeyTemplate{New: "$apiContext", Origin: o}),
			[]byte(`{"event":{"payloadData":{"eventType":"CUSTOM_POLICY_ADD","timestamp":1,"event":"eyJrZXlUZW1wbGF0ZSI6IiRhcGlDb250ZXh0In0="}}}`),
		},
	}
}

// TestFleetTopicIsReadOnly shows that whoever may listen to the NATS of a traffic
// manager may say nothing there, not even what is signed as it should be.
func TestFleetTopicIsReadOnly(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	other := f.with("mall")
	tm := f.manager("")
	g := f.micro(tm.throttlingConfig(""))
	f.holds(t, []*managerProcess{tm}, []*gatewayProcess{g})
	url, err := broker.ParseURL("nats://admin:admin@" + tm.topic)
	if err != nil {
		t.Fatal(err)
	}
	client, err := nats.New(nats.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	i := newIntruder(t, client, client.Run, client.Err)
	secret := fleetSecret(t)
	deny := broker.Deny{Deny: policy.Deny{ID: "1", Kind: policy.DenyAPI, Value: "/pizza/1"}, Origin: broker.Origin{Issuer: "x", Seq: 1, Issued: time.Now()}}
	_ = i.Publish(t.Context(), broker.ThrottleData, broker.AppendDeny(nil, secret, &deny)) // it may be told, or not
	until(t, "the connection to be cut", func() bool { return client.Err() != nil })
	other.passSlowly(t, 0, 10, []*managerProcess{tm}, g)
	awaitHeard(t, 2, g)
	other.refuse(t, g)
	if m := readMetrics(t, g.management); m.value(t, "weir_broker_lost_total") != 0 {
		t.Error("the gateway lost the topic for it")
	}
}

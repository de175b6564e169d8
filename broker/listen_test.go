package broker_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
)

// A wire is a Transport whose connections are made and cut by the test.
type wire struct {
	mu          sync.Mutex
	subscribers map[string]broker.Subscriber
	published   []string
	fails       map[string]error // what Subscribe says of a topic
}

func (w *wire) Publish(_ context.Context, topic string, message []byte) error {
	w.published = append(w.published, topic+" "+string(message))
	return broker.CheckMessage(topic, message)
}

func (w *wire) Subscribe(ctx context.Context, topic string, s broker.Subscriber) error {
	if err := w.fails[topic]; err != nil {
		return err
	}
	w.mu.Lock()
	if w.subscribers == nil {
		w.subscribers = make(map[string]broker.Subscriber)
	}
	w.subscribers[topic] = s
	w.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (w *wire) of(topic string) broker.Subscriber {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.subscribers[topic]
}

// A diary is a Listener that writes down what it hears.
type diary []string

func (d *diary) note(format string, args ...any) { *d = append(*d, fmt.Sprintf(format, args...)) }

func (d *diary) Connected()                          { d.note("connected") }
func (d *diary) Lost(err error)                      { d.note("lost: %v", err) }
func (d *diary) Decision(x weir.Decision)            { d.note("decision %d", x.Seq) }
func (d *diary) Deny(x broker.Deny)                  { d.note("deny %d", x.Seq) }
func (d *diary) KeyTemplate(x broker.KeyTemplate)    { d.note("key template %d", x.Seq) }
func (d *diary) PolicyChange(x broker.PolicyChange)  { d.note("policy change %d", x.Seq) }
func (d *diary) Ignored(k broker.FaultKind, _ error) { d.note("ignored: %v", k) }

func TestListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := &wire{}, &diary{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- broker.Listen(ctx, w, secret, d) }()
		synctest.Wait()
		data, notes := w.of(broker.ThrottleData), w.of(broker.Notification)
		message := func(s broker.Subscriber, name string) { s.Message(write(secret, golden()[name].want)) }

		data.Lost(errors.New("refused"))
		data.Connected()
		notes.Lost(errors.New("refused"))
		notes.Lost(errors.New("refused"))
		message(data, "decision")
		notes.Connected() // now all that is said is heard
		message(data, "deny-ip")
		message(notes, "key-template-add")
		message(notes, "policy-change-updates")
		message(notes, "decision")
		data.Message([]byte("{"))
		data.Message(write(broker.NewSecret([]byte("x")), golden()["decision"].want))
		data.Lost(errors.New("EOF"))
		notes.Connected() // anew, without having lost it: not all are back
		data.Connected()
		data.Connected()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := diary{
			"lost: topic throttleData: refused", "lost: topic notification: refused", "lost: topic notification: refused",
			"decision 42", "connected", "deny 7", "key template 7", "policy change 7",
			"ignored: unknown", "ignored: malformed", "ignored: unsigned",
			"lost: topic throttleData: EOF", "connected", "connected",
		}
		if !reflect.DeepEqual(*d, want) {
			t.Errorf("heard\n%s\nwant\n%s", strings.Join(*d, "\n"), strings.Join(want, "\n"))
		}
	})
}

// What no time mends on one topic ends both.
func TestListenFails(t *testing.T) {
	refused := errors.New("refused")
	w := &wire{fails: map[string]error{broker.Notification: refused}}
	err := broker.Listen(t.Context(), w, secret, &diary{})
	if !errors.Is(err, refused) || err.Error() != "listen on notification: refused" {
		t.Errorf("got %v", err)
	}
}

func TestPublisher(t *testing.T) {
	w := &wire{}
	if _, err := broker.NewPublisher(w, broker.NewSecret(nil)); err == nil {
		t.Error("a Publisher without a secret")
	}
	p, err := broker.NewPublisher(w, secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, g := range golden() {
		w.published = nil
		if err := publish(t, p, g.want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := []string{g.topic + " " + string(write(secret, g.want))}; !reflect.DeepEqual(w.published, want) {
			t.Errorf("%s: published %s, want %s", name, w.published, want)
		}
	}
}

// What no gateway would take is not said.
func TestPublisherRefuses(t *testing.T) {
	w := &wire{}
	p, err := broker.NewPublisher(w, secret)
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]broker.Message{}
	add := func(name string, change func(*weir.Decision)) {
		d := decision()
		change(&d)
		bad[name] = broker.Message{Decision: &d}
	}
	add("a decision on nothing", func(d *weir.Decision) { d.Key, d.Text = 0, "" })
	add("a decision by nobody", func(d *weir.Decision) { d.Issuer = "" })
	add("a decision without an end", func(d *weir.Decision) { d.Ends = decision().Begins.AddDate(-3000, 0, 0) })
	add("a decision on no level", func(d *weir.Decision) { d.Level = 99 })
	add("a long decision", func(d *weir.Decision) { d.Text = strings.Repeat("x", broker.MaxMessage) })
	bad["a deny policy of no kind"] = broker.Message{Deny: deny(99, "x")}
	bad["a deny policy of nothing"] = broker.Message{Deny: deny(0, "")}
	bad["a deny policy of no address"] = broker.Message{Deny: deny(3, "")}
	bad["a key template of nothing"] = broker.Message{KeyTemplate: &broker.KeyTemplate{Origin: origin()}}
	bad["a key template by nobody"] = broker.Message{KeyTemplate: &broker.KeyTemplate{New: "x"}}
	bad["a change of nothing"] = broker.Message{PolicyChange: &broker.PolicyChange{Event: "POLICY_", Origin: origin()}}
	bad["a change without detail"] = broker.Message{PolicyChange: &broker.PolicyChange{Event: "POLICY_RESET", Origin: origin()}}
	for name, m := range bad {
		if err := publish(t, p, m); err == nil {
			t.Errorf("%s was published: %s", name, w.published)
		}
	}
}

func publish(t *testing.T, p *broker.Publisher, m broker.Message) error {
	t.Helper()
	switch {
	case m.Decision != nil:
		return p.PublishDecision(t.Context(), m.Decision)
	case m.Deny != nil:
		return p.PublishDeny(t.Context(), m.Deny)
	case m.KeyTemplate != nil:
		return p.PublishKeyTemplate(t.Context(), m.KeyTemplate)
	}
	return p.PublishPolicyChange(t.Context(), m.PolicyChange)
}

func TestTopics(t *testing.T) {
	for _, topic := range []string{broker.ThrottleData, broker.Notification, "a-b_1"} {
		if err := broker.CheckTopic(topic); err != nil {
			t.Error(err)
		}
	}
	for _, topic := range []string{"", "*", "#", ">", "a.b", "a b", "$SYS", "ä", strings.Repeat("a", 129)} {
		if broker.CheckTopic(topic) == nil {
			t.Errorf("topic %q may be", topic)
		}
	}
}

package brokertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/test/realserver"
)

// testMessages has a listener hear what a publisher says of each kind.
func testMessages(t *testing.T, b *bench) {
	secret := broker.NewSecret([]byte(t.Name()))
	p, err := broker.NewPublisher(b.publisher, secret)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	l := &listener{}
	done := make(chan error, 1)
	go func() { done <- broker.Listen(ctx, b.subscriber, secret, l) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	realserver.Until(t, patience, "the listener is connected", func() bool { return slices.Contains(l.notes(), connected) })

	now := time.Now()
	o := broker.Origin{Issuer: "cp", Seq: 7, Issued: now}
	stranger := broker.AppendKeyTemplate(nil, broker.NewSecret([]byte("another")), &broker.KeyTemplate{New: "$userId", Origin: o})
	for _, err := range []error{
		p.PublishDecision(ctx, &weir.Decision{Text: "5:/pizza/1:1:Gold", Level: weir.LevelSubscription, Ends: now.Add(time.Minute), Issuer: "tm", Seq: 1, Issued: now}),
		p.PublishDeny(ctx, &broker.Deny{Deny: policy.Deny{ID: "3", Kind: policy.DenyUser, Value: "älice"}, Origin: o}),
		b.publisher.Publish(ctx, broker.Notification, stranger),
		p.PublishKeyTemplate(ctx, &broker.KeyTemplate{New: "$userId", Origin: o}),
		p.PublishPolicyChange(ctx, &broker.PolicyChange{Event: "POLICY_UPDATE", Detail: []byte("{}"), Origin: o}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	realserver.Until(t, patience, "all are heard", func() bool { return len(l.notes()) >= 6 })
	got := l.notes()[1:]
	slices.Sort(got) // topics come in any order
	want := []string{"decision 5:/pizza/1:1:Gold", "deny älice", "ignored unsigned", "key template $userId", "policy change POLICY_UPDATE"}
	if !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// A listener notes what it hears.
type listener struct{ recorder }

var _ broker.Listener = (*listener)(nil)

// Decision implements broker.Listener.
func (l *listener) Decision(d weir.Decision) { l.note("decision " + d.Text) }

// Deny implements broker.Listener.
func (l *listener) Deny(d broker.Deny) { l.note("deny " + d.Deny.Value) }

// KeyTemplate implements broker.Listener.
func (l *listener) KeyTemplate(k broker.KeyTemplate) { l.note("key template " + k.New) }

// PolicyChange implements broker.Listener.
func (l *listener) PolicyChange(c broker.PolicyChange) { l.note("policy change " + c.Event) }

// Ignored implements broker.Listener.
func (l *listener) Ignored(kind broker.FaultKind, _ error) { l.note(fmt.Sprint("ignored ", kind)) }

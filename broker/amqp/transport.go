// Package amqp carries the broker's messages over AMQP 0-9-1: RabbitMQ, or another
// broker that has the exchange amq.topic.
package amqp

import (
	"context"
	"crypto/tls"
	"errors"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/link"
)

var _ broker.Transport = (*Transport)(nil)

// Options are the options of a Transport. URL must be set.
type Options struct {
	// URL says which brokers to connect to, and as whom.
	URL broker.URL
	// TLS is how connections are encrypted where the URL asks for it. Nil: as the
	// system does it. It is not changed.
	TLS *tls.Config
	// Name is what the broker calls the connection; the URL's client ID if it is
	// empty.
	Name string
	// Queue is how many bytes of messages wait for each subscriber; the oldest are
	// dropped if there are more. Zero: 8 MiB.
	Queue int
	// Heartbeat is how often both sides say that they live, in whole seconds. A
	// broker that is silent for one and a half of it is lost. Zero: 5 s.
	Heartbeat time.Duration
}

// A Transport is a [broker.Transport] over AMQP. A topic is a routing key of the
// exchange amq.topic; messages are texts, as JMS's clients want them, and not
// kept. Each subscriber has a queue of its own, which ends with its connection and
// drops the oldest messages when the subscriber does not take them. To publish, Run
// must run. Each Subscribe has a connection of its own, and needs no Run.
type Transport struct {
	options Options
	out     link.Outbox
	dropped atomic.Uint64
}

// New returns a Transport. It connects to nobody yet.
func New(o Options) (*Transport, error) {
	switch {
	case o.URL.Scheme != broker.AMQP:
		return nil, errors.New("connect by AMQP: the URL is no amqp:// or amqps://")
	case len(o.URL.Brokers) == 0:
		return nil, errors.New("connect by AMQP: the URL has no broker in it")
	}
	if o.Name == "" {
		o.Name = o.URL.ClientID
	}
	if o.Heartbeat < time.Second {
		o.Heartbeat = 5 * time.Second
	}
	return &Transport{options: o}, nil
}

// Run keeps a connection to publish over, until ctx is done; then it returns nil.
// Its other error is that of a broker which refuses the user, the virtual host or
// the certificate when it is first asked.
func (t *Transport) Run(ctx context.Context) error {
	circle := link.NewCircle(t.options.URL.Brokers)
	return t.out.Keep(ctx, func(ctx context.Context, up func()) error {
		s, err := t.connect(ctx, circle, (*session).publisher, t.out.Down)
		if err != nil {
			return err
		}
		defer s.close()
		defer link.OnDone(ctx, s.close)()
		up()
		if err := t.out.Serve(s.done, s.publish); err != nil {
			return link.At(s.address, err)
		}
		return s.why()
	})
}

// Publish implements [broker.Transport]. It fails at once also while the broker
// takes no messages because it has no memory or disk left.
func (t *Transport) Publish(ctx context.Context, topic string, message []byte) error {
	return t.out.Publish(ctx, topic, message)
}

// Err returns nil if there is a connection to publish over, else why there is none.
func (t *Transport) Err() error { return t.out.Err() }

// Dropped returns how many messages were dropped because subscribers were slow.
func (t *Transport) Dropped() uint64 { return t.dropped.Load() }

// Subscribe implements [broker.Transport].
func (t *Transport) Subscribe(ctx context.Context, topic string, s broker.Subscriber) error {
	if err := broker.CheckTopic(topic); err != nil {
		return err
	}
	in := link.NewInbox(t.options.Queue, &t.dropped)
	circle := link.NewCircle(t.options.URL.Brokers)
	return in.Subscribe(ctx, s, func(ctx context.Context, up func()) error {
		return t.listen(ctx, topic, circle, in, up)
	})
}

// listen is one connection on which a topic is listened to.
func (t *Transport) listen(ctx context.Context, topic string, circle *link.Circle, in *link.Inbox, up func()) error {
	subscribe := func(s *session) error { return s.subscribe(topic) }
	s, err := t.connect(ctx, circle, subscribe, in.Lost)
	if err != nil {
		return err
	}
	defer s.close()
	defer link.OnDone(ctx, s.close)()
	up()
	in.Connected()
	for d := range s.deliveries {
		in.Message(d.Body)
	}
	return s.why()
}

// Package nats carries the broker's messages over NATS: a [Transport] to a server,
// and a [Server] to run within a traffic manager.
package nats

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

// Options are the options of a Transport. URL, or Server, must be set.
type Options struct {
	// URL says which servers to connect to, and as whom.
	URL broker.URL
	// TLS is how connections are encrypted where the URL or the server asks for it.
	// Nil: as the system does it. It is not changed.
	TLS *tls.Config
	// Name is what the server calls the client in its logs; the URL's client ID if
	// it is empty.
	Name string
	// Queue is how many bytes of messages wait for each subscriber; the oldest are
	// dropped if there are more. Zero: 8 MiB.
	Queue int
	// PingInterval is how often a server is asked whether it lives. One that has
	// not answered for twice as long is lost. Zero: 2 s.
	PingInterval time.Duration

	// server is what to connect to within the process.
	server *Server
}

// connectTimeout is how long to connect may take, and how long a server that is
// connected may take to accept a subscription.
const connectTimeout = 3 * time.Second

// A Transport is a [broker.Transport] over NATS. To publish, Run must run. Each
// Subscribe has a connection of its own, and needs no Run.
type Transport struct {
	options Options
	out     link.Outbox
	dropped atomic.Uint64
}

// New returns a Transport. It connects to nobody yet.
func New(o Options) (*Transport, error) {
	switch {
	case o.server != nil:
		// An address is needed where a list of brokers is; nobody dials it.
		o.URL.Brokers = []broker.Broker{{Address: "in-process:0"}}
	case o.URL.Scheme != broker.NATS:
		return nil, errors.New("connect to NATS: the URL is no nats:// or tls://")
	case len(o.URL.Brokers) == 0:
		return nil, errors.New("connect to NATS: the URL has no server in it")
	}
	if o.Name == "" {
		o.Name = o.URL.ClientID
	}
	if o.PingInterval <= 0 {
		o.PingInterval = 2 * time.Second
	}
	return &Transport{options: o}, nil
}

// Run keeps a connection to publish over, until ctx is done; then it sends what is
// left, for half a second at most, and returns nil. Its other error is that of a
// server which refuses the user or the certificate when it is first asked.
func (t *Transport) Run(ctx context.Context) error {
	circle := link.NewCircle(t.options.URL.Brokers)
	return t.out.Keep(ctx, func(ctx context.Context, up func()) error {
		s, err := t.connect(ctx, circle, t.out.Down)
		if err != nil {
			return err
		}
		defer s.close()
		defer link.OnDone(ctx, s.finish)()
		up()
		if err := t.out.Serve(s.done, s.publish); err != nil {
			return s.at(err)
		}
		return s.why()
	})
}

// Publish implements [broker.Transport].
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
	s, err := t.connect(ctx, circle, in.Lost)
	if err != nil {
		return err
	}
	defer s.close()
	defer link.OnDone(ctx, s.cut)()
	if err := s.subscribe(topic, in); err != nil {
		return s.at(err)
	}
	up()
	<-s.done
	return s.why()
}

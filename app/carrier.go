package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/amqp"
	"github.com/weir-project/weir/broker/memory"
	"github.com/weir-project/weir/broker/nats"
	"github.com/weir-project/weir/config"
)

// A carrier is the way to one broker.
type carrier struct {
	broker.Transport
	name string // for people and metrics
	// run keeps what is needed to publish; nil: nothing is.
	run func(context.Context) error
	// err returns why nothing can be published now, nil if it can be.
	err func() error
	// dropped returns how many messages a subscriber was too slow for.
	dropped func() uint64
}

// newCarrier returns the way to a broker that runs apart.
func newCarrier(u broker.URL, c *config.Config) (*carrier, error) {
	var t *tls.Config
	if c.Broker.CAFile != "" {
		pool, err := loadCAs("broker.ca_file", c.Broker.CAFile)
		if err != nil {
			return nil, err
		}
		t = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	name := nodeName(c)
	if u.Scheme == broker.NATS {
		n, err := nats.New(nats.Options{URL: u, TLS: t, Name: name})
		if err != nil {
			return nil, err
		}
		return &carrier{n, u.String(), n.Run, n.Err, n.Dropped}, nil
	}
	q, err := amqp.New(amqp.Options{URL: u, TLS: t, Name: name})
	if err != nil {
		return nil, err
	}
	return &carrier{q, u.String(), q.Run, q.Err, q.Dropped}, nil
}

// newBus returns the way within the process.
func newBus() *carrier {
	b := memory.New(memory.Options{})
	return &carrier{b, "memory", nil, func() error { return nil }, b.Dropped}
}

// refusedFor is how long a broker that refuses is left alone: until then somebody may
// have mended it.
const refusedFor = 30 * time.Second

// persist runs f until ctx is done, again after a while when it fails: what fails
// there is refused, as by a wrong password, and must not end the process. The log says
// what follows from it.
func persist(ctx context.Context, log *slog.Logger, name, follows string, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if ctx.Err() != nil || err == nil {
			return nil
		}
		log.Error("broker refuses", "broker", name, "error", oneLine(err), "so", follows)
		if !sleep(ctx, refusedFor+rand.N(refusedFor/4)) {
			return nil
		}
	}
}

// sleep waits, and reports whether ctx is still not done.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// newBroker returns the NATS server that a traffic manager has in it, and the way to
// it.
func newBroker(t *config.Topic, c *config.Config, log *slog.Logger) (*nats.Server, *carrier, error) {
	o := nats.ServerOptions{
		Listen:   t.Embedded,
		Gateways: nats.Login{User: t.Login.User, Password: string(t.Login.Password)},
		// Whoever publishes is in the process: nobody else knows this password.
		Managers: nats.Login{User: "traffic-manager of " + t.Login.User, Password: randomText()},
		Log:      newHush(log),
	}
	if c.Broker.CertFile != "" {
		p, err := loadPair("broker.cert_file", c.Broker.CertFile, c.Broker.KeyFile)
		if err != nil {
			return nil, nil, err
		}
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*p.certificate()}}
	}
	s, err := nats.NewServer(o)
	if err != nil {
		return nil, nil, fmt.Errorf("broker: %w", err)
	}
	n, err := s.Transport(nats.Options{Name: nodeName(c)})
	if err != nil {
		return nil, nil, fmt.Errorf("broker: %w", err)
	}
	return s, &carrier{n, "embedded-nats", n.Run, n.Err, n.Dropped}, nil
}

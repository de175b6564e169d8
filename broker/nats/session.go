package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/link"
)

// lastWords is how long a connection that ends may take to send what is left.
const lastWords = 500 * time.Millisecond

// A session is one connection to one server, from when it is made until it is lost.
// It does not reconnect by itself: whoever is connected anew must be told before the
// first message comes.
type session struct {
	address string
	wire    *dialer
	client  *nats.Conn
	done    chan struct{} // closed when it is lost, or closed

	mu  sync.Mutex
	err error // why it ended, the first thing that was said of it
}

// connect makes a connection to the first server that can be had.
func (t *Transport) connect(ctx context.Context, circle *link.Circle, failed func(error)) (*session, error) {
	var s *session
	err := circle.Connect(ctx, func(ctx context.Context, b broker.Broker) (err error) {
		s, err = t.dial(ctx, b)
		return err
	}, failed)
	return s, err
}

func (t *Transport) dial(ctx context.Context, b broker.Broker) (*session, error) {
	timeout := connectTimeout
	if b.ConnectTimeout > 0 {
		timeout = b.ConnectTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s := &session{address: b.Address, wire: &dialer{ctx: ctx}, done: make(chan struct{})}
	o := nats.Options{
		Url:                     "nats://" + b.Address,
		Name:                    t.options.Name,
		User:                    t.options.URL.User,
		Password:                t.options.URL.Password,
		Secure:                  b.TLS,
		TLSConfig:               t.options.TLS.Clone(),
		CustomDialer:            s.wire,
		SkipHostLookup:          true, // the dialer does it, and no longer than ctx
		IgnoreDiscoveredServers: true,
		Timeout:                 timeout,
		PingInterval:            t.options.PingInterval,
		MaxPingsOut:             1,
		FlusherTimeout:          connectTimeout,
		ReconnectOnFlusherError: true, // without reconnecting: it ends
		AsyncErrorCB:            func(_ *nats.Conn, _ *nats.Subscription, err error) { s.say(err) },
		ClosedCB:                func(*nats.Conn) { close(s.done) },
	}
	if t.options.server != nil {
		s.wire.server = t.options.server
		o.InProcessServer = s.wire
	}
	client, err := o.Connect()
	if err != nil {
		s.wire.cut()
		if timed, ok := errors.AsType[net.Error](err); ok && timed.Timeout() || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("there is no answer within %v", timeout)
		}
		return nil, plain(err)
	}
	s.client = client
	s.wire.keep()
	return s, nil
}

// plain returns what a person can make of an error of a first connection.
func plain(err error) error {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return link.Refused(errors.New("it refuses the user or the password"))
	case errors.Is(err, nats.ErrSecureConnWanted):
		return link.Refused(errors.New("it has no TLS, which is asked for"))
	case errors.Is(err, nats.ErrNoServers): // what is said if nothing answers
		return errors.New("there is no answer")
	}
	return err
}

// say notes an error that the server reports of the session. Some of them end it.
func (s *session) say(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && !errors.Is(err, nats.ErrSlowConsumer) {
		s.err = err
	}
	if errors.Is(err, nats.ErrPermissionViolation) {
		s.wire.cut() // nothing that is said would come through
	}
}

// said returns the first error that was reported of the session.
func (s *session) said() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return s.client.LastError()
	}
	return s.err
}

// why returns why the session ended.
func (s *session) why() error {
	err := s.said()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrStaleConnection):
		err = errors.New("it does not answer any more")
	}
	return s.at(err)
}

// at returns err with the address of the server.
func (s *session) at(err error) error { return link.At(s.address, err) }

// subscribe puts what comes on a topic into in, once in is told of the connection.
func (s *session) subscribe(topic string, in *link.Inbox) error {
	told := make(chan struct{})
	defer close(told)
	alive := false
	_, err := s.client.Subscribe(topic, func(m *nats.Msg) {
		<-told
		if alive {
			in.Message(m.Data)
		}
	})
	if err != nil {
		return err
	}
	// When the server has answered this, it has the subscription, or has refused it.
	err = s.client.FlushTimeout(connectTimeout)
	if errors.Is(s.said(), nats.ErrPermissionViolation) {
		return link.Refused(fmt.Errorf("it does not let the user listen on %s", topic))
	}
	if err != nil {
		return err
	}
	alive = true
	in.Connected()
	return nil
}

// publish hands a message to the client.
func (s *session) publish(topic string, message []byte) (good bool, err error) {
	err = s.client.Publish(topic, message)
	return err == nil || errors.Is(err, nats.ErrMaxPayload), err
}

// cut ends the session at once.
func (s *session) cut() { s.wire.cut() }

// finish ends the session when what was published has been sent.
func (s *session) finish() {
	_ = s.client.FlushTimeout(lastWords) // it ends either way
	s.wire.cut()
}

// close ends the session, and waits until nothing of it is left.
func (s *session) close() {
	s.wire.cut()
	s.client.Close()
	<-s.done
}

// A dialer makes the connection of a session, and can cut it while the client
// still waits for an answer on it.
type dialer struct {
	ctx    context.Context
	server *Server // to connect to, if not to an address

	mu   sync.Mutex
	conn net.Conn
	stop func() bool // ctx cutting it
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	var n net.Dialer
	conn, err := n.DialContext(d.ctx, network, address)
	return d.made(conn, err)
}

// InProcessConn implements nats.InProcessConnProvider.
func (d *dialer) InProcessConn() (net.Conn, error) {
	conn, err := d.server.InProcessConn()
	return d.made(conn, err)
}

func (d *dialer) made(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn, d.stop = conn, context.AfterFunc(d.ctx, d.cut)
	return conn, nil
}

// keep lets the connection outlive ctx.
func (d *dialer) keep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stop()
}

// cut closes the connection.
func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		d.stop()
		d.conn.Close()
	}
}

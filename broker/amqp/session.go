package amqp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/link"
)

const (
	// exchange is where topics are routing keys. Every broker has it.
	exchange = "amq.topic"
	// connectTimeout is how long to connect may take, up to the first message.
	connectTimeout = 3 * time.Second
	// lastWords is how long a connection that ends may take to say so.
	lastWords = 500 * time.Millisecond

	// What waits in a queue at the broker: about what waits here.
	queueMessages, queueBytes = 10_000, 8 << 20
)

// A session is one connection to one broker with a channel on it, from when it is
// made until either of them is lost. It does not reconnect by itself.
type session struct {
	address    string
	wire       *wire
	connection *amqp.Connection
	channel    *amqp.Channel
	deliveries <-chan amqp.Delivery // closed when the session ends; nil: it publishes
	done       chan struct{}        // closed when it is lost, or closed

	mu      sync.Mutex
	err     error // why it ended
	blocked error // why the broker takes no messages for now; nil: it does
}

// connect makes a session with the first broker that can be had, and sets it up.
func (t *Transport) connect(ctx context.Context, circle *link.Circle, set func(*session) error, failed func(error)) (*session, error) {
	var s *session
	err := circle.Connect(ctx, func(ctx context.Context, b broker.Broker) (err error) {
		s, err = t.dial(ctx, b, set)
		if errors.Is(err, errLogin) {
			// It hung up in the login. So does a broker that ends: ask again.
			s, err = t.dial(ctx, b, set)
		}
		return err
	}, failed)
	return s, err
}

// errForeign is what is meant by frames that can't be read.
var errForeign = errors.New("what it says is not AMQP 0-9-1")

// errLogin is what is meant by brokers that hang up in the login.
var errLogin = link.Refused(errors.New("it refuses the user or the password"))

func (t *Transport) dial(ctx context.Context, b broker.Broker, set func(*session) error) (*session, error) {
	timeout := connectTimeout
	if b.ConnectTimeout > 0 {
		timeout = b.ConnectTimeout
	}
	dialing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	w, err := t.reach(dialing, b)
	if err != nil {
		return nil, err
	}
	// Until everything is set up, nothing else bounds how long the broker takes.
	defer link.OnDone(dialing, func() { w.Close() })()
	s, err := t.open(w, b, set)
	if err == nil {
		return s, nil
	}
	w.Close()
	if s != nil {
		s.close()
	}
	if dialing.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("there is no answer within %v", timeout)
	}
	return nil, err
}

// reach makes a connection for the protocol to run on.
func (t *Transport) reach(ctx context.Context, b broker.Broker) (*wire, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", b.Address)
	if err != nil {
		return nil, err
	}
	if b.TLS {
		c := t.options.TLS.Clone()
		if c == nil {
			c = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if c.ServerName == "" {
			c.ServerName, _, _ = net.SplitHostPort(b.Address)
		}
		secure := tls.Client(conn, c)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	return newWire(conn, t.options.Heartbeat), nil
}

// open logs in and sets the session up. If that fails there may be a session to
// close.
func (t *Transport) open(w *wire, b broker.Broker, set func(*session) error) (*session, error) {
	properties := amqp.Table{"product": "Weir"}
	if t.options.Name != "" {
		properties.SetClientConnectionName(t.options.Name)
	}
	who := amqp.PlainAuth{Username: t.options.URL.User, Password: t.options.URL.Password}
	connection, err := amqp.Open(w, amqp.Config{
		SASL:       []amqp.Authentication{&login{who, properties}},
		Vhost:      t.options.URL.VHost,
		Heartbeat:  t.options.Heartbeat,
		ChannelMax: 8,
		FrameSize:  128 << 10,
		Locale:     "en_US",
		Properties: properties,
	})
	if err != nil {
		if cause := w.cause(); link.IsRefused(cause) {
			return nil, cause
		}
		if !w.speaks() {
			return nil, errForeign
		}
		return nil, plain(err)
	}
	s := &session{address: b.Address, wire: w, connection: connection, done: make(chan struct{})}
	lost := connection.NotifyClose(make(chan *amqp.Error, 1))
	blocked := connection.NotifyBlocked(make(chan amqp.Blocking, 16))
	if s.channel, err = connection.Channel(); err != nil {
		go s.watch(lost, nil, blocked)
		return s, plain(err)
	}
	go s.watch(lost, s.channel.NotifyClose(make(chan *amqp.Error, 1)), blocked)
	if err := set(s); err != nil {
		return s, plain(err)
	}
	// From here on the heartbeats set the deadline, the first of which is to come.
	return s, w.SetReadDeadline(time.Now().Add(2 * t.options.Heartbeat))
}

// watch notes what happens to the session until nothing can happen to it any more.
func (s *session) watch(connection, channel <-chan *amqp.Error, blocked <-chan amqp.Blocking) {
	ended := sync.OnceFunc(func() { close(s.done) })
	defer ended()
	for connection != nil || channel != nil || blocked != nil {
		select {
		case err, ok := <-connection:
			if !ok {
				connection = nil
			}
			s.say(err)
			ended()
		case err, ok := <-channel:
			if !ok {
				channel = nil
			}
			s.say(err)
			ended()
		case b, ok := <-blocked:
			if !ok {
				blocked = nil
			}
			s.setBlocked(b)
		}
	}
}

// say notes why the session has ended, if it is the first to say so.
func (s *session) say(err *amqp.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && err != nil {
		s.err = plain(err)
	}
}

func (s *session) setBlocked(b amqp.Blocking) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocked = nil; b.Active {
		s.blocked = fmt.Errorf("broker %s takes no messages: %q", s.address, b.Reason)
	}
}

// why returns why the session ended.
func (s *session) why() error {
	select {
	case <-s.done:
	case <-time.After(lastWords): // nothing but the subscription has ended
		return link.At(s.address, errors.New("it has ended the subscription"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return link.At(s.address, s.err)
}

// publisher sets a session up to publish: there is nothing to do.
func (s *session) publisher() error { return nil }

// subscribe sets a session up to listen on a topic.
func (s *session) subscribe(topic string) error {
	q, err := s.channel.QueueDeclare("", false, true, true, false, amqp.Table{
		"x-max-length": int32(queueMessages), "x-max-length-bytes": int32(queueBytes), "x-overflow": "drop-head",
	})
	if err != nil {
		return err
	}
	if err := s.channel.QueueBind(q.Name, topic, exchange, false, nil); err != nil {
		return err
	}
	s.deliveries, err = s.channel.Consume(q.Name, "", true, true, false, false, nil)
	return err
}

// publish writes a message.
func (s *session) publish(topic string, message []byte) (good bool, err error) {
	s.mu.Lock()
	blocked := s.blocked
	s.mu.Unlock()
	if blocked != nil {
		return true, blocked
	}
	err = s.channel.PublishWithContext(context.Background(), exchange, topic, false, false, amqp.Publishing{
		ContentType: "text/plain", ContentEncoding: "UTF-8", DeliveryMode: amqp.Transient, Body: message,
	})
	if err != nil {
		return false, plain(err)
	}
	return true, nil
}

// close ends the session, politely if the broker still listens, and waits until
// nothing of it is left.
func (s *session) close() {
	_ = s.connection.CloseDeadline(time.Now().Add(lastWords)) // it ends either way
	s.wire.Close()
	<-s.done
}

// plain returns what a person can make of an error, and marks it if a person must
// mend it.
func plain(err error) error {
	e, ok := errors.AsType[*amqp.Error](err)
	switch {
	case !ok:
		return err
	case e == amqp.ErrCredentials:
		return errLogin
	case e == amqp.ErrClosed || e == amqp.ErrVhost: // what is said if it hangs up
		return errors.New("it has hung up")
	case !e.Server && strings.Contains(e.Reason, "i/o timeout"):
		return errors.New("it does not answer any more")
	case !e.Server && strings.Contains(e.Reason, "frame"): // that can't be read
		return errForeign
	case !e.Server && e.Reason == io.EOF.Error():
		return errors.New("it has hung up")
	case !e.Server:
		return errors.New(e.Reason)
	}
	if strings.HasPrefix(e.Reason, "ACCESS_REFUSED - Login") {
		return link.Refused(errors.New("it refuses the user or the password"))
	}
	said := fmt.Errorf("it says %q", e.Reason)
	switch e.Code {
	case amqp.NotAllowed:
		if strings.Contains(e.Reason, "limit") {
			return said // of connections: there may be room later
		}
		return link.Refused(said)
	case amqp.AccessRefused, amqp.NotFound, amqp.NotImplemented:
		return link.Refused(said)
	}
	return said
}

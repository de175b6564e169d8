package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/weir-project/weir/broker"
)

// A Login is a user and the password. It never shows the password in text.
type Login struct{ User, Password string }

// String returns the user.
func (l Login) String() string { return l.User }

// GoString returns the same as String.
func (l Login) GoString() string { return l.User }

// LogValue returns the same as String.
func (l Login) LogValue() slog.Value { return slog.StringValue(l.User) }

// MarshalText returns the same as String.
func (l Login) MarshalText() ([]byte, error) { return []byte(l.User), nil }

// ServerOptions are the options of a Server.
type ServerOptions struct {
	// Listen is the address, host:port, for clients; port 0 is any that is free.
	// Empty: there are only connections within the process.
	Listen string
	// TLS is how connections of clients are encrypted. Nil: not at all.
	TLS *tls.Config
	// Managers may publish and subscribe, Gateways may only subscribe; both to the
	// broker's topics alone. With Listen, both must be set and differ.
	Managers, Gateways Login
	// Cluster joins servers to one, so that what is published at either is heard at
	// both. Nil: this server is alone.
	Cluster *Cluster
	// Log is where the server says what goes wrong. Nil: nowhere.
	Log *slog.Logger
}

// A Cluster is the servers that a server shares its messages with.
type Cluster struct {
	// Listen is the address, host:port, for the other servers.
	Listen string
	// Login is what servers show each other. All have the same.
	Login Login
	// Routes are the addresses of other servers, host:port. One that leads to the
	// server itself does no harm; one that nobody answers at is tried again.
	Routes []string
	// TLS is how the connections are encrypted, both ways. Nil: not at all.
	TLS *tls.Config
}

// startTimeout is how long a server may take to listen.
const startTimeout = 10 * time.Second

// A Server is a NATS server within this process. It keeps no messages.
type Server struct {
	options ServerOptions
	log     *slog.Logger

	mu      sync.Mutex
	running *server.Server // nil: not running
	ready   chan struct{}  // closed when it listens for the first time
	addr    string
}

// NewServer returns a Server. It does not listen yet.
func NewServer(o ServerOptions) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("NATS server: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{options: o, log: o.Log, ready: make(chan struct{})}
	if _, err := server.NewServer(s.settings()); err != nil {
		return nil, fmt.Errorf("NATS server: %w", err)
	}
	return s, nil
}

func (o *ServerOptions) check() error {
	if o.Listen != "" {
		if _, _, err := splitAddress(o.Listen); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		if o.Managers.User == o.Gateways.User {
			return errors.New("traffic managers and gateways have the same user")
		}
		if err := errors.Join(o.Managers.check("traffic managers"), o.Gateways.check("gateways")); err != nil {
			return err
		}
	}
	if o.Cluster == nil {
		return nil
	}
	if _, _, err := splitAddress(o.Cluster.Listen); err != nil {
		return fmt.Errorf("cluster: listen: %w", err)
	}
	for _, r := range o.Cluster.Routes {
		if _, _, err := splitAddress(r); err != nil {
			return fmt.Errorf("cluster: route %q: %w", r, err)
		}
	}
	return o.Cluster.Login.check("the cluster")
}

func (l *Login) check(whose string) error {
	switch {
	case l.User == "" || l.Password == "":
		return fmt.Errorf("user or password of %s is empty", whose)
	case strings.HasPrefix(l.Password, "$2"):
		// The server would take it for the hash of a password.
		return fmt.Errorf("password of %s begins with $2; take another", whose)
	}
	return nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
		return "", 0, errors.New("the port is a number from 0 to 65535")
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// settings returns what the server is told; anew each time, since it writes there.
func (s *Server) settings() *server.Options {
	o := s.options
	set := &server.Options{
		NoSigs: true, NoSystemAccount: true,
		DontListen:     o.Listen == "",
		TLSConfig:      o.TLS.Clone(),
		TLSTimeout:     5,
		AuthTimeout:    5,
		MaxPayload:     broker.MaxMessage,
		MaxPending:     8 << 20, // for a client that does not read
		MaxSubs:        16,
		MaxControlLine: 1024,
		PingInterval:   10 * time.Second,
		MaxPingsOut:    2,
		WriteDeadline:  5 * time.Second,
	}
	if o.Listen != "" {
		set.Host, set.Port, _ = splitAddress(o.Listen) // it was checked
		topics := &server.SubjectPermission{Allow: []string{broker.ThrottleData, broker.Notification}}
		nothing := &server.SubjectPermission{Deny: []string{">"}}
		set.Users = []*server.User{
			{Username: o.Managers.User, Password: o.Managers.Password, Permissions: &server.Permissions{Publish: topics, Subscribe: topics}},
			{Username: o.Gateways.User, Password: o.Gateways.Password, Permissions: &server.Permissions{Publish: nothing, Subscribe: topics}},
		}
	}
	if c := o.Cluster; c != nil {
		host, port, _ := splitAddress(c.Listen)
		set.Cluster = server.ClusterOpts{
			Name: "weir", Host: host, Port: port, Username: c.Login.User, Password: c.Login.Password,
			AuthTimeout: 5, TLSTimeout: 5, TLSConfig: c.TLS.Clone(), NoAdvertise: true,
			PingInterval: 2 * time.Second, MaxPingsOut: 2, PoolSize: -1,
		}
		for _, r := range c.Routes {
			set.Routes = append(set.Routes, &url.URL{Scheme: "nats-route", Host: r, User: url.UserPassword(c.Login.User, c.Login.Password)})
		}
	}
	return set
}

// Run listens until ctx is done, then ends all connections and returns nil. Another
// error says why it could not listen.
func (s *Server) Run(ctx context.Context) error {
	set := s.settings()
	running, err := server.NewServer(set)
	if err != nil {
		return fmt.Errorf("NATS server: %w", err)
	}
	l := &logger{log: s.log}
	running.SetLoggerV2(l, false, false, false)
	defer func() {
		s.set(nil)
		running.Shutdown()
		running.WaitForShutdown()
	}()
	running.Start()
	for began := time.Now(); !running.ReadyForConnections(50 * time.Millisecond); {
		switch {
		case l.fatal() != nil:
			return fmt.Errorf("NATS server: %w", l.fatal())
		case ctx.Err() != nil:
			return nil
		case time.Since(began) > startTimeout:
			return fmt.Errorf("NATS server: it does not listen after %v", startTimeout)
		}
	}
	s.set(running)
	<-ctx.Done()
	return nil
}

func (s *Server) set(running *server.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = ""
	if s.running = running; running == nil {
		return
	}
	if a := running.Addr(); a != nil {
		s.addr = a.String()
	}
	select {
	case <-s.ready:
	default:
		close(s.ready)
	}
}

// Ready is closed when s listens for the first time.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr returns the address that clients connect to, or "" where there is none and
// while s does not run.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// InProcessConn returns a connection to s that needs no network.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return nil, errors.New("the server is not running")
	}
	return s.running.InProcessConn()
}

// Transport returns a Transport to s that needs no network, with the rights of a
// traffic manager. Of o the Name, Queue and PingInterval count.
func (s *Server) Transport(o Options) (*Transport, error) {
	o.server = s
	o.URL = broker.URL{Scheme: broker.NATS, User: s.options.Managers.User, Password: s.options.Managers.Password}
	return New(o)
}

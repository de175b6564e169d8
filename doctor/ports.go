package doctor

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/weir-project/weir/app"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/config"
)

// A port is one that a node listens on.
type port struct {
	key        string
	host, port string
	tls        bool
	// is reports whether a node of ours listens there, and what it says of itself.
	is func(ctx context.Context, p *port) (text string, ok bool)
}

func (p *port) address() string { return net.JoinHostPort(p.host, p.port) }

// portChecks look whether the ports of the node are free, or in use by such a node.
func portChecks(o *Options) []*check {
	c := &o.Config
	var ports []*port
	add := func(key, host string, number int, secure bool, is func(context.Context, *port) (string, bool)) {
		if number != config.Off && number != 0 {
			ports = append(ports, &port{key, host, strconv.Itoa(number), secure, is})
		}
	}
	if c.Role.HasGateway() {
		add("listenerConfig.httpPort", c.Listener.Host, c.Listener.HTTPPort, false, isGateway)
		if c.Listener.TLS() {
			add("listenerConfig.httpsPort", c.Listener.Host, c.Listener.HTTPSPort, true, isGateway)
		}
	}
	add("management.port", c.Management.Host, c.Management.Port, false, isManagement)
	if host, number, open := c.HTTPSAddress(); open {
		add("management.https_port", host, number, true, isManagement)
	}
	if c.Role.HasTrafficManager() {
		if at := c.Topic().Embedded; at != "" {
			host, number, _ := net.SplitHostPort(at) // it was checked
			n, _ := strconv.Atoi(number)
			add("broker.listen", host, n, false, func(ctx context.Context, p *port) (string, bool) { return isBroker(ctx, p, c) })
		}
	}
	var all []*check
	for i, p := range ports {
		all = append(all, &check{name: "port " + p.port, run: func(ctx context.Context, k *check) {
			for _, other := range ports[:i] {
				if other.port == p.port {
					k.add(Fault, "give one of them another port", "%s and %s are the same", other.key, p.key)
					return
				}
			}
			k.port(ctx, p)
		}})
	}
	return all
}

// port looks at one port.
func (k *check) port(ctx context.Context, p *port) {
	l, err := net.Listen("tcp", p.address())
	if err == nil {
		_ = l.Close() // nobody has used it
		k.add(OK, "", "%s is free (%s)", p.address(), p.key)
		return
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		advice := "correct the host of " + p.key
		if errors.Is(err, syscall.EACCES) {
			advice = "take a port from 1024 on, or give the program the right to listen there (CAP_NET_BIND_SERVICE)"
		}
		k.add(Fault, advice, "%s: %v", p.key, err)
		return
	}
	if text, ok := p.is(ctx, p); ok {
		k.add(OK, "", "%s is in use by %s (%s)", p.address(), text, p.key)
		return
	}
	k.add(Fault, "end what listens there, or change "+p.key, "%s is in use by something else (%s)", p.address(), p.key)
}

// ask sends a request to the port and returns the beginning of what comes back.
func (p *port) ask(ctx context.Context, path string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	at := p.host
	if ip := net.ParseIP(at); at == "" || ip != nil && ip.IsUnspecified() {
		at = "127.0.0.1"
	}
	d := net.Dialer{}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(at, p.port))
	if err != nil {
		return ""
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if p.tls {
		// Who answers is this machine; nothing that is secret is said.
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}) //nolint:gosec // see above
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path); err != nil {
		return ""
	}
	text, _ := io.ReadAll(io.LimitReader(bufio.NewReader(conn), 1<<20)) // what came before an error is what counts
	return string(text)
}

// isManagement reports whether a port is a node's, for those who are no clients.
func isManagement(ctx context.Context, p *port) (string, bool) {
	found := buildInfo.FindStringSubmatch(p.ask(ctx, "/metrics"))
	if found == nil {
		return "", false
	}
	return "a node that runs version " + cmp.Or(found[1], "(unknown)"), true
}

// isGateway reports whether a port is a gateway's: it says so of a path that means two
// things.
func isGateway(ctx context.Context, p *port) (string, bool) {
	text := p.ask(ctx, "/%00")
	return "a gateway", strings.HasPrefix(text, "HTTP/1.1 400 ") && strings.Contains(text, `{"code":"400","message":"Bad Request",`)
}

// isBroker reports whether a port is that of a traffic manager's broker, which lets
// gateways listen.
func isBroker(ctx context.Context, p *port, c *config.Config) (string, bool) {
	t := c.Topic()
	at := p.host
	if ip := net.ParseIP(at); at == "" || ip != nil && ip.IsUnspecified() {
		at = "127.0.0.1"
	}
	topic, err := app.NewTopic(broker.URL{
		Scheme: broker.NATS, User: t.Login.User, Password: string(t.Login.Password),
		Brokers: []broker.Broker{{Address: net.JoinHostPort(at, p.port), TLS: c.Broker.CertFile != ""}},
	}, c)
	if err != nil {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	e := newEar()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = broker.Listen(ctx, topic, broker.NewSecret(c.FleetSecret()), e) // whether it connects is what counts
	}()
	ok := false
	select {
	case <-e.connected:
		ok = true
	case <-e.failed:
	case <-ended:
	}
	cancel()
	<-ended
	return "a broker that lets gateways listen", ok
}

package config

import (
	"net"

	"github.com/weir-project/weir/broker"
)

// EventLogin returns the user and password for events: whom a traffic manager lets
// in, or as whom a gateway sends.
func (c *Config) EventLogin() Login {
	if c.Role.HasTrafficManager() {
		return Login{c.APIM.User, c.APIM.Password}
	}
	if u := c.Uplink(); u != nil {
		return u.Login
	}
	return Login{}
}

// FleetSecret returns what all nodes of the fleet have in common: node.secret or,
// without it, what follows from the user and the password of events or, of gateways that
// only share counters, from those of the store.
func (c *Config) FleetSecret() []byte {
	if c.Node.Secret != "" {
		return []byte("weir fleet secret\x00" + string(c.Node.Secret))
	}
	l := c.EventLogin()
	if s := c.Shared(Gateway); s != nil && l == (Login{}) {
		l = s.Store.Login
		return []byte("weir fleet store\x00" + l.User + "\x00" + string(l.Password))
	}
	return []byte("weir fleet login\x00" + l.User + "\x00" + string(l.Password))
}

// HTTPSAddress returns where the management port for HTTPS is, and whether there is
// one.
func (c *Config) HTTPSAddress() (host string, port int, open bool) {
	host = c.Management.HTTPSHost
	if host == "" {
		host = c.narrowHost()
	}
	return host, c.Management.HTTPSPort, c.Management.HTTPSPort != Off
}

// narrowHost is the host on which a node listens where nobody says: no other machine
// reaches one that lets anybody in.
func (c *Config) narrowHost() string {
	if isWellKnown(string(c.APIM.Password)) {
		return "127.0.0.1"
	}
	return "0.0.0.0"
}

// A Topic is where a traffic manager tells what it decides, and how.
type Topic struct {
	// Memory tells that there is a gateway in the process, which hears of it.
	Memory bool
	// Embedded is the address of a NATS server to be run; empty: none.
	Embedded string
	// Login is whom that server lets in.
	Login Login
	// Brokers are those that run apart; each is told everything.
	Brokers []broker.URL
}

// Topic returns where a traffic manager tells what it decides.
func (c *Config) Topic() Topic { return c.topic(func(string, int, string, string, ...any) {}) }

// topic is Topic; it reports what is wrong to add.
func (c *Config) topic(add adder) Topic {
	b := &c.Broker
	login := or(Login{b.User, b.Password}, Login{c.APIM.User, c.APIM.Password})
	t := Topic{Memory: c.Role == All, Login: login}
	kind := b.Type
	switch {
	case kind == "" && c.Role == All:
		kind = Memory
	case kind == "":
		kind = EmbeddedNATS
	}
	switch {
	case kind == Memory && c.Role == TrafficManager:
		add("broker", 0, "type", "is memory, which no gateway outside of the process hears: use embedded-nats, nats or amqp")
	case kind == EmbeddedNATS:
		t.Embedded = c.embeddedAddress(login, add)
	case (kind == NATS || kind == AMQP) && len(b.URL) == 0:
		add("broker", 0, "url", "is missing: a broker of type %s runs apart", kind)
	}
	var u Uplink
	p := c.plain(Login{b.User, b.Password}, login)
	if kind == NATS || kind == AMQP {
		u.brokers("broker", "url", b.URL, p, add)
		for _, url := range u.Brokers {
			if string(url.Scheme) != kind {
				add("broker", 0, "url", "names a broker of %s, and broker.type is %s", url.Scheme, kind)
			}
		}
	}
	p.login, p.tls = or(Login{c.APIMJMS.User, c.APIMJMS.Password}, p.login), c.APIMJMS.TLS
	u.brokers("apim.throttling", "event_duplicate_url", c.APIM.Duplicates, p, add)
	t.Brokers = u.Brokers
	return t
}

// embeddedAddress returns where embedded-nats listens.
func (c *Config) embeddedAddress(login Login, add adder) string {
	listen := c.Broker.Listen
	if listen == "" {
		if isWellKnown(string(login.Password)) {
			return net.JoinHostPort("127.0.0.1", natsPort)
		}
		return net.JoinHostPort("0.0.0.0", natsPort)
	}
	host, _, err := net.SplitHostPort(listen)
	switch {
	case err != nil:
		add("broker", 0, "listen", `must be an address and a port, like "0.0.0.0:4222", not %q`, listen)
	case isWellKnown(string(login.Password)) && !isLoopback(host):
		add("broker", 0, "listen", "is not on loopback, and the password is one that anybody knows, or empty: set broker.password or that of apim.throttling")
	}
	return listen
}

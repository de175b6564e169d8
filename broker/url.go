package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Scheme is the protocol of a broker.
type Scheme string

// The schemes.
const (
	AMQP Scheme = "amqp"
	NATS Scheme = "nats"
)

// A URL says which broker to connect to, and as whom. What it writes as text has
// no password in it.
type URL struct {
	Scheme         Scheme
	User, Password string
	// ClientID names the client to the broker. Empty: nothing is said.
	ClientID string
	// VHost is the virtual host on a broker of AMQP, / if the URL has none.
	VHost string
	// Brokers are tried in this order; one of them is connected to at a time.
	Brokers []Broker
}

// A Broker is one address of a [URL].
type Broker struct {
	Address string // host:port
	TLS     bool
	// Retries is how often more a broker that could not be reached is tried
	// before the next is, and ConnectDelay about how long is waited in between.
	Retries      int
	ConnectDelay time.Duration
	// ConnectTimeout is how long to connect may take. Zero: the transport's own.
	ConnectTimeout time.Duration
}

const (
	maxURL     = 4096
	maxBrokers = 32
)

// ParseURL returns the URL that s writes, which has one of these forms:
//
//	amqp://user:password@client/vhost?brokerlist='tcp://a:5672?retries='5'&connectdelay='50';tcp://b:5672'
//	amqp://user:password@host:5672/vhost
//	nats://user:password@host:4222,host:4222
//
// With amqps and tls instead of amqp and nats, connections are encrypted. The first
// is JMS's: its options may be separated by &, &amp; or %26. In user, password and
// vhost %XX stands for a byte. An error says what is allowed instead, and has no
// part of the user or the password in it.
func ParseURL(s string) (URL, error) {
	u, err := parseURL(strings.TrimSpace(s))
	if err != nil {
		return URL{}, fmt.Errorf("broker URL: %w", err)
	}
	return u, nil
}

func parseURL(s string) (URL, error) {
	if len(s) > maxURL {
		return URL{}, fmt.Errorf("%d bytes; at most %d are read", len(s), maxURL)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\uFFFD' }); i >= 0 {
		return URL{}, fmt.Errorf("byte %d is a blank, a control character or no UTF-8; it can be written as %%XX", i+1)
	}
	scheme, rest, _ := strings.Cut(s, "://")
	switch scheme {
	case "amqp", "amqps":
		return parseAMQP(rest, scheme == "amqps")
	case "nats", "tls":
		return parseNATS(rest, scheme == "tls")
	}
	return URL{}, errors.New("it begins with amqp://, amqps://, nats:// or tls://")
}

// login cuts the user and password off the beginning of a URL. Nothing of what it
// cuts off may be cited from then on.
func (u *URL) login(rest string) (string, error) {
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return rest, nil
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 && i < at {
		return "", errors.New("an @ stands after the first / or ?; user and password stand once, before the first host, and in them / is written %2F, ? as %3F and @ as %40")
	}
	user, password, _ := strings.Cut(rest[:at], ":")
	var err1, err2 error
	u.User, err1 = url.PathUnescape(user)
	u.Password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return "", errors.New("in the user or the password stands a % that begins no %XX; write it as %25")
	}
	if u.User == "" {
		return "", errors.New("before the @ stands no user; it is user:password@")
	}
	return rest[at+1:], nil
}

func parseNATS(rest string, tls bool) (URL, error) {
	u := URL{Scheme: NATS}
	rest, err := u.login(rest)
	if err != nil {
		return URL{}, err
	}
	for text := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), ",") {
		b := Broker{TLS: tls}
		if after, ok := strings.CutPrefix(text, "tls://"); ok {
			b.TLS, text = true, after
		}
		if err := b.setAddress(strings.TrimPrefix(text, "nats://"), "4222"); err != nil {
			return URL{}, fmt.Errorf("broker %d: %w", len(u.Brokers)+1, err)
		}
		if u.Brokers = append(u.Brokers, b); len(u.Brokers) > maxBrokers {
			return URL{}, fmt.Errorf("more than %d brokers", maxBrokers)
		}
	}
	return u, nil
}

func parseAMQP(rest string, tls bool) (URL, error) {
	u := URL{Scheme: AMQP}
	rest, err := u.login(rest)
	if err != nil {
		return URL{}, err
	}
	rest, text, _ := strings.Cut(rest, "?")
	host, vhost, _ := strings.Cut(rest, "/")
	if u.VHost, err = url.PathUnescape(vhost); err != nil || len(u.VHost) > 255 {
		return URL{}, errors.New("the virtual host has a % that begins no %XX, or more than 255 bytes")
	}
	if u.VHost == "" {
		u.VHost = "/"
	}
	o, err := parseOptions(text, tls)
	if err != nil {
		return URL{}, err
	}
	if o.brokers == nil {
		b := Broker{TLS: o.tls}
		if err := b.setAddress(host, b.port()); err != nil {
			return URL{}, err
		}
		u.Brokers = []Broker{b}
		return u, nil
	}
	for _, c := range []byte(host) {
		if !isName(c) && c != '.' {
			return URL{}, errors.New("the client ID, between @ and /, has letters, digits, -, _ and . only")
		}
	}
	u.ClientID, u.Brokers = host, o.brokers
	return u, nil
}

// port returns the port that brokers of AMQP have if nothing is said.
func (b *Broker) port() string {
	if b.TLS {
		return "5671"
	}
	return "5672"
}

// setAddress sets the address to host or host:port.
func (b *Broker) setAddress(text, port string) error {
	host := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		host, port = text[:i], text[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("the port is a number from 1 to 65535")
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(inner); !ok || err != nil || !a.Is6() {
			return errors.New("between [ and ] stands an IPv6 address")
		}
		host = inner
	} else if !isHost(host) {
		return errors.New("the address is host:port; a host has letters, digits, -, _ and . only, or is an IPv6 address in [ ]")
	}
	b.Address = net.JoinHostPort(host, port)
	return nil
}

func isHost(s string) bool {
	for _, c := range []byte(s) {
		if !isName(c) && c != '.' {
			return false
		}
	}
	return s != "" && len(s) <= 253
}

// String returns the URL for people, without its password.
func (u URL) String() string {
	var b strings.Builder
	b.WriteString(string(u.Scheme) + "://")
	if u.User != "" {
		b.WriteString(url.PathEscape(u.User) + "@")
	}
	for i, broker := range u.Brokers {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(broker.Address)
	}
	if u.VHost != "" && u.VHost != "/" {
		b.WriteString("/" + url.PathEscape(u.VHost))
	}
	return b.String()
}

// GoString returns the same as String.
func (u URL) GoString() string { return u.String() }

// LogValue returns the same as String.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText returns the same as String.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

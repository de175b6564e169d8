package http2

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

// A dialError tells that a backend could not be reached: nothing was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

var errNoHTTP2 = errors.New("the backend does not speak HTTP/2")

// maxAnswerHeader is the largest head of an answer that is taken from a backend.
const maxAnswerHeader = 128 << 10

// newTransport returns a way to backends: with HTTP/2 only, which gRPC needs, or
// with HTTP/1.1 and, over TLS, whichever of the two the backend prefers.
func newTransport(targets *upstream.Registry, only2 bool) *http.Transport {
	o := targets.Options()
	d := dialer{targets, o.ConnectTimeout, []string{"h2", "http/1.1"}}
	t := &http.Transport{
		DialContext:            d.plain,
		DialTLSContext:         d.tls,
		DisableCompression:     true, // bodies pass as they are
		MaxIdleConnsPerHost:    o.MaxIdle,
		IdleConnTimeout:        o.KeepAlive,
		MaxResponseHeaderBytes: maxAnswerHeader,
		WriteBufferSize:        8 << 10,
		ReadBufferSize:         8 << 10,
		Protocols:              new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			// One client that does not read must not fill the window that
			// all on the connection share, so that stays at its default.
			MaxReceiveBufferPerStream: streamWindow,
			SendPingTimeout:           o.IdleTimeout,
			PingTimeout:               pingTimeout,
			WriteByteTimeout:          writeByteTimeout,
		},
	}
	t.Protocols.SetHTTP2(true)
	if only2 {
		t.Protocols.SetUnencryptedHTTP2(true)
		d.protocols = d.protocols[:1]
		t.DialTLSContext = d.tls
	} else {
		t.Protocols.SetHTTP1(true)
	}
	return t
}

// A dialer connects to backends, within timeout.
type dialer struct {
	targets   *upstream.Registry
	timeout   time.Duration
	protocols []string // by ALPN
}

func (d dialer) plain(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.targets.DialContext(ctx, network, address)
	if err != nil {
		return nil, &dialError{fmt.Errorf("connect to %s: %w", address, err)}
	}
	return &kept{Conn: conn, shared: len(d.protocols) == 1}, nil
}

func (d dialer) tls(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.targets.DialContext(ctx, network, address)
	if err != nil {
		return nil, &dialError{fmt.Errorf("connect to %s: %w", address, err)}
	}
	config := d.targets.TLSConfig()
	config.NextProtos = d.protocols
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	k := &kept{Conn: conn}
	tc := tls.Client(k, config)
	err = tc.HandshakeContext(ctx)
	k.shared = tc.ConnectionState().NegotiatedProtocol == "h2"
	if err == nil && len(d.protocols) == 1 && tc.ConnectionState().NegotiatedProtocol != d.protocols[0] {
		err = errNoHTTP2
	}
	if err != nil {
		conn.Close()
		return nil, &dialError{fmt.Errorf("handshake with %s: %w", address, err)}
	}
	return tc, nil
}

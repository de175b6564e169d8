package http2

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// A kept is a connection to a backend that may be used for one request after another.
// Whoever reads it goes on to when all that came is looked at, and waits for more.
type kept struct {
	net.Conn
	shared  bool        // by requests at the same time: HTTP/2
	waiting atomic.Bool // for what comes
	closed  atomic.Bool
}

func (k *kept) Read(p []byte) (int, error) {
	k.waiting.Store(true)
	defer k.waiting.Store(false)
	return k.Conn.Read(p)
}

func (k *kept) Close() error {
	k.closed.Store(true)
	return k.Conn.Close()
}

// settle returns a hook that holds a request back from a connection that was used before
// until all that the backend has sent on it is looked at: [net/http.Transport] hands
// connections on a little earlier, and would take what came uncalled-for, after an
// answer, for the next one. It ends such a connection, and sends the request on another.
func settle(ctx context.Context) func(httptrace.GotConnInfo) {
	return func(got httptrace.GotConnInfo) {
		k := keptOf(got.Conn)
		if !got.Reused || k == nil || k.shared {
			return
		}
		for wait := time.Microsecond; !k.waiting.Load() && !k.closed.Load(); wait = min(2*wait, time.Millisecond) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	}
}

// keptOf returns what c is below TLS; nil if that is not kept.
func keptOf(c net.Conn) *kept {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	k, _ := c.(*kept)
	return k
}

package http1

import (
	"net/netip"
	"strconv"

	"github.com/weir-project/weir/gateway/upstream"
)

// appendRequest appends the head of the request as t is to see it: the method and
// the path on which was decided, the client's fields without those that are not
// the backend's business or not to be believed, and what the gateway knows of the
// client itself.
func (c *conn) appendRequest(b []byte, t *upstream.Target) []byte {
	x := &c.x
	b = append(b, x.Method...)
	b = append(b, ' ')
	b = append(b, t.Path...)
	b = append(b, x.ForwardPath...)
	if x.ForwardQuery != "" {
		b = append(b, '?')
		b = append(b, x.ForwardQuery...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	if c.server.options.PreserveHost && x.Host != "" {
		b = append(b, x.Host...)
	} else {
		b = append(b, t.Authority...)
	}
	b = append(b, "\r\n"...)
	b = c.appendPassed(b)
	b = c.appendClient(b)
	switch {
	case x.Upgrade:
		b = append(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case !c.body.ended && c.body.coded:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case c.q.length != 0 || c.q.seen&seenLength != 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, c.body.size(), 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// appendPassed appends the client's fields that are passed on, in runs of whole
// lines.
func (c *conn) appendPassed(b []byte) []byte {
	q := &c.q
	strip := c.x.StripHeader
	from := int32(-1) // where the run began
	for i := range q.fields {
		f := &q.fields[i]
		passed := f.kind.passes()
		if passed && len(strip) == int(f.name.to-f.name.from) && strip != "" && equalFold(q.bytes(f.name), strip) {
			passed = false
		}
		// An event stream is counted, so it has to come as it is.
		if f.kind == acceptEncoding && q.events && c.server.meter != nil {
			passed = false
		}
		switch {
		case passed && from < 0:
			from = f.line
		case !passed && from >= 0:
			b = append(b, q.buf[from:f.line]...)
			from = -1
		}
	}
	if from >= 0 {
		b = append(b, q.buf[from:q.pos-2]...)
	}
	return b
}

// appendClient appends what the gateway says of the client: whatever the client
// said of that has been dropped.
func (c *conn) appendClient(b []byte) []byte {
	x := &c.x
	ip := x.Request.ClientIP
	if !ip.IsValid() {
		ip = x.Peer.Addr()
	}
	if ip.IsValid() {
		b = append(b, "X-Forwarded-For: "...)
		b = appendAddr(b, ip)
		b = append(b, "\r\n"...)
	}
	if x.Host != "" {
		b = append(b, "X-Forwarded-Host: "...)
		b = append(b, x.Host...)
		b = append(b, "\r\n"...)
	}
	if x.TLS {
		b = append(b, "X-Forwarded-Proto: https\r\nVia: 1."...)
	} else {
		b = append(b, "X-Forwarded-Proto: http\r\nVia: 1."...)
	}
	b = append(b, byte('0'+c.q.minor))
	return append(b, " weir\r\n"...)
}

// appendAddr appends ip as it stands in a field.
func appendAddr(b []byte, ip netip.Addr) []byte {
	return ip.Unmap().WithZone("").AppendTo(b)
}

// size returns the length of a body that is sent with its length.
func (b *body) size() int64 {
	if b.ended {
		return int64(len(b.whole))
	}
	return b.left // nothing has been taken from it yet
}

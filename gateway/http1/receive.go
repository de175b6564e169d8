package http1

import (
	"net/http"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

// maxInterim is how many interim answers a backend may give.
const maxInterim = 16

// receive reads the answer from bc and passes it on. It reports whether bc can
// serve another call.
func (c *conn) receive(bc *upstream.Conn, timeout time.Duration) (verdict, bool) {
	rest, err := c.receiveHead(bc, c.clock.Add(timeout))
	if err != nil {
		return failure(err), false
	}
	if c.p.status == http.StatusSwitchingProtocols {
		c.tunnel(bc, rest)
		return answered, false
	}
	return c.relay(bc, rest)
}

// receiveHead reads the head of the final answer, and returns what came after it.
func (c *conn) receiveHead(bc *upstream.Conn, by time.Time) ([]byte, error) {
	p := &c.p
	p.reset()
	at, n, interim := 0, 0, 0 // where the head begins, how much has been read
	for {
		done, err := p.parse(bc.Buffer[at:n])
		if err != nil {
			return nil, err
		}
		if done {
			if p.status >= 200 || p.status == http.StatusSwitchingProtocols {
				return bc.Buffer[at+p.pos : n], c.judge()
			}
			if interim++; interim > maxInterim {
				return nil, errMalformed
			}
			if err := c.passInterim(); err != nil {
				return nil, err
			}
			at += p.pos
			p.reset()
			continue
		}
		if n == len(bc.Buffer) {
			at, n = 0, makeRoom(bc, at, n)
		}
		m, err := c.readBackend(bc, bc.Buffer[n:], by)
		n += m
		if err == nil {
			continue
		}
		if (n > 0 || interim > 0) && failure(err) == broken {
			return nil, errMalformed // an answer that breaks off is not asked for again
		}
		return nil, err
	}
}

// judge reports whether the answer is one to this request.
func (c *conn) judge() error {
	p := &c.p
	if p.status == http.StatusSwitchingProtocols && (!c.x.Upgrade || !p.upgrade || !p.socket) {
		return errMalformed
	}
	return nil
}

// makeRoom makes room in bc's buffer, of which the bytes from at to n are in use.
// They then stand at its beginning; it returns how many they are.
func makeRoom(bc *upstream.Conn, at, n int) int {
	if at > 0 {
		return copy(bc.Buffer, bc.Buffer[at:n])
	}
	larger := make([]byte, 2*len(bc.Buffer))
	copy(larger, bc.Buffer[:n])
	bc.Buffer = larger
	return n
}

// passInterim passes an interim answer on, if the client can make use of it. That
// a backend would like the body is between it and the gateway.
func (c *conn) passInterim() error {
	if c.p.status == http.StatusContinue || c.q.minor == 0 {
		return nil
	}
	b := c.appendStatus(c.out[:0])
	b = c.appendBackend(b)
	b = append(b, "\r\n"...)
	c.out = b[:0]
	if err := c.write(b); err != nil {
		return errClientGone
	}
	return nil
}

// A framing is how the end of a body is told.
type framing uint8

const (
	noBody framing = iota
	sized
	inChunks
	untilClose
)

// framing returns how the end of the answer's body is told, to a request with the
// method.
func (p *response) framing(method string) framing {
	switch {
	case p.bodiless(method):
		return noBody
	case p.chunked:
		return inChunks
	case p.length >= 0:
		return sized
	}
	return untilClose
}

// relay passes an answer on whose head has been read; rest is what came after it.
func (c *conn) relay(bc *upstream.Conn, rest []byte) (verdict, bool) {
	p := &c.p
	source := p.framing(c.x.Method)
	counted := p.events && source != noBody && c.server.meter != nil
	c.sink = source
	if source == untilClose || counted && source == sized {
		c.sink = inChunks
	}
	if c.sink == inChunks && c.q.minor == 0 {
		c.sink = untilClose
	}
	c.keep = c.keep && c.sink != untilClose && !c.server.draining.Load() && !c.body.pumping()
	c.lingers = !c.keep && !c.q.close
	c.outcome.Status = p.status
	b := c.appendStatus(c.out[:0])
	b = c.appendBackend(b)
	b = c.appendFraming(b, source)
	b = appendFields(b, c.x.Fields)
	b = c.appendConnection(b)
	c.out = append(b, "\r\n"...)
	c.wait = bc.Target.Options().IdleTimeout
	if p.events {
		c.wait = max(c.wait, c.server.options.StreamIdleTimeout)
	}
	c.filter = nil
	if counted {
		c.filter = &events{encoded: p.encoded}
	}
	c.sent = counted // an event stream can't become another answer
	reusable, err := c.relayBody(bc, source, rest)
	switch {
	case err != nil && !c.sent:
		// The client has seen nothing yet of an answer that is no good.
		c.outcome.Status, c.outcome.ResponseBytes = 0, 0
		return failure(err), false
	case err != nil:
		c.abort()
		return answered, false
	}
	return answered, reusable && !p.close && source != untilClose
}

// appendStatus appends the status line.
func (c *conn) appendStatus(b []byte) []byte {
	p := &c.p
	s := p.status
	b = append(b, "HTTP/1.1 "...)
	b = append(b, byte('0'+s/100), byte('0'+s/10%10), byte('0'+s%10), ' ')
	b = append(b, p.bytes(p.reason)...)
	return append(b, "\r\n"...)
}

// appendBackend appends the backend's fields, without those that are for one
// connection and those that the gateway has its own of, in runs of whole lines.
func (c *conn) appendBackend(b []byte) []byte {
	p := &c.p
	var lengths uint64 // of the names of the gateway's own
	for i := range c.x.Fields {
		lengths |= 1 << (len(c.x.Fields[i].Name) & 63)
	}
	from := int32(-1)
	for i := range p.fields {
		f := &p.fields[i]
		passed := f.kind.passes()
		if passed && lengths&(1<<((f.name.to-f.name.from)&63)) != 0 && c.replaces(p.bytes(f.name)) {
			passed = false
		}
		switch {
		case passed && from < 0:
			from = f.line
		case !passed && from >= 0:
			b = append(b, p.buf[from:f.line]...)
			from = -1
		}
	}
	if from >= 0 {
		b = append(b, p.buf[from:p.pos-2]...)
	}
	return b
}

// replaces reports whether the gateway has a field of its own called name.
func (c *conn) replaces(name []byte) bool {
	for i := range c.x.Fields {
		if equalFold(name, c.x.Fields[i].Name) {
			return true
		}
	}
	return false
}

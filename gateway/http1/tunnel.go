package http1

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

// A tunnel is a WebSocket on its way through the gateway, both directions of it.
type tunnel struct {
	c      *conn
	bc     *upstream.Conn
	stop   atomic.Bool  // both directions are to end
	active atomic.Int64 // when something last went through, in Unix nanoseconds

	mu      sync.Mutex // held to write to the client
	down    frames     // from the backend
	pending bool       // the client is to be told that messages are left out
}

// Frames of the gateway's own.
var (
	throttledFrame = appendTextFrame(nil, throttledMessage)
	goingAway      = []byte{0x88, 2, 0x03, 0xe9} // close, 1001
)

// tunnel passes on the answer by which the backend agrees to a WebSocket, and then
// what both sides send, until one of them ends; rest is what the backend has sent
// already.
func (c *conn) tunnel(bc *upstream.Conn, rest []byte) {
	c.keep = false
	c.outcome.Status = c.p.status
	b := c.appendStatus(c.out[:0])
	b = c.appendBackend(b)
	b = append(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	b = appendFields(b, c.x.Fields)
	b = append(b, "\r\n"...)
	c.out = b[:0]
	if err := c.write(b); err != nil {
		return
	}
	t := &tunnel{c: c, bc: bc}
	t.touch(c.clock)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer bc.Close() // which ends the other direction
		defer c.recovered()
		t.upward()
	}()
	t.downward(rest)
	t.stop.Store(true)
	bc.Close()
	_ = c.nc.SetReadDeadline(past)
	<-ended
}

func (t *tunnel) touch(now time.Time) { t.active.Store(now.UnixNano()) }

// idleBy returns until when the tunnel may be silent.
func (t *tunnel) idleBy() time.Time {
	return time.Unix(0, t.active.Load()).Add(t.c.server.options.StreamIdleTimeout)
}

// upward passes on what the client sends.
func (t *tunnel) upward() {
	c := t.c
	buf := bigBuffers.Get().(*[]byte)
	defer bigBuffers.Put(buf)
	up := frames{masked: true}
	message := func() bool {
		ok := c.event()
		if !ok {
			t.tell()
		}
		return ok
	}
	piece := c.in[c.r:c.w]
	c.r = c.w
	for {
		if len(piece) > 0 {
			c.body.received.Add(int64(len(piece)))
			if err := up.pass(piece, message, t.toBackend); err != nil {
				return
			}
		}
		by := t.idleBy()
		_ = c.nc.SetReadDeadline(by)
		if t.stop.Load() {
			return
		}
		n, err := c.nc.Read(*buf)
		piece = (*buf)[:n]
		switch {
		case n > 0:
			t.touch(time.Now())
		case err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(t.idleBy())):
			return
		}
	}
}

// toBackend sends b to the backend.
func (t *tunnel) toBackend(b []byte) error {
	_ = t.bc.SetWriteDeadline(time.Now().Add(t.bc.Target.Options().IdleTimeout))
	_, err := t.bc.Write(b)
	return err
}

// downward passes on what the backend sends; piece is what it has sent already.
func (t *tunnel) downward(piece []byte) {
	c := t.c
	buf := bigBuffers.Get().(*[]byte)
	defer bigBuffers.Put(buf)
	for {
		if len(piece) > 0 {
			c.outcome.ResponseBytes += int64(len(piece))
			if !t.sendDown(piece) {
				return
			}
			c.report(reportEvery)
		}
		n, err := c.readBackend(t.bc, *buf, c.clock.Add(wake))
		piece = (*buf)[:n]
		switch {
		case n > 0:
			c.clock = time.Now()
			t.touch(c.clock)
		case errors.Is(err, errLate):
			if c.server.draining.Load() && t.leave() || !c.clock.Before(t.idleBy()) {
				return
			}
		case err != nil:
			return
		}
	}
}

// sendDown passes one piece of what the backend sent to the client.
func (t *tunnel) sendDown(piece []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	message := func() bool {
		ok := t.c.event()
		t.pending = t.pending || !ok
		return ok
	}
	if err := t.down.pass(piece, message, t.toClient); err != nil {
		return false
	}
	return t.tellPending() == nil
}

// toClient sends b to the client. t.mu must be held.
func (t *tunnel) toClient(b []byte) error {
	_ = t.c.nc.SetWriteDeadline(time.Now().Add(t.c.server.options.WriteTimeout))
	_, err := t.c.nc.Write(b)
	return err
}

// tell tells the client that a message was left out: at once, or when the message
// that is on its way to it has ended.
func (t *tunnel) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = true
	_ = t.tellPending() // an error will be met by the next read
}

// tellPending does what tell put off, if it can. t.mu must be held.
func (t *tunnel) tellPending() error {
	if !t.pending || !t.down.idle() {
		return nil
	}
	t.pending = false
	return t.toClient(throttledFrame)
}

// leave tells the client to go elsewhere, since the server stops; it reports
// false if that must wait for the end of a message.
func (t *tunnel) leave() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.down.idle() && t.toClient(goingAway) == nil
}

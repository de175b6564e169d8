package http1

import (
	"errors"
	"strconv"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

// errPumpStopped ends a pump whose call has ended before the request did.
var errPumpStopped = errors.New("the answer came before the end of the request")

// errBackendWrite ends a pump whose backend takes no more. It may have answered.
var errBackendWrite = errors.New("the backend takes no more of the body")

// startPump begins to send the body to bc. Only the pump then reads from the
// client, and only the call itself writes to it.
func (c *conn) startPump(bc *upstream.Conn) {
	c.body.done = make(chan struct{})
	go c.pump(bc, c.body.done)
}

// pump sends the body to bc. If the client is at fault, it closes bc, so that
// nobody goes on waiting for an answer.
func (c *conn) pump(bc *upstream.Conn, done chan struct{}) {
	defer close(done)
	b := &c.body
	framed := bigBuffers.Get().(*[]byte)
	defer bigBuffers.Put(framed)
	data, err := b.first, error(nil)
	for {
		if len(data) > 0 {
			if err = b.send(bc, data, *framed); err != nil {
				b.fault = errBackendWrite
				return
			}
		}
		if b.ended {
			break
		}
		if data, err = b.next(); err != nil {
			b.fault = err
			bc.Close()
			return
		}
	}
	if b.coded {
		if _, err := bc.Write([]byte("0\r\n\r\n")); err != nil {
			b.fault = errBackendWrite
		}
	}
}

// send writes one piece of the body to bc, as a chunk if the body is chunked.
func (b *body) send(bc *upstream.Conn, data, framed []byte) error {
	wait := bc.Target.Options().IdleTimeout
	bc.WriteBy(time.Now().Add(wait), wait/2)
	if !b.coded {
		_, err := bc.Write(data)
		return err
	}
	f := strconv.AppendInt(framed[:0], int64(len(data)), 16)
	f = append(f, "\r\n"...)
	f = append(f, data...)
	f = append(f, "\r\n"...)
	_, err := bc.Write(f)
	return err
}

// pumping reports whether a pump is at work.
func (b *body) pumping() bool {
	if b.done == nil {
		return false
	}
	select {
	case <-b.done:
		return false
	default:
		return true
	}
}

// stopPump waits for the pump's end, and reports whether it sent all of the body.
// If the call has ended before that, the pump is stopped: neither connection can
// be used again then.
func (c *conn) stopPump(bc *upstream.Conn) bool {
	b := &c.body
	if b.pumping() {
		b.stop.Store(true)
		_ = c.nc.SetReadDeadline(past)
		bc.Close()
		<-b.done
	}
	b.done = nil
	c.readBy = time.Time{}
	if b.fault != nil {
		c.keep = false
		c.lingers = true
	}
	return b.fault == nil && !b.stop.Load()
}

// clientAtFault reports whether the client is why the pump ended early. It must be
// called once the pump has been stopped.
func (b *body) clientAtFault() bool {
	return b.fault != nil && b.fault != errPumpStopped && b.fault != errBackendWrite
}

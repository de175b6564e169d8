package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

// A verdict is what came of asking one backend.
type verdict uint8

const (
	answered    verdict = iota // an answer was sent to the client, or a part of it
	unsent                     // nothing of the request was taken: it may be sent elsewhere
	broken                     // the backend got the request and ended without an answer
	malformed                  // what it answered is not HTTP/1
	late                       // it did not answer in time
	clientGone                 // the client does not wait any more
	clientFault                // the client's body is at fault: conn.body.fault
)

// forward takes an admitted call to a backend.
func (c *conn) forward() {
	if err := c.body.prepare(); err != nil {
		c.failBody(err)
		return
	}
	status := http.StatusBadGateway
	var tried upstream.Tried
	for c.x.Upstream != nil {
		t := c.x.Upstream.Pick(c.clock, &tried)
		if t == nil {
			break
		}
		v, timedOut := c.try(t)
		switch v {
		case answered:
			t.Succeeded()
			return
		case clientGone:
			c.keep = false
			return
		case clientFault:
			c.failBody(c.body.fault)
			return
		}
		t.Failed(c.clock)
		status = http.StatusBadGateway
		if timedOut {
			status = http.StatusGatewayTimeout
		}
		if v != unsent && (v != broken || !c.repeatable()) {
			break
		}
	}
	c.fail(status)
}

// failBody answers a call whose body could not be read.
func (c *conn) failBody(err error) {
	c.keep = false
	if status := c.body.status(err); status != 0 {
		c.fail(status)
		c.lingers = true
	}
}

// repeatable reports whether the request may be sent twice: it must do no harm
// (RFC 9110, 9.2.2) and have no body.
func (c *conn) repeatable() bool {
	if c.body.received.Load() > 0 || !c.body.ended || c.x.Upgrade {
		return false
	}
	switch c.x.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// try asks one target: over a kept connection, or a new one if there is none or
// the kept one proves to be dead. It tells whether the failure was one of time.
func (c *conn) try(t *upstream.Target) (v verdict, timedOut bool) {
	timeout := c.x.Timeout
	if timeout <= 0 {
		timeout = t.Options().ResponseTimeout
	}
	if bc := t.Kept(c.clock); bc != nil {
		v = c.call(bc, timeout)
		if v != unsent && (v != broken || !c.repeatable()) {
			return v, v == late
		}
		// It was closed while it waited, and others of its age will have been.
		t.Drop()
	}
	before := c.clock
	bc, err := t.Dial(timeout)
	c.clock = time.Now()
	switch {
	case c.clock.Sub(before) > wake && c.gone():
		if err == nil {
			bc.Close()
		}
		return clientGone, false
	case err != nil:
		return unsent, isTimeout(err)
	}
	v = c.call(bc, timeout)
	return v, v == late
}

// isTimeout reports whether err is of a deadline.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// call sends the request over bc and passes the answer on. It takes care of bc.
func (c *conn) call(bc *upstream.Conn, timeout time.Duration) verdict {
	b := c.appendRequest(c.out[:0], bc.Target)
	b = append(b, c.body.whole...)
	c.out = b[:0]
	wait := bc.Target.Options().IdleTimeout
	bc.WriteBy(c.clock.Add(wait), wait/2)
	n, err := bc.Write(b)
	c.outcome.Forwarded = c.outcome.Forwarded || n > 0
	if err != nil {
		bc.Close()
		if n == 0 {
			return unsent
		}
		return broken
	}
	if !c.body.ended {
		c.startPump(bc)
	}
	// Let others run first: a read at once finds nothing, and finding nothing
	// costs a system call and a sleep.
	runtime.Gosched()
	v, reusable := c.receive(bc, timeout)
	if c.body.done != nil {
		reusable = c.stopPump(bc) && reusable
		if v != answered && c.body.clientAtFault() {
			v = clientFault
		}
	}
	if reusable {
		bc.Keep(c.clock)
	} else {
		bc.Close()
	}
	return v
}

// Errors of waiting for a backend, beyond its connection's own.
var (
	errLate       = errors.New("the backend did not answer in time")
	errClientGone = errors.New("the client went away")
)

// wake is how often a wait for a backend is interrupted to see whether the client
// still waits. Its deadlines are set that seldom, too.
const wake = time.Second

// readBackend reads from bc until by. Meanwhile it looks about once a second
// whether the client is still there, and reports progress.
func (c *conn) readBackend(bc *upstream.Conn, b []byte, by time.Time) (int, error) {
	whole := by.Sub(c.clock)
	for {
		left := by.Sub(c.clock)
		bc.ReadBy(c.clock.Add(min(left, wake+wake/2)), min(left/4, wake))
		n, err := bc.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		c.clock = time.Now()
		c.report(1)
		if c.body.pumping() {
			by = c.clock.Add(whole) // the request is not complete yet
		} else if c.gone() {
			return 0, errClientGone
		}
		if !c.clock.Before(by) {
			return 0, errLate
		}
	}
}

// failure returns the verdict for an error of readBackend before an answer.
func failure(err error) verdict {
	switch {
	case errors.Is(err, errClientGone):
		return clientGone
	case errors.Is(err, errLate):
		return late
	case errors.Is(err, errMalformed), errors.Is(err, io.ErrUnexpectedEOF):
		return malformed
	}
	return broken
}

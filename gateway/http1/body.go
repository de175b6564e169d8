package http1

import (
	"errors"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A body is the body of the request in progress, as it comes from the client.
type body struct {
	c       *conn
	left    int64 // still to come of a body whose length is known
	coded   bool  // chunked
	decoder chunked
	ended   bool // all of it has been taken from the connection
	expect  bool // the client waits for us to ask for it

	received atomic.Int64  // payload that has come so far
	waited   time.Duration // for the client

	whole []byte // all of it, if it is small
	first []byte // what came of a longer one before it was streamed

	small []byte        // the connection's own buffer, while a larger one stands in
	big   *[]byte       // that one
	stop  atomic.Bool   // reading it is to end
	done  chan struct{} // closed when the pump has ended; nil if there is none
	fault error         // why the pump ended early; to be read once it has
}

const (
	// maxWhole is up to which size bodies are read before a backend is asked.
	maxWhole = 16 << 10
	// maxDrain is how much of an unwanted body is read to save the connection.
	maxDrain = 64 << 10
	// bigSize is the size of the buffers through which bodies stream.
	bigSize = 32 << 10
	// chunkFrame is more than what the framing of one chunk takes.
	chunkFrame = 32
)

// bigBuffers are shared by all connections; they hold nothing between uses.
var bigBuffers = sync.Pool{New: func() any { b := make([]byte, bigSize); return &b }}

// What can be wrong with a body; each is answered with a status of its own.
var (
	errBodySlow  = errors.New("the body came too slowly")
	errBodyLarge = errors.New("the body is too large")
	errBodyEnd   = errors.New("the client went away")
)

// reset makes b ready for the next call.
func (b *body) reset() {
	b.left, b.coded, b.decoder, b.ended, b.expect = 0, false, chunked{}, true, false
	b.received.Store(0)
	b.waited = 0
	b.whole, b.first, b.done, b.fault = nil, nil, nil, nil
	b.stop.Store(false)
}

// begin takes up what the head says of the body.
func (b *body) begin(c *conn) {
	b.c = c
	b.coded = c.q.length < 0
	b.left = max(0, c.q.length)
	b.ended = c.q.length == 0
	b.expect = c.q.expect && !b.ended
}

// status returns the status for err, 0 if nobody is there to be told.
func (b *body) status(err error) int {
	switch {
	case errors.Is(err, errBodySlow):
		return http.StatusRequestTimeout
	case errors.Is(err, errBodyLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errChunk):
		return http.StatusBadRequest
	}
	return 0
}

// prepare reads a small body whole, and asks for the body if the client waits for
// that. It must be called before a backend is asked.
func (b *body) prepare() error {
	c := b.c
	if b.ended {
		return nil
	}
	if b.expect && c.r == c.w {
		if err := c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return errBodyEnd
		}
	}
	b.expect = false
	if b.coded {
		if err := b.unchunk(); err != nil || b.ended {
			return err
		}
	} else if b.left <= maxWhole {
		return b.collect()
	}
	b.enlarge()
	return nil
}

// enlarge gives the connection a large buffer for as long as the body streams. The
// head stays where it is, in the small one.
func (b *body) enlarge() {
	c := b.c
	raw := c.in[c.r:c.w]
	b.small, b.big = c.in, bigBuffers.Get().(*[]byte)
	c.in = (*b.big)[:bigSize-chunkFrame]
	if len(c.in) < len(raw) {
		c.in = make([]byte, len(raw)) // the head was a long one
	}
	c.r, c.w = 0, copy(c.in, raw)
}

// collect reads all of a body whose length is known.
func (b *body) collect() error {
	c := b.c
	from, n := c.r, int(b.left)
	c.grow(from + n)
	for c.w-from < n {
		b.received.Store(int64(c.w - from)) // what came earns time for the rest
		if err := b.fill(); err != nil {
			return err
		}
	}
	b.whole = c.in[from : from+n]
	c.r += n
	if b.waited > 0 {
		c.clock = time.Now()
	}
	b.left, b.ended = 0, true
	b.received.Store(int64(n))
	return nil
}

// unchunk takes the framing off what has come of a chunked body, in place.
func (b *body) unchunk() error {
	c := b.c
	from, to := c.r, c.r
	for c.r < c.w && !b.decoder.done() {
		data, n, err := b.decoder.next(c.in[c.r:c.w])
		if err != nil {
			return err
		}
		to += copy(c.in[to:], data)
		c.r += n
	}
	if err := b.count(to - from); err != nil {
		return err
	}
	b.first = c.in[from:to]
	if b.decoder.done() {
		b.ended, b.whole, b.first = true, b.first, nil
	}
	return nil
}

// count adds n bytes of payload.
func (b *body) count(n int) error {
	total := b.received.Add(int64(n))
	if limit := b.c.server.options.MaxBody; limit > 0 && total > limit {
		return errBodyLarge
	}
	return nil
}

// fill reads more from the client, behind what is there. The client has as long
// as the least rate of bodies gives it; time spent on the backend doesn't count.
func (b *body) fill() error {
	c, o := b.c, &b.c.server.options
	allowed := o.StreamIdleTimeout
	if o.MinBodyRate > 0 {
		earned := float64(b.received.Load()) / float64(o.MinBodyRate) * float64(time.Second)
		allowed = o.BodyGrace - b.waited + time.Duration(min(earned, float64(24*time.Hour)))
	}
	before := time.Now()
	n, err := c.read(c.in[c.w:], before.Add(allowed), 0)
	c.w += n
	b.waited += time.Since(before)
	switch {
	case err == nil:
		return nil
	case b.stop.Load():
		return errPumpStopped
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errBodySlow
	}
	return errBodyEnd
}

// next returns the next piece of a body that is streamed, none at its end. It is
// valid until the next call.
func (b *body) next() ([]byte, error) {
	c := b.c
	for !b.ended {
		if c.r == c.w {
			c.r, c.w = 0, 0
			if err := b.fill(); err != nil {
				return nil, err
			}
		}
		raw := c.in[c.r:c.w]
		if !b.coded {
			n := int(min(b.left, int64(len(raw))))
			c.r += n
			b.left -= int64(n)
			b.ended = b.left == 0
			return raw[:n], b.count(n)
		}
		data, n, err := b.decoder.next(raw)
		c.r += n
		b.ended = b.decoder.done()
		if err != nil {
			return nil, err
		}
		if len(data) > 0 {
			return data, b.count(len(data))
		}
	}
	return nil, nil
}

// cheap reports whether what is left of the body can be read and thrown away
// without much ado, so that the connection can be used again.
func (b *body) cheap() bool {
	if b.ended {
		return true
	}
	if b.expect || b.big != nil {
		return false // whether a body comes at all is open, or it is a long one
	}
	c := b.c
	if b.coded {
		d := b.decoder
		raw := c.in[c.r:c.w]
		for len(raw) > 0 && !d.done() {
			_, n, err := d.next(raw)
			if err != nil {
				return false
			}
			raw = raw[n:]
		}
		return d.done()
	}
	return b.left <= maxDrain
}

// leave ends the call's use of the connection: the buffer is the connection's own
// again, and what has not been read of a cheap body is thrown away. It must be
// called after the call has been settled, since the head goes too.
func (b *body) leave() {
	c := b.c
	if b.big != nil {
		rest := c.in[c.r:c.w]
		own := b.small
		if len(own) < len(rest) {
			own = make([]byte, len(rest))
		}
		c.in, c.r, c.w = own, 0, copy(own, rest)
		bigBuffers.Put(b.big)
		b.small, b.big = nil, nil
	}
	if !c.keep {
		return
	}
	for !b.ended {
		if _, err := b.next(); err != nil {
			c.keep = false
			return
		}
	}
}

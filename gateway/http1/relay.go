package http1

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

// flushSize is how much is gathered before it is sent while more is at hand.
const flushSize = 16 << 10

// appendFraming appends how the end of the body is told to the client.
func (c *conn) appendFraming(b []byte, source framing) []byte {
	p := &c.p
	switch {
	case c.sink == inChunks:
		return append(b, "Transfer-Encoding: chunked\r\n"...)
	case c.sink == sized, source == noBody && p.length >= 0 && p.status != http.StatusNoContent:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, p.length, 10)
		return append(b, "\r\n"...)
	}
	return b
}

// relayBody sends what is in c.out, the head, and then the body, of which rest has
// been read. It reports whether bc can serve another call. After an error the
// client must be made to see that the answer is not complete.
func (c *conn) relayBody(bc *upstream.Conn, source framing, rest []byte) (bool, error) {
	p := &c.p
	left := p.length
	var decoder chunked
	var big *[]byte
	defer func() {
		if big != nil {
			bigBuffers.Put(big)
		}
	}()
	for {
		done, err := false, error(nil)
		switch source {
		case noBody:
			done = true
		case sized:
			n := min(left, int64(len(rest)))
			left -= n
			err = c.emit(rest[:n])
			rest = rest[n:]
			done = left == 0
		case inChunks:
			rest, err = c.emitChunks(&decoder, rest)
			done = decoder.done()
		case untilClose:
			err = c.emit(rest)
		}
		if err != nil {
			return false, err
		}
		if done {
			return len(rest) == 0, c.finishBody()
		}
		if err := c.flush(); err != nil {
			return false, err
		}
		if big == nil {
			big = bigBuffers.Get().(*[]byte)
		}
		b := *big
		if source == sized && left < int64(len(b)) {
			b = b[:left]
		}
		n, err := c.readBackend(bc, b, c.clock.Add(c.wait))
		c.clock = time.Now()
		rest = b[:n]
		if err != nil {
			if source == untilClose && errors.Is(err, io.EOF) {
				return false, c.finishBody()
			}
			return false, err
		}
	}
}

// emitChunks takes the framing off what is in raw and sends the data. It returns
// what comes after the body's end.
func (c *conn) emitChunks(d *chunked, raw []byte) ([]byte, error) {
	for len(raw) > 0 && !d.done() {
		data, n, err := d.next(raw)
		if err != nil {
			return nil, errMalformed
		}
		raw = raw[n:]
		if err := c.emit(data); err != nil {
			return nil, err
		}
	}
	return raw, nil
}

// emit sends data, a piece of an answer's body, or what may pass of it.
func (c *conn) emit(data []byte) error {
	if c.filter != nil {
		return c.filter.pass(c, data)
	}
	return c.put(data)
}

// put sends data as a part of the body, or puts it by for the next flush.
func (c *conn) put(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	c.outcome.ResponseBytes += int64(len(data))
	if c.sink == inChunks {
		c.out = strconv.AppendInt(c.out, int64(len(data)), 16)
		c.out = append(c.out, "\r\n"...)
	}
	if len(c.out)+len(data) <= flushSize {
		c.out = append(c.out, data...)
	} else {
		if err := c.flush(); err != nil {
			return err
		}
		if err := c.send(data); err != nil {
			return err
		}
	}
	if c.sink == inChunks {
		c.out = append(c.out, "\r\n"...)
	}
	return nil
}

// flush sends what was put by.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	b := c.out
	c.out = c.out[:0]
	return c.send(b)
}

// send sends a part of the answer, and reports the progress.
func (c *conn) send(b []byte) error {
	c.sent = true
	if err := c.write(b); err != nil {
		return err
	}
	c.report(reportEvery)
	return nil
}

// reportEvery is after how many bytes the meter is told of what has passed.
const reportEvery = 32 << 10

// finishBody sends the end of the body and all that was put by.
func (c *conn) finishBody() error {
	if c.sink == inChunks {
		c.out = append(c.out, "0\r\n\r\n"...)
	}
	return c.flush()
}

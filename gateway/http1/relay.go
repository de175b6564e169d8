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

// An incoming is the body of an answer, as it comes from the backend.
type incoming struct {
	framing framing
	left    int64 // sized: still to come
	decoder chunked
	done    bool
}

// take sends what raw has of the body, and returns what comes after its end.
func (in *incoming) take(c *conn, raw []byte) ([]byte, error) {
	switch in.framing {
	case noBody:
		in.done = true
	case sized:
		n := min(in.left, int64(len(raw)))
		in.left -= n
		in.done = in.left == 0
		return raw[n:], c.emit(raw[:n])
	case untilClose:
		return nil, c.emit(raw)
	case inChunks:
		for len(raw) > 0 && !in.done {
			data, n, err := in.decoder.next(raw)
			if err != nil {
				return nil, errMalformed
			}
			raw = raw[n:]
			in.done = in.decoder.done()
			if err := c.emit(data); err != nil {
				return nil, err
			}
		}
	}
	return raw, nil
}

// relayBody sends what is in c.out, the head, and then the body, of which rest has
// been read. It reports whether bc can serve another call. After an error the
// client must be made to see that the answer is not complete.
func (c *conn) relayBody(bc *upstream.Conn, source framing, rest []byte) (bool, error) {
	in := incoming{framing: source, left: c.p.length}
	rest, err := in.take(c, rest)
	if err != nil || in.done {
		return c.endBody(len(rest) == 0, err)
	}
	big := bigBuffers.Get().(*[]byte)
	defer bigBuffers.Put(big)
	for {
		if err := c.flush(); err != nil {
			return false, err
		}
		b := *big
		if source == sized && in.left < int64(len(b)) {
			b = b[:in.left]
		}
		n, err := c.readBackend(bc, b, c.clock.Add(c.wait))
		c.clock = time.Now()
		switch {
		case n > 0: // an error comes again
		case source == untilClose && errors.Is(err, io.EOF):
			return c.endBody(false, nil)
		case err != nil:
			return false, err
		}
		rest, err = in.take(c, b[:n])
		if err != nil || in.done {
			return c.endBody(len(rest) == 0, err)
		}
	}
}

// endBody sends the end of the body and all that was put by, unless err tells that
// the end has not been reached.
func (c *conn) endBody(reusable bool, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	if c.sink == inChunks {
		c.out = append(c.out, "0\r\n\r\n"...)
	}
	return reusable, c.flush()
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

package test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2Conn is an HTTP/2 connection on which a test sends what frames it likes.
// They are collected until send.
type h2Conn struct {
	*http2.Framer
	t     testing.TB
	conn  net.Conn
	out   bytes.Buffer
	block bytes.Buffer
	enc   *hpack.Encoder
	next  uint32 // stream
}

// dialH2 connects in the clear, with all the time that a test has.
func dialH2(t testing.TB, addr string) *h2Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	return newH2(t, conn)
}

// newH2 begins to speak HTTP/2 on conn.
func newH2(t testing.TB, conn net.Conn) *h2Conn {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience)) // a closed connection says so when it is used
	c := script(t)
	c.conn, c.Framer = conn, http2.NewFramer(&c.out, conn)
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return c
}

// script returns a beginning without a connection, to be sent on one or many.
func script(t testing.TB) *h2Conn {
	t.Helper()
	c := &h2Conn{t: t, next: 1}
	c.Framer, c.enc = http2.NewFramer(&c.out, nil), hpack.NewEncoder(&c.block)
	c.AllowIllegalWrites = true
	c.out.WriteString(http2.ClientPreface)
	c.must(c.WriteSettings())
	c.must(c.WriteWindowUpdate(0, 1<<30))
	return c
}

func (c *h2Conn) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// encode returns a head: the pseudo fields of a GET unless pairs, name and value
// each, say otherwise, then the rest of pairs.
func (c *h2Conn) encode(pairs ...string) []byte {
	c.t.Helper()
	c.block.Reset()
	pseudo := []string{":method", "GET", ":scheme", "http", ":authority", "weir.test", ":path", "/"}
	var rest []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i][0] != ':' {
			rest = append(rest, pairs[i], pairs[i+1])
			continue
		}
		for k := 0; k < len(pseudo); k += 2 {
			if pseudo[k] == pairs[i] {
				pseudo[k+1] = pairs[i+1]
			}
		}
	}
	all := append(pseudo, rest...)
	for i := 0; i < len(all); i += 2 {
		c.must(c.enc.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}))
	}
	return c.block.Bytes()
}

// request writes a request without a body, on a stream of its own, and returns that.
func (c *h2Conn) request(pairs ...string) (stream uint32) {
	c.t.Helper()
	stream = c.next
	c.next += 2
	const most = 16 << 10
	block := c.encode(pairs...)
	first := block[:min(most, len(block))]
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: len(first) == len(block), EndStream: true}))
	for rest := block[len(first):]; len(rest) > 0; {
		n := min(most, len(rest))
		c.must(c.WriteContinuation(stream, n == len(rest), rest[:n]))
		rest = rest[n:]
	}
	return stream
}

// send sends all that was written, in one write. The gateway may have closed the
// connection: that shows when it is read.
func (c *h2Conn) send() {
	_, _ = c.conn.Write(c.out.Bytes())
	c.out.Reset()
}

// frame returns the next frame of the gateway that is no part of the connection's
// own upkeep.
func (c *h2Conn) frame() http2.Frame {
	c.t.Helper()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			c.t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.must(c.WriteSettingsAck())
				c.send()
			}
		case *http2.WindowUpdateFrame, *http2.PingFrame:
		default:
			return frame
		}
	}
}

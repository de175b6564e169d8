package http2

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A raw is a client that sends whatever frames it likes.
type raw struct {
	t    *testing.T
	conn net.Conn
	out  bytes.Buffer // collected, to be sent in one write
	*h2.Framer
	enc   *hpack.Encoder
	block bytes.Buffer
}

func dial(t *testing.T, d *door) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &raw{t: t, conn: conn}
	c.Framer = h2.NewFramer(&c.out, conn)
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.enc = hpack.NewEncoder(&c.block)
	c.out.WriteString(h2.ClientPreface)
	c.WriteSettings()
	return c
}

// fields encodes a head: the pseudo fields of a GET unless pairs say otherwise.
func (c *raw) fields(pairs ...string) []byte {
	c.block.Reset()
	pseudo := map[string]string{":method": "GET", ":scheme": "http", ":authority": "weir.test", ":path": "/"}
	for i := 0; i < len(pairs); i += 2 {
		if _, ok := pseudo[pairs[i]]; ok {
			pseudo[pairs[i]] = pairs[i+1]
		}
	}
	for _, name := range []string{":method", ":scheme", ":authority", ":path"} {
		if value := pseudo[name]; value != "-" {
			c.enc.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if _, ok := pseudo[pairs[i]]; !ok {
			c.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return c.block.Bytes()
}

// head writes a request's head.
func (c *raw) head(id uint32, end bool, pairs ...string) {
	block := c.fields(pairs...)
	first := block[:min(len(block), maxFrame)]
	c.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(first) == len(block)})
	for rest := block[len(first):]; len(rest) > 0; {
		n := min(len(rest), maxFrame)
		c.WriteContinuation(id, n == len(rest), rest[:n])
		rest = rest[n:]
	}
}

// send sends all that was written, in one write.
func (c *raw) send() error {
	_, err := c.conn.Write(c.out.Bytes())
	c.out.Reset()
	return err
}

// A reply is what came back on a stream.
type reply struct {
	status string
	fields map[string]string
	body   string
	reset  h2.ErrCode
	ended  bool
}

// replies reads until n streams have ended or the connection has, and returns how
// that said goodbye.
func (c *raw) replies(n int) (map[uint32]*reply, h2.ErrCode, error) {
	all := map[uint32]*reply{}
	at := func(id uint32) *reply {
		if all[id] == nil {
			all[id] = &reply{fields: map[string]string{}}
		}
		return all[id]
	}
	away := h2.ErrCode(0)
	for ended := 0; ended < n; {
		f, err := c.ReadFrame()
		if err != nil {
			return all, away, err
		}
		end := false
		switch f := f.(type) {
		case *h2.MetaHeadersFrame:
			r := at(f.StreamID)
			for _, field := range f.Fields {
				r.fields[field.Name] = field.Value
			}
			r.status = r.fields[":status"]
			end = f.StreamEnded()
		case *h2.DataFrame:
			at(f.StreamID).body += string(f.Data())
			end = f.StreamEnded()
		case *h2.RSTStreamFrame:
			at(f.StreamID).reset = f.ErrCode
			end = true
		case *h2.GoAwayFrame:
			away = f.ErrCode
		}
		if end && !at(f.Header().StreamID).ended {
			at(f.Header().StreamID).ended = true
			ended++
		}
	}
	return all, away, nil
}

// refused wants the connection closed, and told why.
func (c *raw) refused(err error) {
	c.t.Helper()
	away := h2.ErrCode(0)
	if err == nil {
		_, away, err = c.replies(1 << 30)
	}
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Errorf("the connection was not closed: %v", err)
	}
	_ = away // it may be lost with the frames that were never read
}

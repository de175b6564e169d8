package http1

import (
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/weir-project/weir/gateway"
)

// A date is the text of a Date field, good for one second.
type date struct {
	second int64
	text   []byte
}

// dateText returns now as it stands in a Date field.
func (s *Server) dateText(now time.Time) []byte {
	second := now.Unix()
	if d := s.date.Load(); d != nil && d.second == second {
		return d.text
	}
	d := &date{second, now.UTC().AppendFormat(nil, http.TimeFormat)}
	s.date.Store(d)
	return d.text
}

// statusLines are the status lines of our own answers, by status.
var statusLines = func() (lines [600][]byte) {
	for status := range lines {
		if text := http.StatusText(status); text != "" {
			lines[status] = []byte("HTTP/1.1 " + strconv.Itoa(status) + " " + text + "\r\n")
		}
	}
	return lines
}()

// statusLine returns the status line of an answer of ours.
func statusLine(status int) []byte {
	if status < 200 || status >= len(statusLines) || statusLines[status] == nil {
		status = http.StatusInternalServerError
	}
	return statusLines[status]
}

// answer sends an answer of the gateway's own, in one write.
func (c *conn) answer(a *gateway.Answer) {
	c.keep = c.keep && !a.Close && !c.server.draining.Load() && c.body.cheap()
	b := append(c.out[:0], statusLine(a.Status)...)
	b = append(b, "Date: "...)
	b = append(b, c.server.dateText(c.clock)...)
	b = append(b, "\r\n"...)
	if a.ContentType != "" {
		b = append(b, "Content-Type: "...)
		b = append(b, a.ContentType...)
		b = append(b, "\r\n"...)
	}
	bodiless := a.Status == http.StatusNoContent || a.Status == http.StatusNotModified
	if !bodiless {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(a.Body)), 10)
		b = append(b, "\r\n"...)
	}
	b = appendFields(b, a.Fields)
	b = c.appendConnection(b)
	b = append(b, "\r\n"...)
	c.outcome.Status = a.Status
	if !bodiless && c.x.Method != http.MethodHead {
		b = append(b, a.Body...)
		c.outcome.ResponseBytes = int64(len(a.Body))
	}
	c.out = b[:0]
	if err := c.write(b); err != nil {
		c.keep = false
		return
	}
	c.lingers = !c.keep && !(c.q.close && c.body.ended)
}

// appendFields appends fields of the gateway's own.
func appendFields(b []byte, fields []gateway.Field) []byte {
	for i := range fields {
		b = append(b, fields[i].Name...)
		b = append(b, ": "...)
		b = append(b, fields[i].Value...)
		b = append(b, "\r\n"...)
	}
	return b
}

// appendConnection tells the client whether it may use the connection again,
// where it could not know.
func (c *conn) appendConnection(b []byte) []byte {
	switch {
	case !c.keep:
		return append(b, "Connection: close\r\n"...)
	case c.q.minor == 0:
		return append(b, "Connection: keep-alive\r\n"...)
	}
	return b
}

// refuse answers a request on which nobody decided, and ends the connection:
// where the next request would begin is open.
func (c *conn) refuse(status int) {
	c.keep = false
	c.answer(c.server.options.Pipeline.Fail(&c.x, status))
	c.lingers = true
}

// fail answers a call that was admitted and could not be forwarded.
func (c *conn) fail(status int) {
	c.answer(c.server.options.Pipeline.Fail(&c.x, status))
}

const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// linger closes our side and reads for a little while what the client still
// sends: closed at once, the connection would be reset, and the client might
// never see the answer.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok {
		return
	}
	if err := half.CloseWrite(); err != nil {
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	buf := bigBuffers.Get().(*[]byte)
	defer bigBuffers.Put(buf)
	for n := 0; n < lingerBytes; {
		m, err := c.nc.Read(*buf)
		if err != nil {
			return
		}
		n += m
	}
}

// abort makes the client see that its answer was cut off: closing the connection
// could look like the end of the answer.
func (c *conn) abort() {
	c.keep, c.lingers = false, false
	nc := c.nc
	if under, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = under.NetConn() // without a farewell, which is an end too
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	nc.Close()
}

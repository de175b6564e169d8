package uplink

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/weir-project/weir/event"
)

const (
	maxReply = 32 << 20 // bytes of an answer's body
	maxHead  = 64 << 10 // bytes of an answer's head, and of those that come before it
	keptSize = 1 << 20  // buffers that grew beyond this are not kept

	maxInterim = 8 // answers with a status of 100 and more before the one that counts
)

// A wire is the connection to one traffic manager: at most one, made when it is
// needed and kept for the next call. It is used by one goroutine.
//
// The connection is the wire's own, rather than an http.Client's, so that it is
// known whether a call can have been counted, when exactly it was sent, and that
// nothing is left of it when the wire is closed.
type wire struct {
	address address
	options *Options
	tls     *tls.Config // nil: none
	head    []byte      // of each call, up to its length

	raw     net.Conn // below TLS; nil: no connection
	conn    net.Conn
	limited *limitedConn
	r       *bufio.Reader
	w       *bufio.Writer
	fresh   bool // it has not answered yet

	out []byte // the head of the call and the header of the batch
	in  []byte // the body of the answer
}

// newWire returns the wire to a, without a connection.
func newWire(a address, o *Options) *wire {
	w := &wire{
		address: a, options: o,
		r: bufio.NewReaderSize(nil, 4<<10),
		w: bufio.NewWriterSize(nil, 32<<10),
	}
	w.head = append(w.head, "POST "+a.path+resource+" HTTP/1.1\r\nHost: "+a.authority()+"\r\nUser-Agent: weir\r\n"...)
	if o.User != "" {
		w.head = append(w.head, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(o.User+":"+o.Password))+"\r\n"...)
	}
	w.head = append(w.head, "Content-Type: "+event.MediaType+"\r\nAccept: "+event.MediaType+"\r\nContent-Length: "...)
	if a.tls {
		w.tls = &tls.Config{
			MinVersion:           tls.VersionTLS12,
			ServerName:           a.host,
			RootCAs:              o.CAs,
			InsecureSkipVerify:   o.CAs == nil && a.loopback(), // see Options.CAs
			NextProtos:           []string{"http/1.1"},
			GetClientCertificate: o.Certificate,
		}
	}
	return w
}

// An exchange is what a call brought.
type exchange struct {
	reply          event.Reply
	sent, answered time.Time
}

// call sends a batch and returns the answer, within the time-out. It stamps h.
//
// A connection that turns out to be dead without having said anything is what
// becomes of each that a manager closes while it is not used: the batch is sent
// again at once, over a new one.
func (w *wire) call(ctx context.Context, h *event.Header, bodies []event.Body) (exchange, *fault) {
	ctx, cancel := context.WithTimeout(ctx, w.options.Timeout)
	defer cancel()
	for tried := false; ; tried = true {
		if err := w.open(ctx); err != nil {
			return exchange{}, &fault{kind: unreachable, tried: tried, err: err}
		}
		used := !w.fresh
		x, f := w.try(ctx, h, bodies)
		if f == nil {
			return x, nil
		}
		if !used || !errors.Is(f.err, errDead) || ctx.Err() != nil {
			f.tried = tried
			return x, f
		}
	}
}

var errDead = errors.New("the connection was closed without an answer")

// open connects if there is no connection.
func (w *wire) open(ctx context.Context) error {
	if w.raw != nil {
		return nil
	}
	dialing, cancel := context.WithTimeout(ctx, w.options.ConnectTimeout)
	defer cancel()
	raw, err := w.options.Dial(dialing, "tcp", w.address.dial())
	if err != nil {
		return err
	}
	conn := raw
	if w.tls != nil {
		shaking, cancel := context.WithTimeout(ctx, w.options.ConnectTimeout)
		defer cancel()
		secure := tls.Client(raw, w.tls)
		if err := secure.HandshakeContext(shaking); err != nil {
			_ = raw.Close()
			return fmt.Errorf("TLS handshake: %w", err)
		}
		conn = secure
	}
	w.raw, w.conn, w.fresh = raw, conn, true
	w.limited = &limitedConn{conn: conn}
	w.r.Reset(w.limited)
	w.w.Reset(conn)
	return nil
}

// close closes the connection, if there is one. It does not wait: not even to
// say over TLS that it ends, since what is closed in haste does not listen.
func (w *wire) close() {
	if w.raw != nil {
		_ = w.raw.Close()
	}
	w.raw, w.conn, w.limited = nil, nil, nil
}

// try makes a call over the open connection, and closes that if it cannot be used
// any more.
func (w *wire) try(ctx context.Context, h *event.Header, bodies []event.Body) (x exchange, f *fault) {
	raw := w.raw
	deadline, _ := ctx.Deadline()
	_ = raw.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	keep := false
	defer func() {
		if !stop() || !keep {
			w.close()
		}
	}()
	h.Sent = w.options.Now()
	x.sent = h.Sent
	// A manager may answer before it has read all, and close: what it says is
	// worth more than that it could not be written to.
	sendErr := w.send(h, bodies)
	resp, err := w.answer()
	x.answered = w.options.Now()
	if err != nil {
		if sendErr != nil && !errors.Is(err, errDead) {
			err = sendErr
		}
		return x, &fault{kind: unanswered, err: err}
	}
	w.fresh = false
	x.reply, f = w.read(resp)
	keep = f == nil && sendErr == nil && !resp.Close && w.r.Buffered() == 0
	return x, f
}

// send writes a call.
func (w *wire) send(h *event.Header, bodies []event.Body) error {
	header := event.AppendHeader(w.out[:0], h)
	length := len(header)
	for _, b := range bodies {
		length += len(b)
	}
	w.out = header
	_, _ = w.w.Write(w.head)
	_, _ = w.w.Write(strconv.AppendInt(w.w.AvailableBuffer(), int64(length), 10))
	_, _ = w.w.WriteString("\r\n\r\n")
	_, _ = w.w.Write(header)
	for _, b := range bodies {
		_, _ = w.w.Write(b)
	}
	return w.w.Flush() // which has the error of any of these
}

// answer reads the head of the answer.
func (w *wire) answer() (*http.Response, error) {
	w.limited.left = maxHead
	if _, err := w.r.Peek(1); err != nil {
		if errors.Is(err, io.EOF) || isReset(err) {
			return nil, errDead
		}
		return nil, err
	}
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(w.r, &http.Request{Method: http.MethodPost})
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		if resp.StatusCode >= 200 {
			return resp, nil
		}
	}
	return nil, errTooMuch
}

// read returns what the answer says. What it says must end; whether a connection
// whose answer was read in part goes on is not asked.
func (w *wire) read(resp *http.Response) (event.Reply, *fault) {
	defer resp.Body.Close()
	w.limited.left = maxReply + maxHead
	if resp.StatusCode != http.StatusOK {
		hint := make([]byte, 200)
		n, _ := io.ReadFull(resp.Body, hint)
		return event.Reply{}, statusFault(resp, hint[:n])
	}
	if t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); t != event.MediaType {
		return event.Reply{}, &fault{kind: unwell, err: fmt.Errorf("answer is of type %q: what answers is no traffic manager", t)}
	}
	if resp.ContentLength > maxReply {
		return event.Reply{}, &fault{kind: unwell, err: errTooMuch}
	}
	body, err := readAll(w.in[:0], resp.Body, maxReply)
	if cap(body) <= keptSize {
		w.in = body
	}
	if err != nil {
		return event.Reply{}, &fault{kind: unanswered, err: fmt.Errorf("read answer: %w", err)}
	}
	reply, err := event.ParseReply(body)
	if err != nil {
		return event.Reply{}, &fault{kind: unwell, err: fmt.Errorf("answer: %w", err)}
	}
	if reply.Manager == 0 || reply.Issuer == "" || len(reply.Issuer) > maxName || len(reply.Shares) > maxName {
		return event.Reply{}, &fault{kind: unwell, err: errors.New("answer does not say whose it is")}
	}
	return reply, nil
}

// readAll appends all of r to dst, at most limit bytes.
func readAll(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, errTooMuch
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}

// A limitedConn reads a bounded number of bytes.
type limitedConn struct {
	conn net.Conn
	left int
}

// Read implements [io.Reader].
func (c *limitedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	n, err := c.conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

var errTooMuch = errors.New("the answer is too large")

// isReset reports whether a read failed because the other side is gone.
func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

package http2

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/weir-project/weir/gateway"
)

// bufferSize is that of the buffers through which answers pass.
const bufferSize = 32 << 10

// An entry is what is kept from one call to the next.
type entry struct {
	x       gateway.Exchange
	headers headers
}

// fill notes what was received.
func (e *entry) fill(r *http.Request, g *guard) {
	e.headers = headers{fields: r.Header, host: r.Host}
	x := &e.x
	x.Time = time.Now()
	x.Method, x.Host = r.Method, r.Host
	x.Path, x.RawQuery, _ = strings.Cut(r.RequestURI, "?")
	x.Peer, x.TLS = g.peer, g.tls
	x.Headers = &e.headers
	x.ContentLength = r.ContentLength
}

// A call is one request on its way.
type call struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	x       *gateway.Exchange
	grpc    bool
	abort   bool            // the stream can't be ended well: reset it
	outcome gateway.Outcome // but for the bytes
	meter   metering
	body    body
	watch   watch
}

// serve is the http.Handler of all connections.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	g, ok := r.Context().Value(guardKey{}).(*guard)
	if !ok || !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.leave()
	c := &call{s: s, w: w, r: r}
	c.run(g)
	if c.abort {
		panic(http.ErrAbortHandler)
	}
}

// run takes the call through the pipeline. Whatever happens, it is finished once.
func (c *call) run(g *guard) {
	e := c.s.entries.Get().(*entry)
	c.x = &e.x
	e.fill(c.r, g)
	c.meter.meter, c.meter.x, c.meter.at = c.s.meter, c.x, c.x.Time
	if values := c.r.Header["Content-Type"]; len(values) > 0 {
		c.grpc = isGRPC(values[0])
	}
	defer func() {
		if fault := recover(); fault != nil {
			c.abort = true
			c.s.options.Logger.Error("call panicked", "error", fmt.Sprint(fault), "stack", string(debug.Stack()))
		}
		c.meter.end()
		c.outcome.Time = time.Now()
		c.outcome.RequestBytes, c.outcome.ResponseBytes = c.meter.received.Load(), c.meter.sent.Load()
		c.s.options.Pipeline.Finish(c.x, c.outcome)
		c.x.Reset()
		e.headers = headers{}
		c.s.entries.Put(e)
	}()
	if status := c.s.limits.fault(c.r); status != 0 {
		c.fail(status)
		return
	}
	if misdirected(c.r, g.name) {
		c.fail(http.StatusMisdirectedRequest)
		return
	}
	if limit := c.s.options.MaxBody; limit > 0 && c.r.ContentLength > limit {
		c.fail(http.StatusRequestEntityTooLarge)
		return
	}
	if a := c.s.options.Pipeline.Admit(c.x); a != nil {
		c.answer(a)
		return
	}
	c.forward()
}

// fail answers that the call can't be parsed or forwarded.
func (c *call) fail(status int) {
	c.answer(c.s.options.Pipeline.Fail(c.x, status))
}

// answer sends what the gateway itself says. The outcome has the answer's status,
// also where gRPC sends it as another.
func (c *call) answer(a *gateway.Answer) {
	c.outcome.Status = a.Status
	h := c.w.Header()
	if a.Close {
		h["Connection"] = []string{"close"} // net/http makes GOAWAY of it
	}
	if c.grpc && a.Status >= http.StatusBadRequest {
		answerGRPC(c.w, a)
		return
	}
	addFields(h, a.Fields)
	if a.ContentType != "" {
		h["Content-Type"] = []string{a.ContentType}
		h["Content-Length"] = []string{strconv.Itoa(len(a.Body))}
	}
	c.w.WriteHeader(a.Status)
	if len(a.Body) > 0 && c.r.Method != http.MethodHead {
		n, _ := c.w.Write(a.Body)
		c.meter.sent.Store(int64(n))
	}
}

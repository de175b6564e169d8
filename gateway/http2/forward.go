package http2

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

// forward takes the call to a backend and the answer back: to the next backend if
// one can't be reached, or broke off a call that may be repeated.
func (c *call) forward() {
	ctx, cancel := context.WithCancelCause(c.r.Context())
	defer cancel(errFinished)
	c.watch.cancel, c.watch.stream = cancel, http.NewResponseController(c.w)
	c.watch.head, c.watch.stall, c.watch.write = c.s.timeout, c.s.options.StallTimeout, c.s.options.WriteTimeout
	c.watch.received = &c.meter.received
	c.watch.quiet.Store(int64(c.s.quiet))
	if c.x.Timeout > 0 {
		c.watch.head = c.x.Timeout
	}
	c.watch.rest, c.watch.began = c.grpc, c.x.Time
	c.watch.run()
	defer c.watch.end()

	early := informer{call: c}
	defer early.stop()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: early.pass, GotConn: settle(ctx)})
	request := c.request()
	var tried upstream.Tried
	status := http.StatusBadGateway
	for now := c.x.Time; c.x.Upstream != nil; now = time.Now() {
		t := c.x.Upstream.Pick(now, &tried)
		if t == nil {
			break
		}
		out := request.WithContext(ctx) // the last one may still be looked at
		out.URL, out.Host = targetURL(c.x, t), t.Authority
		res, err := c.transport().RoundTrip(out)
		if err == nil {
			early.stop()
			t.Succeeded()
			c.outcome.Forwarded = true
			c.respond(res)
			return
		}
		if !c.again(ctx, t, err) {
			return
		}
		status = statusOf(err)
	}
	c.fail(status)
}

// statusOf returns what to tell the client of a backend that did not answer.
func statusOf(err error) int {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// request returns what is sent to the backend, but for where to.
func (c *call) request() *http.Request {
	out := &http.Request{
		Method:     c.x.Request.Verb,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     forwardedFields(c.r, c.x, c.grpc),
	}
	if c.meter.meter != nil && strings.Contains(c.r.Header.Get("Accept"), eventStream) {
		delete(out.Header, "Accept-Encoding") // events are counted, so they must be seen
	}
	if out.Method == "" {
		out.Method = c.r.Method
	}
	if c.r.ContentLength != 0 {
		c.body.from, c.body.max = c.r.Body, c.s.options.MaxBody
		c.body.watch, c.body.meter = &c.watch, &c.meter
		out.Body, out.ContentLength = &c.body, c.r.ContentLength
		if c.grpc {
			out.Trailer = forwardedTrailer(c.r, c.x)
			c.body.received, c.body.trailer = c.r, out.Trailer
		}
	}
	return out
}

// transport returns the way to the backends: gRPC goes nowhere but over HTTP/2.
func (c *call) transport() http.RoundTripper {
	if c.grpc {
		return c.s.h2
	}
	return c.s.any
}

// again deals with a backend that gave no answer. It reports whether the next one
// may be tried; if not, the client has been answered as far as it is there.
func (c *call) again(ctx context.Context, t *upstream.Target, err error) bool {
	var unreached *dialError
	reached := !errors.As(err, &unreached)
	c.outcome.Forwarded = c.outcome.Forwarded || reached
	switch cause := context.Cause(ctx); {
	case cause == nil:
	case errors.Is(cause, errHeadTimeout):
		t.Failed(time.Now())
		c.fail(http.StatusGatewayTimeout)
		return false
	case errors.Is(cause, errStalled):
		c.fail(http.StatusRequestTimeout)
		return false
	case errors.Is(cause, errTooLarge):
		c.fail(http.StatusRequestEntityTooLarge)
		return false
	default:
		// The client went. It has had its call all the same: a backend may
		// be at work on it, and leaving early must not be free.
		c.outcome.Forwarded = true
		return false
	}
	t.Failed(time.Now())
	if !reached && !c.body.touched.Load() || c.repeatable() {
		return true
	}
	c.s.options.Logger.Debug("backend gave no answer", "backend", t.Host, "error", err.Error())
	c.fail(statusOf(err))
	return false
}

// repeatable reports whether a backend that did not answer may have received the
// call without harm: it is idempotent, and there is no body that was read.
func (c *call) repeatable() bool {
	if c.r.ContentLength != 0 {
		return false
	}
	switch c.x.Request.Verb {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodTrace:
		return true
	}
	return false
}

// An informer passes on informational answers (1xx). net/http may still report
// one while the call has moved on; what comes too late is dropped.
type informer struct {
	mu   sync.Mutex
	call *call
	over bool
}

// pass is called for each informational answer of a backend. 100 is between the
// gateway and each side, and 101 has no place in HTTP/2.
func (i *informer) pass(code int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || code < 102 {
		return nil
	}
	h := i.call.w.Header()
	for name, values := range header {
		if passesBack(name) {
			h[name] = values
		}
	}
	i.call.w.WriteHeader(code)
	clear(h)
	return nil
}

func (i *informer) stop() {
	i.mu.Lock()
	i.over = true
	i.mu.Unlock()
}

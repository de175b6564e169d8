package http2

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/weir-project/weir/gateway"
)

// respond passes a backend's answer on.
func (c *call) respond(res *http.Response) {
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 599 { // 101 was never asked for
		c.fail(http.StatusBadGateway)
		return
	}
	h := c.w.Header()
	for name, values := range res.Header {
		if passesBack(name) {
			h[name] = values
		}
	}
	dropNamed(h, res.Header["Connection"])
	addFields(h, c.x.Fields)
	// net/http would guess what the backend did not say.
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	counted := false
	switch {
	case c.grpc:
		c.watch.quiet.Store(0)
	case isEventStream(res.Header):
		c.watch.quiet.Store(int64(c.s.options.StreamIdleTimeout))
		if counted = c.meter.meter != nil; counted {
			res.ContentLength = -1 // events may be left out
		}
	}
	c.setLength(h, res)
	c.outcome.Status = res.StatusCode
	c.w.WriteHeader(res.StatusCode)

	bodyless := c.r.Method == http.MethodHead || res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusNotModified
	if !bodyless && res.Body != http.NoBody {
		if err := c.copy(res, counted); err != nil {
			c.broken(err)
			return
		}
	}
	if c.grpc {
		passTrailer(h, res.Trailer)
	}
}

// setLength sets Content-Length to what is known of it, or keeps net/http from
// making one up.
func (c *call) setLength(h http.Header, res *http.Response) {
	switch {
	case res.StatusCode == http.StatusNoContent:
		delete(h, "Content-Length")
	case c.r.Method == http.MethodHead || res.StatusCode == http.StatusNotModified:
		// The length that the body would have, if the backend said so.
	case c.grpc && res.ContentLength <= 0:
		h["Content-Length"] = nil // the status may stand in the head
	case res.ContentLength >= 0:
		h["Content-Length"] = []string{strconv.FormatInt(res.ContentLength, 10)}
	default:
		delete(h, "Content-Length")
	}
}

// errGone tells that the client takes no more.
var errGone = errors.New("the client takes no more")

// copy sends the answer's body, less the events in it that may not pass if they
// are counted. What is streamed is sent on as it comes.
func (c *call) copy(res *http.Response, counted bool) error {
	put := c.put
	if counted {
		filter := events{may: c.meter.event, put: c.put, opaque: isEncoded(res.Header)}
		put = filter.pass
	}
	stream := res.ContentLength < 0
	flusher, _ := c.w.(http.Flusher)
	if stream && flusher != nil {
		flusher.Flush()
	}
	buf := c.s.buffers.Get().(*[bufferSize]byte)
	defer c.s.buffers.Put(buf)
	for {
		c.watch.enter(atBody)
		n, err := res.Body.Read(buf[:])
		if n > 0 {
			c.watch.enter(atClient)
			if failed := put(buf[:n]); failed != nil {
				return failed
			}
			if stream && flusher != nil {
				flusher.Flush()
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// put sends a part of the answer's body.
func (c *call) put(data []byte) error {
	n, err := c.w.Write(data)
	c.meter.sent.Add(int64(n))
	c.meter.moved()
	if err != nil {
		return errGone
	}
	return nil
}

// broken ends an answer that can't be completed, so that the client sees that.
func (c *call) broken(err error) {
	if c.grpc && !errors.Is(err, errGone) && c.r.Context().Err() == nil {
		h := c.w.Header()
		h[http.TrailerPrefix+"Grpc-Status"] = []string{strconv.Itoa(grpcUnavailable)}
		h[http.TrailerPrefix+"Grpc-Message"] = []string{"the backend broke off its answer"}
		return
	}
	if flusher, ok := c.w.(http.Flusher); ok && !errors.Is(err, errGone) {
		flusher.Flush() // what there is
	}
	c.abort = true
}

const eventStream = "text/event-stream"

// isEventStream reports whether an answer is a stream of events, which may rest
// longer.
func isEventStream(h http.Header) bool {
	values := h["Content-Type"]
	return len(values) > 0 && len(values[0]) >= len(eventStream) && strings.EqualFold(values[0][:len(eventStream)], eventStream)
}

func isEncoded(h http.Header) bool {
	coding := h.Get("Content-Encoding")
	return coding != "" && !strings.EqualFold(coding, "identity")
}

// passesBack reports whether a field of a backend's answer goes to the client.
// Alt-Svc would show a way around the gateway.
func passesBack(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Alt-Svc":
		return false
	}
	return true
}

// dropNamed removes the fields that a Connection field names.
func dropNamed(h http.Header, connection []string) {
	for _, list := range connection {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
}

// passTrailer passes the trailers of a gRPC answer on.
func passTrailer(h http.Header, trailer http.Header) {
	for name, values := range trailer {
		if validTrailer(name) {
			h[trailerKey(name)] = values
		}
	}
}

// trailerKey returns the key by which net/http knows a trailer that was not announced.
func trailerKey(name string) string {
	switch name {
	case "Grpc-Status":
		return http.TrailerPrefix + "Grpc-Status"
	case "Grpc-Message":
		return http.TrailerPrefix + "Grpc-Message"
	}
	return http.TrailerPrefix + name
}

// addFields sets the gateway's own fields in h, over those of the same name. A
// name that comes again adds a value.
func addFields(h http.Header, fields []gateway.Field) {
	for i := range fields {
		name := fieldName(fields[i].Name)
		value := string(fields[i].Value)
		again := false
		for j := range i {
			again = again || fieldName(fields[j].Name) == name
		}
		if again {
			h[name] = append(h[name], value)
		} else {
			h[name] = []string{value}
		}
	}
}

// fieldName returns a name as net/http keeps it. Those that stand on every answer
// are known.
func fieldName(name string) string {
	switch name {
	case "RateLimit-Policy":
		return "Ratelimit-Policy"
	case "RateLimit":
		return "Ratelimit"
	case "X-RateLimit-Limit":
		return "X-Ratelimit-Limit"
	case "X-RateLimit-Remaining":
		return "X-Ratelimit-Remaining"
	case "X-RateLimit-Reset":
		return "X-Ratelimit-Reset"
	}
	return http.CanonicalHeaderKey(name)
}

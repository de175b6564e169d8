package http2

import (
	"io"
	"net/http"
	"sync/atomic"
)

// A body is a request's body on its way to a backend: counted, bounded, watched.
// Closing it does nothing, since it may be tried on the next backend and the
// stream ends with the call anyway.
type body struct {
	from    io.Reader
	max     int64 // 0: no limit
	watch   *watch
	meter   *metering
	touched atomic.Bool
	// trailer gets those of received that it has keys for, at the end.
	received *http.Request
	trailer  http.Header
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.touched.Store(true)
	b.watch.reading()
	n, err := b.from.Read(p)
	b.watch.read()
	total := b.meter.received.Add(int64(n))
	if n > 0 {
		b.meter.moved()
	}
	if b.max > 0 && total > b.max {
		b.watch.cancel(errTooLarge)
		return 0, errTooLarge
	}
	if err == io.EOF {
		for name := range b.trailer {
			b.trailer[name] = b.received.Trailer[name]
		}
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error { return nil }

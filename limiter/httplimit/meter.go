package httplimit

import (
	"io"
	"net/http"
	"sync/atomic"
)

// A meter counts the bytes of a request's body and of its answer's. Both may
// still be in use by another goroutine when the handler has returned.
type meter struct {
	http.ResponseWriter
	request *http.Request
	n       atomic.Int64
}

// newMeter returns a meter that writes to w, and whose request has the body of r.
func newMeter(w http.ResponseWriter, r *http.Request) *meter {
	m := &meter{ResponseWriter: w, request: r}
	if r.Body != nil && r.Body != http.NoBody {
		m.request = r.WithContext(r.Context())
		m.request.Body = meteredBody{r.Body, &m.n}
	}
	return m
}

func (m *meter) total() int64 { return m.n.Load() }

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.ResponseWriter.Write(p)
	m.n.Add(int64(n))
	return n, err
}

// Flush is for handlers that look for an [http.Flusher].
func (m *meter) Flush() {
	// There is nobody to tell of an error; it comes back with the next Write.
	_ = http.NewResponseController(m.ResponseWriter).Flush()
}

// Unwrap is for [http.ResponseController].
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

type meteredBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

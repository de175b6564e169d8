package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir/telemetry"
)

// A readiness tells whether the process wants requests. The zero value does not.
type readiness struct{ ready atomic.Bool }

// managementHandler serves what operators and orchestrators ask:
//
//	/healthz  200 for as long as the process can answer at all: if not, restart it
//	/readyz   200 while it wants requests, otherwise 503: send them elsewhere
//	/metrics  in Prometheus' format
func managementHandler(r *readiness, metrics *prometheus.Registry) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, "healthy")
	})
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if r.ready.Load() {
			say(w, http.StatusOK, "ready")
			return
		}
		say(w, http.StatusServiceUnavailable, "not ready: starting or stopping")
	})
	m.Handle("GET /metrics", telemetry.Handler(metrics))
	return m
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// serveManagement serves h on l until ctx is done.
func serveManagement(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	return serveHTTP(ctx, s, l)
}

// httpGrace is how long calls that are being answered may take when a server of
// net/http stops.
const httpGrace = 3 * time.Second

// serveHTTP serves s on l until ctx is done, and then waits for the calls that
// are being answered, but no longer than httpGrace.
func serveHTTP(ctx context.Context, s *http.Server, l net.Listener) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.Background(), httpGrace)
		defer cancel()
		err := s.Shutdown(late)
		if err != nil {
			_ = s.Close() // the calls that are left have had their time
		}
		stopped <- err
	})
	err := s.Serve(l)
	if stop() { // it ended by itself
		return err
	}
	return <-stopped
}

package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/telemetry"
)

// A readiness tells whether the process wants requests. The zero value does not.
type readiness struct{ ready atomic.Bool }

// managementHandler serves what operators and orchestrators ask:
//
//	/healthz  200 for as long as the process can answer at all: if not, restart it
//	/readyz   200 while it wants requests, otherwise 503: send them elsewhere
//	/metrics  in Prometheus' format
//	/sharing  how counters are shared, for weir top
//
// and, with a traffic manager, what its handler serves besides; nil: nothing.
func managementHandler(r *readiness, metrics *prometheus.Registry, sharing, manager http.Handler) http.Handler {
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
	m.Handle("GET /sharing", sharing)
	if manager != nil {
		m.Handle("/endpoints/", manager)
		m.Handle("/internal/", manager)
	}
	return m
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// A management is the ports for those who are no clients of APIs.
type management struct {
	http, https  net.Listener // nil: not open
	certificates *ownCertificates
}

// openManagement opens the management ports that the configuration names.
func (a *App) openManagement() (*management, error) {
	c := &a.options.Config
	m := &management{}
	var err error
	if c.Management.Port != config.Off {
		if m.http, err = net.Listen("tcp", net.JoinHostPort(c.Management.Host, strconv.Itoa(c.Management.Port))); err != nil {
			return nil, portFault("management.port", c.Management.Port, err)
		}
	}
	host, port, open := c.HTTPSAddress()
	if !open {
		return m, nil
	}
	if m.certificates, err = openCertificates(c, a.log); err == nil {
		if m.https, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err != nil {
			err = portFault("management.https_port", port, err)
		}
	}
	if err != nil && m.http != nil {
		_ = m.http.Close() // nobody has used it
	}
	return m, err
}

// services returns what serves on the ports.
func (m *management) services(a *App) []service {
	var manager http.Handler
	if a.manager != nil {
		manager = a.manager.handler
	}
	strangers, sharing := newHush(a.log), sharingHandler(nodeName(&a.options.Config), a.sharings())
	var all []service
	if m.http != nil {
		// Where others than this machine ask, there are no credentials to be sent
		// in the clear.
		private := manager
		if at := addrPort(m.http.Addr()); !at.Addr().IsLoopback() {
			private = nil
		}
		h := managementHandler(&a.ready, a.metrics, sharing, private)
		all = append(all, service{"management", func(ctx context.Context) error {
			return serveManagement(ctx, m.http, h, strangers)
		}, httpGrace + stopGrace})
	}
	if m.https != nil {
		h := managementHandler(&a.ready, a.metrics, sharing, manager)
		all = append(all,
			service{"certificates", func(ctx context.Context) error { return m.certificates.Run(ctx, a.log) }, stopGrace},
			service{"management over TLS", func(ctx context.Context) error {
				return serveManagement(ctx, tls.NewListener(m.https, m.certificates.config), h, strangers)
			}, httpGrace + stopGrace},
		)
	}
	return all
}

// serveManagement serves h on l until ctx is done. log hears of clients that fail.
func serveManagement(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	s := &http.Server{
		Handler:           h,
		ErrorLog:          slog.NewLogLogger(library{log}, slog.LevelWarn),
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

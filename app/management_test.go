package app

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/telemetry"
)

func TestManagementHandler(t *testing.T) {
	var r readiness
	h := managementHandler(&r, telemetry.NewRegistry("test"), sharingHandler("node", nil), nil)
	tests := []struct {
		ready        bool
		method, path string
		status       int
		want         string
	}{
		{false, "GET", "/healthz", 200, "healthy\n"},
		{false, "GET", "/readyz", 503, "not ready"},
		{true, "GET", "/readyz", 200, "ready\n"},
		{true, "HEAD", "/readyz", 200, ""},
		{true, "GET", "/metrics", 200, "weir_build_info"},
		{true, "GET", "/sharing", 200, `"name":"node","roles":[]}`},
		{true, "POST", "/healthz", 405, ""},
		{true, "GET", "/", 404, ""},
		{true, "GET", "/debug/pprof/", 404, ""},
	}
	for _, tt := range tests {
		r.ready.Store(tt.ready)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s %s, ready %t: got %d %q, want %d and %q", tt.method, tt.path, tt.ready, w.Code, w.Body, tt.status, tt.want)
		}
	}
}

func loopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestServeHTTPFinishesCalls shows that a call that is being answered when the
// server stops is answered to its end.
func TestServeHTTPFinishesCalls(t *testing.T) {
	l := loopback(t)
	ctx, cancel := context.WithCancel(t.Context())
	began, finish := make(chan struct{}), make(chan struct{})
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-finish
		_, _ = io.WriteString(w, "all of it")
	})}
	done := make(chan error, 1)
	go func() { done <- serveHTTP(ctx, s, l) }()

	got := make(chan string, 1)
	go func() {
		r, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			got <- err.Error()
			return
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}()
	<-began
	cancel()
	select {
	case err := <-done:
		t.Fatalf("stopped with %v while a call was being answered", err)
	default:
	}
	close(finish)
	if g := <-got; g != "all of it" {
		t.Errorf("got %q", g)
	}
	if err := <-done; err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestServeHTTPReportsWhyItEnded(t *testing.T) {
	l := loopback(t)
	l.Close()
	err := serveManagement(t.Context(), l, http.NotFoundHandler(), quietly)
	if err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got %v, want why it could not serve", err)
	}
}

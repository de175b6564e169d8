package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/policy"
)

// A lockedDirected is a fakeDirected that can be read while it is set.
type lockedDirected struct {
	mu sync.Mutex
	fakeDirected
}

func (f *lockedDirected) SetDenies(ds []policy.Deny) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fakeDirected.SetDenies(ds)
}

func (f *lockedDirected) SetKeyTemplates(ts []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fakeDirected.SetKeyTemplates(ts)
}

func (f *lockedDirected) got() (denies, templates []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.denies), slices.Clone(f.templates)
}

// retrieve runs a retriever that asks a server.
func retrieve(t *testing.T, url, password string, c *tls.Config) (*retriever, *lockedDirected, *logbook) {
	t.Helper()
	var f lockedDirected
	log := &logbook{}
	u := &config.Uplink{Data: []config.DataSource{{URL: url + "/internal/data/v1", Login: config.Login{User: "u", Password: config.Secret(password)}}}}
	r := newRetriever(u, c, newDirectives(&f, true, 1, logTo(log)), logTo(log))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	return r, &f, log
}

func TestRetriever(t *testing.T) {
	var broken atomic.Bool
	var user atomic.Value
	user.Store("eve")
	broken.Store(true)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		switch {
		case name != "u" || password != "p":
			w.WriteHeader(http.StatusUnauthorized)
		case broken.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/internal/data/v1/block":
			fmt.Fprintf(w, `{"api":[],"user":[%q],"ip":[],"custom":[],"unknown":{}}`, user.Load())
		case r.URL.Path == "/internal/data/v1/keyTemplates":
			fmt.Fprint(w, `["$userId", "$nothing:${broken"]`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	r, f, log := retrieve(t, s.URL, "p", &tls.Config{})
	eventually(t, "it says that they are not available", func() bool { return log.count("not available") == 1 })
	broken.Store(false)
	eventually(t, "they are in force", func() bool {
		denies, templates := f.got()
		return slices.Equal(denies, []string{"=eve"}) && slices.Equal(templates, []string{"$userId"})
	})
	if log.count("not available") != 1 || log.count("key templates available") != 1 || log.count("key template that can't be used") == 0 {
		t.Errorf("logged %s", log)
	}
	user.Store("mallory")
	r.ask()
	eventually(t, "what has changed is in force", func() bool {
		denies, _ := f.got()
		return slices.Equal(denies, []string{"=mallory"})
	})
}

func TestRetrieverSaysWhy(t *testing.T) {
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"wrong password", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "wrong user or password"},
		{"not there", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "404 Not Found"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, "302 Found"},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "not as it should be"},
		{"too large", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", maxData+1)) }, "larger than 16 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(tt.handler)
			defer s.Close()
			_, _, log := retrieve(t, s.URL, "p", &tls.Config{})
			eventually(t, tt.want, func() bool { return log.count(tt.want) > 0 })
			if log.count("\n") != 1 {
				t.Errorf("more than one line: %s", log)
			}
		})
	}
}

// TestRetrieverVerifies shows that on loopback anybody is believed, unless the
// configuration says who vouches for traffic managers.
func TestRetrieverVerifies(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	_, _, trust := writeCertificate(t)
	for _, tt := range []struct {
		c    *tls.Config
		want string
	}{{&tls.Config{}, "404"}, {&tls.Config{RootCAs: trust}, "certificate signed by unknown authority"}} {
		_, _, log := retrieve(t, s.URL, "p", tt.c)
		eventually(t, tt.want, func() bool { return log.count(tt.want) > 0 })
	}
}

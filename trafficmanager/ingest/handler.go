// Package ingest is how gateways, and people, talk to a traffic manager over HTTP:
//
//	POST /endpoints/events                     batches in our format (package event)
//	POST /endpoints/throttleEventReceiver      WSO2's JSON, one event or an array
//	GET  /internal/data/v1/decisions           what is in force, or what is new of it
//	GET  /internal/data/v1/block               deny policies, as WSO2's gateways want them
//	GET  /internal/data/v1/keyTemplates        of custom rules
//	GET  /internal/data/v1/subscription-policies, application-policies, api-policies,
//	     global-policies                       in WSO2's shapes; ?policyName= for one
//	GET  /internal/data/v1/top, stats          for weir top
//
// Nothing is said to anybody without credentials. An error is a JSON object with
// its text under "error".
package ingest

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/trafficmanager"
)

// Options say what a [Handler] serves, and to whom.
type Options struct {
	// Manager counts and decides; required.
	Manager *trafficmanager.Manager
	// Definition returns the policies in force, which must not be changed, or nil
	// while there are none; required. It is what other programs are shown; the
	// Manager has its own Set.
	Definition func() *policy.Definition
	// Users may talk by their passwords (Basic authentication), and whoever has a
	// client certificate that TLS has verified and Certificate holds good. There
	// must be one or the other.
	Users       []User
	Certificate func(*x509.Certificate) bool
	// Sharing returns how the Manager's counters are shared with other traffic managers;
	// nil: they are not.
	Sharing func(now time.Time) *event.Sharing
	// MaxBody bounds a body, also after decompression, in bytes; zero: 1 MiB.
	MaxBody int
	// Log hears of refused logins, at most every 10 s; nil: nobody does.
	Log *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// A Handler serves the API of a traffic manager. Time-outs are its server's.
type Handler struct {
	manager    *trafficmanager.Manager
	definition func() *policy.Definition
	sharing    func(time.Time) *event.Sharing // nil: it shares nothing
	guard      guard
	mux        *http.ServeMux
	maxBody    int
	now        func() time.Time
	intakes    sync.Pool // of *intake
}

var _ http.Handler = (*Handler)(nil)

const defaultBody = 1 << 20

// New returns a Handler. It refuses to make one that anybody could talk to.
func New(o Options) (*Handler, error) {
	switch {
	case o.Manager == nil:
		return nil, errors.New("serve a traffic manager: there is none")
	case o.Definition == nil:
		return nil, errors.New("serve a traffic manager: no definition")
	}
	h := &Handler{
		manager: o.Manager, definition: o.Definition, sharing: o.Sharing, mux: http.NewServeMux(), maxBody: o.MaxBody, now: o.Now,
	}
	if h.maxBody <= 0 {
		h.maxBody = defaultBody
	}
	if h.now == nil {
		h.now = time.Now
	}
	if err := h.guard.init(&o); err != nil {
		return nil, err
	}
	h.intakes.New = func() any { return newIntake(h.maxBody) }
	h.mux.HandleFunc("POST /endpoints/events", h.ready(h.events))
	h.mux.HandleFunc("POST /endpoints/throttleEventReceiver", h.ready(h.wso2))
	const data = "GET /internal/data/v1/"
	h.mux.HandleFunc(data+"decisions", h.ready(h.decisions))
	h.mux.HandleFunc(data+"top", h.top)
	h.mux.HandleFunc(data+"stats", h.stats)
	h.mux.HandleFunc(data+"block", h.ready(h.block))
	h.mux.HandleFunc(data+"keyTemplates", h.ready(h.keyTemplates))
	h.mux.HandleFunc(data+"subscription-policies", h.ready(h.policies(policy.Subscription)))
	h.mux.HandleFunc(data+"application-policies", h.ready(h.policies(policy.Application)))
	h.mux.HandleFunc(data+"api-policies", h.ready(h.policies(policy.Advanced)))
	h.mux.HandleFunc(data+"global-policies", h.ready(h.rules))
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.guard.admits(r, h.now()) {
		w.Header().Set("WWW-Authenticate", `Basic realm="weir", charset="UTF-8"`)
		fail(w, http.StatusUnauthorized, "credentials are missing or wrong")
		return
	}
	h.mux.ServeHTTP(w, r)
}

// ready lets calls through to f once there are policies: until then gateways keep
// what they have to tell.
func (h *Handler) ready(f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !h.manager.Ready() || h.definition() == nil {
			w.Header().Set("Retry-After", "1")
			fail(w, http.StatusServiceUnavailable, "there are no policies yet")
			return
		}
		f(w, r)
	}
}

// fail answers with an error.
func fail(w http.ResponseWriter, status int, text string) {
	answer(w, status, struct {
		Error string `json:"error"`
	}{text})
}

// answer answers with v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // texts, numbers and times of this millennium can be written
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	send(w, status, append(body, '\n'))
}

// send answers with a body whose type is set.
func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked has gone: there is nobody to tell
}

// Package httplimit holds the requests of a net/http server to limits.
//
// A [Middleware] counts each request under a key, the client's address unless
// told otherwise, and answers 429 once one of its limits is spent. Every answer
// says how much is left, in the RateLimit fields of the IETF's draft and in the
// older X-RateLimit ones.
package httplimit

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A Limit is a limit under the name by which answers tell of it.
type Limit struct {
	Name  string
	Limit *limiter.Limit
}

// Options say what a [Middleware] does. Only Limits are required.
type Options struct {
	// Limits are what every request must pass: all of them, or it is counted
	// under none. Those on Bytes count the bodies of requests and answers, and
	// refuse once they are spent; Events cannot be counted here.
	Limits []Limit
	// Limiter counts; nil makes one. Middlewares may share it: their keys differ.
	Limiter *limiter.Limiter
	// Key tells whom a request is counted under; nil is ByAddress. What it
	// returns is kept as a keyed hash only.
	Key func(r *http.Request) string
	// Weight is what a request counts for under limits on Requests; nil is 1
	// for all. A negative one is taken for zero.
	Weight func(r *http.Request) int64
	// Refuse answers a request that does not pass, after the fields that tell
	// of limits have been set; nil writes a problem document with status 429.
	// Checks are in the order of Limits.
	Refuse func(w http.ResponseWriter, r *http.Request, checks []limiter.Check)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// A Middleware holds requests to limits. Make one with New. It may be used by
// many goroutines at once.
type Middleware struct {
	o       Options
	policy  string // RateLimit-Policy
	prefix  []limiter.Hash
	metered bool // some limit is on Bytes
}

// New returns a Middleware. It starts nothing.
func New(o Options) (*Middleware, error) {
	if len(o.Limits) == 0 {
		return nil, errors.New("httplimit: no limits")
	}
	if o.Limiter == nil {
		o.Limiter = limiter.New(limiter.Options{})
	}
	if o.Key == nil {
		o.Key = ByAddress
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Middleware{o: o}
	if o.Refuse == nil {
		m.o.Refuse = m.refuse
	}
	seed := limiter.NewSeed()
	var policy []byte
	for i, l := range o.Limits {
		if l.Limit == nil {
			return nil, fmt.Errorf("httplimit: limit %q: no limit", l.Name)
		}
		if err := l.Limit.Validate(); err != nil {
			return nil, fmt.Errorf("httplimit: limit %q: %w", l.Name, err)
		}
		if l.Limit.Cost == limiter.Events {
			return nil, fmt.Errorf("httplimit: limit %q: events cannot be counted here", l.Name)
		}
		m.metered = m.metered || l.Limit.Cost == limiter.Bytes
		m.prefix = append(m.prefix, seed.Hash().AddUint64(uint64(i)))
		if !l.Limit.Shadow {
			policy = limiter.AppendPolicy(policy, l.Name, l.Limit)
		}
	}
	m.policy = string(policy)
	return m, nil
}

// Handle returns a handler that passes to next what the limits let pass.
func (m *Middleware) Handle(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		checks := m.checks(r)
		for i := range checks {
			m.o.Limiter.Prefetch(checks[i].Key) // while the clock is read
		}
		ticket, ok := m.o.Limiter.Take(m.o.Now(), checks)
		m.setFields(w.Header(), checks)
		switch {
		case !ok:
			w.Header().Set("Retry-After", strconv.FormatInt(limiter.RetryAfter(checks), 10))
			m.o.Refuse(w, r, checks)
		case m.metered:
			meter := newMeter(w, r)
			defer func() { ticket.Settle(m.o.Now(), limiter.Bytes, meter.total()) }()
			next.ServeHTTP(meter, meter.request)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// checks returns what r has to pass.
func (m *Middleware) checks(r *http.Request) []limiter.Check {
	key, weight := m.o.Key(r), int64(1)
	if m.o.Weight != nil {
		weight = max(m.o.Weight(r), 0)
	}
	checks := make([]limiter.Check, len(m.o.Limits))
	for i, l := range m.o.Limits {
		checks[i] = limiter.Check{Limit: l.Limit, Key: m.prefix[i].Add(key).Key(), N: weight}
		if l.Limit.Cost == limiter.Bytes {
			checks[i].N = 0 // known when it is over
		}
	}
	return checks
}

// setFields tells of the limits; shadows are nobody's business.
func (m *Middleware) setFields(h http.Header, checks []limiter.Check) {
	tightest := limiter.Tightest(checks)
	if tightest < 0 {
		return
	}
	var state []byte
	for i := range checks {
		if !checks[i].Limit.Shadow {
			state = limiter.AppendState(state, m.o.Limits[i].Name, &checks[i])
		}
	}
	h.Set("RateLimit-Policy", m.policy)
	h.Set("RateLimit", string(state))
	c := &checks[tightest]
	h.Set("X-RateLimit-Limit", strconv.FormatInt(c.Limit.Count, 10))
	h.Set("X-RateLimit-Remaining", strconv.FormatInt(c.Remaining, 10))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(limiter.Seconds(c.Reset), 10))
}

// A problem is the body of a refusal, in the form of RFC 9457.
type problem struct {
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Status   int      `json:"status"`
	Detail   string   `json:"detail"`
	Violated []string `json:"violated-policies"`
}

func (m *Middleware) refuse(w http.ResponseWriter, _ *http.Request, checks []limiter.Check) {
	p := problem{
		Type:   "https://iana.org/assignments/http-problem-types#quota-exceeded",
		Title:  "Too many requests",
		Status: http.StatusTooManyRequests,
		Detail: fmt.Sprintf("The limit is spent. It may be tried again in %d s.", limiter.RetryAfter(checks)),
	}
	for i := range checks {
		if checks[i].Over && !checks[i].Limit.Shadow {
			p.Violated = append(p.Violated, m.o.Limits[i].Name)
		}
	}
	body, err := json.Marshal(p)
	if err != nil { // strings and a number can always be told
		panic(err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	w.Write(body)
}

// ByAddress returns the address from which r came, of IPv6 the /64 network. It
// is that of the nearest proxy, if there is one: behind proxies, write a key
// function that knows which of them to trust.
func ByAddress(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr := peer.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return network.String()
}

// ByHeader returns a key function that counts under the value of a header, for
// servers behind one that sets it and lets no client do so.
func ByHeader(name string) func(r *http.Request) string {
	return func(r *http.Request) string { return r.Header.Get(name) }
}

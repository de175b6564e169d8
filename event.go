package weir

import "github.com/weir-project/weir/limiter"

// An Event tells a traffic manager of calls that a gateway accepted: of one, or
// of several that differ in nothing that is counted apart and were admitted in
// the same window of every limit.
type Event struct {
	// Request is what was called, and by whom. Its Time is when the first of the
	// calls was admitted, by the gateway's clock. Of Headers, Query and Claims
	// there is what some policy looks at, and no more. Weight and Bytes mean
	// nothing here: Spent has them.
	Request Request
	// Spent is what the calls cost. It is negative for what was told before and
	// is taken back: a call that no backend was asked.
	Spent Spent
	// Open, in a restatement, is what was spent in each window that is still
	// open, told before or not; Spent is then zero. See package event.
	Open []OpenWindow
}

// Spent is an amount of everything that limits count.
type Spent struct {
	Requests int64 // by their weights
	Bytes    int64 // of request and response bodies
	Events   int64 // messages on streams; a plain call is one
}

// Of returns the amount of one cost.
func (s *Spent) Of(c limiter.Cost) int64 {
	switch c {
	case limiter.Bytes:
		return s.Bytes
	case limiter.Events:
		return s.Events
	}
	return s.Requests
}

// Add adds what o has to s.
func (s *Spent) Add(o Spent) {
	s.Requests += o.Requests
	s.Bytes += o.Bytes
	s.Events += o.Events
}

// An OpenWindow is what was spent in the window of a kind that holds the event's
// Time.
type OpenWindow struct {
	Window limiter.Window
	Spent  Spent
}

// Fields names what an event must carry of a request, besides what every event
// has, for policies to be matched against it. The zero value is nothing.
type Fields struct {
	Headers, Query, Claims []string // names; of headers in lower case
	ClientIP               bool     // also of calls with credentials
	Token                  bool
}

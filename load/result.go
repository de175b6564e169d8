package load

import "time"

// An Outcome is what became of a request.
type Outcome uint8

// What can become of a request.
const (
	Admitted Outcome = iota // answered with 2xx
	Refused                 // by a limit: 429, or 403 or 503 with a code for throttling
	Other                   // answered with anything else
	Failed                  // no answer
	outcomes
)

// An Observation is one request and what became of it.
type Observation struct {
	Target  int // index in Options.Targets
	Outcome Outcome
	Status  int // zero if it failed
	// Sent is when the request was about to be written, Done when its answer had
	// been read whole, or it had failed.
	Sent, Done time.Time
}

// A Count is requests by what became of them.
type Count struct {
	Admitted, Refused, Other, Failed int64
}

// Sent returns the number of all of them.
func (c Count) Sent() int64 { return c.Admitted + c.Refused + c.Other + c.Failed }

// A Result is what came of a load.
type Result struct {
	// Started is when the first request was due. Ended is when the load was over,
	// not counting the wait for the last answers.
	Started, Ended time.Time
	Total          Count

	// Due is how many requests were due; with no rate, as many as were sent.
	// Unsent of them were not sent, since no client was free until the end.
	Due, Unsent int64
	// Late is how many left more than 10 ms after they were due, since no client
	// was free, or this machine too busy; Latest is by how much the latest did.
	Late   int64
	Latest time.Duration
	// Abandoned is how many were under way when the load was stopped before its
	// time. Nobody knows what became of them, and they are in no other figure.
	Abandoned int64

	Statuses map[int]int64 // answers by status
	Refusals []Refusal     // the most frequent first
	Faults   []Fault       // the most frequent first

	// Of all answers, and of those to the admitted and to the refused requests.
	Latency, AdmittedLatency, RefusedLatency Latency

	Targets []Count // by their index in Options.Targets
	Seconds []Count // by the whole seconds since Started in which they were sent
	Windows []Window
}

// A Refusal is a reason that answers gave for refusing. What an answer did not say
// is empty.
type Refusal struct {
	Status              int
	Code, Level, Policy string
	Count               int64
}

// A Latency sums up how long answers took. All is zero if there were none.
type Latency struct {
	Count                          int64
	Mean, P50, P90, P99, P999, Max time.Duration
}

func newLatency(h *Histogram) Latency {
	return Latency{
		Count: h.Count(), Mean: h.Mean(), Max: h.Max(),
		P50: h.Quantile(0.5), P90: h.Quantile(0.9), P99: h.Quantile(0.99), P999: h.Quantile(0.999),
	}
}

// A Window is the requests sent in one window of Options.Window, by the wall
// clock of this machine.
type Window struct {
	Begins time.Time
	// Whole tells that the load lasted from the beginning of the window to its
	// end.
	Whole bool
	Count
	// Edge is how many admitted ones were answered after the window's end: their
	// server may have counted them in the next.
	Edge int64
}

// Over returns how many more than limit were admitted in the window for certain;
// zero if none.
func (w *Window) Over(limit int64) int64 { return max(w.Admitted-w.Edge-limit, 0) }

// Under returns how many of limit were left when others were refused: requests
// that should have been admitted. It is known for whole windows only, and zero
// for others.
func (w *Window) Under(limit int64) int64 {
	if !w.Whole {
		return 0
	}
	return max(min(limit-w.Admitted, w.Refused), 0)
}

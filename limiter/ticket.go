package limiter

import (
	"math"
	"time"
)

// A Ticket is the record of one Take, with which what it charged can be added
// to, or given back: one of the two, once. It is for one goroutine at a time.
// Doing either again, with the ticket of a Take that was refused or with the
// zero Ticket does nothing.
type Ticket struct {
	limiter *Limiter
	checks  []Check
	refused int // index plus one
	used    bool
}

// Refused returns the index of the first check that refused, -1 if none did.
func (t *Ticket) Refused() int { return t.refused - 1 }

// Settle charges n more units to each check of the ticket whose limit counts
// cost, in the window that holds now, be it another than that of the Take. What
// is charged may exceed the limit. If n is negative, as for an upload that broke
// off, it gives back so much of what Take charged, as Refund does. For what is
// known bit by bit, on a long stream, see [Limiter.Charge].
func (t *Ticket) Settle(now time.Time, cost Cost, n int64) {
	switch {
	case !t.use():
	case n >= 0:
		t.limiter.Charge(now, t.checks, cost, n)
	default:
		for i := range t.checks {
			if k := &t.checks[i]; k.Limit.Cost == cost {
				t.giveBack(now, i, min(max(k.N, 0), -max(n, -math.MaxInt64)))
			}
		}
	}
}

// Refund gives back what was charged by Take, as far as that still counts
// in the window in which it was charged: what has been charged to a window
// that is over, or to a counter that has been forgotten, is left alone.
func (t *Ticket) Refund(now time.Time) {
	if !t.use() {
		return
	}
	for i := range t.checks {
		t.giveBack(now, i, max(t.checks[i].N, 0))
	}
}

// giveBack gives back n of what was charged for one check.
func (t *Ticket) giveBack(now time.Time, i int, n int64) {
	k := &t.checks[i]
	var one [1]counter
	for attempt := 0; ; attempt++ {
		switch t.limiter.tryAcquire(t.checks[i:i+1], one[:]) {
		case absent:
			return
		case acquired:
			one[0].refund(k.Limit, nanos(now), k.when, n)
			one[0].leave(k, nanos(now), -n)
			return
		}
		pause(attempt)
	}
}

// use reports whether the ticket may be used, which it then has been.
func (t *Ticket) use() bool {
	ok := t.limiter != nil && t.refused == 0 && !t.used
	t.used = true
	return ok
}

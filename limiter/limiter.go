package limiter

import "time"

// A Key is what is counted, as a keyed hash of its parts: see [Seed.Key].
// It is never zero for parts that were hashed.
//
// A Key stands for one counter, so whatever must be counted apart (two limits
// on one subject, say a quota and a burst) needs a part of its own in the key.
type Key uint64

// A Check is one Limit under one Key that must be passed.
type Check struct {
	// Limit and Key say what is counted; the Limit must be valid.
	Limit *Limit
	Key   Key
	// N is what is asked for, in the limit's units; never negative. A limit on
	// Bytes lets pass while fewer than Count are spent, whatever N is, since
	// the size of an answer is not known before it has been sent; N is then
	// charged at once and the rest by [Ticket.Settle].
	// A limit on Requests or Events lets pass if N more fit.
	N int64

	// Over, Remaining and Reset are set by Take and Peek.

	// Over tells that the limit does not allow N more. A limit that is not a
	// shadow then refuses.
	Over bool
	// Remaining is what is left after this Take; never negative.
	Remaining int64
	// Reset is, where Over, the time until N may pass (as far as this node
	// knows); otherwise the time until more than Remaining can be had.
	Reset time.Duration
}

// Options say how large a [Limiter] may grow. The zero value is fit for use.
type Options struct {
	// MaxKeys bounds the counters that are held; zero means 1<<20.
	MaxKeys int
}

// A Limiter holds the counters of one node.
type Limiter struct{}

// New returns a Limiter without counters. It starts nothing.
func New(o Options) *Limiter { return &Limiter{} }

// Take passes all checks or charges none.
func (l *Limiter) Take(now time.Time, checks []Check) (Ticket, bool) {
	return Ticket{}, true
}

// Peek tells what Take would do, and charges nothing.
func (l *Limiter) Peek(now time.Time, checks []Check) bool { return true }

// Sweep forgets the counters that no longer matter at now.
func (l *Limiter) Sweep(now time.Time) {}

// Len returns the number of counters held.
func (l *Limiter) Len() int { return 0 }

// A Ticket is the record of one Take.
type Ticket struct{}

// Refused returns the index of the first check that refused, -1 if none did.
func (t *Ticket) Refused() int { return -1 }

// Settle charges n more units to each check of the ticket whose limit counts cost.
func (t *Ticket) Settle(now time.Time, cost Cost, n int64) {}

// Refund gives back what was charged.
func (t *Ticket) Refund(now time.Time) {}

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
	// Blocked is for how long nothing is left because other nodes have spent
	// the limit, as this one was told; not above zero if it wasn't.
	Blocked time.Duration

	// Alone has a limit that is shared do what its OnStoreLoss says, as if the store
	// were away: for one who has waited for it in vain.
	Alone bool

	// Over, Short, Remaining and Reset are set by Take and Peek.

	// Over tells that the limit does not allow N more. A limit that is not a
	// shadow then refuses.
	Over bool
	// Short tells that an [Exact] limit, though it may leave more, is Over because this
	// node has no right to it yet: [Sharer.Await] waits for it.
	Short bool
	// Remaining is what is left after this Take; never negative.
	Remaining int64
	// Reset is, where Over, the time until N may pass (as far as this node
	// knows); otherwise the time until more than Remaining can be had.
	Reset time.Duration

	when int64 // what a refund has to know of when N was charged
}

package limiter

import (
	"context"
	"time"
)

// A Store keeps the registers of all nodes that share counters. It is a small
// place that all of them reach, such as Redis (package limiter/redis); package
// limiter/memory is one for tests and for nodes in one process. Package
// limiter/limitertest has what every Store must do.
//
// There is one operation, and it may be repeated, delayed, lost, or carried out
// though its answer is lost: that never changes what comes out, since nodes tell
// what they have and not what they add, and number what they tell.
type Store interface {
	// Share carries out a batch, all assertions at one moment of the store, and
	// fills in the answers. After an error, which may be that of ctx, the store
	// may have carried it out or not, or may still do so; the answers mean nothing.
	// It is for many goroutines at once, each with its own batch.
	Share(ctx context.Context, b *Batch) error
}

// A Batch is what a node asserts in one call of a [Store], and the answer.
// Times are in nanoseconds since the Unix epoch.
type Batch struct {
	// Node is the run of a node, chosen at random when it starts: one that
	// starts again has new registers. Never zero.
	Node uint64
	// Beat asks the store to count the node among those that live, for
	// [NodeLife] from now on, and to tell how many there are. Such a batch may be empty.
	Beat bool
	// Assertions is what is asserted: no counter and window twice.
	Assertions []Assertion

	// Now is the time by the store's clock, by which alone windows begin and end.
	Now int64
	// Epoch names the life of the store's data. It changes when what was written
	// may have been lost: with a new primary, a restart, or a flush. Never zero.
	Epoch uint64
	// Fenced tells that the epoch is younger than [Fence]: registers that were lost may
	// not have been asserted again, so nothing was granted.
	Fenced bool
	// Durable tells that what was granted will survive the loss of the store's
	// primary, or that there is no replica to survive it. Other grants must not be spent.
	Durable bool
	// Nodes is how many nodes live; set if Beat.
	Nodes int
}

// An Assertion is what a node says of its register of one counter, and the answer.
//
// Of windows, a counter has registers for each; the sum of all nodes' registers is
// what the limit is held against. A fixed window is one such window. A sliding
// window is many short ones, each as long as a sub-bucket: Before of them count
// together with the newest.
//
// Of a token bucket there is one register for each node, and what is missing in
// the bucket, which all refill and which grows with each register.
type Assertion struct {
	// Counter names the counter.
	Counter Counter
	// Seq numbers what a node asserts of a counter and window. The store takes
	// note of what has a higher number than the last, and answers [Stale] to
	// anything else. With zero nothing is asserted, it is only asked. At most [MaxSeq].
	Seq uint64
	// Register is what the node has spent (in the window; of a bucket: ever) and the
	// rights that it holds beside. It may be lower than before, if something was
	// refunded or rights are given back.
	Register int64
	// Want is what it would like to be granted in addition: at most so much is,
	// and then in its register already.
	Want int64
	// Limit is what may be spent: in the window and Before more, or the depth of
	// a bucket. Only grants are held to it.
	Limit int64

	// Begin and End are those of the window; both zero for a bucket.
	Begin, End int64
	// Keep is for how long after End the window is kept, in nanoseconds: so long it can still
	// be asserted and asked.
	Keep int64
	// Before is how many windows before this one count as well. Where it is not zero, the
	// window after this one does too: of that, rights may have been granted before it began. All
	// windows of a counter have the same Before, and where it is not zero they are as long
	// as each other, and one follows the other.
	Before int
	// AskPast asks for Past. It need not be set where Want is above zero.
	AskPast bool

	// Rate units flow into a bucket in Period nanoseconds; Rate is at least one.
	Rate, Period int64
	// Held is the part of Register, of a bucket, that has not been spent yet. It
	// may be until Lease nanoseconds from now, of which a store may make whole
	// microseconds, rounded up; it takes for spent then what it has not heard of
	// since. While it is held it is missing, and does not refill.
	Held, Lease int64
	// Missing is what is missing in the bucket as far as the node knows, its
	// own Register included. A store that has no register of the node begins with it.
	Missing int64

	// Status tells what became of the assertion. The rest of the answer is told
	// with [Applied] and [Stale].
	Status Status
	// Sum is, of windows, the sum of all registers of this window, with what was
	// granted now; of a bucket, what is missing, likewise.
	Sum int64
	// Past is the sum of the registers of the Before windows before and of the window
	// after; but of the first and the last of these, which do not count together, only
	// the larger. Zero where it was not asked for.
	Past int64
	// Granted is what was granted, from zero to Want; always zero where Stale, and
	// of windows that are over.
	Granted int64
}

// A Counter names a counter in a [Store]: a key, and the shape of the limit that it
// is under, so that one with other windows has other counters.
type Counter [16]byte

// A Status is what became of an [Assertion].
type Status uint8

// What can become of an assertion.
const (
	Applied Status = iota + 1 // the store has taken note of it
	Stale                     // a later one of the node is known; or Seq is zero
	Late                      // the window is over, and no longer kept
	Early                     // the window does not even follow the one that is now
)

// What all nodes and stores agree on.
const (
	// Fence is for how long a new epoch grants nothing: nodes use it to assert
	// again what they have.
	Fence = 2 * time.Second
	// MaxSeq is the largest number that an assertion can have, also where a store calculates
	// with floating-point numbers. At a million a second they last for 285 years.
	MaxSeq = 1 << 53
	// NodeLife is for how long a node counts as living after a beat.
	NodeLife = 3 * time.Second
	// Silence is after what time a register of a bucket is forgotten that its node has not
	// asserted, and of which no rights are held: with the next node's first assertion, or
	// that node's own next. So a bucket that is always in use does not keep those of all nodes that
	// ever were.
	Silence = 10 * time.Minute
)

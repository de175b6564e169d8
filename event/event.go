// Package event is how events travel from gateways to traffic managers: as
// batches in Weir's own format (a [Body] under a [Header], answered by a [Reply]),
// and as WSO2's JSON, one event or an array.
//
// A gateway makes a Body once, of what it counted since the last, with an [Encoder].
// For each traffic manager that it goes to it puts a Header before it, and sends
// both one after the other, or several bodies at once: that is a batch, which a
// [Decoder] reads. Header, Body and Reply are messages of protocol buffers
// (event.proto); whoever reads them skips fields that it does not know.
//
// # Nothing twice, nothing lost
//
// A Header names one run of a gateway (Incarnation), and numbers what that sends
// to one traffic manager (Seq). A traffic manager counts each number once, and
// answers one that it knows without counting it again: so a gateway may send
// until it is answered.
//
// A traffic manager that does not know the incarnation, because it has just
// started, counts nothing and asks for a restatement ([Reply.Restate]). The
// gateway then leaves out what waits and sends what it has counted in all windows
// that are open, told before or not, in bodies whose header says Restates; and
// goes on as usual. The first thing that a gateway sends to anybody is a
// restatement.
package event

import (
	"time"

	"github.com/weir-project/weir"
)

// MediaType is that of batches and replies over HTTP.
const MediaType = "application/vnd.weir.events.v1+protobuf"

// A Header stands before the events of a batch.
type Header struct {
	// Node is the gateway's name, for people.
	Node string
	// Incarnation identifies one run of the gateway; never zero.
	Incarnation uint64
	// Seq numbers what the incarnation sends to one traffic manager, from 1. Zero
	// is a call without events, to hear decisions: it is answered, not counted.
	Seq uint64
	// Sent is the gateway's clock when it sent the batch; each time anew.
	Sent time.Time
	// Restates tells that the events are a restatement, or a part of one: it
	// has one Seq after the other. The first of them has First set; whatever the
	// traffic manager thought to know of the incarnation, it knows no more.
	Restates, First bool
	// Manager and Version say up to where the gateway knows the decisions of
	// the traffic manager it writes to: [Reply.Manager] and [Reply.Version]
	// of its last answer. Zero: nothing.
	Manager uint64
	Version uint64
	// Skew is by how much the gateway takes the clock of Manager to be ahead of its
	// own, from what that answered. Nothing that is late on its way can distort it.
	Skew time.Duration
	// Refused is what the gateway refused, as it stands; nil: it does not say.
	Refused *RefusedCalls
	// Sharing is how the gateway shares counters with others, as it stands; nil: it does
	// not say, or shares none.
	Sharing *Sharing
}

// A Body is encoded events of a batch. It is never changed once made. A batch is a
// Header and any number of bodies, one after the other.
type Body []byte

// A Reply is a traffic manager's answer to a batch.
type Reply struct {
	// Manager identifies one run of the traffic manager; never zero. Issuer is
	// its name in decisions.
	Manager uint64
	Issuer  string
	// Now is the traffic manager's clock when it answered.
	Now time.Time
	// Restate asks for a restatement: nothing of the batch was counted.
	Restate bool
	// Refused are the events that were not counted because they are wrong.
	Refused []Refusal
	// Late is how many were not counted because they were admitted too long ago.
	Late int
	// Shares names the store through which the traffic manager shares its
	// counters; those with the same name count as one. Empty: it does not share.
	Shares string
	// Decisions are those made since the version that the header named; if All,
	// they are all that are in force, and those that are not among them are not.
	// Those that have no issuer are of Issuer.
	Decisions []weir.Decision
	All       bool
	// Version is that of the decisions after these.
	Version uint64
}

// A Refusal says why one event of a batch was not counted.
type Refusal struct {
	Index  int // of the event in the batch, from 0
	Reason string
}

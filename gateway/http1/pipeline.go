package http1

import (
	"time"

	"github.com/weir-project/weir/gateway"
)

// A Pipeline decides on calls; [gateway.Gateway] is the one there is. It must be
// safe for concurrent use.
type Pipeline interface {
	// Admit decides on a call: nil to forward it, otherwise the answer to send.
	Admit(x *gateway.Exchange) *gateway.Answer
	// Fail returns the answer for a call that can't be parsed or forwarded.
	Fail(x *gateway.Exchange, status int) *gateway.Answer
	// Finish settles an admitted or refused call; it is called once after Admit.
	Finish(x *gateway.Exchange, o gateway.Outcome)
}

var (
	_ Pipeline = (*gateway.Gateway)(nil)
	_ Meter    = (*gateway.Gateway)(nil)
)

// A Meter is a Pipeline that counts what passes on long streams while they last.
// Both methods are called between Admit and Finish, never two at a time for one
// Exchange.
type Meter interface {
	// Event charges one message of a WebSocket (either way) or one event of an
	// event stream, and reports whether it may pass.
	Event(x *gateway.Exchange, now time.Time) bool
	// Progress tells what has passed so far, as Finish will at the end: o
	// counts from the call's beginning. It is called at least once a second
	// or every 64 KiB while bytes flow.
	Progress(x *gateway.Exchange, now time.Time, o gateway.Outcome)
}

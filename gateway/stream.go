package gateway

import (
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// Event reports whether one more message may pass on the stream that x opened: a
// WebSocket message in either direction, or a server-sent event. now is when it
// arrived. It holds the message to the limits on events; a message that may not
// pass is charged to none. Deny policies that came while the stream was open
// hold too.
//
// It may be called between Admit and Finish, once at a time for one Exchange.
func (g *Gateway) Event(x *Exchange, now time.Time) bool {
	m := &x.scratch.events
	// The policies in force now, not those of when the stream began: a stream
	// may last for days.
	s := g.snapshot.Load()
	s.set.MatchEvents(m, &x.Request, 1)
	if m.Denied != nil {
		g.noteDenied(x, m.Denied, now)
		return false
	}
	if m.Unknown != "" {
		return false
	}
	g.block(m, s, &x.Request, now)
	t, ok := g.take(now, m.Checks)
	if !ok {
		g.noteRefused(x, m, t.Refused(), now)
		return false
	}
	g.tell(x, now, weir.Spent{Events: 1})
	return true
}

// Progress charges what has passed so far to the limits on bytes, so that a
// stream that lasts is counted while it does; o counts from the call's beginning.
// What is charged so isn't charged again by Finish.
//
// It may be called between Admit and Finish, once at a time for one Exchange.
func (g *Gateway) Progress(x *Exchange, now time.Time, o Outcome) {
	if n := x.unsettled(o); n > 0 && x.taken {
		g.limiter.Charge(g.clock(now), x.Match.Checks, limiter.Bytes, n)
		x.settled += n
		g.tellBytes(x, now, n)
	}
}

// unsettled returns the bytes of o that weren't charged yet: neither when the
// call was admitted, by the declared size of its request, nor by Progress.
func (x *Exchange) unsettled(o Outcome) int64 {
	return o.RequestBytes + o.ResponseBytes - min(max(0, x.ContentLength), maxReserve) - x.settled
}

package gateway

import (
	"context"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A Sharer shares the limiter's counters with other gateways. It is a
// [limiter.Sharer].
type Sharer interface {
	// Time returns the time by the clock that all gateways have in common.
	Time(now time.Time) time.Time
	// Await waits for rights that a Take at now lacked, at most until ctx is done, and
	// reports whether another Take may pass.
	Await(ctx context.Context, now time.Time, checks []limiter.Check) bool
}

// mostWait is how long a call may wait for rights to an exact limit. It is the only
// time that a call ever waits for a store.
const mostWait = 5 * time.Millisecond

// clock returns the time at which the limiter counts what happens now.
func (g *Gateway) clock(now time.Time) time.Time {
	if g.options.Sharer == nil {
		return now
	}
	return g.options.Sharer.Time(now)
}

// take takes what checks ask for at now, which it waits for if this gateway only has
// no right to it yet.
func (g *Gateway) take(now time.Time, checks []limiter.Check) (limiter.Ticket, bool) {
	t, ok := g.limiter.Take(g.clock(now), checks)
	if ok || g.options.Sharer == nil || !checks[t.Refused()].Short {
		return t, ok
	}
	ctx, cancel := context.WithTimeout(context.Background(), mostWait)
	defer cancel()
	for onlyShort(checks) && g.options.Sharer.Await(ctx, g.clock(time.Now()), checks) {
		t, ok = g.limiter.Take(g.clock(time.Now()), checks)
		if ok || ctx.Err() != nil {
			break
		}
	}
	if !ok && ctx.Err() != nil && onlyShort(checks) { // the store is slow: as if it were away
		for i := range checks {
			checks[i].Alone = checks[i].Short
		}
		t, ok = g.limiter.Take(g.clock(time.Now()), checks)
	}
	return t, ok
}

// onlyShort reports whether nothing stands in the way but rights that are lacking.
func onlyShort(checks []limiter.Check) bool {
	short := false
	for i := range checks {
		if k := &checks[i]; k.Over && !k.Limit.Shadow {
			if !k.Short {
				return false
			}
			short = true
		}
	}
	return short
}

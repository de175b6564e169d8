package limiter

import "time"

// Record charges each check with its N at the time at, whatever its limit
// leaves: what was let pass elsewhere has to count. A negative N gives back what
// was recorded before, as far as it still counts.
//
// It sets Over, that nothing is left of the limit, Remaining and Reset. Of fixed
// windows it charges only the one that holds now by what was recorded before: a
// check whose window is over is charged nothing, so that nothing counts in a later
// window than its own. Record returns how many checks that were; of them it sets
// Over to false, and neither Remaining nor Reset.
//
// Checks that share a key must be under one algorithm. Each is charged by itself:
// other operations may come in between.
func (l *Limiter) Record(at time.Time, checks []Check) (late int) {
	ns := nanos(at)
	for i := range checks {
		k := &checks[i]
		var one [1]counter
		l.acquire(ns, checks[i:i+1], one[:])
		c := &one[0]
		c.roll(k.Limit, ns)
		if c.isAhead(k.Limit, ns) {
			c.release()
			k.Over = false
			late++
			continue
		}
		if k.N >= 0 {
			c.charge(k.Limit, ns, k.N)
		} else {
			c.refund(k.Limit, ns, c.moment(k.Limit, ns), -max(k.N, -1<<62))
		}
		left := c.left(k.Limit, ns)
		k.Over = left <= 0
		c.report(k, left, ns)
		c.leave(k, ns, k.N)
	}
	return late
}

// shortestDay is less than any window of the calendar.
const shortestDay = int64(20 * time.Hour)

// isAhead reports whether the counter is in a later fixed window than the one of
// ns. Roll must have been called.
func (c *counter) isAhead(l *Limit, ns int64) bool {
	switch {
	case l.Algorithm != FixedWindow:
		return false
	case l.Window.Calendar == NoCalendar:
		return c.slot.window-int64(l.Window.Length) > ns
	case c.slot.window-ns <= shortestDay:
		return false
	}
	_, end := l.Window.bounds(ns)
	return c.slot.window > end
}

// moment is what charge would have returned for something spent at ns.
func (c *counter) moment(l *Limit, ns int64) int64 {
	switch l.Algorithm {
	case SlidingWindow:
		return c.ring().head
	case TokenBucket:
		return ns
	}
	return c.slot.window
}

package uplink

import "time"

const (
	// remembered is how many answers the difference of two clocks is found from:
	// about the last minute's.
	remembered = 64
	// drift is how much two clocks may move against each other within that, and
	// how coarse a manager may tell the time.
	drift = 10 * time.Millisecond
)

// A clock finds by how much a manager's clock is ahead of ours, from what it says
// the time was when it answered. That was between call and answer, so half of the
// round trip bounds the error; the answer that came fastest is believed.
// Between answers our clock is taken to be the monotonic one, so our wall clock may
// be set at any time.
type clock struct {
	answers [remembered]reading
	n       int // how many there are
	next    int
	best    reading
}

// A reading is what one answer shows.
type reading struct {
	sent  time.Time // by our clocks
	shown time.Time // by the manager's then, if the answer was made half-way
	rtt   time.Duration
}

// at returns what the manager's clock shows when ours shows now.
func (r *reading) at(now time.Time) time.Time { return r.shown.Add(now.Sub(r.sent)) }

// ahead returns by how much the manager's clock is then ahead of our wall clock, and
// whether that is known.
func (r *reading) ahead(now time.Time) (time.Duration, bool) {
	if r.sent.IsZero() {
		return 0, false
	}
	return r.at(now).Sub(now.Round(0)), true
}

// read takes an answer that was made when the manager's clock showed now, to a
// call that was sent and answered at two times of ours.
//
// An answer that contradicts the best one shows that the manager's clock was set:
// what was known until then is forgotten.
func (c *clock) read(now, sent, answered time.Time) {
	rtt := max(answered.Sub(sent), 0)
	r := reading{sent, now.Round(0).Add(-rtt / 2), rtt}
	if c.n > 0 && r.shown.Sub(c.best.at(sent)).Abs() > (r.rtt+c.best.rtt)/2+drift {
		*c = clock{}
	}
	c.answers[c.next] = r
	c.next = (c.next + 1) % remembered
	c.n = min(c.n+1, remembered)
	c.best = r
	for _, o := range c.answers[:c.n] {
		if o.rtt < c.best.rtt {
			c.best = o
		}
	}
}

// ahead returns by how much the manager's clock is ahead of ours, which shows now,
// and whether that is known.
func (c *clock) ahead(now time.Time) (time.Duration, bool) { return c.best.ahead(now) }

// rtt returns the shortest round trip of late; zero: none is known.
func (c *clock) rtt() time.Duration { return c.best.rtt }

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
type clock struct {
	answers [remembered]reading
	n       int // how many there are
	next    int
	best    reading
}

// A reading is what one answer shows.
type reading struct {
	ahead time.Duration // of our clock, if the answer was made half-way
	rtt   time.Duration
}

// read takes an answer that was made when the manager's clock showed now, to a
// call that was sent and answered at two times of ours.
//
// An answer that contradicts the best one shows that one of the clocks was set:
// what was known until then is forgotten.
func (c *clock) read(now, sent, answered time.Time) {
	rtt := max(answered.Sub(sent), 0)
	r := reading{now.Sub(sent.Round(0)) - rtt/2, rtt}
	if c.n > 0 && (r.ahead-c.best.ahead).Abs() > (r.rtt+c.best.rtt)/2+drift {
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

// ahead returns by how much the manager's clock is ahead of ours, and whether
// that is known.
func (c *clock) ahead() (time.Duration, bool) { return c.best.ahead, c.n > 0 }

// rtt returns the shortest round trip of late; zero: none is known.
func (c *clock) rtt() time.Duration { return c.best.rtt }

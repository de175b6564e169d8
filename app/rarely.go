package app

import "time"

// quiet is how long nothing more is said of what happens again and again.
const quiet = 10 * time.Second

// A rarely counts what happens between two lines of the log. It is for one goroutine
// at a time.
type rarely struct {
	last time.Time
	n    int
}

// add counts one more, and returns how many there were since the last line if it is
// time for another; zero: it is not.
func (r *rarely) add(now time.Time) int {
	r.n++
	if !r.last.IsZero() && now.Sub(r.last) < quiet {
		return 0
	}
	n := r.n
	r.n, r.last = 0, now
	return n
}

package limiter

import "time"

// setOthers has l take it that other nodes have so much of what counts of key.
func setOthers(l *Limiter, now time.Time, limit *Limit, key Key, others int64) {
	checks := [1]Check{{Limit: limit, Key: key}}
	var c [1]counter
	l.acquire(nanos(now), checks[:], c[:])
	c[0].roll(limit, nanos(now))
	c[0].share.others = others
	c[0].release()
}

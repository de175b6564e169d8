package limiter

import "time"

// A pace is how fast all nodes together spend a limit that is shared without rights. A
// node hears of the others when it tells something itself. Where it seldom does, it
// asks besides, the sooner the sooner the limit will be spent: when half of what is
// left may be. So nodes that get few requests do not each let one past a limit that the
// others have spent, and keys far from their limits are not asked for.
type pace struct {
	used int64   // when the key was last used here
	rate float64 // units per second
	at   int64   // when sum was
	sum  int64
	ends int64 // the window of sum
	asks bool  // it is time to ask
}

// window learns from an answer about a window: from what was spent since the last
// answer, or else since it began. When it was spent is not known, only the latest time of it.
func (p *pace) window(a *Assertion, now int64) {
	switch {
	case a.Sum >= a.Limit:
		if p.ends != a.End || p.sum < a.Limit {
			p.rate = max(p.rate, float64(a.Sum)/float64(max(now-a.Begin, 1))*1e9)
		}
	case p.ends == a.End:
		p.learn(float64(a.Sum-p.sum), now)
	default:
		p.at = a.Begin
		p.learn(float64(a.Sum), now)
	}
	p.at, p.sum, p.ends = now, a.Sum, a.End
}

// bucket learns from an answer about a bucket, of which what flowed in was spent too.
func (p *pace) bucket(a *Assertion, now int64) {
	if p.at != 0 {
		p.learn(float64(a.Sum-p.sum)+float64(now-p.at)*float64(a.Rate)/float64(a.Period), now)
	}
	p.at, p.sum = now, a.Sum
}

// learn takes note that n were spent since the last answer.
func (p *pace) learn(n float64, now int64) {
	if dt := float64(now - p.at); dt > 0 {
		p.rate += (max(n, 0)/dt*1e9 - p.rate) * dt / (dt + memory)
	}
}

// half is in what time half of n will be spent, but at least in an interval.
func (p *pace) half(n int64, interval time.Duration) int64 {
	return max(int64(min(float64(n)/p.rate/2*1e9, 1e18)), int64(interval))
}

// askLeft has the store asked what is left, of an entry under which rights are held: when
// half of the free that are left may be spent.
func (ln *lane) askLeft(e *entry, free, now int64) {
	p := &e.pace
	e.lease.ask = 0
	if free <= 0 {
		ln.holdUntil(e, ln.now+int64(ln.sharer.o.Interval)) // what is not needed by then is given back
	}
	if free <= 0 || p.rate <= 0 {
		return
	}
	if in := p.half(free, ln.sharer.o.Interval); in < e.limit.Window.usual() && (e.limit.Algorithm != FixedWindow || in < e.window-now) {
		e.lease.ask = ln.now + in
		ln.holdUntil(e, e.lease.ask)
	}
}

// asks reports, once, that it is time to ask what is left, at a local time.
func (le *lease) asks(local int64) bool {
	if le.ask == 0 || local < le.ask {
		return false
	}
	le.ask = 0
	return true
}

// askAgain has an entry asked for again in time, while it is in use; free are left.
func (ln *lane) askAgain(e *entry, free, now int64) {
	const longest = int64(60e9)
	p, length := &e.pace, e.limit.Window.usual()
	if ln.sharer.limiter.fleet.sharing != Checks || now-p.used > min(max(length, 1e9), longest) || p.rate <= 0 {
		return
	}
	interval := ln.sharer.o.Interval
	in := p.half(free, interval)
	if e.limit.Algorithm == FixedWindow {
		left := e.window - now
		if free <= 0 || in > left { // nothing can be said before the next window
			in = max(left, 0) + p.half(e.limit.Count, interval)
			if in-left > length {
				return
			}
		}
	} else if free <= 0 {
		in = max(length/ringSize, 2*int64(interval))
	}
	if in <= length+longest {
		ln.holders.place(e, ln.now+in)
	}
}

package limiter

import "time"

// A part is what the lane has to know of an assertion when the answer comes.
type part struct {
	entry *entry
	about subject
	mine  int64 // when it was asserted
	since int64 // since when it had something to tell; zero: it had not
	past  int64 // of a sliding window: what this node has in the windows before
}

// A subject is what an assertion is about.
type subject uint8

const (
	current subject = iota // what the share is about
	ended                  // a window that is over
	coming                 // the window after the current one
)

// locate locks the counter of an entry, if it is held.
func (l *Limiter) locate(e *entry, c *counter) bool {
	checks := [1]Check{{Limit: e.limit, Key: e.key}}
	one := [1]counter{}
	for attempt := 0; ; attempt++ {
		switch l.tryAcquire(checks[:], one[:]) {
		case acquired:
			*c = one[0]
			return c.share != nil || c.abandon()
		case absent:
			return false
		}
		pause(attempt)
	}
}

// abandon gives up a counter that turned out not to be shared.
func (c *counter) abandon() bool {
	c.release()
	return false
}

// assert adds to the batch what there is to tell of an entry.
func (ln *lane) assert(e *entry, local, now int64) {
	e.lease.asked = true
	var c counter
	if !ln.sharer.limiter.locate(e, &c) {
		if e.again && e.window != 0 {
			ln.assertTold(e, e.told)
		}
		e.again = false
		return
	}
	sh := c.share
	news := sh.state
	sh.state = 0
	if news&fresh != 0 && news&known == 0 && e.limit.Algorithm == FixedWindow {
		// It was forgotten when its window was over, and is back in that window, or was.
		c.slot.spent = addSat(c.slot.spent, e.spentIn(sh.window))
		sh.closed = addSat(sh.closed, e.spentIn(sh.closedWindow))
	}
	c.roll(e.limit, now)
	e.since, sh.since = sh.since, 0
	if news&dirty != 0 {
		e.pace.used = now
	}
	all := e.again || news&again != 0
	e.again = false
	if e.limit.Algorithm == TokenBucket {
		ln.assertBucket(e, &c, news, all, local, now)
	} else {
		ln.assertWindow(e, &c, news, all, local, now)
	}
	c.release()
}

// spentIn returns what the store was told that was spent in a window.
func (e *entry) spentIn(window int64) int64 {
	switch window {
	case 0:
		return 0
	case e.window:
		return e.spent
	case e.closed.window:
		return e.closed.spent
	}
	return 0
}

// tell adds an assertion to the batch.
func (ln *lane) tell(e *entry, about subject, mine int64, a Assertion) *part {
	ln.seq++
	e.heard = true
	a.Counter, a.Seq = e.counter, ln.seq
	ln.batch.Assertions = append(ln.batch.Assertions, a)
	ln.parts = append(ln.parts, part{entry: e, about: about, mine: mine, since: e.since})
	return &ln.parts[len(ln.parts)-1]
}

// keep returns for how long a window of l is kept when it is over: until the last
// node has told what it has of it, and again if the store has lost that.
func keep(l *Limit) int64 {
	length := l.Window.usual()
	if l.Algorithm == SlidingWindow {
		length = ringWidth(l)
	}
	k := min(max(mulSat(length, 2), int64(2*time.Second)), untold)
	if l.Algorithm == SlidingWindow {
		k += ringSize * length
	}
	return k
}

// countBefore returns how many windows of l before one count with it.
func countBefore(l *Limit) int {
	if l.Algorithm == SlidingWindow {
		return ringSize - 1
	}
	return 0
}

// assertTold asserts again the register of a window that is over.
func (ln *lane) assertTold(e *entry, t told) {
	ln.tell(e, ended, 0, Assertion{
		Register: t.register, Limit: e.limit.Count, Begin: t.begin, End: t.window, Keep: keep(e.limit), Before: countBefore(e.limit),
	})
}

// assertWindow asserts the register of the current window, and of those that are over
// what has not been told. With all, the store may not know what it was told.
func (ln *lane) assertWindow(e *entry, c *counter, news uint8, all bool, local, now int64) {
	l, sh := e.limit, c.share
	begin := e.begin
	if e.window != sh.window {
		begin = c.begins(l)
	}
	if l.Algorithm == SlidingWindow {
		ln.assertBuckets(e, c, all)
	} else {
		ln.assertClosed(e, sh, all, now)
	}
	mine := c.mine()
	a := Assertion{Register: mine, Limit: l.Count, Begin: begin, End: sh.window, Keep: keep(l), Before: countBefore(l)}
	leases := c.table.fleet.leases(l)
	had := e.window == sh.window || e.lease.coming == sh.window // the store may have a register
	if leases {
		held := max(sh.rights-mine, 0)
		free := c.known(l) - held
		a.Register, a.Want = ln.size(e, c, mine, held, free, local, now)
		sh.rights = max(a.Register, mine)
		ln.assertComing(e, c, all, free, local, now)
		if l.Algorithm == SlidingWindow && (a.Register > mine || sh.nextWindow > sh.window) {
			ln.holders.place(e, min(e.lease.due, local+sh.window-now)) // what is not spent by then is given back
		}
	}
	is := told{begin: begin, window: sh.window, register: a.Register, spent: mine}
	doubt := news&stale != 0 || leases && (e.lease.asks(local) || now-sh.seen >= refresh) && sh.rights > mine || !leases && e.pace.asks
	e.pace.asks = false
	if !all && a.Want == 0 && is.same(e.told) && !doubt {
		return
	}
	if a.Want == 0 && a.Register == 0 && !had && leases {
		return
	}
	e.told, e.gone = is, addSat(local+sh.window-now, a.Keep)
	p := ln.tell(e, current, mine, a)
	if l.Algorithm == SlidingWindow {
		ln.askPast(e, c, p, now)
	}
}

// begins returns when what the share is about begins.
func (c *counter) begins(l *Limit) int64 {
	if l.Algorithm == SlidingWindow {
		return c.share.window - c.ring().width
	}
	begin, _ := l.Window.bounds(c.share.window - 1)
	return begin
}

// assertClosed asserts what is left to tell of the fixed window before the current one.
func (ln *lane) assertClosed(e *entry, sh *share, all bool, now int64) {
	switch {
	case sh.closedWindow != 0:
		t := told{window: sh.closedWindow, register: sh.closed, spent: sh.closed}
		var end int64
		t.begin, end = e.limit.Window.bounds(t.window - 1)
		sh.closedWindow = 0
		if end != t.window {
			break // it was another limit's
		}
		if all || !t.same(e.told) {
			ln.assertTold(e, t)
		}
		e.closed = t
		return
	case e.window > e.closed.window && e.window != sh.window: // nothing was spent there since it was told
		e.closed = e.told
	}
	if all && e.closed.window != 0 && now < e.closed.window+untold {
		ln.assertTold(e, e.closed)
	}
}

// assertBuckets asserts what is left to tell of the sub-buckets before the newest.
func (ln *lane) assertBuckets(e *entry, c *counter, all bool) {
	r := c.ring()
	oldest := max(r.head-ringSize+1, 0)
	from := r.head
	if e.window != 0 && e.window != c.share.window {
		from = max(e.begin/r.width, oldest)
	}
	if all || e.window == 0 {
		from = oldest
	}
	for b := from; b < r.head; b++ {
		n := r.buckets[b&(ringSize-1)]
		t := told{begin: b * r.width, window: (b + 1) * r.width, register: n, spent: n}
		if t.same(e.told) || t.register == 0 && t.window != e.window && t.window != e.lease.coming {
			continue
		}
		ln.assertTold(e, t)
		if t.window == e.told.window {
			e.told = t
		}
	}
}

// A past is what a sliding window knows of the others' sub-buckets before the newest.
type past struct {
	window int64 // when the newest ends
	others int64
	sure   bool // all had told all when it was asked
}

// settling is for how long others may still tell of a sub-bucket that is over.
const settling = int64(50 * time.Millisecond)

// askPast has an assertion ask for the windows before, unless that is known.
func (ln *lane) askPast(e *entry, c *counter, p *part, now int64) {
	a := &ln.batch.Assertions[len(ln.batch.Assertions)-1]
	if e.past.window == a.End && e.past.sure && a.Want == 0 {
		return
	}
	a.AskPast = true
	p.past = c.slot.spent - c.mine()
	if c.share.nextWindow > c.share.window {
		p.past += c.share.next
	}
	e.past.sure = now >= a.Begin+settling+2*int64(ln.sharer.o.Interval)
}

// assertBucket asserts the register of a token bucket.
func (ln *lane) assertBucket(e *entry, c *counter, news uint8, all bool, local, now int64) {
	l, sh := e.limit, c.share
	if news&fresh != 0 && e.heard {
		e.base = e.register // rights that were held are taken for spent
	}
	mine := sh.own
	a := Assertion{
		Limit: l.depth(), Rate: max(l.Count, 1), Period: l.rateTime(), Missing: c.slot.spent, Register: e.base + mine,
	}
	leases := c.table.fleet.leases(l)
	first := !e.heard && mine > 0 && !leases
	if first { // what others have is not known: this comes on top of it, in the next batch
		mine, a.Register, a.Missing = 0, 0, 0
	}
	var renew bool
	if leases {
		held := max(sh.rights-mine, 0)
		if held > 0 && now >= sh.until {
			e.base += held // the store takes it for spent
			held = 0
		}
		sh.rights = mine + held
		keep, want := ln.size(e, c, mine, held, c.known(l), local, now)
		a.Want, a.Held, a.Lease = want, max(keep-mine, 0), leaseTime
		sh.rights = mine + a.Held
		a.Register = e.base + sh.rights
		renew = a.Held > 0 && now >= sh.until-leaseTime/2
	}
	doubt := news&stale != 0 || leases && e.lease.asks(local) && sh.rights > mine || !leases && e.pace.asks
	e.pace.asks = false
	if !all && !first && a.Want == 0 && !renew && a.Register == e.register && !doubt {
		return
	}
	e.register, e.window = a.Register, 0
	// The store must have forgotten the register before: it would be given back.
	e.gone = addSat(local, max(addSat(l.fillTime(l.depth()), 2*int64(time.Minute)), 2*int64(Silence)))
	ln.tell(e, current, mine, a)
	if first {
		ln.add(e)
	}
}

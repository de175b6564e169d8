package uplink

import (
	"context"
	"errors"
	"time"

	"github.com/weir-project/weir/event"
)

const (
	// callSize is how many bytes of bodies a call has at most, if more than one.
	callSize = 512 << 10
	// giveUp is after how many failures in a row what was sent without an answer
	// is left to another manager of the seat, and a restatement begins again
	// later: the time of that many calls, about four seconds.
	giveUp = 2
	// lastTry is how often a batch is sent that the manager calls malformed.
	lastTry = 3
)

// A phase is how far a link is with a manager's run.
type phase uint8

const (
	asking  phase = iota // whose it is, by a call without events
	telling              // what was counted until now, in a restatement
	joined               // events are told as they come
)

// A link is the gateway's side of one traffic manager. A goroutine of its own
// sends what waits, one call at a time, so that a manager that hangs delays no other.
type link struct {
	uplink  *Uplink
	group   *group
	options *Options
	url     string
	wake    chan struct{} // something may wait; holds one

	// Guarded by group.mu.
	queue   queue
	limit   int // of the queue's bytes
	held    int // bytes of the entries that are on their way, which count as well
	seat    string
	picked  uint64 // when it was last this link's turn
	up      bool   // the last call was answered
	lost    bool   // something was dropped that the manager must be told in a restatement
	retired bool   // another link tells its manager: nothing waits
	upTo    uint64 // number of the last Events that need not be told
	clock   clock
	former  []former
	stats   ManagerStats
	unsaid  int // events that were dropped, of which the log does not know

	// Of the link's goroutine alone.
	say      speaker
	wire     *wire
	seq      uint64
	manager  uint64 // the run that answered last; zero: none
	version  uint64
	shares   string
	phase    phase
	untold   []event.Body // of the restatement: what is yet to be sent
	began    bool         // the restatement's first call has been answered
	owes     bool         // a restatement has begun and not come to its end
	restated backstop
	call     call
	header   event.Header
	callSize int
	failures int // in a row
	beat     time.Time
	stood    time.Time // when a call was answered that said how the gateway stands
}

// A call is what is on its way to a manager, again and again until it is answered.
type call struct {
	seq     uint64 // zero: without events
	entries []entry
	bodies  []event.Body
	// restates and first are the header's.
	restates, first bool
	tries           int
	unsure          bool // whether it was counted
	malformed       int  // how often it was called that
}

// pending reports whether c must be answered before anything else is sent.
func (c *call) pending() bool { return c.seq != 0 }

func newLink(u *Uplink, g *group, a address, limit int) *link {
	l := &link{
		uplink: u, group: g, options: &u.options, url: a.String(), limit: limit,
		wire: newWire(a, &u.options), callSize: callSize, wake: make(chan struct{}, 1),
	}
	l.stats = ManagerStats{Group: g.number, URL: l.url}
	l.say.log = u.options.Log.With("traffic_manager", l.url)
	return l
}

// push adds e to what waits. group.mu must be held.
func (l *link) push(e entry) {
	if l.retired || e.n <= l.upTo {
		return
	}
	l.queue.push(e)
	l.trim()
	l.nudge()
}

// trim drops the oldest that wait, until the rest is within its bounds.
// group.mu must be held.
func (l *link) trim() {
	now := time.Now()
	dropped := 0
	for len(l.queue.waiting()) > 0 && (l.queue.bytes+l.held > l.limit || l.queue.age(now) > l.options.QueueAge) {
		e := l.queue.pop()
		dropped += e.events
	}
	if dropped > 0 {
		l.drop(dropped)
	}
}

// drop notes that events were dropped. group.mu must be held.
func (l *link) drop(events int) {
	l.lost = true
	l.stats.Dropped += uint64(events)
	l.unsaid += events
}

func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run sends what waits until ctx is done, and then what still waits if the manager
// answers, until hard is done. Nothing of it is left when it returns.
func (l *link) run(ctx, hard context.Context) {
	defer l.wire.close()
	wait := jitter(spread / 2)
	for sleep(ctx, wait) {
		wait = 0
		if l.next(time.Now()) {
			wait = l.send(hard)
		} else {
			l.idle(ctx)
		}
	}
	for l.phase != asking && hard.Err() == nil && l.next(time.Now()) && l.call.pending() && l.send(hard) == 0 {
		continue
	}
}

// idle waits until there may be something to send.
func (l *link) idle(ctx context.Context) {
	timer := time.NewTimer(time.Until(l.beat))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-l.wake:
	}
}

// next makes the call that is to be sent now, and reports whether there is one.
func (l *link) next(now time.Time) bool {
	if unsaid, waiting := l.expire(now); unsaid > 0 || l.say.drops.n > 0 {
		l.say.dropped(now, unsaid, waiting)
	}
	if l.call.pending() {
		return true
	}
	l.call = call{entries: l.call.entries[:0], bodies: l.call.bodies[:0]}
	switch l.phase {
	case asking:
		return true
	case telling:
		l.call.restates, l.call.first = true, !l.began
		l.call.bodies, l.untold = takeBodies(l.call.bodies, l.untold, l.callSize)
	case joined:
		if !l.takeEntries() {
			return !now.Before(l.beat)
		}
	}
	l.seq++
	l.call.seq = l.seq
	return true
}

// expire drops what has waited for too long, also of what is on its way. If the
// manager is to be told everything again anyway, what is on its way is forgotten.
// It returns how many events were dropped since the last time, and how many bytes wait.
func (l *link) expire(now time.Time) (dropped, waiting int) {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	l.trim()
	if c := &l.call; len(c.entries) > 0 && now.Sub(c.entries[0].at) > l.options.QueueAge {
		l.drop(eventsIn(c.entries))
		l.forget()
	}
	if l.lost && l.seat != "" {
		l.lost = false // others know what a restatement would say
	}
	if l.lost && l.phase == joined {
		l.phase = asking
		l.forget()
	}
	dropped, l.unsaid = l.unsaid, 0
	return dropped, l.queue.bytes
}

// forget gives up the call that is on its way. group.mu must be held.
func (l *link) forget() {
	c := &l.call
	clear(c.entries)
	clear(c.bodies)
	c.entries, c.bodies, c.seq = c.entries[:0], c.bodies[:0], 0
	l.held = 0
}

// takeEntries makes what waits longest the call's, and reports whether anything does.
func (l *link) takeEntries() bool {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	c := &l.call
	c.entries = l.queue.take(c.entries, l.callSize)
	for i := range c.entries {
		l.held += c.entries[i].size()
		c.bodies = append(c.bodies, c.entries[i].body)
	}
	return len(c.entries) > 0
}

// takeBodies moves bodies to dst: one if there is one, and as many more as have at
// most limit bytes in all.
func takeBodies(dst, from []event.Body, limit int) (taken, rest []event.Body) {
	for size := 0; len(from) > 0; from = from[1:] {
		size += len(from[0])
		if len(dst) > 0 && size > limit {
			break
		}
		dst = append(dst, from[0])
	}
	return dst, from
}

// send makes the call, and returns how long to wait before the next.
func (l *link) send(ctx context.Context) time.Duration {
	c := &l.call
	l.sending(c)
	l.header = event.Header{
		Node: l.options.Node, Incarnation: l.options.Incarnation,
		Seq: c.seq, Restates: c.restates, First: c.first,
		Manager: l.manager, Version: l.version, Skew: l.skew(),
	}
	stands := l.stands(&l.header, time.Now())
	x, f := l.wire.call(ctx, &l.header, c.bodies)
	if f != nil && ctx.Err() != nil {
		return maxBackoff // it was cut off from here
	}
	now := time.Now()
	l.beat = now.Add(jitter(l.options.Heartbeat))
	if f == nil && !l.uplink.claim(l, x.reply.Manager) {
		f = &fault{kind: refusing, err: errTwin}
	}
	if f != nil {
		return l.failed(now, f)
	}
	if stands {
		l.stood = now
	}
	return l.answered(now, &x)
}

// stands has h say how the gateway stands, about once a heartbeat, and reports whether
// it does.
func (l *link) stands(h *event.Header, now time.Time) bool {
	if now.Sub(l.stood) < l.options.Heartbeat*3/4 {
		return false
	}
	if l.options.Refused != nil {
		h.Refused = l.options.Refused(l.options.Now())
	}
	if l.options.Sharing != nil {
		h.Sharing = l.options.Sharing(l.options.Now())
	}
	return true
}

var errTwin = errors.New("another URL leads to the same traffic manager: events are told there, and decisions heard from there")

// sending counts the call.
func (l *link) sending(c *call) {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	l.stats.Calls++
	switch {
	case c.tries > 0:
		l.stats.Repeated++
	default:
		l.stats.Sent += uint64(eventsIn(c.entries))
	}
	c.tries++
}

// skew returns by how much the manager's clock is ahead of ours, as far as known.
func (l *link) skew() time.Duration {
	l.group.mu.Lock()
	defer l.group.mu.Unlock()
	ahead, _ := l.clock.ahead(l.options.Now())
	return ahead
}

package faults

import (
	"slices"
	"time"

	"github.com/weir-project/weir/limiter"
)

// An op is a request at a node, or an event that a traffic manager records.
type op struct {
	run      *run
	id       int64
	client   *client
	space    [8]limiter.Check
	checks   []limiter.Check
	subjects []int
	began    int64 // the true time at which it came
	stamp    int64 // the true time at which the clock was read
	at       time.Time
	synced   bool // the store's clock was known then
	ticket   limiter.Ticket
	bytes    int64 // of its answer
	refund   bool  // it gets nowhere
}

const patience = 5 * millisecond // of a request that lacks rights

// nextArrival schedules the node's next request.
func (r *run) nextArrival() {
	w, p := r.node.world, r.node.world.plan
	var all float64
	for _, n := range w.nodes {
		all += n.share
	}
	rate := p.rate * r.node.share / max(all, r.node.share)
	if w.now < w.oracle.quiet() {
		w.queue.push(w.now+w.chance.after(int64(1e9/rate)), event{kind: evArrive, run: r})
	}
}

// arrive is one request, and now and then many at once.
func (r *run) arrive() {
	w := r.node.world
	r.nextArrival()
	n := 1
	if w.chance.IntN(200) == 0 {
		n = int(w.chance.between(2, 40))
	}
	for range n {
		if r.over || w.now < r.node.paused {
			return
		}
		r.begin(w.newOp(r))
	}
	r.wake()
}

// newOp returns a request of any client at r.
func (w *world) newOp(r *run) *op {
	var o *op
	if n := len(w.ops); n > 0 {
		o, w.ops = w.ops[n-1], w.ops[:n-1]
	} else {
		o = &op{}
	}
	w.opIDs++
	*o = op{run: r, id: w.opIDs, began: w.now, client: w.anyClient(), subjects: o.subjects[:0]}
	o.checks = o.space[:0]
	weight := int64(1)
	if o.client.heavy && w.chance.of(0.3) {
		weight = w.chance.between(2, 5)
	}
	fixed := true
	for _, s := range o.client.subjects {
		i := w.plan.limitOf(s)
		l := w.plan.limits[i].versions[r.node.version[i]]
		k := limiter.Check{Limit: l, Key: keyOf(s), N: weight}
		if l.Cost == limiter.Bytes {
			k.N = 0
		}
		w.oracle.tallyOf(s, l)
		fixed = fixed && l.Algorithm == limiter.FixedWindow
		o.checks = append(o.checks, k)
		o.subjects = append(o.subjects, s)
	}
	if o.client.bytes {
		o.bytes = w.chance.between(0, 1000)
	}
	o.refund = w.chance.of(0.02) && (fixed || w.chance.of(0.02))
	return o
}

// keyOf returns the key of a subject.
func keyOf(subject int) limiter.Key { return limiter.Key(1000 + subject) }

// anyClient returns one of those that are awake, or the first.
func (w *world) anyClient() *client {
	var all float64
	for i := range w.plan.clients {
		if c := &w.plan.clients[i]; c.awake(w.now) {
			all += c.weight
		}
	}
	x := w.chance.Float64() * all
	for i := range w.plan.clients {
		c := &w.plan.clients[i]
		if !c.awake(w.now) {
			continue
		}
		if x -= c.weight; x < 0 {
			return c
		}
	}
	return &w.plan.clients[0]
}

func (c *client) awake(now int64) bool {
	return c.sleeps == 0 || now%(c.wakes+c.sleeps) < c.wakes
}

// begin reads the clock and goes on with the request, at once or when it goes on.
func (r *run) begin(o *op) {
	r.readClock(o)
	if r.node.world.plan.sharing == limiter.Records {
		r.record(o)
		return
	}
	if at := r.stall(); at > 0 {
		r.resume(at, func() { r.take(o) })
		return
	}
	r.take(o)
}

func (r *run) readClock(o *op) {
	o.stamp = r.node.world.now
	o.at, o.synced = r.sharer.Time(r.now()), r.synced
}

// take is one attempt of a request to pass. One that lacks rights waits for them.
func (r *run) take(o *op) {
	w := r.node.world
	lost := r.sharer.Lost()
	var ok bool
	o.ticket, ok = r.limiter.Take(o.at, o.checks)
	if ok {
		w.oracle.admitted(o, lost)
		w.queue.push(w.now+w.chance.spread(100*microsecond, 700*millisecond), event{kind: evSettle, run: r, op: o})
		return
	}
	if w.now < o.began+patience && slices.ContainsFunc(o.checks, func(k limiter.Check) bool { return k.Short }) {
		first := w.now == o.began
		if r.sharer.Await(expired, o.at, o.checks) || len(r.waiting) < 256 {
			r.waiting = append(r.waiting, o)
			if first {
				w.queue.push(o.began+patience, event{kind: evGiveUp, run: r, op: o, id: o.id})
			}
			return
		}
	}
	w.oracle.refused(o, lost)
	w.freeOp(o)
}

// retry has those take again who wait for rights.
func (r *run) retry() {
	if len(r.waiting) == 0 {
		return
	}
	waiting := r.waiting
	r.waiting = nil
	for _, o := range waiting {
		r.readClock(o)
		r.take(o)
	}
	r.wake()
}

// giveUp answers a request that has waited for long enough.
func (r *run) giveUp(o *op, id int64) {
	i := slices.Index(r.waiting, o)
	if i < 0 || o.id != id {
		return
	}
	r.waiting = slices.Delete(r.waiting, i, i+1)
	r.node.world.oracle.refused(o, r.sharer.Lost())
	r.node.world.freeOp(o)
}

// settle is the end of a request: the size of its answer is known, or it got nowhere.
func (r *run) settle(o *op) {
	w := r.node.world
	now := r.sharer.Time(r.now())
	switch {
	case o.refund:
		w.oracle.change(o, now, func() { o.ticket.Refund(now) })
	case o.bytes > 0:
		w.oracle.change(o, now, func() { o.ticket.Settle(now, limiter.Bytes, o.bytes) })
	}
	r.wake()
	w.freeOp(o)
}

// record counts an event, which may have happened a while ago.
func (r *run) record(o *op) {
	w := r.node.world
	delay := w.chance.spread(millisecond, 400*millisecond)
	if w.chance.IntN(50) == 0 {
		delay = w.chance.spread(millisecond, 40*second)
	}
	o.at = o.at.Add(-time.Duration(delay))
	o.stamp -= delay
	for i := range o.checks {
		k := &o.checks[i]
		if k.Limit.Cost == limiter.Bytes {
			k.N = o.bytes
		}
		late := r.limiter.Record(o.at, o.checks[i:i+1]) > 0
		w.oracle.recorded(o, i, late)
	}
	w.freeOp(o)
}

func (w *world) freeOp(o *op) {
	o.id = 0
	w.ops = append(w.ops, o)
}

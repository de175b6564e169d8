package faults

import (
	"context"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A node is a process that takes, or records, and shares its counters: a gateway, or a
// traffic manager. It ends and begins anew; each time is a run.
type node struct {
	world  *world
	id     int
	share  float64 // of all requests
	server int     // which it takes for the primary
	paused int64   // until then nothing of it runs
	// Until when something of the node itself is wrong, or its way to the store.
	troubled int64
	stalled  int64 // until when one of its operations is stopped
	version  []int // of each limit, in force here
	run      *run  // nil while it is down
	drift    int64
	ahead    int64 // its wall clock
}

// A run of a node is the real thing: a limiter and its sharer, driven by the world
// in place of Sharer.Run.
type run struct {
	node    *node
	index   int // among all runs
	id      uint64
	clock   clock
	limiter *limiter.Limiter
	sharer  *limiter.Sharer
	over    bool
	lanes   []laneState
	waiting []*op
	synced  bool // the store has answered
}

// A laneState is what a goroutine of Sharer.Run would be at.
type laneState struct {
	calling bool
	turn    int64 // names the turn that is scheduled
	at      int64 // when that is
}

func newNode(w *world, id int) *node {
	n := &node{world: w, id: id, share: w.chance.ExpFloat64() + 0.2, version: make([]int, len(w.plan.limits))}
	if w.plan.has(drift) {
		n.drift = w.chance.between(-200_000, 200_000)
	}
	if w.plan.has(wall) {
		n.ahead = w.chance.between(-300*second, 300*second)
	}
	return n
}

// stopped reports whether nothing of the node runs.
func (n *node) stopped(now int64) bool { return n.run == nil || now < n.paused }

// begin starts a run.
func (n *node) begin() {
	w := n.world
	r := &run{
		node:    n,
		id:      w.chance.Uint64() | 1,
		clock:   clock{boot: w.now - w.chance.between(0, 1000*second), drift: n.drift, ahead: n.ahead},
		limiter: limiter.New(limiter.Options{MaxKeys: 4096, Sharing: w.plan.sharing}),
		lanes:   make([]laneState, w.plan.lanes),
	}
	r.sharer = limiter.NewSharer(r.limiter, nil, limiter.SharerOptions{
		Node:     r.id,
		Lanes:    w.plan.lanes,
		Timeout:  time.Duration(w.plan.timeout),
		MinNodes: w.plan.nodes,
	})
	n.run = r
	w.oracle.runBegins(r)
	w.history.printf(w.now, "node %d begins run %d", n.id, r.index)
	for i := range r.lanes {
		r.schedule(int32(i), w.now+w.chance.between(0, millisecond))
	}
	r.nextArrival()
}

// crash ends the run at once.
func (n *node) crash() {
	if n.run != nil {
		n.world.history.printf(n.world.now, "node %d crashes", n.id)
		n.run.over = true
		n.world.oracle.runEnds(n.run)
		n.run = nil
	}
}

// now returns what the node's clock shows.
func (r *run) now() time.Time { return r.clock.read(r.node.world.now) }

// schedule has a lane look for something to do at a time, unless it will before.
func (r *run) schedule(lane int32, at int64) {
	ln := &r.lanes[lane]
	if ln.calling || ln.at != 0 && ln.at <= at {
		return
	}
	ln.turn++
	ln.at = at
	r.node.world.queue.push(at, event{kind: evTurn, run: r, n: lane, id: ln.turn})
}

// turn lets a lane send what there is to tell.
func (r *run) turn(lane int32, id int64) {
	ln := &r.lanes[lane]
	if ln.calling || id != ln.turn {
		return
	}
	ln.at = 0
	r.heed(int(lane))
	now := r.now()
	if at := r.stall(); at > 0 {
		ln.calling = true
		r.resume(at, func() { r.next(lane, now) })
		return
	}
	r.next(lane, now)
}

// next asks the sharer, at what was now when it read the clock.
func (r *run) next(lane int32, now time.Time) {
	w, ln := r.node.world, &r.lanes[lane]
	ln.calling = false
	b := r.sharer.Next(int(lane), now)
	if b == nil {
		r.schedule(lane, w.now+max(r.wait(lane), 50*microsecond))
		return
	}
	ln.calling = true
	w.oracle.asserted(r, b)
	if at := r.stall(); at > 0 {
		r.resume(at, func() { w.send(r, lane, b) })
		return
	}
	w.send(r, lane, b)
}

// receive takes an answer, if it is still waited for and gets through.
func (r *run) receive(c *call, m *message) {
	w := r.node.world
	if w.net.back[r.node.id][m.server] || !c.open {
		w.freeMessage(m)
		return
	}
	if m.err == nil {
		assertions := append(c.batch.Assertions[:0], m.batch.Assertions...)
		*c.batch = m.batch
		c.batch.Assertions = assertions
	}
	err := m.err
	w.freeMessage(m)
	r.answered(c, err)
}

// answered hands the answer of a call to the sharer.
func (r *run) answered(c *call, err error) {
	if !c.open {
		return
	}
	c.open = false
	if err != nil {
		r.node.world.scribble(c.batch)
	}
	now := r.now()
	if at := r.stall(); at > 0 {
		r.resume(at, func() { r.done(c, now, err) })
		return
	}
	r.done(c, now, err)
}

func (r *run) done(c *call, now time.Time, err error) {
	w := r.node.world
	w.oracle.answered(r, c.batch, err)
	was := r.sharer.Time(now)
	r.sharer.Done(int(c.lane), now, c.batch, err)
	w.oracle.clockSet(r, was.UnixNano(), r.sharer.Time(now).UnixNano())
	r.lanes[c.lane].calling = false
	r.schedule(c.lane, w.now)
	r.wake()
	r.retry()
}

// wake schedules the lanes that were woken.
func (r *run) wake() {
	w := r.node.world
	for i := range r.lanes {
		if !r.lanes[i].calling && r.woken(i) {
			r.schedule(int32(i), w.now+10*microsecond)
		}
	}
}

// stall may stop an operation in its middle: it returns when it goes on, zero if it
// isn't stopped. What else the node does goes on meanwhile, unless all of it stops.
func (r *run) stall() int64 {
	w := r.node.world
	switch {
	case w.now >= w.start+w.plan.active:
		return 0
	case w.plan.has(pause) && w.chance.IntN(40000) == 0:
		r.node.pause(w.chance.spread(millisecond, 120*second))
		w.begin(r.node.paused)
	case w.plan.has(stall) && w.chance.IntN(500) == 0:
	default:
		return 0
	}
	at := max(w.now+w.chance.spread(10*microsecond, 2*second), r.node.paused)
	r.node.troubled = max(r.node.troubled, at)
	r.node.stalled = max(r.node.stalled, at)
	return at
}

// resume has an operation go on at a time.
func (r *run) resume(at int64, rest func()) {
	r.node.world.queue.push(at, event{kind: evResume, run: r, do: rest})
}

// pause stops the node for a time, if its end is before that of the faults.
func (n *node) pause(d int64) {
	w := n.world
	until := min(w.now+d, w.start+w.plan.active)
	if until > n.paused {
		n.paused = until
		w.history.printf(w.now, "node %d stops for %v", n.id, time.Duration(until-w.now))
		n.troubled = max(n.troubled, until)
	}
}

// expired is a context of somebody who waits no longer.
var expired = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

package faults

import (
	"io"
	"time"

	"github.com/weir-project/weir/limiter/memory"
)

// A world is one run of a plan: the servers of a store, the nodes that share counters
// in it, the network between, and what goes wrong. All of it happens in one
// thread, one event after the other, in an order that the seed determines.
type world struct {
	plan    *plan
	chance  chance
	queue   queue
	now     int64 // the true time, in nanoseconds since the Unix epoch
	start   int64
	steps   int64
	kinds   [kindCount]int64
	history *history
	oracle  *oracle

	net      network
	servers  []*server
	primary  int // the one that most sentinels take for it
	term     int
	links    int
	ids      uint64
	nodes    []*node
	messages []*message // for use again
	ops      []*op      // likewise
	opIDs    int64

	downSince int64
	faulty    int   // how many faults there are now
	healed    int64 // when the last of them ended
	divided   bool  // a part of all is apart from the rest
	noisy     int64 // until when messages may be lost, doubled or late
	calls     int64 // of the store
}

// newWorld returns the world of a plan; a history is written to out unless that is nil.
func newWorld(p *plan, out io.Writer) *world {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() + int64(p.seed%3600)*second
	w := &world{
		plan:    p,
		chance:  newChance(^p.seed),
		now:     start,
		start:   start,
		history: newHistory(out, start),
		net:     newNetwork(p),
		term:    1,
	}
	w.oracle = newOracle(w)
	for i := range p.servers {
		s := &server{world: w, id: i, up: true, lag: w.net.usual}
		if p.has(timeshift) {
			s.ahead = w.chance.between(-500*millisecond, 500*millisecond)
		}
		w.servers = append(w.servers, s)
	}
	first := w.servers[0]
	w.ids++
	first.data = memory.New(memory.Options{ID: w.ids})
	first.primary, first.term, first.history = true, 1, 1
	w.follow()
	for i := range p.nodes {
		n := newNode(w, i)
		w.nodes = append(w.nodes, n)
		n.begin()
		w.learn(n)
	}
	w.queue.push(w.now+250*millisecond, event{do: w.watch})
	w.plague()
	w.queue.push(w.now+second, event{do: w.look})
	return w
}

// look has the oracle look at all there is, once a second.
func (w *world) look() {
	w.queue.push(w.now+second, event{do: w.look})
	w.oracle.look()
}

// run lets the world go on until the plan's end, or something is wrong.
func (w *world) run() {
	end := w.start + w.plan.active + w.plan.calm
	for w.now < end && w.oracle.wrong == nil {
		w.step()
	}
	w.oracle.end()
	w.history.printf(w.now, "end after %d steps", w.steps)
}

// step is the next event.
func (w *world) step() {
	at, e := w.queue.pop()
	w.now = at
	w.steps++
	w.kinds[e.kind]++
	w.history.add(at, int64(e.kind), int64(e.n))
	switch e.kind {
	case evDo:
		e.do()
	case evReach:
		w.servers[w.target(&e)].reach(e.call, e.message)
	case evApply:
		w.servers[e.n].apply(e.message)
	case evAck:
		w.servers[e.n].ack(e.message)
	case evWait:
		w.servers[e.n].giveUp(e.id)
	default:
		w.stepNode(at, e)
	}
}

// target returns the server that a message is for.
func (w *world) target(e *event) int { return e.message.server }

// stepNode is step for what happens at a node, which waits if that is stopped.
func (w *world) stepNode(at int64, e event) {
	r := e.run
	if e.call != nil {
		r = e.call.run
	}
	if r.over {
		return
	}
	if until := r.node.paused; at < until {
		w.queue.push(until, e)
		return
	}
	switch e.kind {
	case evArrive:
		r.arrive()
	case evTurn:
		r.turn(e.n, e.id)
	case evExpire:
		r.answered(e.call, errTimeout)
	case evAnswer:
		r.receive(e.call, e.message)
	case evGiveUp:
		r.giveUp(e.op, e.id)
	case evSettle:
		r.settle(e.op)
	case evResume:
		e.do()
	}
}

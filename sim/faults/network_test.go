package faults

import (
	"errors"

	"github.com/weir-project/weir/limiter"
)

// A call is one that a node makes of the store. The node waits for it until it is
// answered or takes too long; what is under way for it then goes on.
type call struct {
	run   *run
	lane  int32
	batch *limiter.Batch // the node's
	open  bool           // the node waits
	sent  int64
}

// A message is a batch on its way: to a server, to its replicas, or back.
type message struct {
	batch  limiter.Batch
	at     int64 // the primary's time when it carried the batch out
	server int
	offset int64 // in the primary's log
	link   int   // of a replica
	err    error
}

// What a server answers, or the network in its place.
var (
	errTimeout  = errors.New("the call took too long")
	errRefused  = errors.New("connection refused")
	errReadOnly = errors.New("READONLY you can't write against a read only replica")
)

// A network has the links between nodes and servers, and what is wrong with them.
type network struct {
	usual int64 // what a message takes, about

	loss, double, slow, mute float64 // probabilities

	there, back [][]bool // from a node to a server, and back: it is cut
	between     [][]bool // servers
}

func newNetwork(p *plan) network {
	return network{
		usual:   p.network,
		there:   grid(p.nodes, p.servers),
		back:    grid(p.nodes, p.servers),
		between: grid(p.servers, p.servers),
	}
}

func grid(n, m int) [][]bool {
	g := make([][]bool, n)
	for i := range g {
		g[i] = make([]bool, m)
	}
	return g
}

// delay returns how long a message takes.
func (n *network) delay(c chance) int64 {
	if c.of(n.slow) {
		return c.spread(millisecond, 60*second)
	}
	d := n.usual/2 + c.after(n.usual/2)
	if c.IntN(64) == 0 {
		d *= 8
	}
	return d
}

// send sends a node's batch to the server that the node takes for the primary.
func (w *world) send(r *run, lane int32, b *limiter.Batch) {
	c := &call{run: r, lane: lane, batch: b, open: true, sent: w.now}
	w.queue.push(w.now+w.plan.timeout, event{kind: evExpire, call: c})
	w.calls++
	s := w.servers[r.node.server]
	if !s.up && !w.net.there[r.node.id][s.id] {
		m := &message{err: errRefused, server: s.id}
		w.queue.push(w.now+w.net.delay(w.chance), event{kind: evAnswer, call: c, message: m})
		return
	}
	copies := 1
	if w.chance.of(w.net.double) {
		copies = 2
	}
	for range copies {
		if w.chance.of(w.net.loss) {
			continue
		}
		m := w.newMessage(b)
		m.server = s.id
		w.queue.push(w.now+w.net.delay(w.chance), event{kind: evReach, call: c, message: m})
	}
}

// answer sends what a server has to say to a call back to its node.
func (w *world) answer(c *call, m *message) {
	if !c.open || w.chance.of(w.net.loss) || w.chance.of(w.net.mute) {
		w.freeMessage(m)
		return
	}
	w.queue.push(w.now+w.net.delay(w.chance), event{kind: evAnswer, call: c, message: m})
}

// scribble fills in the answers of a batch that has none: after an error they mean nothing,
// and nobody must believe them.
func (w *world) scribble(b *limiter.Batch) {
	b.Now = w.now + w.chance.between(-second, second)
	b.Epoch, b.Fenced, b.Durable, b.Nodes = w.chance.Uint64()|1, false, true, 1
	for i := range b.Assertions {
		a := &b.Assertions[i]
		a.Status, a.Sum, a.Past, a.Granted = limiter.Applied, a.Register+a.Want, 0, a.Want
	}
}

// newMessage returns a message with a copy of b.
func (w *world) newMessage(b *limiter.Batch) *message {
	var m *message
	if n := len(w.messages); n > 0 {
		m, w.messages = w.messages[n-1], w.messages[:n-1]
	} else {
		m = &message{}
	}
	assertions := m.batch.Assertions[:0]
	*m = message{batch: *b}
	m.batch.Assertions = append(assertions, b.Assertions...)
	return m
}

func (w *world) freeMessage(m *message) { w.messages = append(w.messages, m) }

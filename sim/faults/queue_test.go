package faults

// A kind says what happens in an event.
type kind uint8

const (
	evDo     kind = iota // do is called
	evArrive             // a node's next request comes
	evTurn               // a lane asks whether there is something to tell
	evExpire             // a call of the store has taken too long
	evReach              // a call reaches a server
	evApply              // what a primary did reaches a replica
	evAck                // a primary hears how far a replica is
	evWait               // a server has waited long enough for a replica
	evAnswer             // an answer reaches a node
	evGiveUp             // a request has waited long enough for rights
	evSettle             // the end of a request that was let pass
	evResume             // an operation that had been stopped in its middle goes on
	kindCount
)

// An event is what happens at a moment. Which fields matter depends on its kind.
type event struct {
	kind    kind
	n       int32 // a lane, or a server
	id      int64
	run     *run
	call    *call
	op      *op
	message *message
	do      func()
}

// A moment is an event's place in time; of two at one time, the one that was
// scheduled first comes first.
type moment struct {
	at    int64
	seq   uint64
	event int32
}

func (m *moment) before(o *moment) bool {
	return m.at < o.at || m.at == o.at && m.seq < o.seq
}

// A queue has the events to come: a heap of moments, four children each, and the
// events apart from it, so that they stay where they are.
type queue struct {
	heap   []moment
	events []event
	free   []int32
	seq    uint64
}

func (q *queue) push(at int64, e event) {
	i := int32(len(q.events))
	if n := len(q.free); n > 0 {
		i, q.free = q.free[n-1], q.free[:n-1]
		q.events[i] = e
	} else {
		q.events = append(q.events, e)
	}
	q.seq++
	m := moment{at: at, seq: q.seq, event: i}
	q.heap = append(q.heap, m)
	c := len(q.heap) - 1
	for c > 0 {
		p := (c - 1) / 4
		if !m.before(&q.heap[p]) {
			break
		}
		q.heap[c] = q.heap[p]
		c = p
	}
	q.heap[c] = m
}

// pop returns the next event and its time; the queue must not be empty.
func (q *queue) pop() (int64, event) {
	top := q.heap[0]
	last := len(q.heap) - 1
	m := q.heap[last]
	q.heap = q.heap[:last]
	if last > 0 {
		q.sink(m)
	}
	e := q.events[top.event]
	q.events[top.event] = event{}
	q.free = append(q.free, top.event)
	return top.at, e
}

// sink puts m into the place of the top.
func (q *queue) sink(m moment) {
	h, p := q.heap, 0
	for {
		c := 4*p + 1
		if c >= len(h) {
			break
		}
		least := c
		for i := c + 1; i < min(c+4, len(h)); i++ {
			if h[i].before(&h[least]) {
				least = i
			}
		}
		if !h[least].before(&m) {
			break
		}
		h[p] = h[least]
		p = least
	}
	h[p] = m
}

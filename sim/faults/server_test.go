package faults

import (
	"github.com/weir-project/weir/limiter/memory"
)

// A server is a process of the store. One is the primary, which carries out what
// nodes ask for; the others follow it, a little behind.
type server struct {
	world *world
	id    int
	data  *memory.Store
	ahead int64 // its clock, of the true time
	up    bool
	hung  int64 // until then it does nothing

	primary bool  // it takes itself for one
	term    int   // in which it became one
	history int   // the term of the primary whose log it has
	offset  int64 // how much of that it has
	master  int   // whom it follows
	link    int   // names its connection to its master; zero: there is none
	arrives int64 // when the last of what is under way to it does
	lag     int64 // how far it is behind, about

	durable int64     // how much of its log is known to be somewhere else
	waits   []waiting // answers that wait for a replica
}

// A waiting answer is one with rights that no replica has yet.
type waiting struct {
	call    *call
	message *message
}

const (
	waitTimeout = 40 * millisecond // of WAIT
	downAfter   = second           // until the others take a server for dead
)

// time returns what the server's clock shows.
func (s *server) time() int64 { return s.world.now + s.ahead }

// reach carries out a batch, or says why not.
func (s *server) reach(c *call, m *message) {
	w := s.world
	if w.net.there[c.run.node.id][s.id] {
		w.freeMessage(m)
		return
	}
	if !s.up {
		m.err = errRefused
		w.answer(c, m)
		return
	}
	if w.now < s.hung {
		w.queue.push(s.hung+w.chance.between(0, millisecond), event{kind: evReach, n: int32(s.id), call: c, message: m})
		return
	}
	if !s.primary {
		m.err = errReadOnly
		w.answer(c, m)
		return
	}
	s.carryOut(c, m)
}

func (s *server) carryOut(c *call, m *message) {
	w := s.world
	m.at = s.time()
	s.data.Apply(m.at, &m.batch)
	m.server, m.err = s.id, nil
	w.oracle.applied(s, c.run, &m.batch)
	s.offset++
	m.offset = s.offset
	s.replicate(m)
	if m.batch.Durable { // nothing was granted, or there is no replica
		w.answer(c, m)
		return
	}
	s.waits = append(s.waits, waiting{c, m})
	w.queue.push(w.now+waitTimeout, event{kind: evWait, n: int32(s.id), id: m.offset})
}

// replicate sends the effect of m to those who follow s.
func (s *server) replicate(m *message) {
	w := s.world
	for _, r := range w.servers {
		if r.link == 0 || r.master != s.id {
			continue
		}
		e := w.newMessage(&m.batch)
		e.at, e.offset, e.link, e.server = m.at, m.offset, r.link, s.id
		r.arrives = max(r.arrives, w.now+w.net.usual/2+w.chance.after(s.lag+r.lag+w.net.usual/4))
		w.queue.push(r.arrives, event{kind: evApply, n: int32(r.id), message: e})
	}
}

// apply does on a replica what its primary has done.
func (s *server) apply(m *message) {
	w := s.world
	switch {
	case m.link != s.link || !s.up:
	case w.now < s.hung:
		w.queue.push(s.hung, event{kind: evApply, n: int32(s.id), message: m})
		return
	default:
		s.data.Apply(m.at, &m.batch)
		s.offset = m.offset
		if p := w.servers[m.server]; len(p.waits) > 0 {
			w.queue.push(w.now+w.net.usual/2, event{kind: evAck, n: int32(m.server), message: m})
			return
		}
	}
	w.freeMessage(m)
}

// ack takes note at a primary of how far a replica is.
func (s *server) ack(m *message) {
	w := s.world
	if w.now < s.hung {
		w.queue.push(s.hung, event{kind: evAck, n: int32(s.id), message: m})
		return
	}
	offset, link := m.offset, m.link
	w.freeMessage(m)
	if !s.up || !s.followed(link) {
		return
	}
	s.durable = max(s.durable, offset)
	kept := s.waits[:0]
	for _, wt := range s.waits {
		if wt.message.offset > offset {
			kept = append(kept, wt)
			continue
		}
		wt.message.batch.Durable = true
		w.answer(wt.call, wt.message)
	}
	s.waits = kept
}

// followed reports whether a link is still that of one who follows s.
func (s *server) followed(link int) bool {
	for _, r := range s.world.servers {
		if r.link == link && r.master == s.id {
			return true
		}
	}
	return false
}

// giveUp answers what has been waiting for a replica for too long.
func (s *server) giveUp(offset int64) {
	for i, wt := range s.waits {
		if wt.message.offset == offset {
			s.waits = append(s.waits[:i], s.waits[i+1:]...)
			s.world.answer(wt.call, wt.message)
			return
		}
	}
}

// dropWaits forgets who waits: their connections are gone.
func (s *server) dropWaits() {
	for _, wt := range s.waits {
		s.world.freeMessage(wt.message)
	}
	s.waits = s.waits[:0]
}

package faults

import "slices"

// watch is what the sentinels do, one on each server's host: they take the primary for
// dead that most of them can't reach, and put in its place the one who has most of
// its log; they have the others follow it, and those who come back.
func (w *world) watch() {
	w.queue.push(w.now+250*millisecond, event{do: w.watch})
	w.follow()
	p := w.servers[w.primary]
	most := w.majority()
	if most == nil || slices.Contains(most, p) && p.up && w.now >= p.hung {
		w.downSince = 0
		return
	}
	if w.downSince == 0 {
		w.downSince = w.now + w.chance.between(0, 2*second) // the election takes its time
		return
	}
	if w.now-w.downSince < downAfter {
		return
	}
	var best *server
	for _, s := range most {
		if s == p || !s.up || w.now < s.hung {
			continue
		}
		if best == nil || s.history > best.history || s.history == best.history && s.offset > best.offset {
			best = s
		}
	}
	if best != nil {
		w.promote(best, most)
	}
}

// majority returns the servers on the hosts of which more than half see each other; nil
// if there are none.
func (w *world) majority() []*server {
	for _, s := range w.servers {
		var with []*server
		for _, o := range w.servers {
			if !w.net.between[s.id][o.id] {
				with = append(with, o)
			}
		}
		if 2*len(with) > len(w.servers) {
			return with
		}
	}
	return nil
}

// promote makes s the primary of those who are with it.
func (w *world) promote(s *server, with []*server) {
	was := w.servers[w.primary]
	if s.history != was.history || s.offset < was.durable {
		w.oracle.dataLost("a primary without what two others had")
	}
	w.term++
	w.primary, w.downSince = s.id, 0
	s.primary, s.term, s.history, s.link, s.durable = true, w.term, w.term, 0, 0
	s.newEpoch()
	for _, o := range with {
		if o != s && !o.primary {
			o.master, o.link = s.id, 0
		}
	}
	w.history.printf(w.now, "server %d is the primary now", s.id)
}

// newEpoch makes the data's life a new one, as a new replication id does.
func (s *server) newEpoch() {
	s.world.ids++
	s.data.NewEpoch(s.world.ids)
	s.data.SetReplica(nil)
	s.world.oracle.epochBegins()
}

// follow has those follow the primary who can and don't.
func (w *world) follow() {
	p := w.servers[w.primary]
	for _, s := range w.servers {
		if s == p || !s.up || w.now < s.hung || w.net.between[s.id][p.id] {
			continue
		}
		if s.primary {
			if w.chance.of(0.2) {
				s.primary = false
				s.dropWaits()
				w.history.printf(w.now, "server %d is a primary no longer", s.id)
			}
			continue
		}
		if (s.link == 0 || s.master != p.id) && p.up && w.now >= p.hung {
			w.links++
			s.master, s.link, s.arrives = p.id, w.links, 0
			s.data, s.history, s.offset = p.data.Clone(), p.history, p.offset
			p.data.SetReplica(notYet)
			p.durable = max(p.durable, p.offset)
		}
	}
}

// notYet says that no replica has what was granted: a server waits for it.
func notYet() bool { return false }

// unlink breaks the connections of servers that are apart.
func (w *world) unlink() {
	for _, s := range w.servers {
		if s.link != 0 && (w.net.between[s.id][s.master] || !w.servers[s.master].up) {
			s.link = 0
		}
	}
}

// learn has a node ask the sentinels that it reaches who the primary is.
func (w *world) learn(n *node) {
	w.queue.push(w.now+w.chance.between(200*millisecond, 800*millisecond), event{do: func() { w.learn(n) }})
	if n.stopped(w.now) {
		return
	}
	best := -1
	for _, h := range w.servers {
		if w.net.there[n.id][h.id] || w.net.back[n.id][h.id] {
			continue
		}
		for _, s := range w.servers {
			known := s.primary && !w.net.between[h.id][s.id]
			if known && (best < 0 || s.term > w.servers[best].term) {
				best = s.id
			}
		}
	}
	if best >= 0 {
		n.server = best
	}
}

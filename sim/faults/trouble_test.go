package faults

import (
	"time"

	"github.com/weir-project/weir/limiter"
)

// plague schedules what goes wrong.
func (w *world) plague() {
	if w.plan.faults&^(drift|timeshift|stall) == 0 {
		return
	}
	at := w.now + w.chance.after(w.plan.every)
	w.queue.push(at, event{do: func() {
		w.strike()
		w.plague()
	}})
}

// strike lets one of the enabled faults happen, unless it is late for that.
func (w *world) strike() {
	if w.now >= w.start+w.plan.active-5*second {
		return
	}
	f := fault(1) << w.chance.IntN(faultCount)
	for !w.plan.has(f) || f&(drift|timeshift|stall) != 0 {
		f = fault(1) << w.chance.IntN(faultCount)
	}
	w.history.printf(w.now, "fault: %v", f)
	switch f {
	case crash, pause, wall, relimit:
		w.strikeNode(f, w.nodes[w.chance.IntN(len(w.nodes))])
	case loss, double, slow, mute:
		w.strikeNetwork(f)
	case cut, isolate:
		w.divide(f)
	default:
		w.strikeServer(f)
	}
}

// last returns how long a fault lasts: it ends before the plan says that there are none.
func (w *world) last(least, most int64) int64 {
	return min(w.chance.spread(least, most), w.start+w.plan.active-w.now)
}

// begin notes that something is wrong until a time.
func (w *world) begin(until int64) {
	w.faulty++
	w.queue.push(until, event{do: func() {
		w.faulty--
		w.healed = w.now
	}})
}

// during does one thing now, and another after a time.
func (w *world) during(d int64, do, undo func()) {
	w.begin(w.now + d)
	do()
	w.queue.push(w.now+d, event{do: undo})
}

func (w *world) strikeNode(f fault, n *node) {
	switch f {
	case crash:
		if n.run != nil {
			w.during(w.last(10*millisecond, 20*second), n.crash, n.begin)
		}
	case pause:
		if n.run != nil {
			n.pause(w.last(millisecond, 120*second))
			w.begin(n.paused)
		}
	case wall:
		n.ahead += w.chance.between(-600*second, 600*second)
		if n.run != nil {
			n.run.clock.ahead = n.ahead
		}
	case relimit:
		i := w.chance.IntN(len(w.plan.limits))
		v := w.chance.IntN(len(w.plan.limits[i].versions))
		w.begin(w.now + second)
		for _, n := range w.nodes {
			w.queue.push(w.now+w.chance.spread(millisecond, second), event{do: func() {
				if w.plan.limits[i].versions[n.version[i]].Window != w.plan.limits[i].versions[v].Window {
					w.oracle.reshaped(i)
				}
				n.version[i] = v
			}})
		}
	}
}

func (w *world) strikeNetwork(f fault) {
	n := &w.net
	var which *float64
	switch f {
	case loss:
		which = &n.loss
	case double:
		which = &n.double
	case slow:
		which = &n.slow
	case mute:
		which = &n.mute
	}
	if *which > 0 {
		return
	}
	d := w.last(100*millisecond, 20*second)
	w.during(d, func() { *which = pick(w.chance, 0.02, 0.1, 0.3, 0.7) }, func() { *which = 0 })
	until := w.now + d
	if f == slow {
		until += 60 * second
	}
	w.noisy = max(w.noisy, until+second)
}

// divide parts nodes and servers: some from the others, in both directions or one; or the
// primary and some nodes from all else.
func (w *world) divide(f fault) {
	if w.divided {
		return
	}
	w.divided = true
	nodes := make([]bool, len(w.nodes))
	servers := make([]bool, len(w.servers))
	for i := range nodes {
		nodes[i] = w.chance.of(0.5)
	}
	there, back, between := true, true, true
	if f == isolate {
		servers[w.primary] = true
	} else {
		for i := range servers {
			servers[i] = w.chance.of(0.5)
		}
		if w.chance.of(0.4) {
			there = w.chance.of(0.5)
			back, between = !there, false
		}
	}
	d := w.last(100*millisecond, 30*second)
	set := func(v bool) func() {
		return func() {
			for i := range nodes {
				for j := range servers {
					if nodes[i] != servers[j] {
						w.net.there[i][j] = v && there
						w.net.back[i][j] = v && back
					}
				}
			}
			for i := range servers {
				for j := range servers {
					if servers[i] != servers[j] && between {
						w.net.between[i][j] = v
					}
				}
			}
			w.unlink()
		}
	}
	for _, n := range w.nodes {
		n.troubled = max(n.troubled, w.now+d+3*second)
	}
	w.during(d, set(true), func() {
		set(false)()
		w.divided = false
	})
}

func (w *world) strikeServer(f fault) {
	p := w.servers[w.primary]
	for _, n := range w.nodes {
		if f != flush && f != lag {
			n.troubled = max(n.troubled, w.now+30*second)
		}
	}
	switch f {
	case failover:
		s := w.servers[w.chance.IntN(len(w.servers))]
		if w.chance.of(0.7) {
			s = p
		}
		w.kill(s, w.last(4*second, 20*second))
	case lag:
		s := w.servers[w.chance.IntN(len(w.servers))]
		if s.lag == w.net.usual {
			w.during(w.last(second, 20*second), func() { s.lag = w.chance.spread(2*w.net.usual, second) }, func() {
				s.lag = w.net.usual
				for _, r := range w.servers {
					w.begin(max(r.arrives, w.now)) // until it has caught up
				}
			})
		}
	case hang:
		s := w.servers[w.chance.IntN(len(w.servers))]
		s.hung = w.now + w.last(20*millisecond, 15*second)
		w.begin(s.hung)
	case flush:
		w.history.printf(w.now, "server %d is flushed", p.id)
		if p.up && w.now >= p.hung && !w.divided {
			w.wipe(p, func() { p.data.Clear() })
		}
	case empty, old:
		w.restart(p, f)
	}
}

// kill ends a server's process; its data is there when it begins again. If another one
// is the primary by then, it follows that.
func (w *world) kill(s *server, d int64) {
	if !s.up {
		return
	}
	w.history.printf(w.now, "server %d dies for %v", s.id, time.Duration(d))
	w.during(d, func() {
		s.up = false
		s.link = 0
		s.dropWaits()
		w.unlink()
	}, func() {
		s.up = true
		if s.primary = s.id == w.primary; s.primary {
			s.newEpoch()
		}
	})
}

// restart restarts a server so soon that nobody takes its place: without its data,
// or with that of some time ago.
func (w *world) restart(p *server, f fault) {
	if !p.up || w.now < p.hung || w.divided {
		return
	}
	data := p.data.Clone()
	if f == empty {
		data.Clear()
	}
	wait := int64(0)
	if f == old {
		wait = w.chance.spread(10*millisecond, 20*second)
	}
	w.queue.push(w.now+wait, event{do: func() {
		if !p.up || w.now < p.hung || w.divided || p != w.servers[w.primary] || w.now >= w.start+w.plan.active-5*second {
			return
		}
		w.history.printf(w.now, "server %d restarts: %v", p.id, f)
		w.wipe(p, func() {
			p.data = data
			p.dropWaits()
			p.newEpoch()
		})
	}})
}

// wipe takes data from the primary, and so from those who follow it.
func (w *world) wipe(p *server, do func()) {
	do()
	for _, s := range w.servers {
		if s.master == p.id {
			s.link = 0
		}
	}
	p.durable = 0
	w.follow()
	w.oracle.dataLost("the primary lost its data")
	w.begin(w.now + int64(limiter.Fence) + second)
}

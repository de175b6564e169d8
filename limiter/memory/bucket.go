package memory

import (
	"math"
	"slices"
	"time"

	"github.com/weir-project/weir/limiter"
)

// bucket carries out an assertion of a bucket.
func (s *Store) bucket(now int64, b *limiter.Batch, a *limiter.Assertion) {
	r := s.find(now, s.counters[a.Counter], 0)
	if r == nil && a.Seq > 0 {
		r = s.add(now, a.Counter, 0)
	}
	if r != nil && a.Seq > 0 {
		r.forgetSilent(now, b.Node)
	}
	if r == nil || r.stale(b.Node, a.Seq) {
		a.Status = limiter.Stale
		if r != nil {
			a.Sum, _ = r.refilled(now, a)
		}
		return
	}
	a.Status = limiter.Applied
	r.sum, r.at = r.refilled(now, a)
	_, known := r.register(b.Node)
	g := r.note(b.Node, a.Seq)
	value := units(a.Register)
	if known {
		r.sum = min(r.sum+g.change(now, value), most)
	} else {
		r.sum = max(r.sum, units(a.Missing))
	}
	g.value = value
	g.held, g.deadline = min(units(a.Held), value), addSat(now, max(a.Lease, 0))
	outstanding, _ := r.outstanding(now)
	r.sum = max(r.sum, outstanding)
	if !b.Fenced {
		r.grant(a, g)
		g.held += a.Granted
	}
	a.Sum = r.sum
	r.expires = r.full(now, a)
}

// forgetSilent forgets the registers that were silent for too long, where a node has
// none or its own is one of them.
func (r *record) forgetSilent(now int64, node uint64) {
	if i, ok := r.register(node); ok && !r.registers[i].silent(now) {
		return
	}
	r.registers = slices.DeleteFunc(r.registers, func(g register) bool { return g.silent(now) })
}

// silent reports whether a register was not heard of for [limiter.Silence].
func (g *register) silent(now int64) bool {
	const micro = int64(time.Microsecond)
	return now/micro-g.deadline/micro >= int64(limiter.Silence)/micro
}

// change returns by how much the bucket changes if the register becomes value.
//
// Rights that were not spent by their deadline count as spent, and what is spent
// refills: it would come back twice if it could be returned as well. Such a
// return is one that was too late on its way.
func (g *register) change(now, value int64) int64 {
	by := value - g.value
	if by < 0 && g.deadline <= now {
		by = min(by+g.held, 0)
	}
	return by
}

// refilled returns what is missing at now, and until when it was refilled for that.
// Rights that are held don't refill before their deadline, even if nobody has
// asserted anything since.
func (r *record) refilled(now int64, a *limiter.Assertion) (missing, at int64) {
	missing, at = r.sum, r.at
	for from := at; from < now; {
		outstanding, until := r.outstanding(from)
		from = min(until, now)
		n := mulDiv(from-at, units(a.Rate), a.Period)
		switch {
		case n >= missing-outstanding:
			missing, at = outstanding, from
		case n > 0:
			missing -= n
			at += mulDivUp(n, a.Period, units(a.Rate))
		}
	}
	return missing, at
}

// outstanding returns the rights that nodes hold at a time, and when the first of these
// lapse.
func (r *record) outstanding(now int64) (held, until int64) {
	until = math.MaxInt64
	for i := range r.registers {
		if g := &r.registers[i]; g.held > 0 && g.deadline > now {
			held = min(held+g.held, most)
			until = min(until, g.deadline)
		}
	}
	return held, until
}

// full returns when nothing would be lost if the bucket were forgotten: a minute
// after it is full, should all rights be spent at the last moment.
func (r *record) full(now int64, a *limiter.Assertion) int64 {
	at := now
	for i := range r.registers {
		if g := &r.registers[i]; g.held > 0 {
			at = max(at, g.deadline)
		}
	}
	at = addSat(at, mulDivUp(r.sum, a.Period, units(a.Rate)))
	return addSat(at, int64(time.Minute))
}

package memory

import (
	"slices"

	"github.com/weir-project/weir/limiter"
)

// window carries out an assertion of a window.
func (s *Store) window(now int64, b *limiter.Batch, a *limiter.Assertion) {
	length := a.End - a.Begin
	over := addSat(a.End, max(a.Keep, 0))
	switch {
	case a.Begin-length > now:
		a.Status = limiter.Early
		return
	case over <= now:
		a.Status = limiter.Late
		return
	}
	a.Past = s.past(now, a)
	k := key{a.Counter, a.End}
	r := s.find(now, k)
	if r == nil && a.Seq > 0 {
		r = s.add(now, k)
	}
	if r == nil || r.stale(b.Node, a.Seq) {
		a.Status = limiter.Stale
		if r != nil {
			a.Sum = r.sum
		}
		return
	}
	a.Status = limiter.Applied
	g := r.note(b.Node, a.Seq)
	value := min(units(a.Register), most-(r.sum-g.value))
	r.sum += value - g.value
	g.value = value
	r.expires = max(r.expires, over)
	if !b.Fenced && now < a.End {
		r.grant(a, g)
	}
	a.Sum = r.sum
}

// past returns the sum of the windows before that count as well.
func (s *Store) past(now int64, a *limiter.Assertion) int64 {
	var sum int64
	end := a.End
	for range a.Before {
		end -= a.End - a.Begin
		if r := s.records[key{a.Counter, end}]; r != nil && r.expires > now {
			sum = min(sum+r.sum, most)
		}
	}
	return sum
}

// note gives node's register the number seq, and makes it if there is none.
func (r *record) note(node, seq uint64) *register {
	i, ok := r.register(node)
	if !ok {
		r.registers = slices.Insert(r.registers, i, register{node: node})
	}
	g := &r.registers[i]
	g.seq = seq
	return g
}

// grant gives to register g what an assertion wants, at most a half of what is
// left divided by the nodes, so that the last units are not all with one.
func (r *record) grant(a *limiter.Assertion, g *register) {
	left := units(a.Limit) - r.sum - a.Past
	if left <= 0 {
		return
	}
	share := max(left/int64(2*len(r.registers)), 1)
	a.Granted = min(units(a.Want), left, share, most-g.value)
	r.sum += a.Granted
	g.value += a.Granted
}

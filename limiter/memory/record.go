package memory

import (
	"slices"

	"github.com/weir-project/weir/limiter"
)

// A counter has the records of one name, of which there is at least one.
type counter struct {
	name    limiter.Counter
	records []*record // in the order of their ends
}

// A record is one window of a counter, or its bucket.
type record struct {
	counter *counter
	end     int64 // of the window; zero for a bucket
	expires int64 // from then on it is as if there were none
	place   int   // in Store.order

	sum int64 // of the registers; of a bucket, what is missing
	// at is until when a bucket has been refilled: what flowed in since is less
	// than a unit, or has not been looked at.
	at int64

	registers []register // in the order of their nodes
}

// A register is what one node has of a record.
type register struct {
	node  uint64
	seq   uint64
	value int64
	// held is the part of value, of a bucket, that may be spent until deadline.
	held, deadline int64
}

// search returns where the record that ends at end is, or belongs, and whether there
// is one. It begins with the newest, which is mostly the one. c may be nil.
func (c *counter) search(end int64) (int, bool) {
	if c == nil {
		return 0, false
	}
	i := len(c.records)
	for i > 0 && c.records[i-1].end > end {
		i--
	}
	if i > 0 && c.records[i-1].end == end {
		return i - 1, true
	}
	return i, false
}

// find returns the record of c that ends at end, nil if there is none. c may be nil.
func (s *Store) find(now int64, c *counter, end int64) *record {
	i, ok := c.search(end)
	if !ok {
		return nil
	}
	r := c.records[i]
	if r.expires <= now {
		s.remove(r)
		return nil
	}
	return r
}

// add makes a record that there is not yet. Its user sets when it expires.
func (s *Store) add(now int64, name limiter.Counter, end int64) *record {
	c := s.counters[name]
	if c == nil {
		c = &counter{name: name}
		s.counters[name] = c
	}
	r := new(record)
	if n := len(s.free); n > 0 {
		r, s.free = s.free[n-1], s.free[:n-1]
	}
	*r = record{counter: c, end: end, place: len(s.order), at: now, registers: r.registers[:0]}
	i, _ := c.search(end)
	c.records = slices.Insert(c.records, i, r)
	s.order = append(s.order, r)
	return r
}

const (
	mostFree   = 1024 // records that wait for use again
	mostToKeep = 64   // registers that such a record has room for
)

func (s *Store) remove(r *record) {
	c := r.counter
	if i, _ := c.search(r.end); len(c.records) > 1 {
		c.records = slices.Delete(c.records, i, i+1)
	} else {
		delete(s.counters, c.name)
		c.records = nil
	}
	last := len(s.order) - 1
	moved := s.order[last]
	s.order[r.place], moved.place = moved, r.place
	s.order[last] = nil
	s.order = s.order[:last]
	r.counter = nil
	if len(s.free) < mostFree && cap(r.registers) <= mostToKeep {
		s.free = append(s.free, r)
	}
}

// sweep looks at n records and forgets those that are over. Each call goes on
// where the one before ended.
func (s *Store) sweep(now int64, n int) {
	for range n {
		if s.next >= len(s.order) {
			s.next = 0
			if len(s.order) == 0 {
				return
			}
		}
		if r := s.order[s.next]; r.expires <= now {
			s.remove(r)
		} else {
			s.next++
		}
	}
}

// register returns where node's register is, or belongs, and whether there is one.
func (r *record) register(node uint64) (int, bool) {
	low, high := 0, len(r.registers)
	for low < high {
		middle := (low + high) / 2
		if r.registers[middle].node < node {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < len(r.registers) && r.registers[low].node == node
}

// stale reports whether the store knows better than an assertion.
func (r *record) stale(node, seq uint64) bool {
	i, ok := r.register(node)
	return seq == 0 || ok && seq <= r.registers[i].seq
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

// grant gives to register g what an assertion wants: at most a half of what is left
// divided by the nodes, so that the last units are not all with one.
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

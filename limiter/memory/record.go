package memory

import "github.com/weir-project/weir/limiter"

// A key names a record.
type key struct {
	counter limiter.Counter
	end     int64 // of the window; zero for a bucket
}

// A record is one window of a counter, or its bucket.
type record struct {
	key     key
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

// find returns the record of k, nil if there is none.
func (s *Store) find(now int64, k key) *record {
	r := s.records[k]
	if r != nil && r.expires <= now {
		s.remove(r)
		return nil
	}
	return r
}

// add makes a record. Its user sets when it expires.
func (s *Store) add(now int64, k key) *record {
	var r *record
	if n := len(s.free); n > 0 {
		r, s.free = s.free[n-1], s.free[:n-1]
	} else {
		r = new(record)
	}
	*r = record{key: k, place: len(s.order), at: now, registers: r.registers[:0]}
	s.records[k] = r
	s.order = append(s.order, r)
	return r
}

const (
	mostFree   = 1024 // records that wait for use again
	mostToKeep = 64   // registers that such a record has room for
)

func (s *Store) remove(r *record) {
	delete(s.records, r.key)
	last := len(s.order) - 1
	moved := s.order[last]
	s.order[r.place], moved.place = moved, r.place
	s.order[last] = nil
	s.order = s.order[:last]
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

package memory

import "github.com/weir-project/weir/limiter"

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
	c := s.counters[a.Counter]
	if a.AskPast || a.Want > 0 {
		a.Past = s.past(now, c, a)
	}
	r := s.find(now, c, a.End)
	if r == nil && a.Seq > 0 {
		r = s.add(now, a.Counter, a.End)
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

// past returns what counts beside the window of an assertion.
func (s *Store) past(now int64, c *counter, a *limiter.Assertion) int64 {
	length := a.End - a.Begin
	sum := c.before(now, a.End, length, a.Before)
	if a.Before > 0 { // no window holds the first and the one after this
		if next := s.sumOf(now, c, a.End+length); next > 0 {
			first := s.sumOf(now, c, a.End-int64(a.Before)*length)
			sum = min(sum+max(next-first, 0), most)
		}
	}
	return sum
}

// sumOf returns the sum of the window of c that ends at end.
func (s *Store) sumOf(now int64, c *counter, end int64) int64 {
	if r := s.find(now, c, end); r != nil {
		return r.sum
	}
	return 0
}

// before returns the sum of so many windows before the one that ends at end, all as long
// as it. c may be nil.
func (c *counter) before(now, end, length int64, before int) int64 {
	var sum int64
	left := int64(before)
	if left <= 0 {
		return 0
	}
	for i, _ := c.search(end); i > 0; i-- {
		r := c.records[i-1]
		back := (end - r.end) / length // so many windows before
		if back > left {
			break
		}
		if r.expires > now && end-back*length == r.end {
			sum = min(sum+r.sum, most)
		}
	}
	return sum
}

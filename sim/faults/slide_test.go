package faults

import (
	"slices"
	"sort"

	"github.com/weir-project/weir/limiter"
)

// slid takes note of what was spent of a sliding window, at the time that the node took
// for the store's.
func (t *tally) slid(at, n int64, l *limiter.Limit) {
	i := len(t.spends)
	for i > 0 && t.spends[i-1].at > at {
		i--
	}
	t.spends = slices.Insert(t.spends, i, spend{at, n, l})
	if t.fresh == 0 || at < t.fresh {
		t.fresh = at
	}
}

// slide checks that no window sees more than the limit, wherever it begins, request by
// request: all that is as long as the window and ends with one of those that are new, or
// has one of them in it.
func (o *oracle) slide(t *tally) {
	if t.fresh == 0 {
		return
	}
	long := 31 * t.width() // the window, rounded up to what is counted apart
	spends := t.spends
	first := sort.Search(len(spends), func(i int) bool { return spends[i].at >= t.fresh })
	from := sort.Search(first, func(i int) bool { return spends[i].at > t.fresh-long })
	var sum int64
	for _, s := range spends[from:first] {
		sum += s.n
	}
	for i := first; i < len(spends); i++ {
		sum += spends[i].n
		for ; spends[from].at <= spends[i].at-long; from++ {
			sum -= spends[from].n
		}
		if i+1 < len(spends) && spends[i+1].at == spends[i].at {
			continue
		}
		if limit, excuse, lax := t.around(spends[from].at, spends[i].at); sum > limit+excuse && !lax {
			o.fail("I1", "subject %d: %d of %d from %s to %s, in a sliding window of %v (excused %d)",
				t.subject, sum, limit, o.world.show(spends[from].at), o.world.show(spends[i].at), t.shape.Window.Length, excuse)
		}
	}
	t.fresh = 0
	if old := sort.Search(len(spends), func(i int) bool { return spends[i].at > o.world.now-3*t.length }); old > len(spends)/2 {
		t.spends = slices.Clone(spends[old:])
	}
}

// around returns what held of a sliding window between two times: the highest limit, what
// is excused, and whether what counts is not known.
func (t *tally) around(from, to int64) (limit, excuse int64, lax bool) {
	i := sort.Search(len(t.cells), func(i int) bool { return t.cells[i].end > from })
	for ; i < len(t.cells) && t.cells[i].begin <= to; i++ {
		c := t.cells[i]
		limit, excuse, lax = max(limit, c.limit), excuse+c.excuse, lax || c.lax
	}
	return limit, excuse, lax
}

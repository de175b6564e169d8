package uplink

import (
	"slices"
	"time"

	"github.com/weir-project/weir/event"
)

// overhead is what an entry takes beside its body, roughly.
const overhead = 96

// An entry is a body that waits. Its bytes are shared by all queues that have it.
type entry struct {
	n      uint64
	at     time.Time // when it came
	events int
	body   event.Body
}

// size is the memory that the entry takes.
func (e *entry) size() int { return cap(e.body) + overhead }

// A queue is what waits for one manager, oldest first. The zero value is empty.
type queue struct {
	entries []entry // what is before head has been taken
	head    int
	bytes   int // of all entries, as size counts them
}

func (q *queue) waiting() []entry { return q.entries[q.head:] }

// push adds e behind all others.
func (q *queue) push(e entry) {
	if q.head > 0 && len(q.entries) == cap(q.entries) && q.head >= len(q.entries)/2 {
		q.replace(q.waiting()) // rather than grow
	}
	q.entries = append(q.entries, e)
	q.bytes += e.size()
}

// pop removes the oldest; there must be one.
func (q *queue) pop() entry {
	e := q.entries[q.head]
	q.entries[q.head] = entry{}
	q.head++
	q.bytes -= e.size()
	if q.head == len(q.entries) {
		q.entries, q.head = q.entries[:0], 0
		if cap(q.entries) > 4096 {
			q.entries = nil
		}
	}
	return e
}

// take moves the oldest entries to dst: at least one, and as many more as have
// at most limit bytes of bodies in all.
func (q *queue) take(dst []entry, limit int) []entry {
	for size := 0; q.head < len(q.entries); {
		size += len(q.entries[q.head].body)
		if len(dst) > 0 && size > limit {
			break
		}
		dst = append(dst, q.pop())
	}
	return dst
}

// back puts entries where they belong by their numbers.
func (q *queue) back(entries []entry) {
	if len(entries) == 0 {
		return
	}
	all := append(slices.Clone(entries), q.waiting()...)
	slices.SortStableFunc(all, func(a, b entry) int {
		switch {
		case a.n < b.n:
			return -1
		case a.n > b.n:
			return 1
		}
		return 0
	})
	q.entries, q.head = all, 0
	q.count()
}

// forget removes the entries up to number n.
func (q *queue) forget(n uint64) {
	q.replace(slices.DeleteFunc(q.waiting(), func(e entry) bool { return e.n <= n }))
}

// empty removes all and returns it.
func (q *queue) empty() []entry {
	all := q.waiting()
	*q = queue{}
	return all
}

// replace makes rest, a part of entries, all there is.
func (q *queue) replace(rest []entry) {
	n := copy(q.entries, rest)
	clear(q.entries[n:])
	q.entries, q.head = q.entries[:n], 0
	q.count()
}

func (q *queue) count() {
	q.bytes = 0
	for i := range q.entries {
		q.bytes += q.entries[i].size()
	}
}

// age is how long the oldest has waited.
func (q *queue) age(now time.Time) time.Duration {
	if q.head == len(q.entries) {
		return 0
	}
	return now.Sub(q.entries[q.head].at)
}

// events returns how many wait.
func (q *queue) events() int { return eventsIn(q.waiting()) }

func eventsIn(entries []entry) int {
	n := 0
	for i := range entries {
		n += entries[i].events
	}
	return n
}

package trafficmanager

import (
	"math"
	"strings"
	"sync"
	"time"

	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

// A verdict says what is done with a batch.
type verdict uint8

const (
	count    verdict = iota
	ask              // not counted: the gateway is to restate
	hear             // nothing to count: a call without events
	repeated         // counted before
)

// A node is what is known of one run of a gateway.
type node struct {
	name  string
	known bool // it has restated, and is counted
	// asked is the highest Seq that was answered by asking for a restatement.
	asked uint64
	seen  window
	skew  time.Duration // by how much its clock is behind, as it last said
	told  ledger

	heard   time.Time     // when it last wrote
	lag     time.Duration // of the oldest event of its last batch with events
	batches uint64        // counted
	events  uint64        // counted
	refused refusals
	shares  sharing
}

// admit says what is done with a batch for this manager, and takes note of its
// number.
func (n *node) admit(h *event.Header, manager uint64) verdict {
	if !n.known {
		// A restatement that was made for the manager before this one may have
		// been on its way since then, and lack what was told to that one later.
		if other := h.Manager != 0 && h.Manager != manager; other || !h.First || h.Seq <= n.asked {
			n.asked = max(n.asked, h.Seq)
			return ask
		}
		n.known = true
		n.seen.start(h.Seq)
		return count
	}
	switch {
	case h.Seq == 0:
		return hear
	case !n.seen.add(h.Seq):
		return repeated
	}
	if h.First {
		n.seen.close(h.Seq)
	}
	if h.First || !h.Restates {
		n.told.begin()
	}
	return count
}

// A window says which of the last numbers were seen. Numbers too old to tell
// count as seen.
type window struct {
	top  uint64 // the highest that was seen
	bits [windowSize / 64]uint64
}

// windowSize is how far a batch may be behind the latest of its gateway.
const windowSize = 1024

// start makes seq, and all before it, seen.
func (w *window) start(seq uint64) {
	w.top = seq
	for i := range w.bits {
		w.bits[i] = math.MaxUint64
	}
}

// close makes all before seq, which was seen, seen.
func (w *window) close(seq uint64) {
	if seq == w.top {
		w.start(seq)
		return
	}
	for s := seq; s > 0 && w.top-s < windowSize; s-- {
		i := s % windowSize
		w.bits[i/64] |= 1 << (i % 64)
	}
}

// add reports whether seq was not seen, and marks it.
func (w *window) add(seq uint64) bool {
	if seq > w.top {
		// What was the oldest makes room for what is between.
		for n := min(seq-w.top, windowSize); n > 0; n-- {
			i := (seq - n + 1) % windowSize
			w.bits[i/64] &^= 1 << (i % 64)
		}
		w.top = seq
	} else if w.top-seq >= windowSize {
		return false
	}
	i := seq % windowSize
	bit := uint64(1) << (i % 64)
	if w.bits[i/64]&bit != 0 {
		return false
	}
	w.bits[i/64] |= bit
	return true
}

// skewFree is by how much clocks may differ without anything being done.
const skewFree = 250 * time.Millisecond

// shift returns what is to be added to the times of a batch: what the gateway found
// to be the difference of the clocks, unless that is little. When the batch arrived
// says nothing of it: it may have waited, here or on its way.
func shift(h *event.Header, manager uint64) time.Duration {
	if h.Manager != manager || h.Skew.Abs() <= skewFree {
		return 0
	}
	return h.Skew
}

// nodes are the runs of gateways that are known, by incarnation. Its lock is
// taken twice for each batch, never for an event.
type nodes struct {
	mu   sync.Mutex
	max  int
	byID map[uint64]*node
	room room // for ledgers
}

func (s *nodes) init(most, told int) {
	s.max, s.byID = most, make(map[uint64]*node)
	s.room.left.Store(int64(told))
}

// admit says what is done with a batch, and by how much its times are shifted.
func (s *nodes) admit(now time.Time, h *event.Header, manager uint64) (*node, verdict, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.byID[h.Incarnation]
	if n == nil {
		n = s.enter(h)
	}
	n.heard = now
	n.refused.take(now, h)
	n.shares.take(now, h)
	if h.Manager == manager {
		n.skew = h.Skew
	}
	v := n.admit(h, manager)
	if v == count {
		n.batches++
	}
	return n, v, shift(h, manager)
}

// local returns the gateway of the same process, which is known from the beginning.
func (s *nodes) local(now time.Time, h *event.Header, counts bool) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.byID[h.Incarnation]
	if n == nil {
		n = s.enter(h)
	}
	n.heard, n.known = now, true
	n.refused.take(now, h)
	n.shares.take(now, h)
	if counts {
		n.batches++
	}
	return n
}

// maxNodeName bounds the name that is kept of a gateway.
const maxNodeName = 255

// enter adds the run that h is of. If there are too many, the one that was silent
// longest makes way.
func (s *nodes) enter(h *event.Header) *node {
	if len(s.byID) >= s.max {
		var oldest uint64
		var heard time.Time
		for id, n := range s.byID {
			if heard.IsZero() || n.heard.Before(heard) {
				oldest, heard = id, n.heard
			}
		}
		s.byID[oldest].told.forget()
		delete(s.byID, oldest)
	}
	n := &node{name: strings.Clone(h.Node[:min(len(h.Node), maxNodeName)])}
	n.told.room = &s.room
	s.byID[h.Incarnation] = n
	return n
}

// counted takes note of how many events of a batch were counted, and how old the
// oldest was.
func (s *nodes) counted(n *node, events uint64, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.events += events
	n.lag = lag
}

// silence is after how long a run may be forgotten.
const silence = time.Hour

// forget forgets the runs that have been silent and were counted in no window that
// is open, and of the others what is over.
func (s *nodes) forget(now time.Time, windows []limiter.Window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.byID {
		if now.Sub(n.heard) >= silence && !(n.known && isOpen(windows, n.heard, now)) {
			n.told.forget()
			delete(s.byID, id)
			continue
		}
		n.told.compact(now.Add(-n.skew), windows)
	}
}

// isOpen reports whether what was counted at a time is in a window that is open.
func isOpen(windows []limiter.Window, at, now time.Time) bool {
	for i := range windows {
		w := &windows[i]
		end := at.Add(w.Length)
		if w.Calendar != limiter.NoCalendar {
			_, end = w.Bounds(at)
		}
		if end.After(now) {
			return true
		}
	}
	return false
}

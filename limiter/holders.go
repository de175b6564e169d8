package limiter

// Holders are the entries of a lane that are to be looked at again, the soonest first. Times
// are local.
//
// An entry's lease has when it is due, and when it is placed here for. What is put off stays
// where it is until then. What is due sooner than it was is placed once more; its old
// place is not looked at any more, and goes when there are too many of the kind.
type holders struct {
	heap []holder // each is no sooner than number (i-1)/4
	held int      // entries that are placed
	due  []holder // in room: those that take looks at next
	room [32]holder
}

// A holder is a place of an entry. It has the time beside, as entries are far where there
// are many.
type holder struct {
	at    int64
	entry *entry
}

// valid reports whether an entry has no other place.
func (h holder) valid() bool { return h.at == h.entry.lease.placed }

// next returns when an entry may be due, and whether there is any.
func (h *holders) next() (int64, bool) {
	if len(h.heap) == 0 {
		return 0, false
	}
	return h.heap[0].at, true
}

// place has an entry looked at again when it is due.
func (h *holders) place(e *entry, due int64) {
	le := &e.lease
	due = max(due, 1) // zero tells that it is not placed
	le.due = due
	switch {
	case le.placed == 0:
		h.held++
	case due >= le.placed:
		return
	case len(h.heap) > 2*h.held+64:
		h.weed()
	}
	le.placed = due
	h.push(holder{due, e})
}

// take returns an entry that is due at a time, or any where all are wanted, and places it no
// longer. It is called until it returns nil; nothing is placed in between.
func (h *holders) take(now int64, all bool) *entry {
	for {
		if len(h.due) == 0 {
			h.gather(now, all)
			if len(h.due) == 0 {
				return nil
			}
		}
		p := h.due[0]
		h.due = h.due[1:]
		if !p.valid() {
			continue
		}
		le := &p.entry.lease
		if le.due <= now || all {
			le.placed = 0
			h.held--
			return p.entry
		}
		le.placed = le.due
		h.push(holder{le.due, p.entry})
	}
}

// gather takes some places whose time has come, so that their entries come near at the same time.
func (h *holders) gather(now int64, all bool) {
	clear(h.room[:])
	h.due = h.room[:0]
	for len(h.heap) > 0 && len(h.due) < len(h.room) && (all || h.heap[0].at <= now) {
		prefetchEntry(h.heap[0].entry)
		h.due = append(h.due, h.heap[0])
		last := len(h.heap) - 1
		h.heap[0] = h.heap[last]
		h.heap[last] = holder{}
		h.heap = h.heap[:last]
		h.down(0)
	}
}

func (h *holders) push(p holder) {
	h.heap = append(h.heap, p)
	h.up(len(h.heap) - 1)
}

// weed removes places that are not valid.
func (h *holders) weed() {
	kept := h.heap[:0]
	for _, p := range h.heap {
		if p.valid() {
			kept = append(kept, p)
		}
	}
	clear(h.heap[len(kept):])
	h.heap = kept
	for i := len(kept) / 4; i >= 0; i-- {
		h.down(i)
	}
}

func (h *holders) up(i int) {
	moved := h.heap[i]
	for i > 0 {
		parent := (i - 1) / 4
		if h.heap[parent].at <= moved.at {
			break
		}
		h.heap[i] = h.heap[parent]
		i = parent
	}
	h.heap[i] = moved
}

func (h *holders) down(i int) {
	if i >= len(h.heap) {
		return
	}
	moved := h.heap[i]
	for {
		first := 4*i + 1
		if first >= len(h.heap) {
			break
		}
		least := first
		for j := first + 1; j < min(first+4, len(h.heap)); j++ {
			if h.heap[j].at < h.heap[least].at {
				least = j
			}
		}
		if h.heap[least].at >= moved.at {
			break
		}
		h.heap[i] = h.heap[least]
		i = least
	}
	h.heap[i] = moved
}

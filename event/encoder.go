package event

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// FlushSize is the Size from which on an [Encoder] should be emptied: a Body that
// is made before it has one more event can be decoded, wherever it goes.
const FlushSize = 256 << 10

// An Encoder collects events and makes a [Body] of them. The zero value is empty
// and ready. It is for one goroutine at a time, and for use again and again: once
// it has grown it allocates nothing but bodies.
type Encoder struct {
	texts   table
	events  []pending
	calls   []byte   // what was called, by event, encoded
	windows []window // of all events
	spans   []byte   // these, encoded
	scratch []byte
	out     []byte
}

// A pending event is one that has not been told yet.
type pending struct {
	time  uint64
	spent weir.Spent
	call  int // its end in calls; it begins where the one before ends
	open  int // the first of its windows: an index from 1; 0: none
	last  int // the last
}

// A window is an open window of an event.
type window struct {
	from, to int // in spans
	next     int // the event's next window: an index from 1; 0: none
}

// Request adds an event and returns its index, from 0. It takes of r what
// [AppendRequest] does, and its Time, which must be there; nothing was spent yet.
// What is no UTF-8 becomes U+FFFD, but in values, which are told as they are. It
// keeps nothing of f and r.
func (e *Encoder) Request(f *weir.Fields, r *weir.Request) int {
	e.scratch = AppendRequest(e.scratch[:0], f, r)
	return e.RequestOf(e.scratch, r.Time)
}

// RequestOf is [Encoder.Request] of what [AppendRequest] has made, at a time. It
// returns -1, and adds nothing, if p is not as AppendRequest makes it.
func (e *Encoder) RequestOf(p []byte, at time.Time) int {
	var s parts
	if !s.split(p) {
		return -1
	}
	out := e.calls
	for n, t := range s.texts {
		if len(t) > 0 {
			out = appendUint(out, firstText+uint64(n), e.texts.text(t))
		}
	}
	out = appendUint(out, eventKeyType, uint64(s.keyType))
	out = appendText(out, eventClientIP, s.address)
	for i := range s.lists {
		out = e.appendPairs(out, eventHeaders+uint64(i), &s.lists[i])
	}
	e.calls = out
	e.events = append(e.events, pending{time: nanos(at), call: len(out)})
	return len(e.events) - 1
}

// appendPairs appends names and values, by their numbers.
func (e *Encoder) appendPairs(dst []byte, number uint64, p *pairs) []byte {
	if p.n == 0 {
		return dst
	}
	var buf [MaxValues * 2 * 4]byte // a number has at most 20 bits
	packed := buf[:0]
	for range p.n {
		packed = binary.AppendUvarint(packed, e.texts.text(p.next()))
		packed = binary.AppendUvarint(packed, e.texts.number(p.next()))
	}
	return appendText(dst, number, packed)
}

// Spend adds s to what event i has spent.
func (e *Encoder) Spend(i int, s weir.Spent) { e.events[i].spent.Add(s) }

// Open adds to event i, in a restatement, what was spent in a window that holds its
// time. An event has no more than 64 of these, and spends nothing besides. A window
// in which nothing was spent is left out.
func (e *Encoder) Open(i int, w weir.OpenWindow) {
	if w.Spent == (weir.Spent{}) {
		return
	}
	var buf [96]byte
	m := appendWindow(buf[:0], &w.Window, &e.texts)
	m = appendSpent(m, windowSpent, &w.Spent)
	from := len(e.spans)
	e.spans = appendText(e.spans, eventOpen, m)
	e.windows = append(e.windows, window{from: from, to: len(e.spans)})
	n := len(e.windows)
	p := &e.events[i]
	if p.open == 0 {
		p.open = n
	} else {
		e.windows[p.last-1].next = n
	}
	p.last = n
}

// Len returns how many events there are, those included that Body leaves out.
func (e *Encoder) Len() int { return len(e.events) }

// Size returns about how many bytes Body would have, and rather too many.
func (e *Encoder) Size() int {
	const text, event = 8, 44 // bytes that each has besides its own
	return len(e.texts.wire) + text*len(e.texts.known) + len(e.calls) + len(e.spans) + event*len(e.events)
}

// Body returns the events as a batch has them, without those that have spent
// nothing and have no open windows; their indices are then others. It is nil if
// there are none. The Encoder keeps its events, and nothing of the Body.
func (e *Encoder) Body() Body {
	out := e.out[:0]
	from := 0
	for i := range e.events {
		p := &e.events[i]
		if p.spent != (weir.Spent{}) || p.open != 0 {
			out = e.appendEvent(out, p, e.calls[from:p.call])
		}
		from = p.call
	}
	e.out = out
	if len(out) == 0 {
		return nil
	}
	n := len(e.texts.wire) + len(out)
	b := make([]byte, 0, n+lengthSize(n))
	b = append(appendLength(b, batchBodies, n), e.texts.wire...)
	return append(b, out...)
}

// appendEvent appends an event, as a field of a Body.
func (e *Encoder) appendEvent(dst []byte, p *pending, call []byte) []byte {
	var buf [48]byte
	own := appendFixed(buf[:0], eventTime, p.time)
	own = appendSpent(own, eventSpent, &p.spent)
	n := len(own) + len(call)
	for w := p.open; w != 0; w = e.windows[w-1].next {
		n += e.windows[w-1].to - e.windows[w-1].from
	}
	dst = appendLength(dst, bodyEvents, n)
	dst = append(append(dst, own...), call...)
	for w := p.open; w != 0; w = e.windows[w-1].next {
		dst = append(dst, e.spans[e.windows[w-1].from:e.windows[w-1].to]...)
	}
	return dst
}

// appendSpent appends the three fields of what was spent.
func appendSpent(dst []byte, first uint64, s *weir.Spent) []byte {
	dst = appendSint(dst, first, s.Requests)
	dst = appendSint(dst, first+1, s.Bytes)
	return appendSint(dst, first+2, s.Events)
}

// appendWindow appends the fields that say which window it is.
func appendWindow(dst []byte, w *limiter.Window, texts *table) []byte {
	if w.Calendar == limiter.NoCalendar {
		return appendUint(dst, windowLength, uint64(w.Length))
	}
	dst = appendUint(dst, windowCalendar, uint64(w.Calendar))
	dst = appendUint(dst, windowEvery, uint64(w.Every))
	if name := zoneName(w.Location); name != "" {
		dst = appendUint(dst, windowLocation, texts.text([]byte(name)))
	}
	return dst
}

// zoneName returns the name of a time zone, which for UTC is empty.
func zoneName(l *time.Location) string {
	if l == nil || l.String() == "UTC" {
		return ""
	}
	return l.String()
}

// lengthSize returns how many bytes the tag and the length of a message take.
func lengthSize(n int) int { return 1 + (bits.Len(uint(n)|1)+6)/7 }

// Reset removes all events. It keeps buffers.
func (e *Encoder) Reset() {
	e.texts.reset()
	e.events, e.calls = e.events[:0], e.calls[:0]
	e.windows, e.spans = e.windows[:0], e.spans[:0]
}

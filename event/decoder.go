package event

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/weir-project/weir"
)

const (
	// MaxBatch is how many bytes a batch has at most, unless its [Decoder] says otherwise.
	MaxBatch = 1 << 20
	// MaxEvents is how many events a batch has at most.
	MaxEvents = 1 << 16

	maxTexts = 1 << 16 // of one Body
)

// A Decoder decodes batches, one after the other. The zero value is ready. It is
// for one goroutine at a time, and worth keeping: apart from the text of a batch it
// allocates next to nothing, and it remembers time zones.
type Decoder struct {
	// MaxBytes is how long a batch is at most; zero: MaxBatch.
	MaxBytes int

	texts   []entry
	event   weir.Event
	headers values
	query   values
	claims  values
	open    []weir.OpenWindow
	zones   zones
	err     error // why the event is refused
}

// An entry is a text of a Body, and why it is none.
type entry struct {
	s     string
	fault fault
}

// A fault is what may be wrong with a text.
type fault uint8

const (
	sound fault = iota
	noUTF8
	tooLong
)

// Decode makes h the header of the batch p and calls each for one event after the
// other, in order, with its index in the batch. It returns those that are refused,
// in order, because they are wrong or because each returned an error, which is the
// reason then.
//
// An error is of the batch as a whole, and says where: then each was called for no
// event, and h is not to be used.
//
// The event is valid until each returns. Its texts may be kept: they are parts of one
// copy of the batch, so whoever keeps a few of them for long clones them. Decode
// keeps nothing of p.
func (d *Decoder) Decode(p []byte, h *Header, each func(i int, e *weir.Event) error) ([]Refusal, error) {
	most := MaxBatch
	if d.MaxBytes > 0 {
		most = d.MaxBytes
	}
	if len(p) > most {
		return nil, fmt.Errorf("batch: it has %d bytes, at most %d are read", len(p), most)
	}
	batch := string(p)
	if err := frame(batch, h); err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	defer d.forget()
	var refused []Refusal
	i := 0
	for r := (reader{s: batch}); r.more(); {
		if tag := r.tag(); tag != field(batchBodies, length) {
			r.skip(tag)
			continue
		}
		body := r.message()
		d.readTexts(body)
		for body.more() {
			if tag := body.tag(); tag != field(bodyEvents, length) {
				body.skip(tag)
				continue
			}
			err := d.read(body.message())
			if err == nil {
				err = each(i, &d.event)
			}
			if err != nil {
				refused = append(refused, Refusal{Index: i, Reason: err.Error()})
			}
			i++
		}
	}
	return refused, nil
}

// forget drops what would keep a batch in memory.
func (d *Decoder) forget() {
	const most = 4096 // texts that there is room for without being asked
	d.event, d.err = weir.Event{}, nil
	for _, v := range []*values{&d.headers, &d.query, &d.claims} {
		clear(v.pairs[:cap(v.pairs)])
	}
	clear(d.texts)
	if d.texts = d.texts[:0]; cap(d.texts) > most {
		d.texts = nil
	}
}

var (
	errManyEvents = fmt.Errorf("it has more than %d events", MaxEvents)
	errManyTexts  = fmt.Errorf("a body has more than %d texts", maxTexts)
)

// frame reads the header of a batch, and makes sure that all its messages are
// whole, down to each event as one of so many bytes.
func frame(batch string, h *Header) error {
	*h = Header{}
	events, headers := 0, 0
	r := reader{s: batch}
	for r.more() {
		switch tag := r.tag(); tag {
		case field(batchHeader, length):
			m := r.message()
			h.parse(&m)
			if m.err != nil {
				return fmt.Errorf("header: %w", m.err)
			}
			headers++
		case field(batchBodies, length):
			m := r.message()
			n := frameBody(&m)
			if m.err != nil {
				return m.err
			}
			if events += n; events > MaxEvents {
				return errManyEvents
			}
		default:
			r.skip(tag)
		}
	}
	switch {
	case r.err != nil:
		return r.err
	case headers == 0:
		return errors.New("there is no header")
	}
	return h.check(events)
}

// frameBody returns how many events a Body has.
func frameBody(r *reader) (events int) {
	texts := 0
	for r.more() {
		switch tag := r.tag(); tag {
		case field(bodyTexts, length):
			if texts++; texts > maxTexts {
				r.fail(errManyTexts)
			}
			r.text()
		case field(bodyEvents, length):
			events++
			r.text()
		default:
			r.skip(tag)
		}
	}
	return events
}

// readTexts makes d.texts those of a Body.
func (d *Decoder) readTexts(r reader) {
	clear(d.texts)
	d.texts = d.texts[:0]
	for r.more() {
		tag := r.tag()
		if tag != field(bodyTexts, length) {
			r.skip(tag)
			continue
		}
		t := entry{s: r.text()}
		switch {
		case len(t.s) > MaxText:
			t.fault = tooLong
		case !utf8.ValidString(t.s):
			t.fault = noUTF8
		}
		d.texts = append(d.texts, t)
	}
}

// A zones remembers time zones by their names; nil are those that there are not.
type zones map[string]*time.Location

// location returns the time zone of a name.
func (z *zones) location(name string) (*time.Location, error) {
	const most = 256
	if name == "" {
		return nil, nil
	}
	l, ok := (*z)[name]
	if !ok {
		if name != "Local" { // which is another one on each node
			l, _ = time.LoadLocation(name)
		}
		if *z == nil || len(*z) >= most {
			*z = make(zones)
		}
		(*z)[name] = l
	}
	if l == nil {
		return nil, fmt.Errorf("time zone %s is not known", quote(name))
	}
	return l, nil
}

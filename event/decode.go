package event

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// The numbers of fields in event.proto.
const (
	batchHeader = 1
	batchBodies = 2

	bodyTexts  = 1
	bodyEvents = 2

	eventTime     = 1
	eventSpent    = 2 // and the two after it
	firstText     = 5 // and those after it, see text
	eventKeyType  = 19
	eventClientIP = 20
	eventHeaders  = 21 // query and claims are the two after it
	eventOpen     = 24

	windowLength   = 1
	windowCalendar = 2
	windowEvery    = 3
	windowLocation = 4
	windowSpent    = 5 // and the two after it
)

const (
	maxSpent   = 1 << 53 // what every language can count
	maxWindows = 64      // of an event
)

var (
	errTime    = errors.New("there is no time, or it is before 1970")
	errContext = errors.New("there is no context")
	errAddress = errors.New("the client's address has neither 4 bytes nor 16")
	errKeyType = errors.New("the key type is not known")
	errPairs   = errors.New("there is a name without a value")
	errValues  = fmt.Errorf("there are more than %d headers, query parameters or claims", MaxValues)
	errSpent   = errors.New("what was spent is absurd")
	errWindow  = errors.New("an open window is absurd")
	errWindows = fmt.Errorf("there are more than %d open windows", maxWindows)
	errBoth    = errors.New("it has open windows, and something spent besides")
)

// read makes d.event the event in r, or says what is wrong with it.
func (d *Decoder) read(r reader) error {
	e := &d.event
	*e = weir.Event{}
	d.err = nil
	d.headers.reset()
	d.query.reset()
	d.claims.reset()
	d.headers.fold = true
	d.open = d.open[:0]
	var at uint64
	for r.more() {
		tag := r.tag()
		if n := tag>>3 - firstText; n < textFields && tag&7 == varint {
			d.readText(&r, n)
			continue
		}
		if tag == field(eventTime, fixed64) {
			at = r.fixed64()
			continue
		}
		if !readSpent(&r, &e.Spent, tag, eventSpent) {
			d.readOther(&r, tag)
		}
	}
	if r.err != nil {
		return r.err
	}
	e.Request.Time = instant(at)
	return d.complete()
}

// readText reads the number of a text into one of the fields that are texts.
func (d *Decoder) readText(r *reader, field uint64) {
	to, what := text(&d.event.Request, field)
	n := r.uint()
	if n-1 < uint64(len(d.texts)) && d.texts[n-1].fault == sound { // as nearly always
		*to = d.texts[n-1].s
		return
	}
	*to = d.text(n, what)
}

// text returns a text by its number.
func (d *Decoder) text(n uint64, what string) string {
	if n == 0 {
		return ""
	}
	if n > uint64(len(d.texts)) {
		d.refuse(fmt.Errorf("%s is text %d, and there are %d", what, n, len(d.texts)))
		return ""
	}
	t := &d.texts[n-1]
	switch t.fault {
	case noUTF8:
		d.refuse(fmt.Errorf("%s is no UTF-8", what))
	case tooLong:
		d.refuse(fmt.Errorf("%s is longer than %d bytes", what, MaxText))
	}
	return t.s
}

// value returns the value of a header, query parameter or claim by its number. It
// may be any bytes.
func (d *Decoder) value(n uint64) string {
	if n == 0 || n > uint64(len(d.texts)) || d.texts[n-1].fault != noUTF8 {
		return d.text(n, "a value")
	}
	return d.texts[n-1].s
}

// refuse notes why the event is refused, if that is not known.
func (d *Decoder) refuse(err error) {
	if d.err == nil {
		d.err = err
	}
}

// readSpent reads one of three fields that say what was spent, if it is one.
func readSpent(r *reader, s *weir.Spent, tag, first uint64) bool {
	switch tag {
	case field(first, varint):
		s.Requests = r.sint()
	case field(first+1, varint):
		s.Bytes = r.sint()
	case field(first+2, varint):
		s.Events = r.sint()
	default:
		return false
	}
	return true
}

// readOther reads those fields of an event that not every event has.
func (d *Decoder) readOther(r *reader, tag uint64) {
	req := &d.event.Request
	switch tag {
	case field(eventKeyType, varint):
		v := r.uint()
		if v > uint64(weir.Sandbox) {
			d.refuse(errKeyType)
		}
		req.KeyType = weir.KeyType(v)
	case field(eventClientIP, length):
		s := r.text()
		a, ok := netip.AddrFromSlice([]byte(s))
		if !ok && s != "" {
			d.refuse(errAddress)
		}
		req.ClientIP = a
	case field(eventHeaders, length), field(eventHeaders, varint):
		d.readPairs(r, tag, &d.headers)
	case field(eventHeaders+1, length), field(eventHeaders+1, varint):
		d.readPairs(r, tag, &d.query)
	case field(eventHeaders+2, length), field(eventHeaders+2, varint):
		d.readPairs(r, tag, &d.claims)
	case field(eventOpen, length):
		d.readWindow(r.message())
	default:
		r.skip(tag)
	}
}

// readPairs reads names and values, packed or one by one.
func (d *Decoder) readPairs(r *reader, tag uint64, to *values) {
	if tag&7 == varint {
		d.addPart(to, r.uint())
		return
	}
	packed := r.message()
	for packed.more() {
		d.addPart(to, packed.uint())
	}
	if packed.err != nil {
		d.refuse(packed.err)
	}
}

// addPart adds a name, or the value of the name before.
func (d *Decoder) addPart(to *values, n uint64) {
	switch {
	case to.half:
		to.pairs[len(to.pairs)-1].value = d.value(n)
		to.half = false
	case len(to.pairs) == MaxValues:
		d.refuse(errValues)
	default:
		to.add(d.text(n, "a name"), "")
		to.half = true
	}
}

// readWindow reads an open window.
func (d *Decoder) readWindow(r reader) {
	if len(d.open) == maxWindows {
		d.refuse(errWindows)
		return
	}
	var w weir.OpenWindow
	var span, calendar, every uint64
	for r.more() {
		switch tag := r.tag(); tag {
		case field(windowLength, varint):
			span = r.uint()
		case field(windowCalendar, varint):
			calendar = r.uint()
		case field(windowEvery, varint):
			every = r.uint()
		case field(windowLocation, varint):
			l, err := d.zones.location(d.text(r.uint(), "a time zone"))
			if err != nil {
				d.refuse(err)
			}
			w.Window.Location = l
		default:
			if !readSpent(&r, &w.Spent, tag, windowSpent) {
				r.skip(tag)
			}
		}
	}
	switch {
	case r.err != nil:
		d.refuse(r.err)
	case span > math.MaxInt64 || calendar > math.MaxUint8 || every > math.MaxInt32 || !plausible(&w.Spent):
		d.refuse(errWindow)
	}
	w.Window.Length, w.Window.Calendar, w.Window.Every = time.Duration(span), limiter.Calendar(calendar), int(every)
	limit := limiter.Limit{Window: w.Window}
	if err := limit.Validate(); err != nil {
		d.refuse(fmt.Errorf("an open window: %w", err))
	}
	d.open = append(d.open, w)
}

// complete completes d.event by what is apart from it, or says what is wrong.
func (d *Decoder) complete() error {
	e := &d.event
	switch {
	case d.err != nil:
		return d.err
	case e.Request.Time.Unix() <= 0:
		return errTime
	case e.Request.Context == "":
		return errContext
	case !plausible(&e.Spent):
		return errSpent
	case d.headers.half || d.query.half || d.claims.half:
		return errPairs
	case len(d.open) > 0 && e.Spent != (weir.Spent{}):
		return errBoth
	}
	if len(d.headers.pairs) > 0 {
		e.Request.Headers = &d.headers
	}
	if len(d.query.pairs) > 0 {
		e.Request.Query = &d.query
	}
	if len(d.claims.pairs) > 0 {
		e.Request.Claims = &d.claims
	}
	if len(d.open) > 0 {
		e.Open = d.open
	}
	return nil
}

// plausible reports whether anybody can have spent s.
func plausible(s *weir.Spent) bool {
	for _, n := range [...]int64{s.Requests, s.Bytes, s.Events} {
		if n > maxSpent || n < -maxSpent {
			return false
		}
	}
	return true
}

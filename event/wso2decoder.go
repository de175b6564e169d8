package event

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weir-project/weir"
)

// MaxWSO2Events is how many events in WSO2's form are read at once.
const MaxWSO2Events = 1000

// A WSO2Decoder decodes events in WSO2's JSON. The zero value is ready. It is for
// one goroutine at a time, and worth keeping.
type WSO2Decoder struct {
	event   weir.Event
	headers values
	others  values // query parameters and claims: the same pairs as headers
	names   names  // of these

	p       []byte          // what is decoded, as it came
	batch   string          // and as text
	loose   strings.Builder // texts that had escapes, one after the other
	scratch []byte          // one of them
	inner   []byte          // properties

	tokens [attributes]token
	guess  int   // the attribute that comes next if they are in order
	found        // in properties
	err    error // why the event is refused
}

// A found is what the properties of an event say besides headers and their like.
type found struct {
	v4, v6                netip.Addr
	size                  int64
	hasV4, hasV6, hasSize bool
}

var (
	errNoObject     = errors.New("it is no event: it has no object event, with an object payloadData")
	errTwice        = errors.New("event or payloadData is there twice")
	errEventUTF8    = errors.New("it is no UTF-8")
	errNoKey        = errors.New("there is no resourceKey, and a tier for it")
	errResource     = errors.New("resourceKey is neither that of the API nor of one of its resources")
	errUnknownKey   = errors.New("keyType is neither PRODUCTION nor SANDBOX")
	errTimestamp    = errors.New("timestamp is no time after 1970 in milliseconds")
	errNoContext    = errors.New("there is no apiContext")
	errNoProperties = errors.New("properties is no object of JSON")
)

// Decode calls each for one event of p after the other, in order, with its index; p
// is an event or an array of events. It returns those that are refused, in order,
// because they are wrong or because each returned an error, which is the reason then.
//
// An error is of the JSON as a whole, and says where: then each was called for no event.
//
// Attributes may be missing, null, texts or numbers; others than those that
// [AppendWSO2] tells of are skipped. An event without a timestamp is of now. Its
// application, API and resource are taken from appId, apiContext, apiVersion and
// resourceKey; the other keys follow from these, and are not looked at. Where
// resourceKey is that of the API, resourceTier is the policy of the API.
//
// Properties other than addresses and sizes are headers, query parameters and
// claims alike. Clients have a say in them: so one that makes no sense where it
// has a meaning is a property like others, what is longer than 64 KiB is cut, and
// what comes after 200 of them is left out; the event counts.
//
// The event is valid until each returns. Its texts may be kept: they are parts of
// copies of the batch. Decode keeps nothing of p.
func (d *WSO2Decoder) Decode(p []byte, now time.Time, each func(i int, e *weir.Event) error) ([]Refusal, error) {
	if at, fault := frameWSO2(p); fault != "" {
		return nil, fmt.Errorf("events: at byte %d: %s", at, fault)
	}
	d.p, d.batch = p, string(p)
	defer d.forget()
	var refused []Refusal
	one := func(s *scanner, i, depth int) {
		err := d.read(s, depth, now)
		if err == nil {
			err = each(i, &d.event)
		}
		if err != nil {
			refused = append(refused, Refusal{Index: i, Reason: err.Error()})
		}
	}
	s := scanner{p: p}
	if s.space() != '[' {
		one(&s, 0, 0)
		return refused, nil
	}
	s.i++
	i := 0
	for first := true; s.next(first, ']'); first = false {
		one(&s, i, 1)
		i++
	}
	return refused, nil
}

// forget drops what would keep a batch in memory.
func (d *WSO2Decoder) forget() {
	const most = 64 << 10
	clear(d.headers.pairs[:cap(d.headers.pairs)])
	d.event, d.err, d.batch, d.p = weir.Event{}, nil, "", nil
	d.others.pairs = nil
	d.loose.Reset()
	if cap(d.scratch)+cap(d.inner) > most {
		d.scratch, d.inner = nil, nil
	}
}

// frameWSO2 makes sure that p is JSON: one event, or an array of not too many. It
// returns what is wrong, and where.
func frameWSO2(p []byte) (at int, fault string) {
	s := scanner{p: p}
	switch s.space() {
	case '{':
		s.value(0)
	case '[':
		s.i++
		n := 0
		for first := true; s.next(first, ']'); first = false {
			if n++; n > MaxWSO2Events {
				s.fail(fmt.Sprintf("there are more than %d events", MaxWSO2Events))
			}
			s.value(1)
		}
	default:
		s.fail("there is neither an event nor an array of events")
	}
	if s.space(); s.i < len(p) {
		s.fail("there is something after the end")
	}
	return s.at, s.fault
}

// read makes d.event the event that is next in s, which stands in so many others
// values, or says what is wrong with it.
func (d *WSO2Decoder) read(s *scanner, depth int, now time.Time) error {
	d.event, d.err = weir.Event{}, nil
	d.headers.reset()
	d.headers.fold = true
	clear(d.names[:])
	clear(d.tokens[:])
	d.guess, d.found = 0, found{}
	s.space()
	from := s.i
	d.enter(s, depth, "event", "payloadData")
	if !utf8.Valid(s.p[from:s.i]) {
		d.refuse(errEventUTF8)
	}
	if d.err == nil {
		d.fill(now)
	}
	return d.err
}

// refuse notes why the event is refused, if that is not known.
func (d *WSO2Decoder) refuse(err error) {
	if d.err == nil {
		d.err = err
	}
}

// enter reads an object and in it the member that is first of names, whose value
// is an object with the next; without names it reads attributes.
func (d *WSO2Decoder) enter(s *scanner, depth int, names ...string) {
	if s.space() != '{' {
		s.value(depth)
		d.refuse(errNoObject)
		return
	}
	s.i++
	found := false
	for first := true; s.next(first, '}'); first = false {
		name := d.text(s.key())
		switch {
		case len(names) == 0:
			d.take(name, s.value(depth+1))
		case name != names[0]:
			s.value(depth + 1)
		case found:
			s.value(depth + 1)
			d.refuse(errTwice)
		default:
			d.enter(s, depth+1, names[1:]...)
			found = true
		}
	}
	if len(names) > 0 && !found {
		d.refuse(errNoObject)
	}
}

// take notes the value of an attribute.
func (d *WSO2Decoder) take(name string, t token) {
	n := d.guess
	for range attributeNames {
		if n == len(attributeNames) {
			n = 0
		}
		if attributeNames[n] == name {
			if d.tokens[n].kind != 0 {
				d.refuse(fmt.Errorf("%s is there twice", name))
			}
			d.tokens[n] = t
			d.guess = n + 1
			return
		}
		n++
	}
}

// text returns a text of the batch.
func (d *WSO2Decoder) text(t token) string { return d.textOf(t, d.p, d.batch) }

// textOf returns a text of p, which is as text all.
func (d *WSO2Decoder) textOf(t token, p []byte, all string) string {
	if !t.escaped {
		return all[t.from:t.to]
	}
	d.scratch = unescape(d.scratch[:0], p[t.from:t.to])
	return d.keep(d.scratch)
}

// keep returns p as a text of its own.
func (d *WSO2Decoder) keep(p []byte) string {
	if d.loose.Cap() == 0 {
		d.loose.Grow(len(d.batch) / 8)
	}
	from := d.loose.Len()
	d.loose.Write(p)
	return d.loose.String()[from:]
}

package event_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

// refused returns what g, a Header, says of refused calls.
func (g generic) refused() *event.RefusedCalls {
	if !g.Has(g.field("refused")) {
		return nil
	}
	var c event.RefusedCalls
	r := generic{g.value("refused").Message()}
	for _, l := range r.list("levels") {
		if level := uint32(l.enum("level")); level < uint32(len(c.Levels)) {
			c.Levels[level] = l.uint("calls")
		}
	}
	for _, k := range r.list("keys") {
		level := uint32(k.enum("level"))
		if level >= uint32(len(c.Levels)) || len(c.Keys) == event.MaxRefusedKeys {
			continue
		}
		one := event.RefusedKey{
			Key: limiter.Key(k.uint("key")), Text: cutText(k.string("text")), Level: weir.Level(level), Policy: cutText(k.string("policy")),
			Group: int(k.int("group")), Calls: k.uint("calls"),
		}
		if since := k.int("since"); since != 0 {
			one.Since = time.Unix(0, since).UTC()
		}
		c.Keys = append(c.Keys, one)
	}
	return &c
}

// cutText returns the beginning of s that is kept.
func cutText(s string) string {
	n := 0
	for i, r := range s {
		if end := i + len(string(r)); end <= event.MaxRefusedText {
			n = end
		}
	}
	return s[:n]
}

// refusedCalls returns some.
func refusedCalls() *event.RefusedCalls {
	c := &event.RefusedCalls{Keys: []event.RefusedKey{
		{Key: 1 << 63, Text: "5:/pizza/1:1:Gold", Level: weir.LevelSubscription, Policy: "Gold", Group: -1, Calls: 1 << 40, Since: admitted},
		{Text: "älice", Level: weir.LevelDeny, Policy: "7", Group: 3, Calls: 1},
	}}
	c.Levels[weir.LevelDeny], c.Levels[weir.LevelBackend] = 1, 1<<63
	return c
}

// What was refused arrives, with events and without, and reads for generated code
// as it does here.
func TestRefusedCallsArrive(t *testing.T) {
	for name, c := range map[string]*event.RefusedCalls{"none": nil, "nothing": {}, "some": refusedCalls()} {
		h := header
		h.Refused = c
		for _, bodies := range [][]event.Body{nil, {sample()}} {
			p := batch(&h, bodies...)
			got, _, _ := decode(t, new(event.Decoder), p)
			if !reflect.DeepEqual(got, h) {
				t.Errorf("%s: got %+v, want %+v", name, got.Refused, c)
			}
			if generated, _, err := readBatch(t, p); err != nil || !reflect.DeepEqual(generated, h) {
				t.Errorf("%s: generated code reads %+v: %v", name, generated.Refused, err)
			}
		}
	}
}

// What will be there later is skipped: fields, and levels that nobody knows yet.
func TestRefusedCallsAreTolerant(t *testing.T) {
	later := raw{}.varint(1, 99).varint(2, 7)                                         // a level of later
	key := raw{}.fixed(1, 5).varint(3, 3).varint(6, 9).bytes(50, "new").varint(51, 1) // a field of later
	lost := raw{}.fixed(1, 6).varint(3, 99).varint(6, 9)
	c := raw{}.bytes(1, string(later)).bytes(2, string(lost)).bytes(2, string(key)).bytes(60, "new")
	m := raw{}.fixed(2, 1).fixed(4, 1).bytes(10, string(c)).bytes(70, "new")
	p := raw{}.bytes(1, string(m))
	got, _, _ := decode(t, new(event.Decoder), p)
	want := &event.RefusedCalls{Keys: []event.RefusedKey{{Key: 5, Level: weir.LevelSubscription, Calls: 9}}}
	if !reflect.DeepEqual(got.Refused, want) {
		t.Errorf("got %+v, want %+v", got.Refused, want)
	}
}

// What is too much is cut where it is written and where it is read.
func TestRefusedCallsAreBounded(t *testing.T) {
	h := header
	h.Refused = new(event.RefusedCalls)
	for i := range 3 * event.MaxRefusedKeys {
		h.Refused.Keys = append(h.Refused.Keys, event.RefusedKey{
			Key: limiter.Key(i + 1), Text: strings.Repeat("é\xff", 300), Policy: strings.Repeat("x", 4000), Calls: 1,
		})
	}
	p := event.AppendHeader(nil, &h)
	if len(p) > 48<<10 {
		t.Errorf("a header of %d bytes", len(p))
	}
	got, _, _ := decode(t, new(event.Decoder), p)
	if n := len(got.Refused.Keys); n != event.MaxRefusedKeys {
		t.Errorf("%d keys", n)
	}
	for _, k := range got.Refused.Keys {
		if len(k.Text) > event.MaxRefusedText || len(k.Policy) > event.MaxRefusedText {
			t.Fatalf("texts of %d and %d bytes", len(k.Text), len(k.Policy))
		}
	}
	var c raw
	for i := range 3 * event.MaxRefusedKeys {
		c = c.bytes(2, string(raw{}.varint(6, 1).bytes(2, strings.Repeat(fmt.Sprint(i%10), 4000))))
	}
	got, _, _ = decode(t, new(event.Decoder), raw{}.bytes(1, string(raw{}.fixed(2, 1).fixed(4, 1).bytes(10, string(c)))))
	if n := len(got.Refused.Keys); n != event.MaxRefusedKeys || len(got.Refused.Keys[0].Text) != event.MaxRefusedText {
		t.Errorf("%d keys, the first of %d bytes", n, len(got.Refused.Keys[0].Text))
	}
}

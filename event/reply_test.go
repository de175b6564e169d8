package event_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

// answer returns a reply that has all that a reply can have.
func answer() event.Reply {
	minute := time.Date(2026, 11, 21, 12, 1, 0, 0, time.UTC)
	return event.Reply{
		Manager: math.MaxUint64, Issuer: "tm-1", Now: admitted, Restate: true,
		Refused: []event.Refusal{{Index: 0, Reason: "there is no context"}, {Index: 65535}},
		Late:    12, Shares: "redis://a/0", All: true, Version: 1 << 40,
		Decisions: []weir.Decision{
			{
				Key: 1 << 63, Text: "5:/pizza/1:1:Gold", Level: weir.LevelSubscription, Policy: "Gold", Group: -1, Throttled: true,
				Begins: minute.Add(-time.Minute), Ends: minute, Issuer: "tm-1", Seq: 9, Issued: admitted,
			},
			{ // of another issuer, of a window that begins at the epoch
				Text: "/pizza/1/1/menu:GET_condition_3", Level: weir.LevelResource, Policy: "Menu", Group: 3,
				Begins: time.Unix(0, 0).UTC(), Ends: minute, Issuer: "tm-2", Seq: 1, Issued: admitted, Conditions: "W10=",
			},
			{ // of a window that slides
				Key: 7, Level: weir.LevelBackend, Policy: "PRODUCTION", Group: math.MinInt32, Throttled: true,
				Ends: minute, Issuer: "tm-1", Seq: math.MaxUint64, Issued: admitted,
			},
			{Key: 8, Level: weir.LevelDeny, Begins: time.Unix(-5, 0).UTC(), Ends: minute, Issuer: "tm-1", Issued: admitted},
		},
	}
}

func TestRepliesArriveAsTheyWere(t *testing.T) {
	for _, want := range []event.Reply{answer(), {}, {Manager: 1, Decisions: answer().Decisions[1:2]}} {
		got, err := event.ParseReply(event.AppendReply(nil, &want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v, got\n%+v, want\n%+v", err, got, want)
		}
	}
}

// readReply returns what the library of protocol buffers reads.
func readReply(t testing.TB, p []byte) (event.Reply, error) {
	g := newGeneric(t, "Reply")
	if err := g.parse(p); err != nil {
		return event.Reply{}, err
	}
	instant := func(ns int64) time.Time {
		if ns == 0 {
			return time.Time{}
		}
		return time.Unix(0, ns).UTC()
	}
	r := event.Reply{
		Manager: g.uint("manager"), Issuer: g.string("issuer"), Now: instant(g.int("now")), Restate: g.bool("restate"),
		Late: int(min(g.uint("late"), math.MaxInt)), Shares: g.string("shares"), All: g.bool("all"), Version: g.uint("version"),
	}
	for _, f := range g.list("refused") {
		r.Refused = append(r.Refused, event.Refusal{Index: int(f.uint("index")), Reason: f.string("reason")})
	}
	for _, d := range g.list("decisions") {
		level := d.enum("level")
		if level < 0 || level > int(weir.LevelBackend) || d.uint("key") == 0 && d.string("text") == "" || d.int("ends") == 0 {
			continue
		}
		out := weir.Decision{
			Key: limiter.Key(d.uint("key")), Text: d.string("text"), Level: weir.Level(level), Policy: d.string("policy"),
			Group: int(d.int("group")), Throttled: d.bool("throttled"), Ends: instant(d.int("ends")),
			Issuer: d.string("issuer"), Seq: d.uint("seq"), Issued: instant(d.int("issued")), Conditions: d.string("conditions"),
		}
		if d.Has(d.field("begins")) {
			out.Begins = time.Unix(0, d.int("begins")).UTC()
		}
		if out.Issuer == "" {
			out.Issuer = r.Issuer
		}
		r.Decisions = append(r.Decisions, out)
	}
	return r, nil
}

func TestLibraryReadsOurReplies(t *testing.T) {
	want := answer()
	p := event.AppendReply(nil, &want)
	if n := strings.Count(string(p), want.Issuer); n != 1 {
		t.Errorf("the issuer is there %d times, want once for all decisions", n)
	}
	got, err := readReply(t, p)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, got\n%+v, want\n%+v", err, got, want)
	}
}

func TestWeReadRepliesOfTheLibrary(t *testing.T) {
	want := answer()
	g := newGeneric(t, "Reply")
	if err := g.parse(event.AppendReply(nil, &want)); err != nil {
		t.Fatal(err)
	}
	visit(g.Message, func(m protoreflect.Message) {
		if u := m.GetUnknown(); len(u) > 0 {
			t.Errorf("%s has unknown fields %x", m.Descriptor().Name(), u)
		}
		u := protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "later")
		m.SetUnknown(protowire.AppendFixed32(protowire.AppendTag(u, 1, protowire.Fixed32Type), 1))
	})
	got, err := event.ParseReply(g.bytes(t))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, got\n%+v, want\n%+v", err, got, want)
	}
}

// What later versions may say of a decision, or forget, makes no reply unreadable:
// gateways would send the same batch forever.
func TestUselessDecisionsAreLeftOut(t *testing.T) {
	whole := func() raw { return raw{}.fixed(1, 5).fixed(8, 1e18) }
	p := raw{}.bytes(2, "tm").
		bytes(8, string(whole())).
		bytes(8, "").
		bytes(8, string(whole().varint(3, 9))).
		bytes(8, string(whole().varint(3, 1<<8))).
		bytes(8, string(raw{}.fixed(8, 1e18))).
		bytes(8, string(raw{}.fixed(1, 5))).
		bytes(8, string(raw{}.bytes(2, "text").fixed(8, 1e18)))
	got, err := event.ParseReply(p)
	want := []weir.Decision{
		{Key: 5, Ends: time.Unix(1e9, 0).UTC(), Issuer: "tm"},
		{Text: "text", Ends: time.Unix(1e9, 0).UTC(), Issuer: "tm"},
	}
	if err != nil || !reflect.DeepEqual(got.Decisions, want) {
		t.Errorf("%v, %+v, want %+v", err, got.Decisions, want)
	}
}

func TestBadReplies(t *testing.T) {
	r := answer()
	whole := event.AppendReply(nil, &r)
	many := raw{}
	for range event.MaxEvents + 1 {
		many = many.bytes(5, "")
	}
	for name, c := range map[string]struct {
		p      []byte
		reason string
	}{
		"HTML":         {[]byte("<html></html>"), "reply: at byte 1: there is no field of that kind"},
		"cut":          {whole[:len(whole)-1], "it ends within a field"},
		"no UTF-8":     {raw{}.bytes(2, "\xff"), "a text is no UTF-8"},
		"in a refusal": {raw{}.bytes(5, string(raw{}.bytes(2, "\xff"))), "a text is no UTF-8"},
		"in a text":    {raw{}.bytes(8, string(raw{}.bytes(2, "\xff"))), "a text is no UTF-8"},
		"cut decision": {raw{}.bytes(8, "\x09"), "it ends within a field"},
		"refusals":     {many, "it has more than 65536 events"},
	} {
		got, err := event.ParseReply(c.p)
		if err == nil || !strings.HasPrefix(err.Error(), "reply: ") || !strings.HasSuffix(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %s", name, err, c.reason)
		}
		if !reflect.DeepEqual(got, event.Reply{}) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestRepliesAreUTF8(t *testing.T) {
	r := event.Reply{Manager: 1, Issuer: "\xff", Shares: "\xfe", Refused: []event.Refusal{{Index: -1, Reason: "a\xff"}}, Late: -1}
	r.Decisions = []weir.Decision{{Text: "k\xff", Policy: "\xff", Issuer: "i\xff", Conditions: "\xff", Ends: admitted}}
	p := event.AppendReply(nil, &r)
	got, err := event.ParseReply(p)
	if err != nil {
		t.Fatal(err)
	}
	want := event.Reply{Manager: 1, Issuer: "\uFFFD", Shares: "\uFFFD", Refused: []event.Refusal{{Reason: "a\uFFFD"}}}
	want.Decisions = []weir.Decision{{Text: "k\uFFFD", Policy: "\uFFFD", Issuer: "i\uFFFD", Conditions: "\uFFFD", Ends: admitted}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A reply that we take is one that generated code reads, and reads the same of it.
func FuzzParseReply(f *testing.F) {
	r := answer()
	f.Add(event.AppendReply(nil, &r))
	f.Add(event.AppendReply(nil, &event.Reply{Manager: 1}))
	f.Add([]byte(raw{}.bytes(8, string(raw{}.fixed(1, 5).fixed(8, 1e18).varint(5, 1<<33)))))
	f.Fuzz(func(t *testing.T, p []byte) {
		got, err := event.ParseReply(p)
		if err != nil {
			return
		}
		want, err := readReply(t, p)
		if err != nil {
			t.Fatalf("generated code does not read what we do: %v", err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("we read\n%+v, generated code\n%+v", got, want)
		}
		again, err := event.ParseReply(event.AppendReply(nil, &got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%v, said again it is\n%+v, was\n%+v", err, again, got)
		}
	})
}

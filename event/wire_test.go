package event_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

// readBatch returns what the library of protocol buffers reads in a batch.
func readBatch(t testing.TB, p []byte) (h event.Header, all []told, err error) {
	b := newGeneric(t, "Batch")
	if err := b.parse(p); err != nil {
		return h, nil, err
	}
	g := generic{b.value("header").Message()}
	h = event.Header{
		Node: g.string("node"), Incarnation: g.uint("incarnation"), Seq: g.uint("seq"), Sent: time.Unix(0, g.int("sent")).UTC(),
		Restates: g.bool("restates"), First: g.bool("first"), Manager: g.uint("manager"), Version: g.uint("version"),
		Skew: time.Duration(g.int("skew")), Refused: g.refused(), Sharing: g.sharing(),
	}
	for _, body := range b.list("bodies") {
		for _, e := range body.list("events") {
			all = append(all, tell(&everything, e.event(body.value("texts").List())))
		}
	}
	return h, all, nil
}

// text returns the text with the number that a field has.
func (g generic) text(texts protoreflect.List, name string) string {
	return numbered(texts, g.uint(name))
}

func numbered(texts protoreflect.List, n uint64) string {
	if n == 0 {
		return ""
	}
	return string(texts.Get(int(n - 1)).Bytes())
}

func (g generic) spent() weir.Spent {
	return weir.Spent{Requests: g.int("requests"), Bytes: g.int("bytes"), Events: g.int("events")}
}

func (g generic) event(texts protoreflect.List) *weir.Event {
	text := func(name string) string { return g.text(texts, name) }
	r := weir.Request{
		Time:    time.Unix(0, g.int("time")).UTC(),
		Context: text("context"), Version: text("version"), Resource: text("resource"), Verb: text("verb"), API: text("api"),
		User: text("user"), SubscriptionTier: text("subscription_tier"), ResourceTier: text("resource_tier"),
		APITier: text("api_tier"), Token: text("token"), KeyType: weir.KeyType(g.enum("key_type")),
		Application: weir.Application{
			ID: text("application_id"), Tier: text("application_tier"), Name: text("application_name"), Owner: text("application_owner"),
		},
	}
	r.ClientIP, _ = netip.AddrFromSlice(g.value("client_ip").Bytes())
	for name, to := range map[string]*weir.Values{"headers": &r.Headers, "query": &r.Query, "claims": &r.Claims} {
		l := g.value(name).List()
		values := bag{}
		for i := 0; i+1 < l.Len(); i += 2 {
			k := numbered(texts, l.Get(i).Uint())
			if name == "headers" {
				k = asciiLower(k)
			}
			if _, ok := values[k]; !ok {
				values[k] = numbered(texts, l.Get(i+1).Uint())
			}
		}
		*to = values
	}
	e := &weir.Event{Request: r, Spent: g.spent()}
	for _, w := range g.list("open") {
		var l *time.Location
		if name := w.text(texts, "location"); name != "" {
			l, _ = time.LoadLocation(name)
		}
		e.Open = append(e.Open, weir.OpenWindow{Window: limiter.Window{
			Length: time.Duration(w.uint("length")), Calendar: limiter.Calendar(w.enum("calendar")), Every: int(w.uint("every")), Location: l,
		}, Spent: w.spent()})
	}
	return e
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// sample is a Body with everything that a Body can have.
func sample() event.Body {
	var e event.Encoder
	for i, r := range []weir.Request{call(), anonymousCall("192.0.2.1"), anonymousCall("2001:db8::1"), {Time: admitted, Context: "/"}} {
		e.Spend(e.Request(&everything, &r), weir.Spent{Requests: int64(i) + 1, Bytes: -5000, Events: 1 << 40})
	}
	r := call()
	i := e.Request(&everything, &r)
	e.Open(i, weir.OpenWindow{Window: limiter.Window{Length: time.Minute}, Spent: weir.Spent{Requests: 3}})
	e.Open(i, weir.OpenWindow{Window: limiter.Window{Calendar: limiter.Month, Every: 3}, Spent: weir.Spent{Bytes: -3}})
	return e.Body()
}

// What we write, generated code reads.
func TestLibraryReadsUs(t *testing.T) {
	p := batch(&header, sample())
	h, all, err := readBatch(t, p)
	if err != nil {
		t.Fatal(err)
	}
	var d event.Decoder
	wantHeader, want, refused := decode(t, &d, p)
	if h != wantHeader || h != header || len(refused) > 0 || len(all) != 5 {
		t.Errorf("header %+v, want %+v; %d events; refused %v", h, header, len(all), refused)
	}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("the library reads\n%+v, we read\n%+v", all, want)
	}
	// And nothing in it is unknown to it.
	b := newGeneric(t, "Batch")
	if err := b.parse(p); err != nil {
		t.Fatal(err)
	}
	visit(b.Message, func(m protoreflect.Message) {
		if u := m.GetUnknown(); len(u) > 0 {
			t.Errorf("%s has unknown fields %x", m.Descriptor().Name(), u)
		}
	})
}

// visit calls f for m and all messages in it.
func visit(m protoreflect.Message, f func(protoreflect.Message)) {
	f(m)
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case d.Message() != nil && d.IsList():
			for i := range v.List().Len() {
				visit(v.List().Get(i).Message(), f)
			}
		case d.Message() != nil:
			visit(v.Message(), f)
		}
		return true
	})
}

// What generated code writes, we read: with fields that we don't know at every
// level, of every kind.
func TestWeReadTheLibrary(t *testing.T) {
	p := batch(&header, sample(), sample())
	var d event.Decoder
	_, want, _ := decode(t, &d, p)

	b := newGeneric(t, "Batch")
	if err := b.parse(p); err != nil {
		t.Fatal(err)
	}
	var unknown []byte
	for n := protowire.Number(1000); n < 1005; n++ {
		unknown = protowire.AppendVarint(protowire.AppendTag(unknown, n, protowire.VarintType), 1<<63)
		unknown = protowire.AppendFixed32(protowire.AppendTag(unknown, n, protowire.Fixed32Type), 7)
		unknown = protowire.AppendFixed64(protowire.AppendTag(unknown, n, protowire.Fixed64Type), 7)
		unknown = protowire.AppendString(protowire.AppendTag(unknown, n, protowire.BytesType), "later")
		unknown = protowire.AppendGroup(protowire.AppendTag(unknown, n, protowire.StartGroupType), n, slices.Clone(unknown))
	}
	// A known number with a kind that it doesn't have is unknown, too.
	unknown = protowire.AppendFixed32(protowire.AppendTag(unknown, 1, protowire.Fixed32Type), 7)
	visit(b.Message, func(m protoreflect.Message) { m.SetUnknown(unknown) })
	h, got, refused := decode(t, &d, b.bytes(t))
	if h != header || len(refused) > 0 {
		t.Errorf("header %+v, want %+v; refused %v", h, header, refused)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
}

// raw writes fields by hand, as no library does.
type raw []byte

func (r raw) varint(n protowire.Number, v uint64) raw {
	return protowire.AppendVarint(protowire.AppendTag(r, n, protowire.VarintType), v)
}

func (r raw) fixed(n protowire.Number, v uint64) raw {
	return protowire.AppendFixed64(protowire.AppendTag(r, n, protowire.Fixed64Type), v)
}

func (r raw) bytes(n protowire.Number, v string) raw {
	return protowire.AppendString(protowire.AppendTag(r, n, protowire.BytesType), v)
}

// good is the fields of an event that is fine, in a body with the texts "/pizza/1",
// "\xff" and 5000 bytes.
func good() raw { return raw{}.fixed(1, uint64(admitted.UnixNano())).varint(2, 2).varint(5, 1) }

func bodyOf(events ...raw) event.Body {
	b := raw{}
	for _, e := range events { // texts may come last
		b = b.bytes(2, string(e))
	}
	b = b.bytes(1, "/pizza/1").bytes(1, "\xff").bytes(1, strings.Repeat("x", 5000)).bytes(1, "Mars/Crater").bytes(1, "Local")
	return event.Body(raw{}.bytes(2, string(b)))
}

func TestBadEventsAreRefusedByIndex(t *testing.T) {
	pairs := func(n int) string {
		return strings.Repeat("\x01", 2*n)
	}
	many := good()[:len(good())-4] // without what was spent
	for range 65 {
		many = many.bytes(24, string(raw{}.varint(1, 1e9)))
	}
	open := func(w raw) raw {
		return raw{}.fixed(1, uint64(admitted.UnixNano())).varint(5, 1).bytes(24, string(w))
	}
	for _, c := range []struct {
		name   string
		e      raw
		reason string // empty: none
	}{
		{"good", good(), ""},
		{"nothing", raw{}, "there is no time, or it is before 1970"},
		{"no time", raw{}.varint(5, 1), "there is no time, or it is before 1970"},
		{"time before 1970", good().fixed(1, 1<<63), "there is no time, or it is before 1970"},
		{"no context", raw{}.fixed(1, 1e18), "there is no context"},
		{"empty context", good().varint(5, 0), "there is no context"},
		{"index beyond the texts", good().varint(6, 6), "version is text 6, and there are 5"},
		{"huge index", good().varint(11, 1<<63), "user is text 9223372036854775808, and there are 5"},
		{"no UTF-8", good().varint(10, 2), "application is no UTF-8"},
		{"too long", good().varint(18, 3), "token is longer than 4096 bytes"},
		{"key type", good().varint(19, 2), "the key type is not known"},
		{"address", good().bytes(20, "12345"), "the client's address has neither 4 bytes nor 16"},
		{"empty address", good().bytes(20, ""), ""},
		{"too much spent", good().varint(2, protowire.EncodeZigZag(1<<53+1)), "what was spent is absurd"},
		{"too little spent", good().varint(3, protowire.EncodeZigZag(-1<<53-1)), "what was spent is absurd"},
		{"the least", good().varint(4, protowire.EncodeZigZag(-1<<63)), "what was spent is absurd"},
		{"name without value", good().bytes(21, "\x01"), "there is a name without a value"},
		{"claim without value", good().bytes(23, "\x01\x01\x01"), "there is a name without a value"},
		{"parameter without value", good().varint(22, 1), "there is a name without a value"},
		{"name and value apart", good().bytes(22, "\x01").varint(22, 2), ""},
		{"name that is no UTF-8", good().bytes(22, "\x02\x01"), "a name is no UTF-8"},
		{"value that is too long", good().bytes(22, "\x01\x03"), "a value is longer than 4096 bytes"},
		{"value that is not there", good().bytes(23, "\x01\x06"), "a value is text 6, and there are 5"},
		{"64 values", good().bytes(23, pairs(64)), ""},
		{"65 values", good().bytes(23, pairs(65)), "there are more than 64 headers, query parameters or claims"},
		{"cut values", good().bytes(23, "\x81"), "it ends within a field"},
		{"cut", good()[:4], "it ends within a field"},
		{"cut varint", append(good(), 0x30, 0x80), "it ends within a field"},
		{"overlong varint", append(good().varint(5, 1), "\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"...), "a number has more than 64 bits"},
		{"field 0", append(good(), 0x02, 0x00), "there is no field of that number"},
		{"kind 7", append(good(), 0x37), "there is no field of that kind"},
		{"end of no group", append(good(), 0x34), "there is no field of that kind"},
		{"group without an end", append(good(), 0x33), "it ends within a field"},
		{"end of another group", append(good(), 0x33, 0x3c), "there is no field of that kind"},
		{"nested groups", append(good(), strings.Repeat("\x33", 100)+strings.Repeat("\x34", 100)...), "groups are nested too deep"},
		{"open and spent", good().bytes(24, string(raw{}.varint(1, 1e9))), "it has open windows, and something spent besides"},
		{"short window", open(raw{}.varint(1, 999_999)), "an open window: window is shorter than a millisecond"},
		{"no window", open(raw{}), "an open window: window is shorter than a millisecond"},
		{"window too long", open(raw{}.varint(1, 1<<63)), "an open window is absurd"},
		{"unknown calendar", open(raw{}.varint(2, 5)), "an open window: unknown calendar unit 5"},
		{"calendar beyond a byte", open(raw{}.varint(2, 257)), "an open window is absurd"},
		{"too many units", open(raw{}.varint(2, 1).varint(3, 10001)), "an open window: calendar window is of 10001 units, want 1 to 10000"},
		{"time zone", open(raw{}.varint(2, 1).varint(4, 4)), `time zone "Mars/Crater" is not known`},
		{"time zone of a node", open(raw{}.varint(2, 1).varint(4, 5)), `time zone "Local" is not known`},
		{"time zone beyond the texts", open(raw{}.varint(2, 1).varint(4, 9)), "a time zone is text 9, and there are 5"},
		{"cut window", open(raw{}.varint(1, 1e9)[:3]), "it ends within a field"},
		{"absurd window", open(raw{}.varint(1, 1e9).varint(5, 1<<60)), "an open window is absurd"},
		{"many windows", many, "there are more than 64 open windows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d event.Decoder
			for range 2 {
				_, got, refused := decode(t, &d, batch(&header, bodyOf(good(), c.e, good())))
				if c.reason == "" {
					if len(got) != 3 || len(refused) > 0 {
						t.Errorf("%d events, refused %v", len(got), refused)
					}
					continue
				}
				if len(got) != 2 || len(refused) != 1 || refused[0].Index != 1 || !strings.HasSuffix(refused[0].Reason, c.reason) {
					t.Errorf("%d events, refused %v, want 1 because %s", len(got), refused, c.reason)
				}
			}
		})
	}
}

func TestBadBatches(t *testing.T) {
	body := bodyOf(good())
	with := func(change func(h *event.Header)) []byte {
		h := header
		change(&h)
		return batch(&h, body)
	}
	whole := batch(&header, body)
	manyTexts := raw{}
	for range 1<<16 + 1 {
		manyTexts = manyTexts.bytes(1, "")
	}
	manyEvents := raw{}
	for range 1<<15 + 1 {
		manyEvents = manyEvents.bytes(2, "")
	}
	half := event.Body(raw{}.bytes(2, string(manyEvents)))
	for _, c := range []struct {
		name   string
		p      []byte
		reason string
	}{
		{"nothing", nil, "batch: there is no header"},
		{"no header", body, "batch: there is no header"},
		{"JSON", []byte(`{"event":{}}`), "batch: at byte 3: it ends within a field"},
		{"cut", whole[:len(whole)-1], "batch: at byte 47: it ends within a field"},
		{"cut header", whole[:5], "batch: at byte 2: it ends within a field"},
		{"no incarnation", with(func(h *event.Header) { h.Incarnation = 0 }), "batch: header: there is no incarnation"},
		{"no time", with(func(h *event.Header) { h.Sent = time.Time{} }), "batch: header: there is no time of sending"},
		{"no seq", with(func(h *event.Header) { h.Seq = 0 }), "batch: header: there are events, and no seq"},
		{"no restatement", with(func(h *event.Header) { h.Restates = false }), "batch: header: it is the first part of no restatement"},
		{"node", raw{}.bytes(1, string(raw{}.bytes(1, "\xff"))), "batch: header: at byte 5: a text is no UTF-8"},
		{"long node", raw{}.bytes(1, string(raw{}.bytes(1, strings.Repeat("n", 256)))), "batch: header: node has 256 bytes, at most 255 are read"},
		{"bad field in the header", raw{}.bytes(1, "\x02\x00"), "batch: header: at byte 2: there is no field of that number"},
		{"cut text", raw(batch(&header)).bytes(2, string(raw{}.bytes(1, "abc")[:3])), "batch: at byte 48: it ends within a field"},
		{"cut event", raw(batch(&header)).bytes(2, string(raw{}.bytes(2, "abc")[:3])), "batch: at byte 48: it ends within a field"},
		{"too long", make([]byte, event.MaxBatch+1), "batch: it has 1048577 bytes, at most 1048576 are read"},
		{"too many texts", raw(batch(&header)).bytes(2, string(manyTexts)), "batch: at byte 131121: a body has more than 65536 texts"},
		{"too many events", batch(&header, half, half), "batch: it has more than 65536 events"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d event.Decoder
			refused, err := d.Decode(c.p, new(event.Header), func(i int, _ *weir.Event) error {
				t.Errorf("event %d of a batch that is wrong", i)
				return nil
			})
			if err == nil || err.Error() != c.reason || refused != nil {
				t.Errorf("%v, %v, want %s", refused, err, c.reason)
			}
		})
	}
}

func TestMaxBytes(t *testing.T) {
	p := batch(&header, bodyOf(good()))
	d := event.Decoder{MaxBytes: len(p)}
	decode(t, &d, p)
	d.MaxBytes--
	if _, err := d.Decode(p, new(event.Header), nil); err == nil {
		t.Error("one byte more is read")
	}
}

// A call without events is a header.
func TestHeaderAlone(t *testing.T) {
	var d event.Decoder
	for _, want := range []event.Header{header, {Incarnation: 1, Sent: admitted}} {
		h, got, refused := decode(t, &d, event.AppendHeader(nil, &want))
		if h != want || len(got)+len(refused) > 0 {
			t.Errorf("%+v, %v, %v, want %+v", h, got, refused, want)
		}
	}
	long := event.Header{Incarnation: 1, Sent: admitted, Node: strings.Repeat("é\xff", 200)}
	h, _, _ := decode(t, &d, event.AppendHeader(nil, &long))
	if want := strings.Repeat("é", 127); h.Node != want && !strings.HasPrefix(h.Node, "é\uFFFD") {
		t.Errorf("node %q", h.Node)
	}
}

// The time zones of a Decoder stay few.
func TestTimeZonesAreFew(t *testing.T) {
	var d event.Decoder
	for i := range 2000 {
		b := raw{}.bytes(1, "/").bytes(1, fmt.Sprint("Nowhere/", i))
		b = b.bytes(2, string(raw{}.fixed(1, 1e18).varint(5, 1).bytes(24, string(raw{}.varint(2, 1).varint(4, 2)))))
		_, _, refused := decode(t, &d, batch(&header, event.Body(raw{}.bytes(2, string(b)))))
		if len(refused) != 1 {
			t.Fatalf("time zone %d: refused %v", i, refused)
		}
	}
	if n := reflect.ValueOf(&d).Elem().FieldByName("zones").Len(); n > 256 {
		t.Errorf("%d time zones are remembered", n)
	}
}

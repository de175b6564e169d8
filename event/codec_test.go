package event_test

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

var admitted = time.Date(2026, 11, 21, 12, 0, 30, 123456789, time.UTC)

// bag is values of a request.
type bag map[string]string

func (b bag) Value(name string) (string, bool) { v, ok := b[name]; return v, ok }

// everything is all the fields of the bags below.
var everything = weir.Fields{
	Headers: []string{"x-plan", "x-none", "x-raw"}, Query: []string{"q", "v"}, Claims: []string{"plan"},
	ClientIP: true, Token: true,
}

// call returns a request that has all that a request can have.
func call() weir.Request {
	return weir.Request{
		Time: admitted,
		API:  "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu/{id}", Verb: "GET",
		APITier: "10KPerMin", ResourceTier: "Menu",
		Application:      weir.Application{ID: "5", Name: "shop", Owner: "bob", Tier: "50PerMin"},
		SubscriptionTier: "Gold", User: "älice@example.org", Token: "t-1",
		KeyType: weir.Sandbox, ClientIP: netip.MustParseAddr("10.1.2.3"),
		Headers: bag{"x-plan": "gold", "x-raw": "\xff\x00"}, Query: bag{"q": "", "v": "2"}, Claims: bag{"plan": "x"},
		Bytes: 77, Weight: 9,
	}
}

func anonymousCall(address string) weir.Request {
	return weir.Request{
		Time: admitted, API: "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu", Verb: "GET",
		Application: weir.Application{ID: address, Tier: "Unlimited"}, SubscriptionTier: "Unauthenticated",
		User: "anonymous", ClientIP: netip.MustParseAddr(address),
	}
}

// told is what an event tells, in a form that can be compared and printed.
type told struct {
	Request weir.Request // without values
	Values  string
	Spent   weir.Spent
	Open    []weir.OpenWindow
}

// tell returns what e tells to whoever looks for the values that f names.
func tell(f *weir.Fields, e *weir.Event) told {
	t := told{Request: e.Request, Spent: e.Spent, Open: append([]weir.OpenWindow(nil), e.Open...)}
	t.Request.Headers, t.Request.Query, t.Request.Claims = nil, nil, nil
	var b strings.Builder
	for i, names := range [][]string{f.Headers, f.Query, f.Claims} {
		from := []weir.Values{e.Request.Headers, e.Request.Query, e.Request.Claims}[i]
		for _, n := range names {
			if from == nil {
				continue
			}
			if v, ok := from.Value(n); ok {
				fmt.Fprintf(&b, "%d %q=%q ", i, n, v)
			}
		}
	}
	t.Values = b.String()
	return t
}

// expected is what an event made of r with f is to tell.
func expected(f *weir.Fields, r weir.Request) told {
	r.Weight, r.Bytes = 0, 0
	return tell(f, &weir.Event{Request: r})
}

var header = event.Header{
	Node: "gw-1", Incarnation: 1 << 63, Seq: 7, Sent: admitted.Add(time.Second),
	Restates: true, First: true, Manager: 12, Version: 300,
}

func batch(h *event.Header, bodies ...event.Body) []byte {
	p := event.AppendHeader(nil, h)
	for _, b := range bodies {
		p = append(p, b...)
	}
	return p
}

// decode returns all events of a batch.
func decode(tb testing.TB, d *event.Decoder, p []byte) (event.Header, []told, []event.Refusal) {
	tb.Helper()
	h := event.Header{Node: "left over"}
	var all []told
	refused, err := d.Decode(p, &h, func(i int, e *weir.Event) error {
		all = append(all, tell(&everything, e))
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return h, all, refused
}

func TestEventsArriveAsTheyWere(t *testing.T) {
	plain := call()
	v6 := anonymousCall("2001:db8::1")
	mapped := anonymousCall("::ffff:10.0.0.1")
	bare := weir.Request{Time: time.Unix(1, 0).UTC(), Context: "/"}
	var e event.Encoder
	var want []told
	for round := range 3 { // an Encoder is used again
		e.Reset()
		want = want[:0]
		for i, r := range []weir.Request{plain, v6, mapped, bare, plain} {
			at := e.Request(&everything, &r)
			if at != i {
				t.Fatalf("index %d, want %d", at, i)
			}
			spent := weir.Spent{Requests: int64(i + 1 + round), Bytes: -1 << 53, Events: 1 << 53}
			e.Spend(at, spent)
			w := expected(&everything, r)
			w.Spent = spent
			want = append(want, w)
		}
	}
	var d event.Decoder
	for range 2 { // and so is a Decoder
		h, got, refused := decode(t, &d, batch(&header, e.Body()))
		if h != header {
			t.Errorf("header %+v, want %+v", h, header)
		}
		if len(refused) > 0 {
			t.Errorf("refused: %v", refused)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%+v, want\n%+v", got, want)
		}
	}
}

// Bodies have texts of their own: they can stand one after the other, and before the header.
func TestBodiesConcatenate(t *testing.T) {
	var bodies []event.Body
	var want []string
	for i := range 5 {
		var e event.Encoder
		for k := range 3 {
			r := call()
			r.User = fmt.Sprintf("user-%d-%d", i, k)
			e.Spend(e.Request(&weir.Fields{}, &r), weir.Spent{Requests: 1})
			want = append(want, fmt.Sprint(len(want))+r.User)
		}
		bodies = append(bodies, e.Body())
	}
	for _, p := range [][]byte{
		batch(&header, bodies...),
		append([]byte(string(bodies[0])), batch(&header, bodies[1:]...)...),
	} {
		var got []string
		var d event.Decoder
		var h event.Header
		refused, err := d.Decode(p, &h, func(i int, e *weir.Event) error {
			if h != header {
				t.Errorf("the header is not there when events are: %+v", h)
			}
			got = append(got, fmt.Sprint(i)+e.Request.User)
			return nil
		})
		if err != nil || len(refused) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%v, %v, %v, want %v", got, refused, err, want)
		}
	}
}

func TestFieldsSayWhatIsCarried(t *testing.T) {
	r := call()
	var e event.Encoder
	for _, f := range []weir.Fields{{}, {Headers: []string{"x-plan"}}, {Query: []string{"q"}}, {Claims: []string{"plan", "none"}}, {ClientIP: true}, {Token: true}} {
		e.Reset()
		e.Spend(e.Request(&f, &r), weir.Spent{Events: 1})
		var d event.Decoder
		_, got, _ := decode(t, &d, batch(&header, e.Body()))
		want := expected(&f, r)
		want.Spent = weir.Spent{Events: 1}
		if !f.ClientIP {
			want.Request.ClientIP = netip.Addr{}
		}
		if !f.Token {
			want.Request.Token = ""
		}
		if !reflect.DeepEqual(got, []told{want}) {
			t.Errorf("%+v: got %+v, want %+v", f, got, want)
		}
	}
}

// The address of an anonymous call is what it is counted by.
func TestAnonymousCallsHaveAddresses(t *testing.T) {
	var e event.Encoder
	r := anonymousCall("192.0.2.1")
	e.Spend(e.Request(&weir.Fields{}, &r), weir.Spent{Requests: 1})
	var d event.Decoder
	_, got, _ := decode(t, &d, batch(&header, e.Body()))
	if len(got) != 1 || got[0].Request.ClientIP != r.ClientIP {
		t.Errorf("got %+v, want the address %s", got, r.ClientIP)
	}
}

func TestHeaderNamesHaveNoCase(t *testing.T) {
	r := call()
	var e event.Encoder
	e.Spend(e.Request(&everything, &r), weir.Spent{Requests: 1})
	var d event.Decoder
	_, err := d.Decode(batch(&header, e.Body()), new(event.Header), func(_ int, e *weir.Event) error {
		if v, ok := e.Request.Headers.Value("X-Plan"); !ok || v != "gold" {
			t.Errorf("X-Plan: %q, %v", v, ok)
		}
		if v, ok := e.Request.Query.Value("V"); ok {
			t.Errorf("V is there: %q", v)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhatIsLeftOut(t *testing.T) {
	var e event.Encoder
	r := call()
	if b := e.Body(); b != nil || e.Len() != 0 {
		t.Errorf("nothing: %d events, body %q", e.Len(), b)
	}
	for i := range 4 {
		r.User = fmt.Sprint("user", i)
		e.Request(&weir.Fields{}, &r)
	}
	e.Spend(0, weir.Spent{Requests: 1})
	e.Spend(0, weir.Spent{Requests: -1})
	e.Open(3, weir.OpenWindow{Window: limiter.Window{Length: time.Second}})
	if b := e.Body(); b != nil || e.Len() != 4 {
		t.Errorf("nothing was spent: %d events, body %q", e.Len(), b)
	}
	e.Spend(2, weir.Spent{Bytes: 5})
	e.Open(1, weir.OpenWindow{Window: limiter.Window{Length: time.Second}, Spent: weir.Spent{Events: 1}})
	var d event.Decoder
	_, got, _ := decode(t, &d, batch(&header, e.Body()))
	if len(got) != 2 || got[0].Request.User != "user1" || got[1].Request.User != "user2" {
		t.Errorf("got %+v", got)
	}
	before := e.Body()
	kept := string(before)
	e.Reset()
	if e.Len() != 0 || e.Size() != 0 || e.Body() != nil {
		t.Error("Reset leaves something")
	}
	r.User = "another"
	e.Spend(e.Request(&everything, &r), weir.Spent{Requests: 1})
	_ = e.Body()
	if string(before) != kept {
		t.Error("a Body changed")
	}
}

func TestOpenWindows(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	windows := []limiter.Window{
		{Length: time.Millisecond},
		{Length: time.Minute},
		{Length: 200 * 365 * 24 * time.Hour},
		{Calendar: limiter.Day},
		{Calendar: limiter.Week, Every: 2, Location: time.UTC},
		{Calendar: limiter.Month, Location: berlin},
		{Calendar: limiter.Year, Every: 10000, Location: berlin},
	}
	var e event.Encoder
	for i := range 3 { // windows of events may come in any order
		r := call()
		r.User = fmt.Sprint(i)
		e.Request(&everything, &r)
	}
	for n := range windows {
		for i := range 3 {
			e.Open(i, weir.OpenWindow{Window: windows[n], Spent: weir.Spent{Requests: int64(n + 1), Bytes: int64(-i), Events: 3}})
		}
	}
	var d event.Decoder
	_, got, refused := decode(t, &d, batch(&header, e.Body()))
	if len(got) != 3 || len(refused) > 0 {
		t.Fatalf("got %v, %v", got, refused)
	}
	for i, g := range got {
		if g.Spent != (weir.Spent{}) || len(g.Open) != len(windows) {
			t.Errorf("event %d: %+v", i, g)
		}
		for n, o := range g.Open {
			if want := (weir.Spent{Requests: int64(n + 1), Bytes: int64(-i), Events: 3}); !o.Window.Equal(windows[n]) || o.Spent != want {
				t.Errorf("event %d, window %d: %+v, want %+v %+v", i, n, o, windows[n], want)
			}
		}
	}
}

// What a gateway writes is read, whatever its clients put into it.
func TestWhatIsTooMuchIsCut(t *testing.T) {
	long := strings.Repeat("ä", event.MaxText) // twice as many bytes
	r := call()
	r.User, r.Application.ID = "x"+long, "\xff\xfe"
	r.Headers = bag{"x-plan": strings.Repeat("\xff", event.MaxText+1)}
	many := bag{}
	f := weir.Fields{Headers: []string{"x-plan"}}
	for i := range 100 {
		name := fmt.Sprint("q", i)
		many[name] = "v"
		f.Query = append(f.Query, name)
		f.Claims = append(f.Claims, name)
	}
	r.Query = many
	big := bag{}
	for name := range many {
		big[name] = strings.Repeat("v", 4000)
	}
	r.Claims = big
	var e event.Encoder
	e.Spend(e.Request(&f, &r), weir.Spent{Requests: 1})
	body := e.Body()
	var d event.Decoder
	refused, err := d.Decode(batch(&header, body), new(event.Header), func(_ int, e *weir.Event) error {
		if want := "x" + long[:event.MaxText-2]; e.Request.User != want {
			t.Errorf("user has %d bytes, want %d", len(e.Request.User), len(want))
		}
		if e.Request.Application.ID != "\uFFFD" {
			t.Errorf("application %q", e.Request.Application.ID)
		}
		if v, _ := e.Request.Headers.Value("x-plan"); v != strings.Repeat("\xff", event.MaxText) {
			t.Errorf("value has %d bytes", len(v))
		}
		count := func(v weir.Values) (n int) {
			for name := range many {
				if _, ok := v.Value(name); ok {
					n++
				}
			}
			return n
		}
		if n := count(e.Request.Query); n != event.MaxValues {
			t.Errorf("%d query parameters", n)
		}
		if n := count(e.Request.Claims); n == 0 || n > 8 {
			t.Errorf("%d claims", n)
		}
		return nil
	})
	if err != nil || len(refused) > 0 {
		t.Error(refused, err)
	}
	if n := len(body); n > 64<<10 {
		t.Errorf("one event has %d bytes", n)
	}
}

// However much an Encoder takes until it is full, its Body can be decoded.
func TestFullEncoder(t *testing.T) {
	for name, next := range map[string]func(i int, r *weir.Request){
		"small": func(i int, r *weir.Request) { *r = weir.Request{Time: admitted, Context: "/"} },
		"texts": func(i int, r *weir.Request) {
			r.User, r.Application.ID, r.Token = fmt.Sprintf("%x", 3*i), fmt.Sprintf("%x", 3*i+1), fmt.Sprintf("%x", 3*i+2)
		},
		"large":   func(i int, r *weir.Request) { r.User = strings.Repeat(fmt.Sprint(i, "."), 2000) },
		"changes": func(i int, r *weir.Request) { r.Headers = bag{"x-plan": strings.Repeat(fmt.Sprint(i, "."), i)} },
	} {
		var e event.Encoder
		for i := 0; e.Size() < event.FlushSize; i++ {
			r := call()
			next(i, &r)
			e.Spend(e.Request(&everything, &r), weir.Spent{Requests: 1 << 53, Bytes: 1 << 53, Events: 1 << 53})
		}
		b := e.Body()
		if len(b) > e.Size() {
			t.Errorf("%s: a body of %d bytes has size %d", name, len(b), e.Size())
		}
		var d event.Decoder
		_, got, refused := decode(t, &d, batch(&header, b))
		if len(got) != e.Len() || len(refused) > 0 {
			t.Errorf("%s: %d of %d events, refused %v", name, len(got), e.Len(), refused)
		}
	}
}

func TestEachCanRefuse(t *testing.T) {
	var e event.Encoder
	for range 3 {
		r := call()
		e.Spend(e.Request(&everything, &r), weir.Spent{Requests: 1})
	}
	var d event.Decoder
	refused, err := d.Decode(batch(&header, e.Body()), new(event.Header), func(i int, _ *weir.Event) error {
		if i == 1 {
			return errors.New("not this")
		}
		return nil
	})
	if want := []event.Refusal{{Index: 1, Reason: "not this"}}; err != nil || !reflect.DeepEqual(refused, want) {
		t.Errorf("%v, %v, want %v", refused, err, want)
	}
}

func TestRequestsAreKept(t *testing.T) {
	var e event.Encoder
	for _, r := range []weir.Request{call(), anonymousCall("2001:db8::1"), {Context: "/"}} {
		p := event.AppendRequest(nil, &everything, &r)
		other := r
		other.Time, other.Bytes, other.Weight = time.Time{}, 1, 2
		if q := event.AppendRequest([]byte("before"), &everything, &other); string(q) != "before"+string(p) {
			t.Errorf("the same call has other bytes: %q, %q", p, q)
		}
		var back weir.Request
		if err := event.ParseRequest(p, &back); err != nil {
			t.Fatal(err)
		}
		want := expected(&everything, r)
		want.Request.Time = time.Time{}
		if got := tell(&everything, &weir.Event{Request: back}); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for n := range len(p) {
			if err := event.ParseRequest(p[:n], &back); err == nil {
				t.Errorf("the first %d of %d bytes are taken for a request", n, len(p))
			}
			if i := e.RequestOf(p[:n], admitted); i != -1 {
				t.Errorf("index %d of what is no request", i)
			}
		}
		if err := event.ParseRequest(append(p, 0), &back); err == nil {
			t.Error("one byte more is taken for a request")
		}
		e.Spend(e.RequestOf(p, admitted.Add(time.Hour)), weir.Spent{Requests: 1})
		var d event.Decoder
		_, events, _ := decode(t, &d, batch(&header, e.Body()))
		want.Request.Time, want.Spent = admitted.Add(time.Hour), weir.Spent{Requests: 1}
		if !reflect.DeepEqual(events, []told{want}) {
			t.Errorf("got %+v, want %+v", events, want)
		}
		e.Reset()
	}
}

// TestHeaderSkew says of clocks that are ahead, and of clocks that are behind.
func TestHeaderSkew(t *testing.T) {
	for _, skew := range []time.Duration{0, 1, -1, 90 * time.Second, -90 * time.Hour, math.MaxInt64, math.MinInt64} {
		want := header
		want.Skew, want.Seq = skew, 0
		p := event.AppendHeader(nil, &want)
		var got event.Header
		if _, err := new(event.Decoder).Decode(p, &got, nil); err != nil || got != want {
			t.Errorf("%v is read as %v: %v", skew, got.Skew, err)
		}
		if generated, _, err := readBatch(t, p); err != nil || generated != want {
			t.Errorf("generated code reads %v as %v: %v", skew, generated.Skew, err)
		}
	}
}

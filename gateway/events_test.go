package gateway

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A notebook takes what a gateway tells.
type notebook struct {
	mu     sync.Mutex
	last   uint64
	bodies []event.Body
}

func (n *notebook) Events(i uint64, b event.Body) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i != n.last+1 {
		panic(fmt.Sprintf("batch %d comes after %d", i, n.last))
	}
	n.last = i
	n.bodies = append(n.bodies, b)
}

// told returns how many batches there were.
func (n *notebook) told() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// since returns the batches after the one of a number.
func (n *notebook) since(i uint64) []event.Body {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]event.Body(nil), n.bodies[i:]...)
}

// read decodes bodies.
func read(t testing.TB, bodies ...event.Body) []weir.Event {
	t.Helper()
	var all []weir.Event
	var d event.Decoder
	for _, b := range bodies {
		h := event.Header{Incarnation: 1, Seq: 1, Sent: t0}
		refused, err := d.Decode(append(event.AppendHeader(nil, &h), b...), &h, func(_ int, e *weir.Event) error {
			c := *e
			c.Open = append([]weir.OpenWindow(nil), e.Open...)
			c.Request.Headers = kept(e.Request.Headers, "x-plan", "x-secret")
			c.Request.Query = kept(e.Request.Query, "v", "secret")
			all = append(all, c)
			return nil
		})
		if err != nil || len(refused) > 0 {
			t.Fatalf("what the gateway tells can't be read: %v, %v", err, refused)
		}
	}
	return all
}

// kept are values that stay.
func kept(v weir.Values, names ...string) values {
	all := values{}
	for _, name := range names {
		if v == nil {
			continue
		}
		if text, ok := v.Value(name); ok {
			all[name] = text
		}
	}
	return all
}

type values map[string]string

func (v values) Value(name string) (string, bool) {
	text, ok := v[name]
	return text, ok
}

// tellAll makes the gateway tell what it has collected.
func (w *world) tellAll(t testing.TB, n *notebook) []weir.Event {
	t.Helper()
	before := n.last
	w.events.tell(t0)
	return read(t, n.since(before)...)
}

func newTelling(t testing.TB) (*world, *notebook) {
	n := &notebook{}
	return newWorldTold(t, EventOptions{To: n}), n
}

// TestEvents merges calls that are alike and tells what each is.
func TestEvents(t *testing.T) {
	w, n := newTelling(t)
	for i := range 3 {
		x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
		x.Time = t0.Add(time.Duration(i) * time.Second)
		w.status(x)
	}
	w.status(call("GET", "/pizza/1/heavy", "ApiKey", w.production))
	w.status(call("GET", "/pizza/1/open"))
	w.status(call("GET", "/pizza/1/nothing", "ApiKey", w.production)) // rejected: nobody is told
	w.status(call("GET", "/pizza/1/menu"))
	got := map[string]weir.Event{}
	for _, e := range w.tellAll(t, n) {
		got[e.Request.Resource] = e
	}
	if len(got) != 3 {
		t.Fatalf("%d events are told, want 3: %v", len(got), got)
	}
	e := got["/menu"]
	if e.Spent != (weir.Spent{Requests: 3, Events: 3}) || !e.Request.Time.Equal(t0) {
		t.Errorf("three calls are told as %+v at %v", e.Spent, e.Request.Time)
	}
	r := e.Request
	if r.API != "pizza" || r.Version != "1" || r.Context != "/pizza/1" || r.Verb != "GET" || r.User != "alice" ||
		r.SubscriptionTier != "Gold" || r.Application != (weir.Application{ID: "1", Name: "shop", Owner: "alice", Tier: "Ten"}) {
		t.Errorf("the call is told as %+v", r)
	}
	if s := got["/heavy"].Spent; s.Requests != 5 {
		t.Errorf("a call that counts for five is told as %+v", s)
	}
	if r := got["/open"].Request; r.User != "anonymous" || r.ClientIP.String() != "192.0.2.1" {
		t.Errorf("a call without credentials is told as %+v", r)
	}
	if again := w.tellAll(t, n); len(again) != 0 {
		t.Errorf("told again: %v", again)
	}
}

// TestEventsAtWindowsEnd never merges what is in two windows.
func TestEventsAtWindowsEnd(t *testing.T) {
	w, n := newTelling(t)
	for _, d := range []time.Duration{59 * time.Second, time.Minute - 1, time.Minute, time.Minute + 1, time.Minute - 2, 2 * time.Minute} {
		x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
		x.Time = t0.Add(d)
		w.status(x)
	}
	told := map[time.Duration]int64{}
	for _, e := range w.tellAll(t, n) {
		told[e.Request.Time.Sub(t0).Truncate(time.Minute)] += e.Spent.Requests
	}
	if fmt.Sprint(told) != fmt.Sprint(map[time.Duration]int64{0: 3, time.Minute: 2, 2 * time.Minute: 1}) {
		t.Errorf("told by minute: %v", told)
	}
}

// TestEventsTakenBack tells that a call cost nothing which no backend was asked.
func TestEventsTakenBack(t *testing.T) {
	w, n := newTelling(t)
	lost := func() *Exchange {
		x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
		if w.Admit(x) != nil {
			t.Fatal("refused")
		}
		return x
	}
	w.Finish(lost(), Outcome{})
	if got := w.tellAll(t, n); len(got) != 0 {
		t.Errorf("told of a call that was taken back at once: %v", got)
	}
	x := lost()
	if got := w.tellAll(t, n); len(got) != 1 || got[0].Spent != (weir.Spent{Requests: 1, Events: 1}) {
		t.Errorf("told: %v", got)
	}
	w.Finish(x, Outcome{})
	if got := w.tellAll(t, n); len(got) != 1 || got[0].Spent != (weir.Spent{Requests: -1, Events: -1}) {
		t.Errorf("told: %v", got)
	}
	if _, bodies := w.Restate(t0); len(bodies) != 0 {
		t.Errorf("told again: %v", read(t, bodies...))
	}
}

// withBandwidth makes Gold a limit on bytes, and Ten one on events.
func (w *world) withBandwidth(t *testing.T) {
	d := w.definition
	d.Policies.Policies = policy.Merge(d.Policies.Policies, []policy.Policy{
		{Kind: policy.Subscription, Name: "Gold", Limit: &limiter.Limit{Count: 1 << 30, Cost: limiter.Bytes, Window: limiter.Window{Length: time.Hour}}},
		{Kind: policy.Application, Name: "Ten", Limit: &limiter.Limit{Count: 10, Cost: limiter.Events, Window: limiter.Window{Length: time.Minute}}},
	})
	if err := w.Apply(d); err != nil {
		t.Fatal(err)
	}
}

// TestEventsBytes tells of bytes where traffic managers count them: in all what was
// transferred.
func TestEventsBytes(t *testing.T) {
	w, n := newTelling(t)
	send := func(declared, sent, answer int64) {
		x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
		x.ContentLength = declared
		if w.Admit(x) != nil {
			t.Fatal("refused")
		}
		w.Progress(x, t0, Outcome{RequestBytes: sent / 2, ResponseBytes: 0})
		w.Finish(x, Outcome{Forwarded: true, Time: t0.Add(time.Second), RequestBytes: sent, ResponseBytes: answer})
	}
	send(100, 100, 100)
	if got := w.tellAll(t, n); len(got) != 1 || got[0].Spent.Bytes != 0 {
		t.Errorf("bytes are told that nobody counts: %v", got)
	}
	w.withBandwidth(t)
	send(100, 100, 1000)
	send(-1, 500, 0)
	send(1<<20, 1<<20, 7)
	send(5000, 1000, 0) // broken off
	var sum weir.Spent
	for _, e := range w.tellAll(t, n) {
		sum.Add(e.Spent)
	}
	if want := int64(1100 + 500 + 1<<20 + 7 + 1000); sum.Bytes != want || sum.Requests != 4 {
		t.Errorf("told %+v, want %d bytes", sum, want)
	}
}

// TestEventsOfStreams tells of the messages on a stream, not of its opening.
func TestEventsOfStreams(t *testing.T) {
	w, n := newTelling(t)
	w.withBandwidth(t)
	x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
	x.Upgrade = true
	if w.Admit(x) != nil {
		t.Fatal("refused")
	}
	passed := 0
	for range 15 {
		if w.Event(x, t0) {
			passed++
		}
	}
	got := w.tellAll(t, n)
	if passed != 10 || len(got) != 1 || got[0].Spent != (weir.Spent{Requests: 1, Events: 10}) {
		t.Errorf("%d passed, told %v", passed, got)
	}
}

// TestRestate tells again what is in windows that are open: of each what was told
// before, and no more.
func TestRestate(t *testing.T) {
	w, n := newTelling(t)
	w.withBandwidth(t) // windows of a minute and an hour
	at := func(d time.Duration, times int) {
		for range times {
			x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
			x.Time = t0.Add(d)
			w.Admit(x)
			w.Finish(x, Outcome{Forwarded: true, ResponseBytes: 100})
		}
	}
	restated := func(d time.Duration) string {
		upTo, bodies := w.Restate(t0.Add(d))
		if upTo != n.last {
			t.Errorf("restated up to %d, told %d", upTo, n.last)
		}
		s := ""
		for _, e := range read(t, bodies...) {
			if e.Spent != (weir.Spent{}) {
				t.Errorf("a restatement spends %+v", e.Spent)
			}
			for _, o := range e.Open {
				s += fmt.Sprintf("%v: %d requests, %d bytes; ", o.Window, o.Spent.Requests, o.Spent.Bytes)
			}
		}
		return s
	}
	at(0, 3)
	if got := restated(0); got != "" {
		t.Errorf("restated before it was told: %s", got)
	}
	w.tellAll(t, n)
	at(time.Second, 2) // to be told
	if got := restated(time.Second); got != "1h: 3 requests, 300 bytes; 1m: 3 requests, 300 bytes; " {
		t.Errorf("restated: %s", got)
	}
	at(70*time.Second, 1)
	w.tellAll(t, n)
	if got := restated(70 * time.Second); got != "1h: 6 requests, 600 bytes; 1m: 1 requests, 100 bytes; " {
		t.Errorf("restated in the next minute: %s", got)
	}
	if got := restated(3 * time.Minute); got != "1h: 6 requests, 600 bytes; " {
		t.Errorf("restated minutes later: %s", got)
	}
	if err := w.Apply(w.definition); err != nil { // other policies
		t.Fatal(err)
	}
	if got := restated(3 * time.Minute); got != "1h: 6 requests, 600 bytes; " {
		t.Errorf("restated under another definition: %s", got)
	}
	w.events.forget(t0.Add(2 * time.Hour))
	if got := restated(3 * time.Minute); got != "" || w.events.size.Load() != 0 {
		t.Errorf("restated when all windows are over: %s, %d bytes held", got, w.events.size.Load())
	}
}

// TestRestateAlongside restates while calls are made: with what is told after it, a
// restatement is exactly what was spent.
func TestRestateAlongside(t *testing.T) {
	w, n := newTelling(t)
	ctx, stop := context.WithCancel(t.Context())
	var run, calls sync.WaitGroup
	run.Go(func() { w.events.run(ctx) })
	for i := range 4 {
		calls.Go(func() {
			for j := range 140 { // in all less than the backend's limit
				if w.status(callFrom(fmt.Sprintf("192.0.2.%d", 100+(i+j)%5), "GET", "/pizza/1/open")) != 0 {
					t.Error("refused")
				}
			}
		})
	}
	type cut struct {
		upTo   uint64
		bodies []event.Body
	}
	var cuts []cut
	for range 20 {
		upTo, bodies := w.Restate(t0)
		cuts = append(cuts, cut{upTo, bodies})
		time.Sleep(time.Millisecond) // lets the calls go on, whichever way
	}
	calls.Wait()
	stop()
	run.Wait()
	for _, c := range cuts {
		var sum int64
		for _, e := range read(t, c.bodies...) {
			for _, o := range e.Open {
				if o.Window.Length == time.Minute {
					sum += o.Spent.Requests
				}
			}
		}
		for _, e := range read(t, n.since(c.upTo)...) {
			sum += e.Spent.Requests
		}
		if sum != 4*140 {
			t.Errorf("restated up to %d, and told after it: %d, want %d", c.upTo, sum, 4*140)
		}
	}
}

// TestLedgerBound floods the ledger with calls of which no two are alike.
func TestLedgerBound(t *testing.T) {
	n := &notebook{}
	w := newWorldTold(t, EventOptions{To: n, Ledger: 100_000})
	for i := range 5000 {
		x := callFrom(fmt.Sprintf("10.0.%d.%d", i/250, i%250), "GET", "/pizza/1/open")
		x.Time = t0.Add(time.Duration(i) * 200 * time.Millisecond)
		w.status(x)
		if i%100 == 99 {
			w.events.tell(x.Time)
			if size := w.events.size.Load(); size > 150_000 {
				t.Fatalf("%d bytes are held, want about 100000", size)
			}
		}
	}
	var sum int64
	for _, e := range read(t, n.bodies...) {
		sum += e.Spent.Requests
	}
	if sum != 5000 || w.events.stats.forgotten.Load() == 0 {
		t.Errorf("told of %d calls, want 5000; %d forgotten", sum, w.events.stats.forgotten.Load())
	}
}

// TestEventsInTime tells within the flush interval, at once when there is much, and
// at the end.
func TestEventsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notebook{}
		w := newWorldTold(t, EventOptions{To: n, Flush: 10 * time.Millisecond, MaxEvents: 5})
		ctx, stop := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() {
			if err := w.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		ask := func(i int) { w.status(callFrom(fmt.Sprintf("192.0.2.%d", 100+i), "GET", "/pizza/1/open")) }
		ask(0)
		synctest.Wait()
		time.Sleep(9 * time.Millisecond)
		if n.told() != 0 {
			t.Error("told before the interval was over")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if n.told() != 1 {
			t.Errorf("%d batches after the interval, want 1", n.told())
		}
		for i := range 5 {
			ask(i)
		}
		synctest.Wait()
		if n.told() != 2 {
			t.Errorf("%d batches when there is much to tell, want 2", n.told())
		}
		ask(1)
		stop()
		run.Wait()
		if n.told() != 3 {
			t.Errorf("%d batches at the end, want 3", n.told())
		}
	})
}

// TestEventFields carries of a request's fields what a policy looks at.
func TestEventFields(t *testing.T) {
	w, n := newTelling(t)
	d := w.definition
	d.Policies.Policies = policy.Merge(d.Policies.Policies, []policy.Policy{{Kind: policy.Advanced, Name: "Plans", Limit: perMinute(5), Groups: []policy.Group{{
		Conditions: []policy.Condition{{Header: &policy.ValueCondition{Name: "X-Plan", Pattern: "gold"}}, {Query: &policy.ValueCondition{Name: "v"}}}, Limit: perMinute(9),
	}}}})
	if err := w.Apply(d); err != nil {
		t.Fatal(err)
	}
	for _, plan := range []string{"gold", "gold", "tin"} {
		w.status(call("GET", "/pizza/1/menu?v=2&secret=1", "ApiKey", w.production, "X-Plan", plan, "X-Secret", "2"))
	}
	got := w.tellAll(t, n)
	if len(got) != 2 {
		t.Fatalf("%d events, want 2", len(got))
	}
	for _, e := range got {
		plan, _ := e.Request.Headers.Value("x-plan")
		v, _ := e.Request.Query.Value("v")
		_, secret := e.Request.Headers.Value("x-secret")
		_, param := e.Request.Query.Value("secret")
		if v != "2" || secret || param || plan == "gold" && e.Spent.Requests != 2 {
			t.Errorf("plan %s, v %s, secrets %v %v, spent %+v", plan, v, secret, param, e.Spent)
		}
	}
}

func TestTellAllocs(t *testing.T) {
	w, _ := newTelling(t)
	x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
	w.Explain(x)
	w.tellAdmitted(x)
	if a := testing.AllocsPerRun(100, func() { w.tellAdmitted(x) }); a != 0 {
		t.Errorf("telling of a call allocates %v times", a)
	}
}

func BenchmarkTell(b *testing.B) {
	w := newWorldTold(b, EventOptions{To: &notebook{}})
	x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
	w.Explain(x)
	b.ReportAllocs()
	for b.Loop() {
		w.tellAdmitted(x)
	}
}

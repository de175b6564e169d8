package trafficmanager

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// t0 is the beginning of a minute, and of an hour.
var t0 = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// topic remembers what was published.
type topic struct {
	mu   sync.Mutex
	said []*weir.Decision
}

func (p *topic) Publish(d *weir.Decision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, d)
}

// take returns what was published since the last time, in a line each.
func (p *topic) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for _, d := range p.said {
		state := "free"
		if d.Throttled {
			state = "throttled"
		}
		lines = append(lines, fmt.Sprintf("%s %s until %v", d.Text, state, d.Ends.Sub(t0)))
	}
	p.said = nil
	return lines
}

// A world is a manager with policies, and what it said.
type world struct {
	t *testing.T
	*Manager
	topic *topic
}

var seed = limiter.SeedOf([]byte("fleet"))

func compile(t testing.TB, d policy.Definition) *policy.Set {
	t.Helper()
	s, err := policy.Compile(d, policy.Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newWorld(t *testing.T, d policy.Definition) *world {
	t.Helper()
	return newWorldOf(t, d, Options{})
}

func newWorldOf(t *testing.T, d policy.Definition, o Options) *world {
	t.Helper()
	p := &topic{}
	o.Limiter, o.Issuer, o.ID, o.Publisher = limiter.New(limiter.Options{}), "tm-1", cmp.Or(o.ID, 77), p
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	m.Apply(t0, compile(t, d))
	return &world{t, m, p}
}

func perMinute(n int64) *limiter.Limit {
	return &limiter.Limit{Count: n, Window: limiter.Window{Length: time.Minute}}
}

// gold is a definition with one subscription policy.
func gold(l *limiter.Limit) policy.Definition {
	return policy.Definition{Policies: []policy.Policy{{Kind: policy.Subscription, Name: "Gold", Limit: l}}}
}

const goldKey = "5:/pizza/1:1:Gold"

// call is an event of n accepted calls, d after t0.
func call(d time.Duration, n int64) weir.Event {
	return weir.Event{
		Request: weir.Request{
			Time: t0.Add(d), API: "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu", Verb: "GET",
			Application: weir.Application{ID: "5", Name: "shop", Owner: "bob"}, SubscriptionTier: "Gold", User: "alice",
		},
		Spent: weir.Spent{Requests: n},
	}
}

// restated is an event of n calls in the minute that holds d.
func restated(d time.Duration, n int64) weir.Event {
	e := call(d, 0)
	e.Open = []weir.OpenWindow{{Window: limiter.Window{Length: time.Minute}, Spent: weir.Spent{Requests: n}}}
	return e
}

// send counts events that arrive under a header, d after t0.
func (w *world) send(d time.Duration, h *event.Header, events ...weir.Event) event.Reply {
	b := w.Begin(t0.Add(d), h)
	for i := range events {
		if err := b.Count(&events[i]); err != nil {
			w.t.Errorf("event %d is refused: %v", i, err)
		}
	}
	var r event.Reply
	b.End(&r)
	return r
}

// used returns what is spent of the first limit of an event.
func (w *world) used(d time.Duration, e weir.Event) int64 {
	var m policy.Match
	e.Open, e.Spent.Requests = nil, 1
	w.set.Load().MatchEvent(&m, &e)
	return w.limiter.Register(t0.Add(d), m.Checks[0].Limit, m.Checks[0].Key).Spent
}

func (w *world) wantUsed(d time.Duration, want int64) {
	w.t.Helper()
	if got := w.used(d, call(d, 0)); got != want {
		w.t.Errorf("at %v: used is %d, want %d", d, got, want)
	}
}

func (w *world) wantSaid(want ...string) {
	w.t.Helper()
	if got := w.topic.take(); !slices.Equal(got, want) {
		w.t.Errorf("said\n%q, want\n%q", got, want)
	}
}

func TestNew(t *testing.T) {
	l := limiter.New(limiter.Options{})
	for _, o := range []Options{{Issuer: "a", ID: 1}, {Limiter: l, ID: 1}, {Limiter: l, Issuer: "a"}} {
		if _, err := New(o); err == nil {
			t.Errorf("New(%+v) works", o)
		}
	}
}

// TestSpent is a limit of ten a minute: the event that spends it is what throttles
// the key, once, until its window ends (W1); the next window begins with nothing
// spent, also after a pause (W10).
func TestSpent(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	for _, s := range []struct {
		at   time.Duration
		n    int64
		said []string
	}{
		{1 * time.Second, 4, nil},
		{2 * time.Second, 5, nil},
		{3 * time.Second, 1, []string{goldKey + " throttled until 1m0s"}},
		{4 * time.Second, 1, nil}, // what was on its way; it is known
		{59 * time.Second, 3, nil},
		{60 * time.Second, 9, nil},
		{61 * time.Second, 3, []string{goldKey + " throttled until 2m0s"}},
		{10 * time.Minute, 9, nil},
		{10*time.Minute + 1, 1, []string{goldKey + " throttled until 11m0s"}},
	} {
		w.send(s.at, nil, call(s.at, s.n))
		w.wantSaid(s.said...)
	}
	if s := w.Stats(t0); s.Counted != 9 || s.Decisions != 3 || s.Keys != 1 {
		t.Errorf("stats are %+v", s)
	}
}

// TestDecision is what a decision says.
func TestDecision(t *testing.T) {
	d := policy.Definition{Policies: []policy.Policy{{
		Kind: policy.Advanced, Name: "Menu", Limit: perMinute(100),
		Groups: []policy.Group{{Limit: perMinute(1), Conditions: []policy.Condition{{Header: &policy.ValueCondition{Name: "x-plan"}, Invert: true}}}},
	}}}
	w := newWorld(t, d)
	e := call(time.Second, 1)
	e.Request.ResourceTier = "Menu"
	w.send(2*time.Second, nil, e)
	if len(w.topic.said) != 1 {
		t.Fatalf("%d decisions", len(w.topic.said))
	}
	got := *w.topic.said[0]
	want := weir.Decision{
		Key: got.Key, Text: "/pizza/1/1/menu:GET_condition_0", Level: weir.LevelResource, Policy: "Menu", Group: 0,
		Throttled: true, Begins: t0, Ends: t0.Add(time.Minute), Issuer: "tm-1", Seq: 1, Issued: t0.Add(2 * time.Second),
		Conditions: compile(t, d).Conditions("Menu"),
	}
	if got.Key == 0 || !got.Begins.Equal(want.Begins) || !got.Ends.Equal(want.Ends) || want.Conditions == "" {
		t.Errorf("decision is %+v", got)
	}
	got.Begins, got.Ends = want.Begins, want.Ends
	if got != want {
		t.Errorf("decision is\n%+v, want\n%+v", got, want)
	}
}

// TestZero shows that a limit of nothing is spent by whatever a gateway lets pass,
// if it lets pass at all (W12).
func TestZero(t *testing.T) {
	w := newWorld(t, gold(perMinute(0)))
	w.send(time.Second, nil, call(time.Second, 1))
	w.wantSaid(goldKey + " throttled until 1m0s")
}

// TestGivenBack lets a key go whose spending call was taken back.
func TestGivenBack(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	w.send(time.Second, nil, call(time.Second, 12))
	w.wantSaid(goldKey + " throttled until 1m0s")
	w.send(2*time.Second, nil, call(time.Second, -2))
	w.wantSaid() // ten are still spent
	w.send(3*time.Second, nil, call(time.Second, -1))
	w.wantSaid(goldKey + " free until 1m0s")
	w.send(4*time.Second, nil, call(time.Second, -1))
	w.wantSaid() // it is free already
	w.send(5*time.Second, nil, call(5*time.Second, 2))
	w.wantSaid(goldKey + " throttled until 1m0s")
	// What is taken back of the window before brings nothing back in this one.
	w.send(61*time.Second, nil, call(61*time.Second, 10))
	w.wantSaid(goldKey + " throttled until 2m0s")
	w.send(62*time.Second, nil, call(59*time.Second, -5))
	w.wantSaid()
	w.wantUsed(62*time.Second, 10)
}

// TestWindows shows that an event counts in the window in which it was admitted or
// in none (I6): what was queued during a restart does not spend the window after
// it (W9), and what comes in the last moment is not replayed in the next.
func TestWindows(t *testing.T) {
	for _, tt := range []struct {
		name           string
		arrives, event time.Duration
		used           int64 // of the window in which it arrives, after one that was in time
		late, past     uint64
	}{
		{"in time", 61 * time.Second, 60 * time.Second, 6, 0, 0},
		{"of the window before", 61 * time.Second, 59 * time.Second, 1, 0, 1},
		{"within the grace", 119 * time.Second, 89 * time.Second, 6, 0, 0},
		{"beyond the grace", 119 * time.Second, 89*time.Second - 1, 1, 1, 0},
		{"older than a window", 119 * time.Second, -time.Hour, 1, 1, 0},
		{"of the next window, by a clock that is a little ahead", 59900 * time.Millisecond, 60100 * time.Millisecond, 5, 0, 0},
		{"a little early", 61 * time.Second, 61*time.Second + 200*time.Millisecond, 6, 0, 0},
		{"absurdly early", 61 * time.Second, 24 * time.Hour, 6, 0, 0},
	} {
		w := newWorld(t, gold(perMinute(100)))
		w.send(tt.arrives, nil, call(tt.arrives, 1), call(tt.event, 5))
		if got := w.used(tt.arrives, call(0, 0)); got != tt.used {
			t.Errorf("%s: used is %d, want %d", tt.name, got, tt.used)
		}
		s := w.Stats(t0)
		if s.Late != tt.late || s.Past != tt.past || s.Counted+s.Late+s.Past != 2 {
			t.Errorf("%s: stats are %+v", tt.name, s)
		}
	}
}

// TestFirstIsLate shows that a key's first event, come late, throttles nobody by
// the window that is over.
func TestFirstIsLate(t *testing.T) {
	w := newWorld(t, gold(perMinute(10)))
	w.send(61*time.Second, nil, call(59*time.Second, 50))
	w.wantSaid()
	w.send(62*time.Second, nil, call(62*time.Second, 1))
	w.wantUsed(62*time.Second, 1)
}

// TestShadow shows which spent limits are told: not those of shadows; those that
// gateways let calls past are.
func TestShadow(t *testing.T) {
	shadow := perMinute(2)
	shadow.Shadow = true
	w := newWorld(t, gold(shadow))
	w.send(time.Second, nil, call(time.Second, 5), call(time.Second, -4), call(time.Second, 5))
	w.wantSaid()

	soft := gold(perMinute(2))
	soft.Policies[0].PassOnQuotaReach = true
	w = newWorld(t, soft)
	w.send(time.Second, nil, call(time.Second, 5))
	w.wantSaid(goldKey + " throttled until 1m0s")
}

// TestSlides throttles keys of limits without common windows until more may pass,
// and tells of nothing that is over before it is heard.
func TestSlides(t *testing.T) {
	bucket := perMinute(60)
	bucket.Algorithm = limiter.TokenBucket
	w := newWorld(t, gold(bucket))
	w.send(time.Second, nil, call(time.Second, 60))
	w.wantSaid(goldKey + " throttled until 2s")
	if ds, _ := w.Snapshot(t0); len(ds) != 1 || !ds[0].Begins.IsZero() {
		t.Errorf("a window that slides has a beginning: %+v", ds)
	}
	w.send(1500*time.Millisecond, nil, call(1500*time.Millisecond, 1))
	w.wantSaid(goldKey + " throttled until 3s") // half a second is not a second and a half
	w.send(2500*time.Millisecond, nil, call(2500*time.Millisecond, 30))
	w.wantSaid(goldKey + " throttled until 33s")
	for range 10 { // seconds are nothing beside half a minute
		w.send(2500*time.Millisecond, nil, call(2500*time.Millisecond, 1), call(2500*time.Millisecond, -1))
	}
	w.wantSaid()
	w.send(2600*time.Millisecond, nil, call(2500*time.Millisecond, -29))
	w.wantSaid(goldKey + " throttled until 4s")

	fast := &limiter.Limit{Count: 1000, Window: limiter.Window{Length: time.Second}, Algorithm: limiter.TokenBucket, Burst: 1}
	w = newWorld(t, gold(fast))
	for i := range 100 {
		at := time.Duration(i) * time.Millisecond
		w.send(at, nil, call(at, 1))
	}
	w.wantSaid()
	w.send(100*time.Millisecond, nil, call(100*time.Millisecond, 20))
	w.wantSaid(goldKey + " throttled until 120ms")
}

package trafficmanager

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

// A told batch is what one call of a gateway tells.
type told struct {
	seq     uint64
	first   bool
	part    bool  // of a restatement
	n       int64 // calls; zero: no event
	manager uint64
	asked   bool  // wanted: the gateway is to restate
	used    int64 // wanted, afterwards
	reason  string
}

// TestNumbers is one gateway, whose batches come twice, out of order and after a
// restart of the traffic manager (W20): what it tells counts once.
func TestNumbers(t *testing.T) {
	for name, steps := range map[string][]told{
		"twice and out of order": {
			{seq: 1, first: true, n: 0, used: 0},
			{seq: 2, n: 1, used: 1},
			{seq: 2, n: 1, used: 1, reason: "the answer was lost"},
			{seq: 5, n: 1, used: 2},
			{seq: 3, n: 1, used: 3},
			{seq: 5, n: 1, used: 3},
			{seq: 3, n: 1, used: 3},
			{seq: 4, n: 1, used: 4},
			{seq: 2, n: 1, used: 4},
			{seq: 1, first: true, n: 9, used: 4},
		},
		"after a restart": {
			{seq: 0, asked: true, reason: "a call without events is a chance to ask"},
			{seq: 41, n: 1, asked: true},
			{seq: 42, n: 1, asked: true},
			{seq: 43, first: true, n: 30, used: 30},
			{seq: 41, n: 1, used: 30, reason: "the restatement has it"},
			{seq: 42, n: 1, used: 30},
			{seq: 45, part: true, n: 5, used: 35, reason: "parts may overtake each other"},
			{seq: 44, part: true, n: 5, used: 40},
			{seq: 45, part: true, n: 5, used: 40},
			{seq: 43, first: true, n: 30, used: 40},
			{seq: 46, n: 1, used: 41},
			{seq: 0, used: 41},
		},
		"a part before the first": {
			{seq: 8, part: true, n: 5, asked: true, reason: "the first is on its way"},
			{seq: 7, first: true, n: 5, asked: true, reason: "another restatement is"},
			{seq: 9, part: true, n: 5, asked: true},
			{seq: 10, first: true, n: 10, used: 10},
			{seq: 7, first: true, n: 5, used: 10},
			{seq: 11, part: true, n: 5, used: 15},
		},
		"for another manager": {
			{seq: 4, first: true, n: 10, manager: 5, asked: true, reason: "it may be old"},
			{seq: 5, first: true, n: 20, manager: 77, used: 20},
		},
		"unasked": { // the queue of the gateway was full, and 3 was dropped
			{seq: 1, first: true, used: 0},
			{seq: 2, n: 20, used: 20},
			{seq: 4, first: true, n: 25, used: 25, reason: "what was dropped is in it"},
			{seq: 3, n: 5, used: 25, reason: "and counts once, should it come still"},
			{seq: 5, n: 1, used: 26},
			{seq: 6, first: true, n: 26, used: 26, reason: "nothing is missing"},
			{seq: 7, n: 1, used: 27},
			{seq: 8, n: -7, used: 20},
			{seq: 9, first: true, n: 20, used: 20},
			{seq: 10, part: true, n: 10, used: 30, reason: "another user of the same subscription"},
			{seq: 11, first: true, n: 10, used: 30, reason: "what a gateway had to forget is not taken back"},
			{seq: 12, part: true, n: 21, used: 31},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, gold(perMinute(1000)))
			for i, s := range steps {
				at := time.Duration(i) * time.Second
				h := &event.Header{Node: "gw", Incarnation: 9, Seq: s.seq, Sent: t0.Add(at), Manager: s.manager, First: s.first, Restates: s.first || s.part}
				var events []weir.Event
				switch {
				case s.n > 0 && h.Restates:
					events = []weir.Event{restated(at, s.n)}
				case s.n != 0:
					events = []weir.Event{call(at, s.n)}
				}
				r := w.send(at, h, events...)
				if got := w.used(at, call(at, 0)); r.Restate != s.asked || got != s.used {
					t.Errorf("step %d (%d): asked %v, used %d; want %v, %d %s", i, s.seq, r.Restate, got, s.asked, s.used, s.reason)
				}
			}
		})
	}
}

// TestSeen holds the window of numbers against a set of all of them.
func TestSeen(t *testing.T) {
	for range 50 {
		var w window
		w.start(rand.Uint64N(3000))
		all := map[uint64]bool{}
		start, top := w.top, w.top
		for range 20_000 {
			seq := max(top+20, windowSize) - windowSize + rand.Uint64N(windowSize+40)
			if rand.IntN(1000) == 0 {
				seq += rand.Uint64N(3 * windowSize)
			}
			want := seq > start && !all[seq] && (seq > top || top-seq < windowSize)
			if got := w.add(seq); got != want {
				t.Fatalf("after %d: %d is new: %v, want %v", top, seq, got, want)
			}
			all[seq], top = true, max(top, seq)
		}
	}
	var w window
	w.start(1)
	if !w.add(1<<64-1) || w.add(1<<64-1) || w.add(5) || !w.add(1<<64-2) {
		t.Error("the end of all numbers")
	}
}

// TestRestatement counts what is told of the windows that are open, and only that,
// however long ago it was admitted.
func TestRestatement(t *testing.T) {
	hour := limiter.Limit{Count: 1000, Window: limiter.Window{Length: time.Hour}}
	month := limiter.Limit{Count: 1000, Window: limiter.Window{Calendar: limiter.Month}}
	bucket := limiter.Limit{Count: 600, Window: limiter.Window{Length: time.Minute}, Algorithm: limiter.TokenBucket}
	for _, tt := range []struct {
		name      string
		limit     limiter.Limit
		admitted  time.Duration // before it is told, half an hour into an hour
		used      int64
		past      uint64
		throttled int
	}{
		{"this hour", hour, 29 * time.Minute, 1000, 0, 1},
		{"the hour before", hour, 31 * time.Minute, 0, 1, 0},
		{"this month", month, 12 * time.Hour, 1000, 0, 1},
		{"the month before", month, 13 * time.Hour, 0, 1, 0},
		{"a bucket, just now", bucket, 0, 1000, 0, 1},
		{"a bucket, a while ago", bucket, 30 * time.Second, 700, 0, 1},
		{"a bucket, long ago", bucket, 2 * time.Minute, 0, 1, 0},
	} {
		w := newWorld(t, gold(&tt.limit))
		at := 30 * time.Minute
		e := call(at-tt.admitted, 0)
		e.Open = []weir.OpenWindow{{Window: tt.limit.Window, Spent: weir.Spent{Requests: 1000}}}
		w.send(at, &event.Header{Incarnation: 1, Seq: 1, First: true, Restates: true}, e)
		s := w.Stats(t0.Add(at))
		if got := w.used(at, e); got != tt.used || s.Past != tt.past || s.InForce != tt.throttled {
			t.Errorf("%s: used %d, %d past, %d throttled; want %d, %d, %d", tt.name, got, s.Past, s.InForce, tt.used, tt.past, tt.throttled)
		}
	}
}

// TestOpenElsewhere refuses open windows in a batch that is no restatement: it
// would be counted however old it is.
func TestOpenElsewhere(t *testing.T) {
	w := newWorld(t, gold(perMinute(1000)))
	e := restated(0, 5)
	for _, h := range []*event.Header{nil, {Incarnation: 0, Seq: 1}} {
		b := w.Begin(t0, h)
		if b.Count(&e) == nil {
			t.Errorf("it is counted under %+v", h)
		}
		b.Refuse(1)
		b.End(nil)
	}
	if s := w.Stats(t0); s.Refused != 2 || s.Counted != 0 {
		t.Errorf("stats are %+v", s)
	}
}

// TestClocks counts events of gateways whose clocks are off by minutes in the
// window in which they were admitted.
func TestClocks(t *testing.T) {
	for _, off := range []time.Duration{0, 200 * time.Millisecond, -200 * time.Millisecond, 5 * time.Minute, -5 * time.Minute, 90 * time.Second, -40 * time.Hour} {
		w := newWorld(t, gold(perMinute(1000)))
		h := event.Header{Node: "gw", Incarnation: 1, First: true, Restates: true, Manager: w.ID(), Skew: -off}
		tell := func(at time.Duration, way time.Duration, n int64) {
			h.Seq++
			h.Sent = t0.Add(at + off)
			w.send(at+way, &h, call(at+off, n))
			h.First, h.Restates = false, false
		}
		tell(30*time.Second, 2*time.Millisecond, 1)
		tell(58*time.Second, 2*time.Millisecond, 10)
		tell(59*time.Second, 600*time.Millisecond, 10) // slow, and still of its minute
		w.wantUsed(59900*time.Millisecond, 21)
		tell(61*time.Second, time.Millisecond, 5)
		w.wantUsed(62*time.Second, 5)
		s := w.Stats(t0)
		if s.Late != 0 || s.Past != 0 {
			t.Errorf("off by %v: %d late, %d past", off, s.Late, s.Past)
		}
		if n := s.Nodes[0]; n.Skew != -off || n.Name != "gw" {
			t.Errorf("off by %v: %+v", off, n)
		}
	}
}

// TestShift believes what a gateway found out from this run's answers, and nothing
// that follows from when a batch arrived: it may have waited in a stopped process.
func TestShift(t *testing.T) {
	for _, tt := range []struct {
		manager    uint64
		skew, want time.Duration
	}{
		{77, 0, 0},
		{77, 250 * time.Millisecond, 0},
		{77, -250 * time.Millisecond, 0},
		{77, 251 * time.Millisecond, 251 * time.Millisecond},
		{77, -time.Hour, -time.Hour},
		{78, -time.Hour, 0}, // of another run
		{0, -time.Hour, 0},
	} {
		h := event.Header{Manager: tt.manager, Skew: tt.skew, Sent: t0.Add(-time.Hour)}
		if got := shift(&h, 77); got != tt.want {
			t.Errorf("shift of %+v is %v, want %v", tt, got, tt.want)
		}
	}
}

// TestForget keeps a gateway for as long as a window is open in which it was
// counted: one that was cut off for longer is not counted twice.
func TestForget(t *testing.T) {
	day := &limiter.Limit{Count: 1000, Window: limiter.Window{Calendar: limiter.Day}}
	for _, tt := range []struct {
		limit *limiter.Limit
		after time.Duration
		known bool
	}{
		{perMinute(9), 59 * time.Minute, true},
		{perMinute(9), 61 * time.Minute, false},
		{day, 11 * time.Hour, true},
		{day, 12 * time.Hour, false},
	} {
		w := newWorld(t, gold(tt.limit))
		w.send(time.Second, &event.Header{Incarnation: 1, Seq: 1, First: true, Restates: true})
		w.Sweep(t0.Add(tt.after))
		if known := len(w.Stats(t0).Nodes) == 1; known != tt.known {
			t.Errorf("%v, after %v: known %v, want %v", tt.limit, tt.after, known, tt.known)
		}
	}
}

// TestMaxNodes bounds what is remembered of gateways; the silent make way.
func TestMaxNodes(t *testing.T) {
	w := newWorldOf(t, gold(perMinute(9)), Options{MaxNodes: 3})
	for i := range 10 {
		w.send(time.Duration(i)*time.Second, &event.Header{Node: fmt.Sprint(i), Incarnation: uint64(i + 1), Seq: 1, First: true, Restates: true})
		w.send(time.Duration(i)*time.Second, &event.Header{Incarnation: 1, Seq: uint64(i + 2)})
	}
	var names string
	for _, n := range w.Stats(t0).Nodes {
		names += n.Name + " "
	}
	if names != "0 8 9 " {
		t.Errorf("known are %s", names)
	}
}

// TestOnce is gateways, a network and traffic managers without mercy, by chance:
// messages are lost, repeated and reordered, and the traffic manager loses its
// memory. What it counted is never more than what was admitted (I5), and once all
// has been told it is the same.
func TestOnce(t *testing.T) {
	for round := range 100 {
		rng := rand.New(rand.NewPCG(1, uint64(round)))
		w := newWorld(t, gold(perMinute(1<<40)))
		gateways := []*teller{{incarnation: 1, rng: rng, first: true}, {incarnation: 2, rng: rng, first: true}}
		var admitted int64
		for step := range 400 {
			at := time.Duration(step) * 10 * time.Millisecond
			if rng.IntN(200) == 0 {
				w = newWorldOf(t, gold(perMinute(1<<40)), Options{ID: uint64(step + 100)})
			}
			g := gateways[rng.IntN(2)]
			if rng.IntN(50) == 0 {
				g.restate() // it had to drop something
			}
			if n := rng.Int64N(5); n > 0 {
				g.admit(n)
				admitted += n
			}
			g.talk(w, at)
			if got := w.used(at, call(at, 0)); got > admitted {
				t.Fatalf("round %d, step %d: counted %d of %d", round, step, got, admitted)
			}
		}
		for _, g := range gateways { // what was dropped at last, is told at last
			if rng.IntN(2) == 0 {
				g.restate()
			}
		}
		for i := 0; i < 1000 && (len(gateways[0].waiting) > 0 || len(gateways[1].waiting) > 0); i++ {
			gateways[i%2].calm = true
			gateways[i%2].talk(w, 5*time.Second)
		}
		for _, g := range gateways { // a call without events hears whether all is known
			if r := w.send(6*time.Second, &event.Header{Incarnation: g.incarnation}); r.Restate {
				g.manager = r.Manager
				g.restate()
				for len(g.waiting) > 0 {
					g.talk(w, 6*time.Second)
				}
			}
		}
		if got := w.used(6*time.Second, call(0, 0)); got != admitted {
			t.Fatalf("round %d: counted %d of %d", round, got, admitted)
		}
	}
}

// A teller is the part of a gateway that tells, as package event says it should.
type teller struct {
	incarnation uint64
	manager     uint64 // that answered last
	rng         *rand.Rand
	calm        bool // the network has recovered
	first       bool
	seq         uint64
	restatedAt  uint64
	ledger      int64
	waiting     []parcel
	onTheirWay  []parcel // answered, or taken for lost, and may arrive still
}

type parcel struct {
	h event.Header
	n int64
}

func (g *teller) add(n int64, first, part bool) {
	g.seq++
	g.waiting = append(g.waiting, parcel{event.Header{Incarnation: g.incarnation, Seq: g.seq, Manager: g.manager, First: first, Restates: first || part}, n})
}

func (g *teller) admit(n int64) {
	if g.first {
		g.first = false
		g.restate()
	}
	g.ledger += n
	g.add(n, false, false)
}

// restate leaves out what waits, and tells all that was admitted, of two users, in
// two parts.
func (g *teller) restate() {
	g.first = false
	g.onTheirWay = append(g.onTheirWay, g.waiting...)
	g.waiting = nil
	g.restatedAt = g.seq + 1
	g.add(g.ledger/3, true, false)
	g.add(g.ledger-g.ledger/3, false, true)
}

func (g *teller) talk(w *world, at time.Duration) {
	if !g.calm && len(g.onTheirWay) > 0 && g.rng.IntN(3) == 0 {
		g.deliver(w, at, g.onTheirWay[g.rng.IntN(len(g.onTheirWay))]) // out of order, or again
	}
	if len(g.waiting) == 0 {
		return
	}
	i := 0
	if !g.calm && !g.waiting[0].h.Restates {
		i = g.rng.IntN(min(3, len(g.waiting)))
	}
	p := g.waiting[i]
	if !g.calm && g.rng.IntN(3) == 0 {
		if g.rng.IntN(2) == 0 {
			g.onTheirWay = append(g.onTheirWay, p) // slow
		}
		return
	}
	r := g.deliver(w, at, p)
	if !g.calm && g.rng.IntN(4) == 0 { // the answer is lost
		return
	}
	g.manager = r.Manager
	switch {
	case r.Restate && p.h.Seq >= g.restatedAt:
		g.restate()
	default:
		g.waiting = append(g.waiting[:i:i], g.waiting[i+1:]...)
	}
}

func (g *teller) deliver(w *world, at time.Duration, p parcel) event.Reply {
	e := call(at, p.n)
	if p.h.Restates {
		e = restated(at, p.n)
	}
	if p.n == 0 {
		return w.send(at, &p.h)
	}
	return w.send(at, &p.h, e)
}

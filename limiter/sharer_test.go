package limiter_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
)

// midday is when these tests begin, after the fence of a new store.
var midday = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// A fleet is some nodes that share counters through a store in memory, in virtual
// time: each call takes trip, half of it there and half back.
type fleet struct {
	t     *testing.T
	store *memory.Store
	nodes []*fleetNode
	now   time.Time
	trip  time.Duration
	down  bool // the store does not answer
	forms map[limiter.Counter]form
}

// A form is what windows of a counter have in common, of which some before count.
type form struct {
	before int
	length int64
}

type fleetNode struct {
	limiter *limiter.Limiter
	sharer  *limiter.Sharer
	ahead   time.Duration // of the node's clock
	heard   time.Time     // when the store last answered
	calls   []*call       // under way, by lane
}

type call struct {
	batch  *limiter.Batch
	at     time.Time // when it reaches the store
	back   time.Time // when the answer reaches the node
	err    error
	served bool
}

func newFleet(t *testing.T, n int, o limiter.SharerOptions, sharing limiter.Sharing, ahead ...time.Duration) *fleet {
	f := &fleet{t: t, store: memory.New(memory.Options{}), now: midday.Add(-5 * time.Second), trip: 400 * time.Microsecond, forms: map[limiter.Counter]form{}}
	for i := range n {
		f.join(uint64(i+1), o, sharing)
		if i < len(ahead) {
			f.nodes[i].ahead = ahead[i]
		}
	}
	f.run(5*time.Second, nil)
	return f
}

func (f *fleet) join(id uint64, o limiter.SharerOptions, sharing limiter.Sharing) *fleetNode {
	o.Node = id
	l := limiter.New(limiter.Options{MaxKeys: 10_000, Sharing: sharing})
	n := &fleetNode{limiter: l, sharer: limiter.NewSharer(l, nil, o)}
	n.calls = make([]*call, n.sharer.Lanes())
	f.nodes = append(f.nodes, n)
	return n
}

// time returns the node's idea of the store's time.
func (f *fleet) time(n *fleetNode) time.Time { return n.sharer.Time(f.now.Add(n.ahead)) }

// run goes on for d, in steps of 100 µs, and calls each once a step; where there is
// nothing to call, in longer steps.
func (f *fleet) run(d time.Duration, each func()) {
	step := 100 * time.Microsecond
	if each == nil && d > time.Second {
		step = 2 * time.Millisecond
	}
	for end := f.now.Add(d); f.now.Before(end); f.now = f.now.Add(step) {
		for _, n := range f.nodes {
			f.drive(n)
		}
		if each != nil {
			each()
		}
	}
}

func (f *fleet) drive(n *fleetNode) {
	local := f.now.Add(n.ahead)
	for lane, c := range n.calls {
		if c == nil {
			if b := n.sharer.Next(lane, local); b != nil {
				n.calls[lane] = &call{batch: b, at: f.now.Add(f.trip / 2), back: f.now.Add(f.trip)}
			}
			continue
		}
		if !c.served && !f.now.Before(c.at) {
			c.served = true
			if f.down {
				c.err, c.back = memoryDown, f.now.Add(80*time.Millisecond)
			} else {
				f.look(c.batch)
				f.store.Apply(f.now.UnixNano(), c.batch)
			}
		}
		if c.served && !f.now.Before(c.back) {
			n.calls[lane], n.heard = nil, f.now
			n.sharer.Done(lane, local, c.batch, c.err)
		}
	}
}

// look fails the test if windows of a counter differ: see [limiter.Assertion].
func (f *fleet) look(b *limiter.Batch) {
	for _, a := range b.Assertions {
		is := form{a.Before, 0}
		if a.Before > 0 {
			is.length = a.End - a.Begin
		}
		was, known := f.forms[a.Counter]
		if known && was != is || a.Before > 0 && a.End%is.length != 0 {
			f.t.Fatalf("a window of %d ns to %d with %d before follows those of %+v", is.length, a.End, a.Before, was)
		}
		f.forms[a.Counter] = is
	}
}

type downError struct{}

func (downError) Error() string { return "the store is down" }

var memoryDown = downError{}

// take takes n units at a node; a take that is short tries again for 5 ms.
func (f *fleet) take(n *fleetNode, l *limiter.Limit, key limiter.Key, units int64) (ok bool, k limiter.Check) {
	checks := []limiter.Check{{Limit: l, Key: key, N: units}}
	_, ok = n.limiter.Take(f.time(n), checks)
	return ok, checks[0]
}

func perMinute(count int64, a limiter.Accuracy) *limiter.Limit {
	return &limiter.Limit{Count: count, Window: limiter.Window{Length: time.Minute}, Accuracy: a}
}

// TestShared lets three nodes spend one limit, by each algorithm and accuracy, at
// twice its rate.
func TestShared(t *testing.T) {
	for _, algorithm := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		for _, accuracy := range []limiter.Accuracy{limiter.Bounded, limiter.Exact} {
			t.Run(algorithm.String()+map[limiter.Accuracy]string{limiter.Bounded: "/bounded", limiter.Exact: "/exact"}[accuracy], func(t *testing.T) {
				l := &limiter.Limit{Count: 3000, Window: limiter.Window{Length: 10 * time.Second}, Algorithm: algorithm, Accuracy: accuracy}
				// Clocks do not matter.
				f := newFleet(t, 3, limiter.SharerOptions{}, limiter.Checks, 0, 70*time.Second, -70*time.Second)
				random := rand.New(rand.NewPCG(1, 1))
				admitted := map[int64]int{}
				var total, waits int
				type waiting struct {
					n     *fleetNode
					until time.Time
				}
				var queue []waiting
				f.run(20*time.Second, func() {
					if random.IntN(100) < 6 { // 600 a second
						queue = append(queue, waiting{f.nodes[random.IntN(3)], f.now.Add(5 * time.Millisecond)})
					}
					rest := queue[:0]
					for _, w := range queue {
						switch ok, k := f.take(w.n, l, 7, 1); {
						case ok:
							admitted[f.now.Unix()/10]++
							total++
						case k.Short && f.now.Before(w.until):
							rest = append(rest, w)
							waits++
						}
					}
					queue = rest
				})
				var calls uint64
				for _, n := range f.nodes {
					calls += n.sharer.Stats().Calls
				}
				t.Logf("admitted %v, %d in all; steps waited %d, calls %d", admitted, total, waits, calls)
				most, slack := 2*3000, 0
				if algorithm != limiter.FixedWindow {
					most = 3000 + 2*3000 // a whole window or bucket at first
				}
				if accuracy == limiter.Bounded {
					slack = 4 * 20 // what comes in two intervals
				}
				if total > most+slack {
					t.Errorf("admitted %d, want at most %d", total, most+slack)
				}
				if algorithm == limiter.FixedWindow {
					for w, n := range admitted {
						if n > 3000+slack/4 {
							t.Errorf("window %d: admitted %d", w, n)
						}
						if n < 2998 {
							t.Errorf("window %d: admitted %d only", w, n)
						}
					}
				} else if total < 2*3000-200 {
					t.Errorf("admitted %d only", total)
				}
			})
		}
	}
}

// TestLimits looks at what is told of limits: how far they were exceeded, which rights are held,
// how long it took to tell.
func TestLimits(t *testing.T) {
	bounded, exact := perMinute(100, limiter.Bounded), perMinute(100, limiter.Exact)
	f := newFleet(t, 2, limiter.SharerOptions{}, limiter.Checks)
	f.run(time.Second, func() {
		for _, n := range f.nodes {
			f.take(n, bounded, 1, 1)
			f.take(n, exact, 2, 1)
		}
	})
	for i, n := range f.nodes {
		for _, s := range n.sharer.Limits() {
			switch {
			case s.Keys != 1 || s.Assertions == 0:
				t.Errorf("node %d: %+v", i, s)
			case s.Limit == bounded && (s.Over <= 0 || s.Over > 2*110 || s.Held != 0):
				t.Errorf("node %d: %v is over by %d, %d are held", i, s.Limit, s.Over, s.Held)
			case s.Limit == exact && (s.Over != 0 || s.Held > 1):
				t.Errorf("node %d: %v is over by %d, %d are held", i, s.Limit, s.Over, s.Held)
			case s.Lag <= 0 || s.Lag > 20*time.Millisecond:
				t.Errorf("node %d: %v: what was spent was told after %v", i, s.Limit, s.Lag)
			}
		}
	}
	f.run(4*time.Minute, nil) // nobody takes: it is forgotten
	for i, n := range f.nodes {
		f.take(n, exact, 3, 1)
		f.run(50*time.Millisecond, nil)
		if all := n.sharer.Limits(); len(all) != 1 || all[0].Keys != 1 {
			t.Errorf("node %d: after two minutes: %+v", i, all)
		}
	}
}

// TestSharedBytes shares a limit on bytes, exactly: a call begins only while the node has a right, and ends
// though it may take more than was left. So no more is over than what was under way.
func TestSharedBytes(t *testing.T) {
	l := &limiter.Limit{Count: 1 << 20, Window: limiter.Window{Length: 10 * time.Second}, Cost: limiter.Bytes, Accuracy: limiter.Exact}
	f := newFleet(t, 3, limiter.SharerOptions{}, limiter.Checks)
	const answer = 4 << 10
	var spent, waits, calls int
	step := 0
	f.run(10*time.Second, func() {
		if step++; step%50 != 0 { // 200 a second: nearly 8 MiB in all
			return
		}
		n := f.nodes[step/50%3]
		for range 50 {
			checks := []limiter.Check{{Limit: l, Key: 1}}
			ticket, ok := n.limiter.Take(f.time(n), checks)
			if ok {
				calls++
				spent += answer
				ticket.Settle(f.time(n), limiter.Bytes, answer)
				return
			}
			if !checks[0].Short {
				return
			}
			waits++
			f.run(100*time.Microsecond, nil)
		}
	})
	t.Logf("%d bytes in %d calls, which waited for %d steps", spent, calls, waits)
	if over := spent - int(l.Count); over > 3*answer || over < -answer {
		t.Errorf("%d bytes more than the limit were let pass", over)
	}
	if waits > calls/2 {
		t.Errorf("%d calls waited for %d steps", calls, waits)
	}
}

// TestSetBack sets the store's clock back over the end of a window, as a new primary's
// may be: what was spent in that window is not given away again.
func TestSetBack(t *testing.T) {
	for _, accuracy := range []limiter.Accuracy{limiter.Bounded, limiter.Exact} {
		l := &limiter.Limit{Count: 100, Window: limiter.Window{Length: 10 * time.Second}, Accuracy: accuracy}
		f := newFleet(t, 1, limiter.SharerOptions{}, limiter.Checks)
		n, spent := f.nodes[0], 0
		take := func() {
			if ok, _ := f.take(n, l, 1, 1); ok {
				spent++
			}
		}
		f.run(9*time.Second, nil)
		f.run(100*time.Millisecond, take) // all of it
		f.run(time.Second, nil)
		f.run(time.Millisecond, take) // a few of the next window
		if spent < 101 || spent > 110 {
			t.Fatalf("%v: %d passed", accuracy, spent)
		}
		n.ahead += 500 * time.Millisecond // the store's clock is set back beside the node's
		f.now = f.now.Add(-500 * time.Millisecond)
		f.run(10*time.Second, take)
		if spent > 200 { // also those that were let pass by rights in the second window
			t.Errorf("%v: %d passed in two windows", accuracy, spent)
		}
	}
}

// TestSharedAllocs takes under limits that are shared, and tells the time of it.
func TestSharedAllocs(t *testing.T) {
	for _, algorithm := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		f := newFleet(t, 1, limiter.SharerOptions{}, limiter.Checks)
		n := f.nodes[0]
		var checks [3]limiter.Check
		for i := range checks {
			checks[i] = limiter.Check{Key: limiter.Key(i + 1), N: 1, Limit: &limiter.Limit{
				Count: 1 << 40, Window: limiter.Window{Length: time.Hour}, Algorithm: algorithm, Accuracy: limiter.Accuracy(i),
			}}
		}
		take := func() bool {
			ticket, ok := n.limiter.Take(f.time(n), checks[:])
			ticket.Settle(f.time(n), limiter.Requests, 1)
			return ok
		}
		f.run(100*time.Millisecond, func() { take() })
		if !take() {
			t.Fatalf("%v: refused", algorithm)
		}
		if allocs := testing.AllocsPerRun(1000, func() { take() }); allocs != 0 {
			t.Errorf("%v: %v allocations, want none", algorithm, allocs)
		}
	}
}

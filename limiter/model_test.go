package limiter

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A model is a counter made to be obviously right.
type model interface {
	left(ns int64) int64
	charge(ns, n int64)
	// refund takes back what was charged at ns, at a later time.
	refund(ns, at, n int64)
}

// A spending is one charge that a model remembers.
type spending struct{ ns, n int64 }

type fixedModel struct {
	limit *Limit
	log   []spending
}

func (m *fixedModel) window(ns int64) int64 { return ns / int64(m.limit.Window.Length) }

func (m *fixedModel) left(ns int64) int64 {
	left := m.limit.Count
	for _, s := range m.log {
		if m.window(s.ns) == m.window(ns) {
			left -= s.n
		}
	}
	return left
}

func (m *fixedModel) charge(ns, n int64)       { m.log = append(m.log, spending{ns, n}) }
func (m *fixedModel) refund(ns, at, n int64)   { m.log = append(m.log, spending{ns, -n}) }
func (m *slidingModel) charge(ns, n int64)     { m.log = append(m.log, spending{ns, n}) }
func (m *slidingModel) refund(ns, at, n int64) { m.log = append(m.log, spending{ns, -n}) }

type slidingModel struct {
	limit *Limit
	log   []spending
}

func (m *slidingModel) left(ns int64) int64 {
	width := (int64(m.limit.Window.Length)/1000 + 30) / 31 * 1000 // whole microseconds
	left := m.limit.Count
	for _, s := range m.log {
		if s.ns/width > ns/width-32 {
			left -= s.n
		}
	}
	return left
}

// A bucketModel is a bucket of which water flows out, in fractions. What a
// refund may take out is what has not flowed out since.
type bucketModel struct {
	limit *Limit
	ns    int64
	level *big.Rat
}

func (m *bucketModel) rate(ns int64) *big.Rat {
	r := big.NewRat(m.limit.Count, int64(m.limit.Window.Length))
	return r.Mul(r, big.NewRat(ns, 1))
}

func (m *bucketModel) advance(ns int64) {
	m.level.Sub(m.level, m.rate(ns-m.ns))
	if m.level.Sign() < 0 {
		m.level.SetInt64(0)
	}
	m.ns = ns
}

func (m *bucketModel) left(ns int64) int64 {
	m.advance(ns)
	left := new(big.Rat).Sub(big.NewRat(m.limit.depth(), 1), m.level)
	q := new(big.Int)
	return q.Div(left.Num(), left.Denom()).Int64() // Euclidean: rounds down
}

func (m *bucketModel) charge(ns, n int64) {
	m.advance(ns)
	m.level.Add(m.level, big.NewRat(n, 1))
}

func (m *bucketModel) refund(ns, at, n int64) {
	m.advance(at)
	back := new(big.Rat).Sub(big.NewRat(n, 1), m.rate(at-ns))
	if back.Sign() > 0 {
		whole := new(big.Int).Div(back.Num(), back.Denom())
		m.level.Sub(m.level, new(big.Rat).SetInt(whole))
	}
	if m.level.Sign() < 0 {
		m.level.SetInt64(0)
	}
}

// A world is a limiter beside the models of its keys.
type world struct {
	t       *testing.T
	l       *Limiter
	limits  []*Limit
	models  []model
	ns      int64
	tickets []*bet
}

// A bet is a ticket that has not been used, and what it charged.
type bet struct {
	ticket Ticket
	checks []Check
	ns     int64
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, l: New(Options{}), ns: t0.UnixNano()}
	for i, limit := range []Limit{
		{Count: 7, Window: Window{Length: time.Second}},
		{Count: 40, Window: Window{Length: time.Minute}},
		{Count: 5, Window: Window{Length: 10 * time.Second}, Algorithm: SlidingWindow},
		{Count: 30, Window: Window{Length: time.Minute + 7}, Algorithm: SlidingWindow},
		{Count: 30, Window: Window{Length: time.Minute + 1}, Algorithm: TokenBucket},
		{Count: 100, Window: Window{Length: time.Minute}, Algorithm: TokenBucket, Burst: 9},
		{Count: 3, Window: Window{Length: time.Second}, Shadow: true},
		{Count: 0, Window: Window{Length: time.Second}},
	} {
		w.limits = append(w.limits, &limit)
		switch limit.Algorithm {
		case FixedWindow:
			w.models = append(w.models, &fixedModel{limit: w.limits[i]})
		case SlidingWindow:
			w.models = append(w.models, &slidingModel{limit: w.limits[i]})
		case TokenBucket:
			w.models = append(w.models, &bucketModel{limit: w.limits[i], ns: w.ns, level: new(big.Rat)})
		}
	}
	return w
}

func (w *world) now() time.Time { return time.Unix(0, w.ns) }

// near reports whether left is what model i says. A bucket may be a unit behind,
// since it counts no parts of a nanosecond.
func (w *world) near(i int, left, want int64) bool {
	if want < 0 {
		want = 0
	}
	return left == want || w.limits[i].Algorithm == TokenBucket && left == want-1
}

// take takes n of each key in set, and compares.
func (w *world) take(set byte, n int64) {
	var checks []Check
	var keys []int
	for i := range w.limits {
		if set&(1<<i) != 0 && (i != 7 || set == 1<<7) { // the zero limit stands alone
			checks = append(checks, Check{Limit: w.limits[i], Key: Key(i), N: n})
			keys = append(keys, i)
		}
	}
	want := true
	close := false // a bucket may have decided otherwise for a nanosecond
	for _, i := range keys {
		left := w.models[i].left(w.ns)
		over := n > left || w.limits[i].Count == 0
		if over && !w.limits[i].Shadow {
			want = false
		}
		close = close || w.limits[i].Algorithm == TokenBucket && n == left
	}
	ticket, ok := w.l.Take(w.now(), checks)
	if ok != want && (!close || ok) {
		w.t.Fatalf("at %d: Take of %d from %v = %v, want %v", w.ns, n, keys, ok, want)
	}
	for j, i := range keys {
		if ok {
			w.models[i].charge(w.ns, n)
		}
		left := w.models[i].left(w.ns)
		if !w.near(i, checks[j].Remaining, left) {
			w.t.Fatalf("at %d: Take of %d from %v = %v; of key %d remain %d, want %d", w.ns, n, keys, ok, i, checks[j].Remaining, left)
		}
		w.reset(&checks[j], i)
	}
	if ok {
		w.tickets = append(w.tickets, &bet{ticket, checks, w.ns})
	}
}

// reset checks that Reset is the truth: not a nanosecond before it, but then.
func (w *world) reset(c *Check, i int) {
	if !c.Over || c.N > w.limits[i].Count || c.N > w.limits[i].depth() && w.limits[i].Algorithm == TokenBucket || c.Limit.Count == 0 {
		return
	}
	if w.limits[i].Algorithm == TokenBucket {
		return // the model cannot be asked about the future
	}
	if left := w.models[i].left(w.ns + int64(c.Reset) - 1); left >= c.N {
		w.t.Fatalf("key %d: %d fit before Reset", i, c.N)
	}
	if left := w.models[i].left(w.ns + int64(c.Reset)); left < c.N {
		w.t.Fatalf("key %d: %d do not fit at Reset", i, c.N)
	}
}

func (w *world) use(i int, refund bool) {
	if len(w.tickets) == 0 {
		return
	}
	i %= len(w.tickets)
	b := w.tickets[i]
	w.tickets = append(w.tickets[:i], w.tickets[i+1:]...)
	if !refund {
		b.ticket.Settle(w.now(), Requests, 2)
	} else {
		b.ticket.Refund(w.now())
	}
	b.ticket.Refund(w.now()) // once is enough
	b.ticket.Settle(w.now(), Requests, 5)
	for _, c := range b.checks {
		if refund {
			w.models[c.Key].refund(b.ns, w.ns, c.N)
		} else {
			w.models[c.Key].charge(w.ns, 2)
		}
	}
}

// play reads a story from data: what is done, to which keys, when.
func (w *world) play(data []byte) {
	for len(data) >= 3 {
		op, a, b := data[0], data[1], data[2]
		data = data[3:]
		switch op % 8 {
		case 0, 1, 2:
			w.take(a, int64(b%5))
		case 3:
			w.use(int(a), true)
		case 4:
			w.use(int(a), false)
		case 5:
			w.ns += int64(a)<<24 | int64(b)<<16 // up to 4 s
		case 6:
			w.ns += int64(a)<<28 + int64(b)<<8 // up to a minute
		case 7:
			w.l.Sweep(w.now())
		}
	}
}

// FuzzModel lets the limiter and the models live through the same story.
func FuzzModel(f *testing.F) {
	f.Add([]byte("\x00\x7f\x01\x05\xff\x00\x00\x7f\x01\x03\x00\x00\x07\x00\x00\x00\x7f\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 3000 {
			data = data[:3000]
		}
		newWorld(t).play(data)
	})
}

func TestModel(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, 3*300)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		newWorld(t).play(data)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestSlidingLaw looks at every window, wherever it begins.
func TestSlidingLaw(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 2))
		limit := &Limit{Count: 1 + random.Int64N(20), Window: Window{Length: time.Duration(1+random.Int64N(1000)) * time.Millisecond}, Algorithm: SlidingWindow}
		l := New(Options{})
		ns := t0.UnixNano()
		var log []spending
		for range 2000 {
			ns += random.Int64N(int64(limit.Window.Length) / 8)
			c := []Check{{Limit: limit, Key: 1, N: 1 + random.Int64N(3)}}
			if _, ok := l.Take(time.Unix(0, ns), c); !ok {
				continue
			}
			log = append(log, spending{ns, c[0].N})
			var sum int64
			for i := len(log) - 1; i >= 0 && log[i].ns > ns-int64(limit.Window.Length); i-- {
				sum += log[i].n
			}
			if sum > limit.Count {
				t.Fatalf("seed %d: %d passed in one window of %v", seed, sum, limit)
			}
		}
		if len(log) < 100 {
			t.Errorf("seed %d: only %d passed of %v", seed, len(log), limit)
		}
	}
}

// TestBucketLaw looks at every span of time: at most the depth and what flowed
// in passes, and not much less is possible.
func TestBucketLaw(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 3))
		limit := &Limit{Count: 1 + random.Int64N(100), Burst: 1 + random.Int64N(20), Window: Window{Length: time.Duration(1 + random.Int64N(1e10))}, Algorithm: TokenBucket}
		limit.Window.Length += time.Millisecond
		l := New(Options{})
		ns := t0.UnixNano()
		var log []spending
		var total int64
		for range 1000 {
			ns += random.Int64N(int64(limit.Window.Length) / limit.Count)
			c := []Check{{Limit: limit, Key: 1, N: 1 + random.Int64N(2)}}
			if _, ok := l.Take(time.Unix(0, ns), c); !ok {
				continue
			}
			total += c[0].N
			log = append(log, spending{ns, c[0].N})
			var sum int64
			for _, s := range slices.Backward(log) {
				sum += s.n
				if flowed := mulDiv(ns-s.ns, limit.Count, int64(limit.Window.Length)); sum > limit.Burst+flowed {
					t.Fatalf("seed %d: %d passed in %d ns of %v", seed, sum, ns-s.ns, limit)
				}
			}
		}
		if least := mulDiv(ns-t0.UnixNano(), limit.Count, int64(limit.Window.Length)) * 9 / 10; total < least && limit.Burst > 1 {
			t.Errorf("seed %d: only %d of %d passed of %v", seed, total, least, limit)
		}
	}
}

package memory_test

import (
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
)

// A fleet is nodes that spend only what they were granted, a store, and a network
// between that delays, repeats and loses what they tell.
type fleet struct {
	store  *memory.Store
	now    int64
	nodes  []*spender
	sent   []letter
	spends []spend
	told   func(now int64, s *spender) limiter.Assertion // what a node asserts
	holds  func(b *limiter.Batch) int64                  // until when a grant may be spent
}

// A spender is a node: it has rights until a time, by the store's clock.
type spender struct {
	id          uint64
	seq         uint64
	spent, held int64
	until       int64
}

// A letter is a batch that is under way.
type letter struct {
	from  *spender
	batch limiter.Batch
}

type spend struct{ at, n int64 }

// lapse writes off what was not spent in time.
func (s *spender) lapse(now int64) {
	if now >= s.until {
		s.spent += s.held
		s.held = 0
	}
}

// machine returns what may happen to a fleet.
func (f *fleet) machine() map[string]func(*rapid.T) {
	pick := func(t *rapid.T) *spender {
		s := f.nodes[rapid.IntRange(0, len(f.nodes)-1).Draw(t, "node")]
		s.lapse(f.now)
		return s
	}
	return map[string]func(*rapid.T){
		"": func(t *rapid.T) { f.check(t) },
		"time": func(t *rapid.T) {
			f.now += rapid.Int64Range(0, 3*second).Draw(t, "nanoseconds")
		},
		"spend": func(t *rapid.T) {
			s := pick(t)
			n := rapid.Int64Range(0, s.held).Draw(t, "units")
			s.held -= n
			s.spent += n
			if n > 0 {
				f.spends = append(f.spends, spend{f.now, n})
			}
		},
		"give back": func(t *rapid.T) {
			s := pick(t)
			s.held -= rapid.Int64Range(0, s.held).Draw(t, "units")
		},
		"send": func(t *rapid.T) {
			s := pick(t)
			s.seq++
			a := f.told(f.now, s)
			a.Seq, a.Register, a.Held = s.seq, s.spent+s.held, s.held
			a.Want = rapid.Int64Range(0, 100).Draw(t, "want")
			f.sent = append(f.sent, letter{s, limiter.Batch{Node: s.id, Assertions: []limiter.Assertion{a}}})
		},
		"crash": func(t *rapid.T) {
			i := rapid.IntRange(0, len(f.nodes)-1).Draw(t, "node")
			f.nodes[i] = &spender{id: f.nodes[i].id + 1000}
		},
		"arrive": func(t *rapid.T) { f.arrive(t) },
	}
}

// arrive has a letter arrive. Perhaps its answer does too; perhaps it arrives again.
func (f *fleet) arrive(t *rapid.T) {
	if len(f.sent) == 0 {
		t.Skip("nothing is under way")
	}
	i := rapid.IntRange(0, len(f.sent)-1).Draw(t, "letter")
	l := f.sent[i]
	l.batch.Assertions = slices.Clone(l.batch.Assertions)
	f.store.Apply(f.now, &l.batch)
	if !rapid.Bool().Draw(t, "repeated later") {
		f.sent = slices.Delete(f.sent, i, i+1)
	}
	a, s := l.batch.Assertions[0], l.from
	s.lapse(f.now)
	if a.Status == limiter.Applied && a.Seq == s.seq && rapid.Bool().Draw(t, "answered") {
		s.held += a.Granted
		s.until = f.holds(&l.batch)
		s.seq++ // so that no answer is used twice
	}
}

// check holds what was spent, in whatever time, to what may be.
func (f *fleet) check(t *rapid.T) {
	for i := range f.spends {
		var sum int64
		for _, s := range f.spends[i:] {
			sum += s.n
			if most := f.may(f.spends[i].at, s.at); sum > most {
				t.Fatalf("%d units were spent from %d to %d, at most %d may be", sum, f.spends[i].at, s.at, most)
			}
		}
	}
}

const (
	lawLimit  = 50
	lawLease  = 2 * second
	lawRate   = 7
	lawPeriod = 3 * second
)

// may returns what a bucket lets pass from one moment to another, at most: its depth
// and what flows in, a begun unit included.
func (f *fleet) may(from, to int64) int64 {
	n := new(big.Int).Mul(big.NewInt(to-from), big.NewInt(lawRate))
	return lawLimit + n.Div(n, big.NewInt(lawPeriod)).Int64() + 1
}

func newFleet() *fleet {
	f := &fleet{store: memory.New(memory.Options{ID: 1}), now: begin}
	f.store.Apply(begin-3*second, &limiter.Batch{Node: 1})
	for id := range uint64(3) {
		f.nodes = append(f.nodes, &spender{id: id + 1})
	}
	return f
}

// TestBucketLaw looks for a way to spend more than a bucket lets pass.
func TestBucketLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFleet()
		f.told = func(_ int64, s *spender) limiter.Assertion {
			return limiter.Assertion{Limit: lawLimit, Rate: lawRate, Period: lawPeriod, Lease: lawLease, Missing: s.held}
		}
		f.holds = func(b *limiter.Batch) int64 { return b.Now + lawLease }
		t.Repeat(f.machine())
	})
}

// TestWindowLaw looks for a way to spend more than a window's limit, or to confuse its sum.
func TestWindowLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFleet()
		f.told = func(int64, *spender) limiter.Assertion {
			return limiter.Assertion{Limit: lawLimit, Begin: begin, End: end, Keep: 3600 * second}
		}
		f.holds = func(*limiter.Batch) int64 { return end }
		machine := f.machine()
		machine[""] = func(t *rapid.T) {
			var spent int64
			for _, s := range f.spends {
				spent += s.n
			}
			sum, registers, _ := f.store.Window(limiter.Counter{}, end)
			var of int64
			for _, r := range registers {
				of += r
			}
			if spent > lawLimit || sum > lawLimit || sum != of {
				t.Fatalf("%d units were spent; the store knows %d, of registers %v", spent, sum, registers)
			}
		}
		t.Repeat(machine)
	})
}

// TestIdempotence repeats what was told, at any time and in any order: it changes nothing.
func TestIdempotence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := opened()
		now := begin
		var told []limiter.Batch
		assert := rapid.Custom(func(t *rapid.T) limiter.Assertion {
			a := limiter.Assertion{
				Counter:  limiter.Counter{byte(rapid.IntRange(0, 2).Draw(t, "counter"))},
				Seq:      rapid.Uint64Range(0, 20).Draw(t, "seq"),
				Register: rapid.Int64Range(0, 100).Draw(t, "register"),
				Want:     rapid.Int64Range(0, 10).Draw(t, "want"),
				Limit:    rapid.Int64Range(0, 200).Draw(t, "limit"),
				Begin:    begin, End: end, Keep: int64(time.Hour),
			}
			if a.Counter[0] == 0 {
				a.Begin, a.End = 0, 0
				a.Rate, a.Period, a.Lease = 1, int64(time.Hour), int64(time.Hour)
				a.Held = rapid.Int64Range(0, a.Register).Draw(t, "held")
			}
			return a
		})
		for range rapid.IntRange(1, 40).Draw(t, "batches") {
			now += rapid.Int64Range(0, second).Draw(t, "nanoseconds")
			b := limiter.Batch{Node: rapid.Uint64Range(1, 3).Draw(t, "node"), Assertions: []limiter.Assertion{assert.Draw(t, "assertion")}}
			told = append(told, b)
			s.Apply(now, &b)
		}
		before := s.Clone()
		for range rapid.IntRange(1, 40).Draw(t, "again") {
			b := told[rapid.IntRange(0, len(told)-1).Draw(t, "which")]
			b.Assertions = slices.Clone(b.Assertions)
			s.Apply(now, &b)
			if a := b.Assertions[0]; a.Status != limiter.Stale || a.Granted != 0 {
				t.Fatalf("answered %+v to what had been told", a)
			}
		}
		for c := range byte(3) {
			name := limiter.Counter{c}
			sum, registers, _ := s.Window(name, end)
			wantSum, wantRegisters, _ := before.Window(name, end)
			missing, of, _ := s.Bucket(name)
			wantMissing, wantOf, _ := before.Bucket(name)
			if sum != wantSum || missing != wantMissing || !equal(registers, wantRegisters) || !equal(of, wantOf) {
				t.Fatalf("repeated, counter %d is %d %v, bucket %d %v", c, sum, registers, missing, of)
			}
		}
	})
}

func equal(a, b map[uint64]int64) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

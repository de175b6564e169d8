package memory_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/memory"
)

// A fleet is nodes that spend only what they were granted, a store, and a network
// between that delays, repeats and loses what they tell. What happens is chance.
type fleet struct {
	*rand.Rand
	store  *memory.Store
	now    int64
	nodes  []*spender
	sent   []letter
	spends []spend
	shape  limiter.Assertion // what all assertions have in common
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

func newFleet(seed uint64, shape limiter.Assertion) *fleet {
	f := &fleet{Rand: rand.New(rand.NewPCG(seed, 2)), store: opened(), now: begin, shape: shape}
	for id := range uint64(3) {
		f.nodes = append(f.nodes, &spender{id: id + 1})
	}
	return f
}

// step has something happen. It returns what was spent.
func (f *fleet) step() int64 {
	i := f.IntN(len(f.nodes))
	s := f.nodes[i]
	s.lapse(f.now)
	switch f.IntN(16) {
	case 0:
		if s.held == 0 {
			f.now += f.Int64N(2 * lawLease)
		} else if a := &f.shape; a.Rate > 0 {
			f.now = s.until - 1 // at the last moment
			return f.spend(s)
		}
	case 1, 2:
		f.now += f.Int64N(second)
	case 3:
		if f.IntN(10) == 0 {
			f.nodes[i] = &spender{id: s.id + 1000} // it crashed
		}
	case 4, 5, 6:
		f.send(s)
	case 7, 8:
		if len(f.sent) > 0 {
			f.arrive(f.IntN(len(f.sent)), f.IntN(2) == 0)
		}
	case 9, 10, 11:
		f.send(s)
		f.arrive(len(f.sent)-1, true)
	default:
		return f.spend(s)
	}
	return 0
}

func (f *fleet) spend(s *spender) int64 {
	if s.held == 0 {
		return 0
	}
	n := 1 + f.Int64N(s.held)
	s.held -= n
	s.spent += n
	f.spends = append(f.spends, spend{f.now, n})
	return n
}

// lapse writes off what was not spent in time.
func (s *spender) lapse(now int64) {
	if now >= s.until {
		s.spent += s.held
		s.held = 0
	}
}

// send has a node tell what it has, of which it may give something back.
func (f *fleet) send(s *spender) {
	if f.IntN(4) == 0 {
		s.held -= f.Int64N(s.held + 1)
	}
	s.seq++
	a := f.shape
	a.Seq, a.Register, a.Want = s.seq, s.spent+s.held, f.Int64N(lawLimit+1)
	if a.Rate > 0 {
		a.Held, a.Missing = s.held, s.held
	}
	f.sent = append(f.sent, letter{s, limiter.Batch{Node: s.id, Assertions: []limiter.Assertion{a}}})
}

// arrive has a letter arrive, which may arrive once more.
func (f *fleet) arrive(i int, answered bool) {
	l := f.sent[i]
	l.batch.Assertions = slices.Clone(l.batch.Assertions)
	f.store.Apply(f.now, &l.batch)
	if f.IntN(4) > 0 {
		f.sent = slices.Delete(f.sent, i, i+1)
	}
	a, s := l.batch.Assertions[0], l.from
	s.lapse(f.now)
	if answered && a.Status == limiter.Applied && a.Seq == s.seq {
		s.held += a.Granted
		s.until = f.now + lawLease
		if a.Rate == 0 {
			s.until = a.End
		}
		s.seq++ // so that no answer is used twice
	}
}

const (
	lawLimit  = 6
	lawRate   = 7
	lawPeriod = 10 * second
	lawLease  = 10 * second

	lawSeeds, lawSteps = 100, 1000
)

// TestBucketLaw looks for a way to spend more than a bucket lets pass: in any time its
// depth and what flows in meanwhile, a begun unit included.
func TestBucketLaw(t *testing.T) {
	total := int64(0)
	for seed := range uint64(lawSeeds) {
		f := newFleet(seed, limiter.Assertion{Limit: lawLimit, Rate: lawRate, Period: lawPeriod, Lease: lawLease})
		for range lawSteps {
			n := f.step()
			total += n
			var sum int64
			for i := len(f.spends) - 1; n > 0 && i >= max(len(f.spends)-50, 0); i-- {
				s := f.spends[i]
				sum += s.n
				if most := lawLimit + (f.now-s.at)*lawRate/lawPeriod + 1; sum > most {
					t.Fatalf("seed %d: %d units were spent in %v, at most %d may be", seed, sum, time.Duration(f.now-s.at), most)
				}
			}
		}
	}
	t.Logf("%d units were spent", total)
	if total < 10*lawSeeds {
		t.Errorf("only %d units were spent", total)
	}
}

// TestWindowLaw looks for a way to spend more than a window's limit, or to confuse its
// sum.
func TestWindowLaw(t *testing.T) {
	reached := 0
	for seed := range uint64(lawSeeds) {
		f := newFleet(seed, limiter.Assertion{Limit: lawLimit, Begin: begin, End: begin + 1e6*second, Keep: second})
		var spent int64
		for range lawSteps / 10 {
			spent += f.step()
			sum, registers, _ := f.store.Window(limiter.Counter{}, f.shape.End)
			var of int64
			for _, r := range registers {
				of += r
			}
			if spent > lawLimit || sum > lawLimit || sum != of {
				t.Fatalf("seed %d: %d units were spent; the store knows %d, of registers %v", seed, spent, sum, registers)
			}
		}
		if spent == lawLimit {
			reached++
		}
	}
	t.Logf("the limit was reached %d times", reached)
	if reached < lawSeeds/10 {
		t.Errorf("the limit was reached only %d times", reached)
	}
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

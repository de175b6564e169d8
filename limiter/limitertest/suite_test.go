package limitertest_test

import (
	"context"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/limitertest"
	"github.com/weir-project/weir/limiter/memory"
)

// environment names the fault that the store of TestSuite has.
const environment = "WEIR_LIMITERTEST_FAULT"

// A fault is what is wrong with a store: it changes what the store is told, or what it
// answers. A store has one of its own.
type fault struct {
	name string
	make func() (told, answered func(*limiter.Batch))
}

// each has f look at all assertions.
func each(f func(b *limiter.Batch, a *limiter.Assertion)) func(*limiter.Batch) {
	return func(b *limiter.Batch) {
		for i := range b.Assertions {
			f(b, &b.Assertions[i])
		}
	}
}

// told returns a fault that changes each assertion on its own.
func told(name string, f func(a *limiter.Assertion)) fault {
	return fault{name, func() (told, answered func(*limiter.Batch)) {
		return each(func(_ *limiter.Batch, a *limiter.Assertion) { f(a) }), nil
	}}
}

// answered returns a fault that changes answers.
func answered(name string, f func(b *limiter.Batch)) fault {
	return fault{name, func() (told, answered func(*limiter.Batch)) { return nil, f }}
}

// remembering returns a fault that knows the last register of each node, and changes
// assertions by it.
func remembering(name string, f func(a *limiter.Assertion, last int64)) fault {
	type key struct {
		node    uint64
		counter limiter.Counter
		end     int64
	}
	return fault{name, func() (told, answered func(*limiter.Batch)) {
		last := make(map[key]int64)
		return each(func(b *limiter.Batch, a *limiter.Assertion) {
			k := key{b.Node, a.Counter, a.End}
			if a.Seq > 0 {
				f(a, last[k])
				last[k] = a.Register
			}
		}), nil
	}}
}

// faults are stores that the suite must not let pass.
var faults = []fault{
	remembering("adds registers", func(a *limiter.Assertion, last int64) { a.Register = min(a.Register, 1e6) + last }),
	remembering("registers never become less", func(a *limiter.Assertion, last int64) { a.Register = max(a.Register, last) }),
	{"ignores numbers", func() (told, answered func(*limiter.Batch)) {
		var seq uint64
		return each(func(_ *limiter.Batch, a *limiter.Assertion) {
			if seq++; a.Seq > 0 {
				a.Seq = seq
			}
		}), nil
	}},
	told("takes questions for assertions", func(a *limiter.Assertion) { a.Seq = max(a.Seq, 1) }),
	told("numbers of 53 bits", func(a *limiter.Assertion) { a.Seq = uint64(float64(a.Seq)) }),
	told("forgets windows when they end", func(a *limiter.Assertion) { a.Keep = 0 }),
	told("keeps windows for too long", func(a *limiter.Assertion) { a.Keep *= 2 }),
	told("counts what is late in another window", func(a *limiter.Assertion) {
		if a.End > 0 {
			a.Begin, a.End = a.Begin+1, a.End+1
		}
	}),
	told("one window for all", func(a *limiter.Assertion) {
		if a.End > 0 {
			a.Counter[0], a.Begin, a.End, a.Keep = 1, 1, math.MaxInt64, 0
		}
	}),
	told("the past does not count", func(a *limiter.Assertion) { a.Before = 0 }),
	told("half of a counter's name", func(a *limiter.Assertion) { clear(a.Counter[1:]) }),
	told("buckets begin full", func(a *limiter.Assertion) { a.Missing = 0 }),
	told("what is held refills", func(a *limiter.Assertion) { a.Held = 0 }),
	told("rights lapse at once", func(a *limiter.Assertion) { a.Lease = 0 }),
	told("rights don't lapse", func(a *limiter.Assertion) { a.Lease = math.MaxInt64 }),
	told("times of microseconds", func(a *limiter.Assertion) { a.Period = (a.Period + 999) / 1000 * 1000 }),
	told("rates of 32 bits", func(a *limiter.Assertion) { a.Rate = min(a.Rate, math.MaxUint32) }),
	told("limits beyond what there is", func(a *limiter.Assertion) { a.Limit = max(a.Limit, 1<<20) }),
	{"grants all that is wanted", func() (told, answered func(*limiter.Batch)) {
		return nil, each(func(b *limiter.Batch, a *limiter.Assertion) {
			if !b.Fenced && a.Status == limiter.Applied {
				a.Granted = max(a.Want, 0)
			}
		})
	}},
	answered("has no fence", func(b *limiter.Batch) { b.Fenced = false }),
	answered("is always fenced", func(b *limiter.Batch) { b.Fenced = true }),
	answered("one epoch for ever", func(b *limiter.Batch) { b.Epoch = 1 }),
	{"an epoch for each batch", func() (told, answered func(*limiter.Batch)) {
		return nil, func(b *limiter.Batch) { b.Epoch = uint64(b.Now) }
	}},
	answered("is never durable", func(b *limiter.Batch) { b.Durable = false }),
	{"nodes never die", func() (told, answered func(*limiter.Batch)) {
		most := 0
		return nil, func(b *limiter.Batch) {
			if b.Beat {
				most = max(most, b.Nodes)
				b.Nodes = most
			}
		}
	}},
	answered("knows nobody", func(b *limiter.Batch) { b.Nodes = 0 }),
	answered("forgets the last answer", func(b *limiter.Batch) {
		if n := len(b.Assertions); n > 256 {
			b.Assertions[n-1].Status = 0
		}
	}),
	{"takes nonsense", func() (told, answered func(*limiter.Batch)) {
		return func(b *limiter.Batch) { b.Node = max(b.Node, 1) }, nil
	}},
}

// A store is one in memory, with something wrong.
type store struct {
	*memory.Store
	told, answered func(*limiter.Batch)
}

func (s *store) Share(ctx context.Context, b *limiter.Batch) error {
	twin := *b
	twin.Assertions = slices.Clone(b.Assertions)
	if s.told != nil {
		s.told(&twin)
	}
	if err := s.Store.Share(ctx, &twin); err != nil {
		return err
	}
	if s.answered != nil {
		s.answered(&twin)
	}
	b.Now, b.Epoch, b.Fenced, b.Durable, b.Nodes = twin.Now, twin.Epoch, twin.Fenced, twin.Durable, twin.Nodes
	for i := range b.Assertions {
		a, t := &b.Assertions[i], &twin.Assertions[i]
		a.Status, a.Sum, a.Past, a.Granted = t.Status, t.Sum, t.Past, t.Granted
	}
	return nil
}

func TestSuite(t *testing.T) {
	var with fault
	if name := os.Getenv(environment); name != "" {
		with = faults[slices.IndexFunc(faults, func(f fault) bool { return f.name == name })]
	}
	limitertest.Run(t, func(*testing.T) limitertest.Backend {
		var clock atomic.Int64
		clock.Store(1.7e18)
		m := memory.New(memory.Options{Now: func() time.Time { return time.Unix(0, clock.Load()) }})
		b := limitertest.Backend{
			Store:   m,
			Advance: func(by time.Duration) { clock.Add(int64(by)) },
			Flush:   func(testing.TB) { m.Clear() },
		}
		if with.make != nil {
			told, answered := with.make()
			b.Store = &store{m, told, answered}
		}
		return b
	})
}

// TestFaults runs the suite with each fault, in a process of its own since tests there fail.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			run := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSuite$", "-test.failfast")
			run.Env = append(os.Environ(), environment+"="+f.name)
			out, err := run.CombinedOutput()
			if err == nil {
				t.Error("the suite lets it pass")
			} else if !strings.Contains(string(out), "--- FAIL: TestSuite/") || strings.Contains(string(out), "panic:") {
				t.Errorf("the suite did not end as it should: %v\n%s", err, out)
			}
		})
	}
}

package faults

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// What the long run, and the replay of a seed, are asked for with.
var (
	flagSeed    = flag.Uint64("faults.seed", 0, "replay this seed")
	flagFrom    = flag.Uint64("faults.from", 1, "the first seed")
	flagSteps   = flag.Int64("faults.steps", 0, "run seeds until so many steps have been made")
	flagFor     = flag.Duration("faults.for", 0, "run seeds for so long")
	flagOn      = flag.Bool("faults.on", false, "go on after a violation")
	flagHistory = flag.String("faults.history", "", "write the history of the replayed seed to this file")
)

// runSeed runs one seed.
func runSeed(seed uint64, out io.Writer) *world {
	w := newWorld(newPlan(seed), out)
	w.run()
	if err := w.history.close(); err != nil {
		panic(err)
	}
	return w
}

// TestSeeds runs seed after seed, on all processors, and fails with the first that shows
// a violation.
func TestSeeds(t *testing.T) {
	if *flagSeed != 0 {
		replay(t)
		return
	}
	steps, until := *flagSteps, time.Now().Add(time.Hour)
	switch {
	case *flagFor > 0:
		until = time.Now().Add(*flagFor)
		steps = 1 << 62
	case steps == 0:
		steps = 2_000_000
		if race {
			steps = 300_000
		}
	}
	began := time.Now()
	var windows coverage
	var next, made, seeds, offered, unused, wrong atomic.Int64
	var all sync.WaitGroup
	next.Store(int64(*flagFrom) - 1)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for made.Load() < steps && time.Now().Before(until) && (*flagOn || !t.Failed()) {
				seed := uint64(next.Add(1))
				w := runSeed(seed, nil)
				made.Add(w.steps)
				seeds.Add(1)
				windows.add(w.oracle)
				offered.Add(w.oracle.offered)
				unused.Add(w.oracle.unused)
				if w.oracle.wrong != nil && wrong.Add(1) <= 20 {
					report(t, w)
				}
			}
		})
	}
	all.Wait()
	t.Logf("windows of exact limits: %d, spent in full: %d, with a fault meanwhile: %d, of these spent in full: %d, excused: %d",
		windows.all.Load(), windows.spent.Load(), windows.faulty.Load(), windows.both.Load(), windows.excused.Load())
	if n := offered.Load(); n > 0 {
		t.Logf("exact limits in good health: %d of %d units were left unused (%.3f %%)", unused.Load(), n, 100*float64(unused.Load())/float64(n))
	}
	d := time.Since(began)
	t.Logf("%d steps of %d seeds in %v: %.0f steps a second", made.Load(), seeds.Load(), d.Round(time.Millisecond), float64(made.Load())/d.Seconds())
}

// report fails a test with what is wrong in a world, and how to see it again.
func report(t *testing.T, w *world) {
	v := w.oracle.wrong
	t.Errorf("seed %d (faults: %v), at %s: %v\nreplay: go test ./sim/faults -run TestSeeds -faults.seed=%d -faults.history=/tmp/history.txt",
		w.plan.seed, w.plan.faults, w.show(v.at), v, w.plan.seed)
}

func replay(t *testing.T) {
	var out io.Writer
	if *flagHistory != "" {
		f, err := os.Create(*flagHistory)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out = f
	}
	w := runSeed(*flagSeed, out)
	t.Logf("plan: %s", w.plan.describe())
	t.Logf("%d steps (%v), history %x", w.steps, w.kinds, w.history.hash)
	if w.oracle.wrong != nil {
		report(t, w)
	}
}

// describe returns the plan in words.
func (p *plan) describe() string {
	s := fmt.Sprintf("%d nodes with %d lanes (sharing %d), %d servers, %.0f requests a second, messages take %v, faults: %v",
		p.nodes, p.lanes, p.sharing, p.servers, p.rate, time.Duration(p.network), p.faults)
	for i, l := range p.limits {
		v := l.versions[0]
		s += fmt.Sprintf("\n  limit %d: %v, accuracy %d, on store loss %d, subjects %d..%d", i, v, v.Accuracy, v.OnStoreLoss, l.first, l.first+l.keys-1)
	}
	return s
}

// TestReplay shows that a seed is the same history each time.
func TestReplay(t *testing.T) {
	last := uint64(8)
	if race {
		last = 2
	}
	for seed := uint64(1); seed <= last; seed++ {
		a, b := runSeed(seed, nil), runSeed(seed, io.Discard)
		if a.history.hash != b.history.hash || a.steps != b.steps {
			t.Errorf("seed %d: history %x of %d steps, then %x of %d", seed, a.history.hash, a.steps, b.history.hash, b.steps)
		}
	}
}

// A coverage counts windows of exact limits: what the oracle looked at.
type coverage struct{ all, spent, faulty, both, excused atomic.Int64 }

func (v *coverage) add(o *oracle) {
	for _, ts := range o.tallies {
		for _, t := range ts {
			if !t.exact || t.algorithm != limiter.FixedWindow {
				continue
			}
			for _, c := range t.cells {
				spent := c.limit > 0 && c.sum >= c.limit-c.limit/100-1
				v.all.Add(1)
				if spent {
					v.spent.Add(1)
				}
				if c.faulty {
					v.faulty.Add(1)
				}
				if c.faulty && spent && !c.lax {
					v.both.Add(1)
				}
				if c.excuse > 0 {
					v.excused.Add(1)
				}
			}
		}
	}
}

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
)

// What the long run, and the replay of a seed, are asked for with.
var (
	flagSeed    = flag.Uint64("faults.seed", 0, "replay this seed")
	flagFrom    = flag.Uint64("faults.from", 1, "the first seed")
	flagOf      = flag.String("faults.of", "", "run seeds of worlds only, or of fleets only; empty: of both")
	flagSteps   = flag.Int64("faults.steps", 0, "run seeds until so many steps have been made")
	flagFor     = flag.Duration("faults.for", 0, "run seeds for so long")
	flagOn      = flag.Bool("faults.on", false, "go on after a violation")
	flagHistory = flag.String("faults.history", "", "write the history of the replayed seed to this file")
)

// An outcome is what came of a seed.
type outcome struct {
	seed   uint64
	faults fmt.Stringer
	plan   string // in words
	start  int64
	steps  int64
	kinds  [kindCount]int64
	hash   uint64
	wrong  *violation
	oracle *oracle // of a world
	judge  *judge  // of a fleet
}

// runSeed runs one seed.
func runSeed(seed uint64, out io.Writer) *outcome {
	var o *outcome
	var h *history
	if decides(seed) {
		f := newFleet(newFleetPlan(seed), out)
		f.run()
		h = f.history
		o = &outcome{faults: f.plan.troubles, plan: f.plan.describe(), start: f.start, steps: f.steps, wrong: f.judge.wrong, judge: f.judge}
	} else {
		w := newWorld(newPlan(seed), out)
		w.run()
		h = w.history
		o = &outcome{faults: w.plan.faults, plan: w.plan.describe(), start: w.start, steps: w.steps, kinds: w.kinds, wrong: w.oracle.wrong, oracle: w.oracle}
	}
	o.seed, o.hash = seed, h.hash
	if err := h.close(); err != nil {
		panic(err)
	}
	return o
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
	var seen coverage
	var next, made, seeds, wrong atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for made.Load() < steps && time.Now().Before(until) && (*flagOn || !t.Failed()) {
				seed := *flagFrom + uint64(next.Add(1)-1)
				if *flagOf == "worlds" && decides(seed) || *flagOf == "fleets" && !decides(seed) {
					continue
				}
				o := runSeed(seed, nil)
				made.Add(o.steps)
				seeds.Add(1)
				seen.add(o)
				if o.wrong != nil && wrong.Add(1) <= 20 {
					report(t, o)
				}
			}
		})
	}
	all.Wait()
	seen.log(t)
	d := time.Since(began)
	t.Logf("%d steps of %d seeds in %v: %.0f steps a second", made.Load(), seeds.Load(), d.Round(time.Millisecond), float64(made.Load())/d.Seconds())
}

// report fails a test with what is wrong, and how to see it again.
func report(t *testing.T, o *outcome) {
	t.Errorf("seed %d (faults: %v), at %s: %v\nreplay: go test ./sim/faults -run TestSeeds -faults.seed=%d -faults.history=/tmp/history.txt",
		o.seed, o.faults, showSince(o.start, o.wrong.at), o.wrong, o.seed)
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
	o := runSeed(*flagSeed, out)
	t.Logf("plan: %s", o.plan)
	t.Logf("%d steps (%v), history %x", o.steps, o.kinds, o.hash)
	if o.wrong != nil {
		report(t, o)
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
	seeds := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 13, 18, 23}
	if race {
		seeds = []uint64{1, 2, 3}
	}
	for _, seed := range seeds {
		a, b := runSeed(seed, nil), runSeed(seed, io.Discard)
		if a.hash != b.hash || a.steps != b.steps {
			t.Errorf("seed %d: history %x of %d steps, then %x of %d", seed, a.hash, a.steps, b.hash, b.steps)
		}
	}
}

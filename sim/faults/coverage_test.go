package faults

import (
	"sync/atomic"
	"testing"

	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/limiter"
)

// A coverage counts what the oracles looked at.
type coverage struct {
	all, spent, faulty, both, excused atomic.Int64 // windows of exact limits
	offered, unused                   atomic.Int64
	// Decisions, what was heard of them on the topic, and what was not believed.
	made, believed, unbelieved, refused atomic.Int64
	verdicts                            [4]atomic.Int64
}

func (v *coverage) add(o *outcome) {
	if o.judge != nil {
		v.addJudge(o.judge)
		return
	}
	v.offered.Add(o.oracle.offered)
	v.unused.Add(o.oracle.unused)
	for _, ts := range o.oracle.tallies {
		for _, t := range ts {
			if !t.exact || t.algorithm != limiter.FixedWindow {
				continue
			}
			for _, c := range t.cells {
				v.addCell(c)
			}
		}
	}
}

func (v *coverage) addCell(c *cell) {
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

func (v *coverage) addJudge(j *judge) {
	v.made.Add(j.made)
	v.believed.Add(j.believed)
	v.unbelieved.Add(j.unbelieved)
	v.refused.Add(j.refused)
	for i, n := range j.verdicts {
		v.verdicts[i].Add(n)
	}
}

func (v *coverage) log(t *testing.T) {
	t.Logf("windows of exact limits: %d, spent in full: %d, with a fault meanwhile: %d, of these spent in full: %d, excused: %d",
		v.all.Load(), v.spent.Load(), v.faulty.Load(), v.both.Load(), v.excused.Load())
	if n := v.offered.Load(); n > 0 {
		t.Logf("exact limits in good health: %d of %d units were left unused (%.3f %%)", v.unused.Load(), n, 100*float64(v.unused.Load())/float64(n))
	}
	t.Logf("decisions: %d made; on the topic %d heard, and %d that nobody had signed; %d applied, %d outdated, %d late; %d calls refused",
		v.made.Load(), v.believed.Load(), v.unbelieved.Load(), v.verdicts[gateway.Applied].Load(), v.verdicts[gateway.Outdated].Load(),
		v.verdicts[gateway.Late].Load(), v.refused.Load())
}

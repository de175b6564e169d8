package limiter_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A crowd asks the nodes of a fleet for one key, at random times. Who lacks rights asks
// again when the store has answered, for 5 ms.
type crowd struct {
	*fleet
	limit  *limiter.Limit
	rate   float64 // requests in a second
	random *rand.Rand
	queue  []waiting

	passed, waits int
}

type waiting struct {
	node         *fleetNode
	asked, until time.Time
}

// step lets those ask who do so now.
func (c *crowd) step() {
	if c.random.Float64() < c.rate/10_000 {
		c.queue = append(c.queue, waiting{c.nodes[c.random.IntN(len(c.nodes))], time.Time{}, c.now.Add(5 * time.Millisecond)})
	}
	rest := c.queue[:0]
	for _, w := range c.queue {
		if !w.node.heard.After(w.asked) && c.now.Before(w.until) {
			rest = append(rest, w)
			continue
		}
		switch ok, k := c.take(w.node, c.limit, 7, 1); {
		case ok:
			c.passed++
		case k.Short && c.now.Before(w.until):
			c.waits++
			w.asked = c.now
			rest = append(rest, w)
		}
	}
	c.queue = rest
}

// TestEdge has nodes spend exact limits to the last unit: none is left with a node that does
// not need it while another refuses.
func TestEdge(t *testing.T) {
	for _, algorithm := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		for _, row := range []struct {
			nodes int
			count int64
			load  float64
		}{
			{3, 100, 1}, {10, 100, 1}, {10, 100, 3}, {10, 1000, 1},
		} {
			t.Run(fmt.Sprintf("%s, %d nodes, %d/s, %g times", algorithm, row.nodes, row.count, row.load), func(t *testing.T) {
				const seconds = 3
				pass := func(nodes int, a limiter.Accuracy) *crowd {
					l := &limiter.Limit{Count: row.count, Window: limiter.Window{Length: time.Second}, Algorithm: algorithm, Accuracy: a}
					c := &crowd{fleet: newFleet(t, nodes, limiter.SharerOptions{Lanes: 1}, limiter.Checks), limit: l, rate: row.load * float64(row.count), random: rand.New(rand.NewPCG(1, 1))}
					for len(c.nodes) < row.nodes { // one node is asked whatever all of them are
						c.nodes = append(c.nodes, c.nodes[0])
					}
					c.run(seconds*time.Second, c.step)
					return c
				}
				all, one := pass(row.nodes, limiter.Exact), pass(1, limiter.Eventual)
				var calls uint64
				for _, n := range all.nodes {
					calls += n.sharer.Stats().Calls
				}
				t.Logf("%d passed, and of one node %d; %d waits, %d calls of the store", all.passed, one.passed, all.waits, calls)
				// In the end some nodes hold one that they would have spent next.
				if unused, most := int64(one.passed-all.passed), seconds*row.count*5/10_000+int64(row.nodes)/2; unused > most {
					t.Errorf("%d were left unused, want at most %d", unused, most)
				}
			})
		}
	}
}

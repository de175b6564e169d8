package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A cell is a limit and what it is asked for. Several keys may be under it at
// once, each asked for as much.
type cell struct {
	Count  int64         `json:"count"` // in a window
	Window time.Duration `json:"window_ns"`
	Load   float64       `json:"load"` // as part of the limit
	Spread string        `json:"spread"`
	Keys   int           `json:"keys"`
}

// rate returns the requests in a second, for one key.
func (c *cell) rate() float64 { return c.Load * float64(c.Count) / c.Window.Seconds() }

// share returns which part of the requests comes over one of n nodes.
func (c *cell) share(node, n int) float64 {
	switch c.Spread {
	case "one":
		if node == 0 {
			return 1
		}
		return 0
	case "skewed": // each half as many as the one before
		whole := 2 - 1/float64(int64(1)<<(n-1))
		return 1 / float64(int64(1)<<node) / whole
	}
	return 1 / float64(n)
}

// A pack is what is measured at the same time, by one fleet.
type pack struct {
	Nodes int    `json:"nodes"`
	Cells []cell `json:"cells"`
}

func (p *pack) rate() (sum float64) {
	for i := range p.Cells {
		sum += p.Cells[i].rate() * float64(p.Cells[i].Keys)
	}
	return sum
}

func (p *pack) String() string {
	if len(p.Cells) == 1 {
		c := &p.Cells[0]
		return fmt.Sprintf("%d nodes, %d/%s at %.4g×", p.Nodes, c.Count, shorter(c.Window), c.Load)
	}
	return fmt.Sprintf("%d nodes, %d limits at once", p.Nodes, len(p.Cells))
}

const (
	alone = 5000 // requests a second from which on a limit is measured by itself
	many  = 1000 // and above this only with requests that are spread evenly
)

// packs returns what is measured of a system. Of what takes long, variants get less:
// 3 nodes, and of large limits only the load that just spends them.
func (s *settings) packs(variant bool) []pack {
	var all []pack
	for _, n := range s.nodes {
		if variant && n != 3 && len(s.nodes) > 1 {
			continue
		}
		small := pack{Nodes: n}
		for _, rate := range s.limits {
			for _, load := range []float64{0.5, 1, 3} {
				c := cell{Count: int64(rate*s.window.Seconds() + 0.5), Window: s.window, Load: load, Keys: 1}
				if rate <= 20 {
					c.Keys = 10
				}
				if rate > alone {
					c.Spread = "even"
					if !s.omits(n, load, variant) {
						all = append(all, pack{n, []cell{c}})
					}
					continue
				}
				for _, c.Spread = range s.spreads {
					if c.Spread == "even" || n > 1 && rate < many {
						small.Cells = append(small.Cells, c)
					}
				}
			}
		}
		if len(small.Cells) > 0 {
			all = append(all, small)
		}
	}
	return all
}

// omits reports whether a limit that is measured by itself is left out at a load,
// to keep all of it short: with one node nothing is shared, and with many
// only what is hardest tells something new.
func (s *settings) omits(nodes int, load float64, variant bool) bool {
	if len(s.nodes) == 1 {
		return false
	}
	return variant && load != 1 || nodes == 1 || nodes > 3 && load < 3
}

// A subject is one key under a cell's limit.
type subject struct {
	cell    *cell
	index   int // in the pack
	name    string
	key     limiter.Key
	limit   *limiter.Limit
	streams []*stream // by node
}

// subjects returns those of a pack; of a pack that is measured once more, they have
// other names.
func (p *pack) subjects(run string, algorithm limiter.Algorithm, accuracy limiter.Accuracy) []*subject {
	var all []*subject
	var seed limiter.Seed
	for i := range p.Cells {
		c := &p.Cells[i]
		for k := range c.Keys {
			name := strings.ReplaceAll(fmt.Sprintf("%s-%d-%d", run, i, k), " ", "-")
			sub := &subject{cell: c, index: len(all), name: name, key: seed.Key(name)}
			sub.limit = &limiter.Limit{
				Count: c.Count, Window: limiter.Window{Length: c.Window}, Algorithm: algorithm, Accuracy: accuracy,
			}
			for node := range p.Nodes {
				sub.streams = append(sub.streams, newStream(c.rate()*c.share(node, p.Nodes), uint64(len(all)), uint64(node)))
			}
			all = append(all, sub)
		}
	}
	return all
}

// shorter writes 1m and not 1m0s.
func shorter(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

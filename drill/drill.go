// Package drill makes something fail in a cluster of its own, under load, and measures
// what held of what is promised. It touches nothing that it did not start.
package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-project/weir/cluster"
)

// Options say what a drill is made with. Weir is required.
type Options struct {
	// Weir is the path of the binary that the nodes run.
	Weir string
	// BrokerCommand are its arguments for a broker apart, see [Serve].
	BrokerCommand []string
	// Gateways and Managers are how many there are; zero: 3 and 2.
	Gateways, Managers int
	// Store is the address of a Redis or Valkey to be used, host:port without a
	// password; empty: one is started. Drills that would harm it refuse.
	Store string
	// Progress, if not nil, is told of each step, in a line.
	Progress func(text string)
}

// A Drill is a failure that can be made.
type Drill struct {
	Name string `json:"name"`
	// About is what happens in it.
	About string `json:"about"`
	// OwnStore tells that it kills or empties the store, so that one is started.
	OwnStore bool `json:"own_store"`
}

// List returns all drills, in the order in which they are worth reading.
func List() []Drill {
	var all []Drill
	for _, p := range plans() {
		all = append(all, Drill{p.name, p.about, p.store == ownStore || p.store == sentinels})
	}
	return all
}

// A Verdict says whether a promise held.
type Verdict string

// The verdicts.
const (
	Held    Verdict = "held"
	Broken  Verdict = "broken"
	Unclear Verdict = "unclear" // this machine was too busy to tell
)

// A Measure is one figure, and what is promised of it.
type Measure struct {
	What string `json:"what"`
	// Value and Most, what is promised at most, are in Unit: %, ms, s or requests.
	Value   float64 `json:"value"`
	Most    float64 `json:"promised_at_most"`
	Unit    string  `json:"unit"`
	Verdict Verdict `json:"verdict"`
	// At is when the worst window began, in seconds since the load began; of limits
	// that were missed, else zero.
	At float64 `json:"at_s,omitempty"`
}

// An Event is something that was done to the cluster, or seen of it.
type Event struct {
	At   float64 `json:"at_s"` // seconds since the load began
	What string  `json:"what"`
}

// A Report is what came of a drill. Its JSON form is stable.
type Report struct {
	Drill    string    `json:"drill"`
	About    string    `json:"about"`
	Requests int64     `json:"requests"`
	Events   []Event   `json:"events"`
	Measures []Measure `json:"measures"`
	// Held tells that no promise was broken.
	Held bool `json:"held"`
}

// ErrUnknown is in the chain of the error for a drill that there is none of.
var ErrUnknown = errors.New("there is no such drill")

// Run makes one drill, which takes about half a minute. An error is that it could not
// be made; whether promises held, the report says. When ctx is done all is stopped, and
// the error is its.
func Run(ctx context.Context, name string, o Options) (*Report, error) {
	all := plans()
	i := slices.IndexFunc(all, func(p plan) bool { return p.name == name })
	if i < 0 {
		var names []string
		for _, p := range all {
			names = append(names, p.name)
		}
		return nil, fmt.Errorf("%w: %s: there is %s", ErrUnknown, name, strings.Join(names, ", "))
	}
	if o.Gateways == 0 {
		o.Gateways = 3
	}
	if o.Managers == 0 {
		o.Managers = 2
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	r := &run{plan: &all[i], options: &o, limits: limits()}
	report, err := r.make(ctx)
	if err != nil {
		return nil, fmt.Errorf("drill %s: %w", name, err)
	}
	return report, nil
}

// The limits of every drill. Each is driven at the same rate by requests of its own,
// evenly over all gateways; free has none, and is what the others are compared with.
const (
	exact    = "exact"
	bounded  = "bounded"
	eventual = "eventual"
	free     = "free"

	rate = 250 // requests a second
)

func limits() []*cluster.Limit {
	return []*cluster.Limit{
		{Name: exact, Count: 100, Per: time.Second, Accuracy: exact},
		{Name: bounded, Count: 100, Per: time.Second, Accuracy: bounded},
		{Name: eventual, Count: 500, Per: 5 * time.Second, Accuracy: eventual},
		{Name: free},
	}
}

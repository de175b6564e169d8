package faults

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A trouble is a fault of fleets that decide: see fault.
type trouble uint32

const (
	gatewayCrash trouble = 1 << iota // a gateway ends at once, and what it has not told with it
	managerCrash                     // a traffic manager ends at once; the next run knows nothing
	nodePause                        // a process stops, and goes on with what it had
	nodeDrift                        // monotonic clocks are fast or slow by up to 200 ppm
	nodeWall                         // wall clocks are off by minutes, and are set
	wayLoss                          // messages are lost, calls and decisions
	wayDouble                        // they come twice
	waySlow                          // they take up to 20 s, and overtake each other
	wayMute                          // answers are lost, what they are to is done
	wayCut                           // gateways and traffic managers are apart: in both directions, or one
	topicDeaf                        // the topic does not reach a gateway
	topicAway                        // the broker is away
	forgery                          // somebody without the secret says things on the topic
	replayed                         // somebody says again what was said before
	newLimits                        // traffic managers learn of other limits
	troubleCount = iota
)

var troubleNames = [troubleCount]string{
	"gateway-crash", "manager-crash", "pause", "drift", "wall", "loss", "double", "slow", "mute", "cut",
	"deaf", "away", "forgery", "replayed", "limits",
}

func (t trouble) String() string {
	var names []string
	for i, name := range troubleNames {
		if t&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// A fleetPlan is what a seed says of a fleet that decides.
type fleetPlan struct {
	seed               uint64
	gateways, managers int
	troubles           trouble
	every              int64 // between two troubles, on average
	active, calm       int64
	rate               float64 // calls a second
	refunds            float64 // part of the calls that no backend is asked
	usual              int64   // what a message takes
	customers          []customer
	versions           []gateway.Definition // of the limits: one is in force, at traffic managers
}

// A customer is an application that calls, and is held to a limit of its own.
type customer struct {
	weight float64
	header headers // with its API key
	limits []*limiter.Limit
}

// decides reports whether a seed is that of a fleet that decides: the others are of nodes
// that share counters.
func decides(seed uint64) bool { return seed%5 == 3 }

// newFleetPlan returns the plan of a seed.
func newFleetPlan(seed uint64) *fleetPlan {
	c := newChance(seed)
	p := &fleetPlan{
		seed:     seed,
		gateways: 2 + c.IntN(3),
		managers: pick(c, 1, 1, 2, 3),
		every:    c.spread(second, 8*second),
		active:   c.between(20, 60) * second,
		calm:     24 * second,
		rate:     float64(c.spread(30, 600)),
		refunds:  pick(c, 0, 0.02, 0.2),
		usual:    c.spread(50*microsecond, 3*millisecond),
	}
	if part := pick(c, 0, 0.1, 0.2, 0.4); part > 0 {
		for i := range troubleCount {
			if c.of(part) {
				p.troubles |= 1 << i
			}
		}
	}
	p.chooseCustomers(c)
	for v := range p.customers[0].limits {
		p.versions = append(p.versions, p.definition(v))
	}
	return p
}

func (p *fleetPlan) has(t trouble) bool { return p.troubles&t != 0 }

func (p *fleetPlan) chooseCustomers(c chance) {
	n := 1 + c.IntN(len(fleetKeys))
	versions := 1
	if p.has(newLimits) {
		versions = 3
	}
	for i := range n {
		u := customer{weight: float64(c.spread(1, 20)), header: headers{"ApiKey", fleetKeys[i].text}}
		algorithm := pick(c, limiter.FixedWindow, limiter.FixedWindow, limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket)
		length := pick(c, time.Second, 5*time.Second, 10*time.Second, time.Minute)
		for range versions {
			asked := p.rate * length.Seconds() / float64(n)
			u.limits = append(u.limits, &limiter.Limit{
				Algorithm: algorithm, Window: limiter.Window{Length: length},
				Count: max(int64(asked*pick(c, 0.05, 0.2, 0.5, 0.9, 2)), 1),
			})
		}
		p.customers = append(p.customers, u)
	}
}

// definition returns what gateways serve, with one version of the limits.
func (p *fleetPlan) definition(version int) gateway.Definition {
	d := gateway.Definition{
		APIs: []gateway.API{{
			Name: "pizza", Version: "1", Context: "/pizza/1", Tier: weir.Unlimited,
			Production: &gateway.Endpoints{URLs: []string{"http://127.0.0.1:1"}},
			Resources:  []gateway.Resource{{Method: "GET", Template: "/menu"}},
		}},
		Policies: policy.Definition{Policies: []policy.Policy{
			{Kind: policy.Advanced, Name: weir.Unlimited}, {Kind: policy.Subscription, Name: weir.Unlimited},
		}},
	}
	for i := range p.customers {
		tier := fmt.Sprint("Tier", i)
		d.Applications = append(d.Applications, identity.Application{
			ID: applicationIDs[i], Name: fmt.Sprint("shop", i), Owner: "alice", Tier: tier,
			Keys:          []identity.Key{{Type: weir.Production, Hash: fleetKeys[i].hash}},
			Subscriptions: []identity.Subscription{{API: "pizza", Version: "1", Tier: weir.Unlimited}},
		})
		d.Policies.Policies = append(d.Policies.Policies, policy.Policy{
			Kind: policy.Application, Name: tier, Limit: p.customers[i].limits[version],
		})
	}
	return d
}

// An apiKey is a customer's. Which one it is changes nothing but itself.
type apiKey struct{ text, hash string }

var fleetKeys = func() (keys [6]apiKey) {
	for i := range keys {
		keys[i].text, keys[i].hash = identity.NewKey()
	}
	return keys
}()

// applicationIDs are such that a traffic manager, which goes through its keys part by part,
// has each of them in another part: so their order is the same in every run.
var applicationIDs = [len(fleetKeys)]string{"20", "21", "22", "23", "24", "25"}

// headers are those of a call, names and values in turn.
type headers []string

// Value implements weir.Values.
func (h headers) Value(name string) (string, bool) {
	for i := 0; i < len(h); i += 2 {
		if strings.EqualFold(h[i], name) {
			return h[i+1], true
		}
	}
	return "", false
}

// Each implements gateway.Headers.
func (h headers) Each(name string, f func(string) bool) {
	if v, ok := h.Value(name); ok {
		f(v)
	}
}

// describe returns the plan in words.
func (p *fleetPlan) describe() string {
	s := fmt.Sprintf("%d gateways, %d traffic managers that decide, %.0f calls a second, messages take %v, faults: %v",
		p.gateways, p.managers, p.rate, time.Duration(p.usual), p.troubles)
	for i, u := range p.customers {
		s += fmt.Sprintf("\n  customer %d: %v", i, u.limits)
	}
	return s
}

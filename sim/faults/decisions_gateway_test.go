package faults

import (
	"net/netip"

	"github.com/weir-project/weir/broker"
	events "github.com/weir-project/weir/event"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
)

// A gatewayNode is the process of a gateway.
type gatewayNode struct {
	process
	id   int
	gate *gate // nil while it is down
}

// A gate is a run of a gateway: the real one, with its ledger of what it counted, and the
// way to each traffic manager.
type gate struct {
	node    *gatewayNode
	run     int // of the process
	name    int // among all runs of gateways
	id      uint64
	gateway *gateway.Gateway
	links   []*link
	dirty   bool // something was spent that is not told yet
	known   map[limiter.Key][]*held
	late    map[*issued]bool  // when it heard of them, as far as it knew the other clock
	floor   map[string]uint64 // of issuers that live: the last decision when it was told all that hold
}

// backends are those of all fleets; nobody calls them.
var backends upstream.Registry

func (g *gatewayNode) begin() {
	g.started()
	f := g.fleet
	r := &gate{node: g, run: g.run, id: f.chance.Uint64() | 1, known: map[limiter.Key][]*held{}, late: map[*issued]bool{}, floor: map[string]uint64{}}
	var err error
	r.gateway, err = gateway.New(gateway.Options{
		Limiter: limiter.New(limiter.Options{MaxKeys: 4096}), Seed: fleetSeed, Targets: &backends,
		Events: gateway.EventOptions{To: r},
	})
	if err == nil {
		err = r.gateway.Apply(f.plan.versions[0])
	}
	if err != nil {
		panic(err)
	}
	g.gate = r
	f.judge.gateBegins(r)
	for i := range f.managers {
		l := &link{gate: r, to: f.managers[i]}
		r.links = append(r.links, l)
		r.after(f.chance.between(0, 30*millisecond), l.next)
	}
	r.nextCall()
	if f.chance.of(0.5) {
		r.after(f.chance.between(0, second), r.relearn)
	}
}

// relearn has a run that has just begun hear what was said before it, of windows that are
// open.
func (r *gate) relearn() {
	now := r.node.read()
	for _, s := range r.node.fleet.said {
		if s.decision.Ends.After(now) {
			r.after(r.node.fleet.chance.between(0, second), func() { r.hear(s) })
		}
	}
}

// after has this run do something in a while: later, if it is stopped then.
func (r *gate) after(d int64, do func()) { r.node.at(r.node.fleet.now+d, r.run, do) }

// crash ends the process at once.
func (g *gatewayNode) crash() {
	g.fleet.history.printf(g.fleet.now, "gateway %d crashes", g.id)
	g.up, g.gate = false, nil
}

// nextCall schedules the next call.
func (r *gate) nextCall() {
	f := r.node.fleet
	mean := int64(1e9 * float64(f.plan.gateways) / f.plan.rate)
	r.after(f.chance.after(mean), func() {
		r.nextCall()
		n := 1
		if f.chance.IntN(100) == 0 {
			n = int(f.chance.between(2, 20))
		}
		for range n {
			r.call(f.anyCustomer())
		}
	})
}

// anyCustomer returns the number of one.
func (f *fleet) anyCustomer() int {
	var all float64
	for i := range f.plan.customers {
		all += f.plan.customers[i].weight
	}
	x := f.chance.Float64() * all
	for i := range f.plan.customers {
		if x -= f.plan.customers[i].weight; x < 0 {
			return i
		}
	}
	return 0
}

var caller = netip.MustParseAddrPort("192.0.2.1:4711")

// newExchange returns a customer's call.
func (r *gate) newExchange(customer int) *gateway.Exchange {
	f := r.node.fleet
	x := new(gateway.Exchange)
	if n := len(f.spare); n > 0 {
		x, f.spare = f.spare[n-1], f.spare[:n-1]
	}
	x.Time, x.Method, x.Host, x.Path, x.Peer = r.node.read(), "GET", "api.example", "/pizza/1/menu", caller
	x.Headers = f.plan.customers[customer].header
	return x
}

func (f *fleet) free(x *gateway.Exchange) {
	x.Reset()
	f.spare = append(f.spare, x)
}

// call is one of a customer's, to its end.
func (r *gate) call(customer int) {
	f := r.node.fleet
	x := r.newExchange(customer)
	refused := r.gateway.Admit(x) != nil
	f.judge.called(r, x, customer, refused)
	switch {
	case refused:
		r.gateway.Finish(x, gateway.Outcome{})
	case f.chance.of(f.plan.refunds):
		r.spent()
		r.after(f.chance.spread(100*microsecond, 700*millisecond), func() {
			r.gateway.Finish(x, gateway.Outcome{Time: r.node.read()})
			r.spent()
			f.free(x)
		})
		return
	default:
		r.gateway.Finish(x, gateway.Outcome{Forwarded: true})
		r.spent()
	}
	f.free(x)
}

// spent has what was spent told in a moment.
func (r *gate) spent() {
	if r.dirty {
		return
	}
	r.dirty = true
	r.after(10*millisecond, func() {
		r.dirty = false
		if err := r.gateway.Run(expired); err != nil { // tells all there is, and ends
			panic(err)
		}
	})
}

// Events implements gateway.Told.
func (r *gate) Events(n uint64, body events.Body) {
	body = sorted(body)
	for _, l := range r.links {
		l.push(parcel{n, r.node.fleet.now, body})
	}
}

// hear takes what somebody says on the topic.
func (r *gate) hear(s *saying) {
	f := r.node.fleet
	m, err := broker.Parse(fleetSecret, s.topic, s.message)
	if !f.judge.heard(r, s, &m, err) {
		return
	}
	r.decide(m.Decision, r.skew(m.Decision.Issuer))
}

// skew returns what is known of the clock of a traffic manager's run.
func (r *gate) skew(issuer string) *skew {
	for _, l := range r.links {
		if l.issuer == issuer {
			return &l.skew
		}
		for i := range l.former {
			if l.former[i].issuer == issuer {
				return &l.former[i].skew
			}
		}
	}
	return new(skew)
}

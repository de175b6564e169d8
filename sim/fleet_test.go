package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/uplink"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/trafficmanager"
	"github.com/weir-project/weir/trafficmanager/ingest"
)

// A fleet is gateways and traffic managers of one story, as processes of their own
// that reach each other over a network and a topic, in virtual time.
type fleet struct {
	*story
	t        *testing.T
	ctx      context.Context
	network  network
	topic    *topic
	secret   broker.Secret
	seed     limiter.Seed
	shape    fleetShape
	gateways []*gatewayNode
	managers []*managerNode
	prefix   string // of the files that are laid over the project
	next     int    // gateway that takes the next call of a load
	admitted int    // calls of loads since it was looked at last
	refused  int
}

// A fleetShape says what a fleet is made of.
type fleetShape struct {
	gateways, managers int
	alone              bool // gateways tell nobody
	groups             bool // each traffic manager is a group of its own
}

// A node is a process.
type node struct {
	name   string
	ahead  atomic.Int64 // of the true time, in nanoseconds
	stop   context.CancelFunc
	runs   sync.WaitGroup
	killed bool
}

func (n *node) time() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) }

// spawn runs f until the node is killed.
func (n *node) spawn(ctx context.Context, f func(context.Context) error) {
	n.runs.Go(func() {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			panic(fmt.Sprintf("%s: %v", n.name, err))
		}
	})
}

// A gatewayNode is a gateway with its uplink.
type gatewayNode struct {
	node
	*world
	uplink *uplink.Uplink

	mu      sync.Mutex
	verdict map[gateway.Verdict]int
	ignored int
}

// A managerNode is a traffic manager with its port.
type managerNode struct {
	node
	address string
	host    *host
	manager *trafficmanager.Manager
	starts  int
}

// user is what gateways know traffic managers by.
const user, password = "fleet", "a password of the fleet"

func newFleet(t *testing.T, s *story, shape fleetShape) *fleet {
	f := &fleet{
		story: s, t: t, ctx: t.Context(), topic: newTopic(), shape: shape,
		secret: broker.NewSecret([]byte(password)), seed: limiter.SeedOf([]byte(password)),
	}
	for i := range shape.managers {
		f.managers = append(f.managers, &managerNode{
			node: node{name: fmt.Sprint("m", i+1), killed: true}, address: fmt.Sprint("127.0.0.", i+1),
		})
	}
	for i := range shape.gateways {
		f.gateways = append(f.gateways, &gatewayNode{node: node{name: fmt.Sprint("g", i+1), killed: true}})
	}
	return f
}

// start starts what the fleet has; a node that its script starts later is not there.
func (f *fleet) start(late []string) error {
	var errs []error
	for _, m := range f.managers {
		if !slices.Contains(late, m.name) {
			errs = append(errs, f.startManager(m))
		}
	}
	for _, g := range f.gateways {
		if !slices.Contains(late, g.name) {
			errs = append(errs, f.startGateway(g))
		}
	}
	return errors.Join(errs...)
}

// end ends all that runs.
func (f *fleet) end() {
	for _, g := range f.gateways {
		f.killGateway(g)
	}
	for _, m := range f.managers {
		f.killManager(m)
	}
}

func (f *fleet) startManager(m *managerNode) error {
	if !m.killed {
		return errors.New("runs already")
	}
	m.killed = false
	m.starts++
	var err error
	m.manager, err = trafficmanager.New(trafficmanager.Options{
		Limiter: limiter.New(limiter.Options{}), Issuer: fmt.Sprintf("%s#%d", m.name, m.starts), ID: rand.Uint64() | 1,
		Publisher: f,
	})
	if err != nil {
		return err
	}
	if err := f.applyManager(m, f.prefix); err != nil {
		return err
	}
	policies := f.known[f.prefix].Policies // those of its start: gateways don't ask for others
	h, err := ingest.New(ingest.Options{
		Manager: m.manager, Users: []ingest.User{{Name: user, Password: password}}, Now: m.time,
		Definition: func() *policy.Definition { return &policies },
	})
	if err != nil {
		return err
	}
	var ctx context.Context
	ctx, m.stop = context.WithCancel(f.ctx)
	m.host = f.network.listen(m.address)
	server := &http.Server{Handler: h}
	m.spawn(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		return server.Close()
	})
	l := m.host
	m.runs.Go(func() { _ = server.Serve(l) }) // until it is killed
	return nil
}

// applyManager makes the policies of the project, with the files under prefix laid
// over it, those of a traffic manager.
func (f *fleet) applyManager(m *managerNode, prefix string) error {
	d, err := f.definition(prefix)
	if err != nil {
		return err
	}
	set, err := policy.Compile(d.Policies, policy.Options{Seed: f.seed, Compiler: f.rules})
	if err != nil {
		return err
	}
	m.manager.Apply(m.time(), set)
	return nil
}

// definition returns the project with the files under prefix laid over it.
func (s *story) definition(prefix string) (gateway.Definition, error) {
	d, ok := s.known[prefix]
	if ok {
		return d, nil
	}
	d, err := s.load(prefix)
	if err == nil {
		s.known[prefix] = d
	}
	return d, err
}

// Publish implements trafficmanager.Publisher.
func (f *fleet) Publish(d *weir.Decision) {
	// While the broker is away nobody hears: gateways have it from the answers.
	_ = f.topic.Publish(f.ctx, broker.ThrottleData, broker.AppendDecision(nil, f.secret, d))
}

func (f *fleet) startGateway(g *gatewayNode) error {
	if !g.killed {
		return errors.New("runs already")
	}
	g.killed = false
	o := f.options()
	o.Seed = f.seed
	var ctx context.Context
	ctx, g.stop = context.WithCancel(f.ctx)
	if !f.shape.alone {
		if err := f.newUplink(g); err != nil {
			return err
		}
		o.Events.To, o.Events.Away = g.uplink, g.uplink.Away
	}
	var err error
	if g.world, err = f.beginWith(o); err != nil {
		return err
	}
	if f.prefix != "" {
		if err := g.world.apply(f.prefix); err != nil {
			return err
		}
	}
	g.verdict = map[gateway.Verdict]int{}
	own := g.world.gateway
	if !f.shape.alone {
		up := g.uplink
		g.spawn(ctx, up.Run)
		g.spawn(ctx, func(ctx context.Context) error { return broker.Listen(ctx, f.topic, f.secret, g) })
	}
	g.spawn(ctx, own.Run)
	return nil
}

func (f *fleet) newUplink(g *gatewayNode) error {
	var groups []uplink.Group
	for i, m := range f.managers {
		if i == 0 || f.shape.groups {
			groups = append(groups, uplink.Group{})
		}
		last := &groups[len(groups)-1]
		last.Managers = append(last.Managers, uplink.Manager{URL: "http://" + m.address + ":80"})
	}
	var err error
	g.uplink, err = uplink.New(uplink.Options{
		Groups: groups, Node: g.name, User: user, Password: password, Dial: f.network.dial,
		Restate: func(time.Time) (uint64, []event.Body) { return g.world.gateway.Restate(g.time()) },
		Decide:  g.decide,
		DecideAll: func(issuer string, upTo uint64, ds []weir.Decision, skew time.Duration) {
			g.world.gateway.DecideAll(g.time(), issuer, upTo, ds, skew)
		},
		Retire: func(issuer string) { g.world.gateway.Retire(issuer) },
		Now:    g.time,
	})
	return err
}

func (g *gatewayNode) decide(d *weir.Decision, skew time.Duration) {
	v := g.world.gateway.Decide(g.time(), d, skew)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.verdict[v]++
}

// These implement broker.Listener.

func (g *gatewayNode) Connected()                       {}
func (g *gatewayNode) Lost(error)                       {}
func (g *gatewayNode) Deny(broker.Deny)                 {}
func (g *gatewayNode) KeyTemplate(broker.KeyTemplate)   {}
func (g *gatewayNode) PolicyChange(broker.PolicyChange) {}

func (g *gatewayNode) Decision(d weir.Decision) {
	skew, _ := g.uplink.Skew(d.Issuer)
	g.decide(&d, skew)
}

func (g *gatewayNode) Ignored(broker.FaultKind, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ignored++
}

// killManager ends a traffic manager's process at once.
func (f *fleet) killManager(m *managerNode) {
	if m.killed {
		return
	}
	m.killed = true
	f.network.kill(m.address)
	m.stop()
	m.runs.Wait()
}

// killGateway ends a gateway's process. What it has not told is lost.
func (f *fleet) killGateway(g *gatewayNode) {
	if g.killed {
		return
	}
	g.killed = true
	g.stop()
	g.runs.Wait()
}

// hit sends one call to a gateway.
func (g *gatewayNode) hit(h *hit) error {
	g.world.set(g.time())
	got, err := g.world.admit(h)
	if err != nil {
		return err
	}
	if err := got.truthful(); err != nil {
		return err
	}
	return got.meets(&h.want)
}

// run takes the steps of a script.
func (f *fleet) run(steps []fleetStep) error {
	for i := range steps {
		s := &steps[i]
		if err := f.step(s); err != nil {
			return &stepError{s.line, fmt.Errorf("%s\n\tat %s: %w", s.text, time.Since(start), err)}
		}
	}
	return nil
}

func (f *fleet) step(s *fleetStep) error {
	switch {
	case s.at != nil:
		time.Sleep(time.Until(start.Add(*s.at)))
	case s.wait != 0:
		time.Sleep(s.wait)
	case s.hit != nil && s.rate > 0:
		return f.load(s)
	case s.hit != nil:
		return f.hits(s)
	case s.verb == "admitted":
		n := f.admitted
		f.admitted = 0
		if n < s.between[0] || n > s.between[1] {
			return fmt.Errorf("%d were admitted", n)
		}
	case s.topic != nil:
		f.topic.set(s.topic.up, s.topic.faults)
	case s.apply != "":
		return f.apply(s)
	default:
		return f.fault(s)
	}
	return nil
}

// hits sends calls to one gateway, one after the other.
func (f *fleet) hits(s *fleetStep) error {
	g := f.gateway(s.node)
	if g == nil || g.killed {
		return errors.New("there is no such gateway")
	}
	for range s.hit.times {
		time.Sleep(s.hit.every)
		for i := range s.hit.count {
			if err := g.hit(s.hit); err != nil {
				return fmt.Errorf("call %d of %d: %w", i+1, s.hit.count, err)
			}
		}
	}
	return nil
}

// load sends calls at a constant rate, to one gateway after the other of those that
// run, and counts those that pass.
func (f *fleet) load(s *fleetStep) error {
	n := int(s.duration * time.Duration(s.rate) / time.Second)
	begin := time.Now()
	for i := range n {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(s.rate))))
		g := f.nextGateway(s.on)
		if g == nil {
			return errors.New("no gateway runs")
		}
		g.world.set(g.time())
		got, err := g.world.admit(s.hit)
		if err != nil {
			return err
		}
		if err := got.truthful(); err != nil {
			return err
		}
		if got.outcome == allowed {
			f.admitted++
		} else {
			f.refused++
		}
	}
	return nil
}

func (f *fleet) nextGateway(on []string) *gatewayNode {
	for range f.gateways {
		g := f.gateways[f.next%len(f.gateways)]
		f.next++
		if !g.killed && (on == nil || slices.Contains(on, g.name)) {
			return g
		}
	}
	return nil
}

func (f *fleet) gateway(name string) *gatewayNode {
	for _, g := range f.gateways {
		if g.name == name {
			return g
		}
	}
	return nil
}

func (f *fleet) manager(name string) *managerNode {
	for _, m := range f.managers {
		if m.name == name {
			return m
		}
	}
	return nil
}

// apply makes another project that of all nodes, or of those that are named.
func (f *fleet) apply(s *fleetStep) error {
	if s.on == nil {
		f.prefix = s.apply // also of those that start later
	}
	for _, m := range f.managers {
		if !m.killed && (s.on == nil || slices.Contains(s.on, m.name)) {
			if err := f.applyManager(m, s.apply); err != nil {
				return err
			}
		}
	}
	for _, g := range f.gateways {
		if !g.killed && (s.on == nil || slices.Contains(s.on, g.name)) {
			if err := g.world.apply(s.apply); err != nil {
				return err
			}
		}
	}
	return nil
}

// fault does something to a node.
func (f *fleet) fault(s *fleetStep) error {
	g, m := f.gateway(s.node), f.manager(s.node)
	switch {
	case g == nil && m == nil:
		return errors.New("there is no such node")
	case s.verb == "clock" && g != nil:
		g.ahead.Store(int64(s.ahead))
	case s.verb == "clock":
		m.ahead.Store(int64(s.ahead))
	case s.verb == "kill" && g != nil:
		f.killGateway(g)
	case s.verb == "kill":
		f.killManager(m)
	case s.verb == "start" && g != nil:
		return f.startGateway(g)
	case s.verb == "start":
		return f.startManager(m)
	case g != nil:
		return fmt.Errorf("cannot %s a gateway", s.verb)
	case s.verb == "hang":
		m.host.stop()
	case s.verb == "resume":
		m.host.resume()
	case s.verb == "count":
		return f.count(m, s)
	}
	return nil
}

// count looks at a counter of a traffic manager.
func (f *fleet) count(m *managerNode, s *fleetStep) error {
	stats := m.manager.Stats(m.time())
	got, ok := map[string]uint64{
		"late": stats.Late, "past": stats.Past, "counted": stats.Counted, "repeated": stats.Repeated, "restatements": stats.Restatements,
	}[s.what]
	if !ok {
		return fmt.Errorf("%q is no counter", s.what)
	}
	if int(got) < s.between[0] || int(got) > s.between[1] {
		return fmt.Errorf("is %d", got)
	}
	return nil
}

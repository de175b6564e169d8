package faults

import (
	"io"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/limiter"
)

// A fleet is one run of a fleetPlan: gateways that take calls, traffic managers that count
// what they are told of them and decide which keys are throttled, the ways and the topic
// between, and what goes wrong. Like a world, it happens in one thread.
type fleet struct {
	plan    *fleetPlan
	chance  chance
	queue   queue
	now     int64 // the true time, in nanoseconds since the Unix epoch
	start   int64
	steps   int64
	history *history
	judge   *judge

	net      network // from gateways to traffic managers, and back
	deaf     []bool  // gateways that the topic does not reach
	away     bool    // the broker is
	gateways []*gatewayNode
	managers []*managerNode
	said     []*saying           // on the topic, of late
	spare    []*gateway.Exchange // for use again

	faulty int   // how many troubles there are now
	healed int64 // when the last of them ended
}

// fleetSecret is what those who belong to the fleet sign with, and fleetSeed that of its keys.
var (
	fleetSecret = broker.NewSecret([]byte("the secret of the fleet"))
	fleetSeed   = limiter.SeedOf([]byte("the secret of the fleet"))
)

// newFleet returns the fleet of a plan; a history is written to out unless that is nil.
func newFleet(p *fleetPlan, out io.Writer) *fleet {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() + int64(p.seed%3600)*second
	f := &fleet{
		plan: p, chance: newChance(^p.seed), now: start, start: start, history: newHistory(out, start),
		net:  network{usual: p.usual, there: grid(p.gateways, p.managers), back: grid(p.gateways, p.managers)},
		deaf: make([]bool, p.gateways),
	}
	f.judge = newJudge(f)
	for i := range p.managers {
		m := &managerNode{process: newProcess(f), id: i}
		f.managers = append(f.managers, m)
		m.begin()
	}
	for i := range p.gateways {
		g := &gatewayNode{process: newProcess(f), id: i}
		f.gateways = append(f.gateways, g)
		g.begin()
	}
	if p.troubles&^nodeDrift != 0 {
		f.after(f.chance.after(p.every), f.plague)
	}
	f.after(second, f.judge.look)
	return f
}

// after has something happen in a while.
func (f *fleet) after(d int64, do func()) { f.queue.push(f.now+d, event{do: do}) }

// run lets the fleet go on until the plan's end, or something is wrong.
func (f *fleet) run() {
	for end := f.calmAt() + f.plan.calm; f.now < end && f.judge.wrong == nil; {
		at, e := f.queue.pop()
		f.now = at
		f.steps++
		f.history.add(at, f.steps, 0)
		e.do()
	}
	f.history.printf(f.now, "end after %d steps", f.steps)
}

// calmAt returns from when on nothing goes wrong any more.
func (f *fleet) calmAt() int64 { return f.start + f.plan.active }

// show returns a time as the history shows it.
func (f *fleet) show(at int64) string { return showSince(f.start, at) }

// A process is that of a gateway or a traffic manager. It ends and begins anew; each time is
// a run.
type process struct {
	fleet  *fleet
	clock  clock
	run    int   // how often it has begun
	up     bool  // it runs, or is stopped
	paused int64 // until then nothing of it runs
	set    int64 // when its wall clock was set last
}

func newProcess(f *fleet) process {
	var p process
	p.fleet = f
	if f.plan.has(nodeDrift) {
		p.clock.drift = f.chance.between(-200_000, 200_000)
	}
	if f.plan.has(nodeWall) {
		p.clock.ahead = f.chance.between(-300*second, 300*second)
	}
	return p
}

// started makes a new run of it.
func (p *process) started() {
	p.run++
	p.up = true
	p.clock.boot = p.fleet.now - p.fleet.chance.between(0, 1000*second)
}

// read returns what its clock shows.
func (p *process) read() time.Time { return p.clock.read(p.fleet.now) }

// after has this run do something in a while: later, if it is stopped then.
func (p *process) after(d int64, do func()) { p.at(p.fleet.now+d, p.run, do) }

func (p *process) at(at int64, run int, do func()) {
	p.fleet.queue.push(at, event{do: func() {
		switch {
		case !p.up || p.run != run:
		case p.fleet.now < p.paused:
			p.at(p.paused, run, do)
		default:
			do()
		}
	}})
}

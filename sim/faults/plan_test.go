package faults

import (
	"strings"
	"time"

	"github.com/weir-project/weir/limiter"
)

// A fault is something that goes wrong now and then in a run in which it is enabled.
type fault uint32

const (
	crash      fault = 1 << iota // a node ends at once; a new run of it begins later
	pause                        // a node stops for up to two minutes, and goes on with what it had
	stall                        // one operation stops in its middle, and others don't
	drift                        // monotonic clocks are fast or slow by up to 200 ppm
	wall                         // wall clocks are off, and are set
	loss                         // messages are lost
	double                       // messages come twice
	slow                         // messages take up to a minute, and overtake each other
	mute                         // the answers of the store are lost, what they are to is done
	cut                          // nodes and servers are apart: in both directions, or one
	failover                     // the primary dies, and a replica takes its place
	isolate                      // the primary lives on without its replicas, some nodes with it
	lag                          // replicas are far behind
	hang                         // a server stops, and goes on
	flush                        // the store's data is deleted
	empty                        // the primary restarts without its data
	old                          // the primary restarts with data of some time ago
	timeshift                    // the servers' clocks differ
	relimit                      // limits are changed
	faultCount = iota
)

var faultNames = [faultCount]string{
	"crash", "pause", "stall", "drift", "wall", "loss", "double", "slow", "mute", "cut", "failover",
	"isolate", "lag", "hang", "flush", "empty", "old", "timeshift", "relimit",
}

func (f fault) String() string {
	var names []string
	for i, name := range faultNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// A plan is what a seed says of a run: how large it is, what is counted, and which
// faults there are.
type plan struct {
	seed    uint64
	sharing limiter.Sharing
	nodes   int
	servers int
	faults  fault
	every   int64 // between two faults, on average
	active  int64 // for how long there are faults, and requests
	calm    int64 // for how long there are requests afterwards, and no faults
	rate    float64
	lanes   int
	timeout int64
	network int64 // what a message takes
	limits  []limitPlan
	clients []client
}

// A limitPlan is a limit of which there are versions: one is in force, until limits
// are changed.
type limitPlan struct {
	versions []*limiter.Limit
	keys     int
	first    int // the subject of its first key
}

// A client makes requests, each of which must pass the limits of some subjects.
type client struct {
	weight   float64
	subjects []int
	heavy    bool // some of its requests count more than once
	bytes    bool // the size of its answers is counted
	// It makes requests for some time, and none for another; zero: it never stops.
	wakes, sleeps int64
}

// newPlan returns the plan of a seed.
func newPlan(seed uint64) *plan {
	c := newChance(seed)
	p := &plan{
		seed:    seed,
		sharing: limiter.Checks,
		nodes:   2 + c.IntN(4),
		servers: pick(c, 1, 3, 3),
		every:   c.spread(2*second, 20*second),
		active:  c.between(40, 110) * second,
		calm:    12 * second,
		rate:    float64(c.spread(60, 1200)),
		lanes:   1 + c.IntN(4),
		timeout: pick(c, int64(50), 100, 100, 100) * millisecond,
		network: c.spread(50*microsecond, 3*millisecond),
	}
	if c.of(0.25) {
		p.sharing = limiter.Records
		p.nodes = 2 + c.IntN(2)
	}
	p.faults = p.chooseFaults(c)
	p.chooseLimits(c)
	p.chooseClients(c)
	return p
}

// chooseFaults enables a random few: one in ten runs has none.
func (p *plan) chooseFaults(c chance) fault {
	var f fault
	if c.of(0.1) {
		return 0
	}
	part := pick(c, 0.1, 0.2, 0.4)
	for i := range faultCount {
		if c.of(part) {
			f |= 1 << i
		}
	}
	if p.servers == 1 {
		f &^= failover | isolate | lag
	}
	return f
}

func (p *plan) chooseLimits(c chance) {
	for range 1 + c.IntN(4) {
		l := limitPlan{keys: 1 + c.IntN(3)}
		for _, o := range p.limits {
			l.first += o.keys
		}
		first := p.newLimit(c)
		l.versions = append(l.versions, first)
		for range 3 {
			next := *first
			if p.faults&relimit != 0 {
				next.Count = max(int64(float64(first.Count)*pick(c, 0.3, 0.8, 1, 1.5, 3)), 1)
				if first.Burst > 0 {
					next.Burst = max(int64(float64(first.Burst)*pick(c, 0.5, 1, 2)), 1)
				}
				if c.of(0.2) {
					next.Window.Length = pick(c, time.Second, 10*time.Second, time.Minute)
				}
			}
			l.versions = append(l.versions, &next)
		}
		p.limits = append(p.limits, l)
	}
}

// newLimit returns a limit that is somewhere about what is asked for.
func (p *plan) newLimit(c chance) *limiter.Limit {
	l := &limiter.Limit{
		Algorithm:   pick(c, limiter.FixedWindow, limiter.FixedWindow, limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket),
		Accuracy:    pick(c, limiter.Exact, limiter.Exact, limiter.Bounded, limiter.Bounded, limiter.Eventual),
		OnStoreLoss: limiter.OnStoreLoss(c.IntN(4)),
		Window:      limiter.Window{Length: pick(c, time.Second, 10*time.Second, 10*time.Second, time.Minute)},
		Cost:        pick(c, limiter.Requests, limiter.Requests, limiter.Requests, limiter.Bytes),
	}
	if l.Accuracy == limiter.Exact || l.Cost == limiter.Bytes {
		l.Accuracy = pick(c, l.Accuracy, limiter.Exact)
	}
	asked := p.rate * l.Window.Length.Seconds() / float64(c.between(1, 4))
	if l.Cost == limiter.Bytes {
		asked *= 500
	}
	l.Count = max(int64(asked*pick(c, 0.05, 0.2, 0.4, 0.7, 0.9, 1.2, 3)), 1)
	if c.of(0.1) {
		l.Count = c.between(0, 7)
	}
	if l.Algorithm == limiter.TokenBucket {
		l.Burst = max(int64(float64(l.Count)*pick(c, 0.1, 0.5, 1, 2)), 1)
	}
	return l
}

func (p *plan) chooseClients(c chance) {
	for range 1 + c.IntN(5) {
		cl := client{weight: float64(c.spread(1, 100)), heavy: c.of(0.2)}
		if c.of(0.3) {
			cl.wakes, cl.sleeps = c.spread(second, 10*second), c.spread(second, 30*second)
		}
		for _, l := range p.limits {
			if !c.of(0.6) && len(p.limits) > 1 {
				continue
			}
			cl.subjects = append(cl.subjects, l.first+c.IntN(l.keys))
			cl.bytes = cl.bytes || l.versions[0].Cost == limiter.Bytes
		}
		if len(cl.subjects) == 0 {
			cl.subjects = append(cl.subjects, p.limits[0].first)
			cl.bytes = p.limits[0].versions[0].Cost == limiter.Bytes
		}
		p.clients = append(p.clients, cl)
	}
}

// has reports whether a fault is enabled.
func (p *plan) has(f fault) bool { return p.faults&f != 0 }

// subjects returns how many there are: a subject is a key of a limit.
func (p *plan) subjects() int {
	n := 0
	for _, l := range p.limits {
		n += l.keys
	}
	return n
}

// limitOf returns the index of a subject's limit.
func (p *plan) limitOf(subject int) int {
	i := 0
	for subject >= p.limits[i].first+p.limits[i].keys {
		i++
	}
	return i
}

// overdrawn reports whether more may be missing in a bucket than flows into it in a while,
// since what is recorded, and the bytes of an answer, are charged whatever is left,
// and limits may be lowered.
func (p *plan) overdrawn() bool {
	for _, l := range p.limits {
		if v := l.versions[0]; v.Algorithm == limiter.TokenBucket && (p.sharing == limiter.Records || v.Cost == limiter.Bytes || p.has(relimit) || v.OnStoreLoss != limiter.Closed) {
			return true
		}
	}
	return false
}

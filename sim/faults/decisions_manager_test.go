package faults

import (
	"fmt"

	"github.com/weir-project/weir"
	events "github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/trafficmanager"
)

// A managerNode is the process of a traffic manager: the real one, which counts what it is
// told and decides; a run knows nothing of the ones before.
type managerNode struct {
	process
	id      int
	version int // of the limits
	issuer  string
	manager *trafficmanager.Manager
	limiter *limiter.Limiter
	decoder events.Decoder
}

// mostRuns is how many runs of traffic managers there are at most: gateways keep decisions
// of no more than eight issuers on a key until they forget what is over, which here nobody
// tells them to.
const mostRuns = 8

func (m *managerNode) begin() {
	m.started()
	f := m.fleet
	m.limiter = limiter.New(limiter.Options{MaxKeys: 4096})
	m.issuer = fmt.Sprintf("m%d#%d", m.id, m.run)
	var err error
	m.manager, err = trafficmanager.New(trafficmanager.Options{
		Limiter: m.limiter, Issuer: m.issuer, ID: f.chance.Uint64() | 1, Publisher: m,
	})
	if err != nil {
		panic(err)
	}
	m.apply(m.version)
	f.history.printf(f.now, "%s begins", m.issuer)
	f.judge.managerBegins(m)
	m.sweep()
}

// apply makes a version of the limits those that hold.
func (m *managerNode) apply(version int) {
	m.version = version
	set, err := policy.Compile(m.fleet.plan.versions[version].Policies, policy.Options{Seed: fleetSeed})
	if err != nil {
		panic(err)
	}
	m.manager.Apply(m.read(), set)
}

func (m *managerNode) sweep() {
	m.after(20*second, m.sweep)
	m.manager.Sweep(m.read())
	m.limiter.Sweep(m.read())
}

// crash ends the process at once.
func (m *managerNode) crash() {
	m.fleet.history.printf(m.fleet.now, "%s crashes", m.issuer)
	m.up = false
}

// Publish implements trafficmanager.Publisher.
func (m *managerNode) Publish(d *weir.Decision) {
	m.fleet.judge.decided(m, d)
	m.fleet.say(d)
}

// receive counts a batch and returns the answer to it, as package ingest does; nil if there
// is none.
func (m *managerNode) receive(p []byte) []byte {
	var header events.Header
	var batch *trafficmanager.Batch
	now := m.read()
	refused, err := m.decoder.Decode(p, &header, func(_ int, e *weir.Event) error {
		if batch == nil {
			batch = m.manager.Begin(now, &header)
		}
		if h := m.fleet.history; h.wanted() {
			h.printf(m.fleet.now, "%s counts %+v of %s at %s, open=%+v", m.issuer, e.Spent, e.Request.Application.ID, m.fleet.show(e.Request.Time.UnixNano()), e.Open)
		}
		return batch.Count(e)
	})
	if err != nil || len(refused) > 0 {
		m.fleet.judge.fail("I5", "%s refuses what a gateway tells: %v %v", m.issuer, err, refused)
		return nil
	}
	if batch == nil {
		batch = m.manager.Begin(now, &header)
	}
	var reply events.Reply
	batch.End(&reply)
	if h := m.fleet.history; h.wanted() {
		h.printf(m.fleet.now, "%s is told %d by %x, restates=%v first=%v: asks=%v", m.issuer, header.Seq, header.Incarnation, header.Restates, header.First, reply.Restate)
	}
	return events.AppendReply(nil, &reply)
}

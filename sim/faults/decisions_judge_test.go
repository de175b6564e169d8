package faults

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/limiter"
)

// A judge is the oracle of a fleet: it knows what traffic managers have decided and what of
// it each gateway has heard, and holds against that what gateways do.
type judge struct {
	fleet  *fleet
	keys   []limiter.Key // of customers
	issued map[string][]*issued
	last   map[string]map[limiter.Key]*issued // on each key
	passed [][]int64                          // when a customer's calls were let pass
	gates  int
	wrong  *violation

	made, believed, unbelieved int64 // decisions, and what was heard on the topic
	verdicts                   [gateway.Unknown + 1]int64
	refused                    int64 // calls, by decisions
}

// An issued is a decision when it was made.
type issued struct {
	decision *weir.Decision
	by       *managerNode
	at       int64
	ends     int64 // the true time at which its window ends
}

// A held is what a gateway knows last of an issuer on a key.
type held struct {
	*issued
	begins, ends int64 // by the gateway's monotonic clock
	// By how much the gateway may be wrong about when the window ends; below zero: not
	// known, since the traffic manager's clock was set.
	slack int64
}

func newJudge(f *fleet) *judge {
	return &judge{
		fleet: f, issued: map[string][]*issued{}, last: map[string]map[limiter.Key]*issued{},
		passed: make([][]int64, len(f.plan.customers)),
	}
}

// fail notes the first violation.
func (j *judge) fail(invariant, format string, args ...any) {
	if j.wrong == nil {
		j.wrong = &violation{invariant: invariant, at: j.fleet.now, text: fmt.Sprintf(format, args...)}
		j.fleet.history.printf(j.fleet.now, "VIOLATION %v", j.wrong)
	}
}

func (j *judge) managerBegins(m *managerNode) { j.last[m.issuer] = map[limiter.Key]*issued{} }

// gateBegins takes note of a run of a gateway, and finds out the keys of customers.
func (j *judge) gateBegins(r *gate) {
	r.name = j.gates
	j.gates++
	j.fleet.history.printf(j.fleet.now, "gateway %d begins run %d", r.node.id, r.name)
	for c := len(j.keys); c < len(j.passed); c++ {
		x := r.newExchange(c)
		r.gateway.Explain(x)
		j.keys = append(j.keys, x.Match.Checks[0].Key)
		j.fleet.free(x)
	}
}

// decided takes note of a decision that is made.
func (j *judge) decided(m *managerNode, d *weir.Decision) {
	f, all := j.fleet, j.issued[m.issuer]
	if int(d.Seq) <= len(all) {
		return // it is said again
	}
	j.made++
	i := &issued{decision: d, by: m, at: f.now, ends: f.now + int64(d.Ends.Sub(m.read().Round(0)))}
	if int(d.Seq) != len(all)+1 || d.Issuer != m.issuer {
		j.fail("I10", "%s numbers a decision %d of %s, after %d", m.issuer, d.Seq, d.Issuer, len(all))
	}
	j.issued[m.issuer] = append(all, i)
	j.last[m.issuer][d.Key] = i
	f.history.add(int64(d.Seq), int64(d.Key), d.Ends.UnixNano())
	c := slices.Index(j.keys, d.Key)
	if f.history.wanted() {
		f.history.printf(f.now, "%s decides %d: customer %d throttled=%v until %s", m.issuer, d.Seq, c, d.Throttled, f.show(i.ends))
	}
	j.caused(m, d, c)
}

// caused checks that so much was let pass that a customer is throttled.
func (j *judge) caused(m *managerNode, d *weir.Decision, customer int) {
	const slack = 300 * millisecond
	l := j.fleet.plan.customers[customer].limits[m.version]
	if !d.Throttled || l.Algorithm != limiter.FixedWindow || j.fleet.plan.has(nodeWall) {
		return
	}
	from, _ := slices.BinarySearch(j.passed[customer], d.Begins.UnixNano()-slack)
	if n := len(j.passed[customer]) - from; int64(n) < l.Count {
		j.fail("I5", "%s throttles customer %d after %d calls of %d in the window that ends at %s",
			m.issuer, customer, n, l.Count, j.fleet.show(d.Ends.UnixNano()))
	}
}

// genuine checks that a decision that is believed was made.
func (j *judge) genuine(d *weir.Decision) bool {
	all := j.issued[d.Issuer]
	if d.Seq > 0 && d.Seq <= uint64(len(all)) {
		was := all[d.Seq-1].decision
		late, early := d.Ends.Sub(was.Ends), was.Begins.Sub(d.Begins)
		if d.Key == was.Key && d.Throttled == was.Throttled && d.Text == was.Text && d.Level == was.Level && d.Policy == was.Policy &&
			late >= 0 && late < time.Millisecond && early >= 0 && early < time.Millisecond {
			return true
		}
	}
	j.fail("I10", "a decision is believed that nobody has made: %+v", *d)
	return false
}

// heard takes note of what a gateway has heard on the topic, and reports whether it is a
// decision: what has not been signed by one of the fleet must not be.
func (j *judge) heard(r *gate, s *saying, m *broker.Message, err error) bool {
	switch {
	case err != nil && s.decision == nil:
		j.unbelieved++
		return false
	case err != nil:
		j.fail("I10", "gateway %d does not believe decision %d of %s: %v", r.node.id, s.decision.Seq, s.decision.Issuer, err)
		return false
	case m.Decision == nil:
		j.fail("I10", "gateway %d believes something that nobody has said: %+v", r.node.id, *m)
		return false
	}
	j.believed++
	return j.genuine(m.Decision)
}

// decide has the gateway take a decision into account.
func (r *gate) decide(d *weir.Decision, s *skew) {
	now, j := r.node.read(), r.node.fleet.judge
	got := r.gateway.Decide(now, d, s.ahead(now))
	want := gateway.Unknown
	if floor, ok := r.floor[d.Issuer]; ok {
		want = r.put(d, s, floor)
	}
	if got <= gateway.Unknown {
		j.verdicts[got]++
	}
	if j.fleet.history.wanted() {
		j.fleet.history.printf(j.fleet.now, "gateway %d hears %d of %s: %v", r.node.id, d.Seq, d.Issuer, got)
	}
	if got != want {
		j.fail("I10", "gateway %d: decision %d of %s is %v, want %v", r.node.id, d.Seq, d.Issuer, got, want)
	}
}

// decideAll has the gateway take it that up to a number there are no other decisions of an
// issuer.
func (r *gate) decideAll(issuer string, ds []weir.Decision, version uint64, s *skew) {
	f, now := r.node.fleet, r.node.read()
	if version == math.MaxUint64 {
		r.gateway.Retire(issuer)
		delete(r.floor, issuer)
	} else {
		r.gateway.DecideAll(now, issuer, version, ds, s.ahead(now))
		r.floor[issuer] = version
	}
	for i := range ds {
		r.put(&ds[i], s, 0)
	}
	f.history.printf(f.now, "gateway %d hears that there are %d decisions of %s", r.node.id, len(ds), issuer)
	for key, all := range r.known {
		stays := slices.ContainsFunc(ds, func(d weir.Decision) bool { return d.Key == key })
		r.known[key] = slices.DeleteFunc(all, func(h *held) bool { return h.decision.Issuer == issuer && h.decision.Seq <= version && !stays })
	}
}

// put is what a gateway should make of a decision of an issuer that has told it of all up
// to floor.
func (r *gate) put(d *weir.Decision, s *skew, floor uint64) gateway.Verdict {
	f := r.node.fleet
	if !s.known {
		f.judge.fail("I10", "gateway %d heeds decision %d of %s, whose clock it does not know", r.node.id, d.Seq, d.Issuer)
	}
	there, mono := s.clock(r.node.read()), r.node.clock.mono(f.now)
	h := &held{
		issued: f.judge.issued[d.Issuer][d.Seq-1], begins: math.MinInt64, ends: mono + int64(d.Ends.Sub(there)), slack: -1,
	}
	if !d.Begins.IsZero() {
		h.begins = mono + int64(d.Begins.Sub(there))
	}
	if h.by.set < min(s.at, h.issued.at) {
		h.slack = int64(s.rtt)/2 + 40*millisecond
	}
	all := r.known[d.Key]
	i := slices.IndexFunc(all, func(o *held) bool { return o.decision.Issuer == d.Issuer })
	switch {
	case mono >= h.ends:
		r.late[h.issued] = true
		return gateway.Late
	case d.Seq <= floor:
		return gateway.Outdated
	case i >= 0 && d.Seq <= all[i].decision.Seq:
		return gateway.Outdated
	case i >= 0:
		all[i] = h
	default:
		r.known[d.Key] = append(all, h)
	}
	return gateway.Applied
}

// holds reports whether a decision throttles, whatever the wall clock was set to since.
func (h *held) holds(r *gate) bool {
	now := r.node.clock.mono(r.node.fleet.now)
	return h.decision.Throttled && now >= h.begins && now < h.ends
}

// called looks at what came of a call.
func (j *judge) called(r *gate, x *gateway.Exchange, customer int, refused bool) {
	f := j.fleet
	f.history.add(f.now, int64(r.name), int64(customer))
	if len(x.Match.Checks) != 1 {
		j.fail("I10", "a call of customer %d is held to %d limits", customer, len(x.Match.Checks))
		return
	}
	if f.history.wanted() {
		f.history.printf(f.now, "gateway %d: customer %d calls, refused=%v %+v", r.node.id, customer, refused, x.Match.Checks[0])
	}
	if !refused {
		j.passed[customer] = append(j.passed[customer], f.now)
	}
	blocked := int64(x.Match.Checks[0].Blocked)
	if blocked > 0 {
		j.refused++
	}
	var sure bool
	var longest int64
	for _, h := range r.known[j.keys[customer]] {
		if h.holds(r) {
			longest = max(longest, h.ends-r.node.clock.mono(f.now))
			sure = sure || h.slack < 0 || f.now < h.issued.ends+h.slack
		}
	}
	switch {
	case blocked > 0 && longest == 0:
		j.fail("I10", "gateway %d refuses customer %d for another %v, though nothing holds that it was told", r.node.id, customer, time.Duration(blocked))
	case blocked == 0 && longest > 0:
		j.fail("I10", "gateway %d does not heed a decision on customer %d that holds", r.node.id, customer)
	case blocked != longest:
		j.fail("I10", "gateway %d refuses customer %d for another %v, want %v", r.node.id, customer, time.Duration(blocked), time.Duration(longest))
	case blocked > 0 && !sure:
		j.fail("I10", "gateway %d refuses customer %d by a decision whose window is over", r.node.id, customer)
	}
}

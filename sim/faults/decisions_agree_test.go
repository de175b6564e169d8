package faults

import (
	"slices"
	"testing"

	"github.com/weir-project/weir"
	events "github.com/weir-project/weir/event"
)

const (
	// settled is after how long without troubles all are to agree: calls are given up after
	// 2 s, and made again after up to 2 s.
	settled = 8 * second
	// soon is after how long a decision is known everywhere, when nothing is wrong: by the
	// topic at once, otherwise by the next call.
	soon = 1500 * millisecond
)

// look checks now and then, when nothing has been wrong for a while, that gateways hold to
// what traffic managers say, and to nothing else.
func (j *judge) look() {
	f := j.fleet
	f.after(250*millisecond, j.look)
	if f.now < f.calmAt() || f.troubled(settled) {
		return
	}
	for _, g := range f.gateways {
		for c := range j.keys {
			x := g.gate.newExchange(c)
			g.gate.gateway.Explain(x)
			j.called(g.gate, x, c, true)
			f.free(x)
		}
		for _, m := range f.managers {
			j.agree(g.gate, m)
		}
		j.succeeded(g.gate)
	}
}

// agree checks that a gateway knows what a traffic manager has decided.
func (j *judge) agree(r *gate, m *managerNode) {
	f := j.fleet
	in, _ := m.manager.Snapshot(m.read())
	for c, key := range j.keys {
		last := j.last[m.issuer][key]
		if last == nil || f.now-last.at < soon || m.set > last.at {
			continue
		}
		var h *held
		if i := slices.IndexFunc(r.known[key], func(h *held) bool { return h.by == m && h.decision.Issuer == m.issuer }); i >= 0 {
			h = r.known[key][i]
		}
		throttled := slices.ContainsFunc(in, func(d weir.Decision) bool { return d.Key == key })
		switch {
		case last.ends < f.now+100*millisecond:
		case throttled && (h == nil || h.decision.Seq != last.decision.Seq):
			j.fail("I10", "gateway %d has not heard that %s throttles customer %d, decision %d", r.node.id, m.issuer, c, last.decision.Seq)
		case !throttled && h != nil && h.holds(r):
			j.fail("I10", "gateway %d has not heard that %s throttles customer %d no longer, decision %d", r.node.id, m.issuer, c, last.decision.Seq)
		}
	}
}

// told checks that after an answer a gateway knows all that had been decided.
func (j *judge) told(l *link, r *events.Reply) {
	g := l.gate
	for c, key := range j.keys {
		last := j.last[r.Issuer][key]
		if last == nil || last.decision.Seq > r.Version || !l.skew.clock(g.node.read()).Before(last.decision.Ends) {
			continue
		}
		if g.late[last] || l.to.set > last.at {
			continue // it seemed to be over, by a clock that was set since or not well known
		}
		var h *held
		if i := slices.IndexFunc(g.known[key], func(h *held) bool { return h.decision.Issuer == r.Issuer }); i >= 0 {
			h = g.known[key][i]
		}
		if throttled := h != nil && h.decision.Throttled; throttled != last.decision.Throttled {
			j.fail("I10", "gateway %d has been told all up to %d of %s, and not decision %d, throttled=%v, on customer %d",
				g.node.id, r.Version, r.Issuer, last.decision.Seq, last.decision.Throttled, c)
		}
	}
}

// succeeded checks that no decision holds any more of a run that has a successor.
func (j *judge) succeeded(r *gate) {
	if j.fleet.troubled(outlive + settled) {
		return
	}
	for c, key := range j.keys {
		for _, h := range r.known[key] {
			if h.holds(r) && h.by.issuer != h.decision.Issuer {
				j.fail("I10", "gateway %d still holds customer %d to decision %d of %s, long after %s took its place",
					r.node.id, c, h.decision.Seq, h.decision.Issuer, h.by.issuer)
			}
		}
	}
}

// TestFleetKeys shows that each customer's key is in another part of a traffic manager.
func TestFleetKeys(t *testing.T) {
	for seed := uint64(3); ; seed += 5 {
		p := newFleetPlan(seed)
		if len(p.customers) < len(fleetKeys) {
			continue
		}
		parts := map[uint64]bool{}
		for _, k := range newFleet(p, nil).judge.keys {
			parts[uint64(k)%64] = true
		}
		if len(parts) != len(fleetKeys) {
			t.Errorf("%d keys are in %d parts: choose other applicationIDs", len(fleetKeys), len(parts))
		}
		return
	}
}

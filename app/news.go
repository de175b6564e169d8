package app

import (
	"slices"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/policy"
)

// A news tells gateways how deny policies and key templates have changed.
type news struct {
	issuer  string
	seq     uint64
	tellers tellers
}

// tell tells the difference between two sets; was is nil at the start, when nobody
// listens yet: gateways ask for what is in force.
func (n *news) tell(now time.Time, was, is *policy.Set) {
	if was == nil {
		return
	}
	before, after := denySet(was.Denies()), denySet(is.Denies())
	kept := make(map[string]bool, len(after))
	for d := range after {
		kept[d.ID] = true
	}
	for _, d := range was.Denies() {
		if !after[d] && !kept[d.ID] {
			n.tellers.deny(&broker.Deny{Deny: d, Remove: true, Origin: n.origin(now)})
		}
	}
	for _, d := range is.Denies() {
		if !before[d] {
			n.tellers.deny(&broker.Deny{Deny: d, Origin: n.origin(now)})
		}
	}
	old, fresh := was.KeyTemplates(), is.KeyTemplates()
	for _, t := range old {
		if !slices.Contains(fresh, t) {
			n.tellers.template(&broker.KeyTemplate{Old: t, Origin: n.origin(now)})
		}
	}
	for _, t := range fresh {
		if !slices.Contains(old, t) {
			n.tellers.template(&broker.KeyTemplate{New: t, Origin: n.origin(now)})
		}
	}
}

func denySet(ds []policy.Deny) map[policy.Deny]bool {
	set := make(map[policy.Deny]bool, len(ds))
	for _, d := range ds {
		set[d] = true
	}
	return set
}

func (n *news) origin(now time.Time) broker.Origin {
	n.seq++
	return broker.Origin{Issuer: n.issuer, Seq: n.seq, Issued: now}
}

package app

import (
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/weir-project/weir/policy"
)

// Blocks are deny policies as an internal data API has them.
type blocks struct {
	API          []string          `json:"api"`
	Application  []string          `json:"application"`
	User         []string          `json:"user"`
	IP           []blockedIP       `json:"ip"`
	Custom       []json.RawMessage `json:"custom"`
	Subscription []json.RawMessage `json:"subscription"`
}

type blockedIP struct {
	Type       string          `json:"type"`
	FixedIP    string          `json:"fixedIp"`
	StartingIP string          `json:"startingIp"`
	EndingIP   string          `json:"endingIp"`
	Invert     bool            `json:"invert"`
	ID         json.RawMessage `json:"id"`
}

// policies returns the deny policies, and how many there are besides that can't be
// enforced.
func (b *blocks) policies() (all []policy.Deny, wrong int) {
	wrong = len(b.Custom) + len(b.Subscription)
	add := func(d policy.Deny) {
		if _, err := new(policy.Set).WithDenies([]policy.Deny{d}); err != nil {
			wrong++
			return
		}
		all = append(all, d)
	}
	for _, l := range []struct {
		kind   policy.DenyKind
		values []string
	}{{policy.DenyAPI, b.API}, {policy.DenyApplication, b.Application}, {policy.DenyUser, b.User}} {
		for _, v := range l.values {
			add(policy.Deny{Kind: l.kind, Value: v})
		}
	}
	for i := range b.IP {
		d, ok := b.IP[i].policy()
		if !ok {
			wrong++
			continue
		}
		add(d)
	}
	return all, wrong
}

// policy returns the deny policy, and whether it is one.
func (b *blockedIP) policy() (policy.Deny, bool) {
	d := policy.Deny{ID: strings.Trim(string(b.ID), `"`), Kind: policy.DenyIP, Invert: b.Invert}
	if d.ID == "null" {
		d.ID = ""
	}
	if b.Type == "IPRANGE" {
		d.Kind = policy.DenyIPRange
		from, err1 := netip.ParseAddr(b.StartingIP)
		to, err2 := netip.ParseAddr(b.EndingIP)
		d.IP.From, d.IP.To = from, to
		return d, err1 == nil && err2 == nil
	}
	p, err := netip.ParsePrefix(b.FixedIP)
	if err != nil {
		var a netip.Addr
		a, err = netip.ParseAddr(b.FixedIP)
		p = netip.PrefixFrom(a, a.BitLen())
	}
	d.IP.Prefix = p
	return d, err == nil
}

package gateway

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A refusals remembers which keys were refused most of late, for traffic managers to
// show. Totals are exact ([Stats]); of keys it has room for some hundred, and of more
// it keeps those refused most, as good as it can.
//
// It has a copy for each stripe of the counters, so that cores seldom meet, and
// memory of its own for all that it ever keeps: a refusal costs one lock that
// hardly anybody else wants, and no allocation.
type refusals struct {
	seed    limiter.Seed // of what has no key
	mu      sync.Mutex   // one collects
	faded   time.Time    // when weights were last halved
	stripes [stripes][refusedBuckets]refusedBucket
}

const (
	refusedBuckets = 16
	refusedWays    = 4
	// refusedSpell is how long nothing must have been refused under a key until it
	// is forgotten: the next refusal counts from 1.
	refusedSpell = time.Minute
	// refusedFade is after how long what was refused weighs half as much.
	refusedFade = time.Second
)

// A refusedBucket has the keys whose hashes end alike. One that is not among them
// takes from the weight of the lightest, and its place when nothing is left of that:
// so whoever makes up a fifth of what is refused is there, whatever else is.
type refusedBucket struct {
	mu      sync.Mutex
	entries [refusedWays]refusedEntry
}

// A refusedEntry is what was refused under one key.
type refusedEntry struct {
	id          limiter.Key // zero: none
	weight      uint64
	calls       uint64
	since, last time.Time
	// What is told of it.
	key    limiter.Key
	level  weir.Level
	policy string
	group  int
	size   int // of text
	text   [event.MaxRefusedText]byte
}

func newRefusals() *refusals { return &refusals{seed: limiter.NewSeed()} }

// bucket returns where the key id is kept by a stripe, which counts from 1.
func (r *refusals) bucket(stripe uint32, id limiter.Key) *refusedBucket {
	return &r.stripes[stripe-1][id%refusedBuckets]
}

// add counts a refusal under id at a time. It returns the entry if that is new and
// is to be filled in; nil otherwise. The bucket must be locked.
func (b *refusedBucket) add(id limiter.Key, at time.Time) *refusedEntry {
	least := &b.entries[0]
	for i := range b.entries {
		e := &b.entries[i]
		if at.Sub(e.last) > refusedSpell {
			e.weight, e.calls = 0, 0
		}
		if e.id == id && e.calls > 0 {
			e.weight++
			e.calls++
			e.last = at
			return nil
		}
		if e.weight < least.weight || e.calls == 0 {
			least = e
		}
	}
	if least.weight > 0 {
		least.weight--
		return nil
	}
	least.id, least.weight, least.calls, least.since, least.last = id, 1, 1, at, at
	return least
}

// say fills in what is told of e.
func (e *refusedEntry) say(key limiter.Key, level weir.Level, policy string, group int, text []byte) {
	e.key, e.level, e.policy, e.group = key, level, policy, group
	e.size = copy(e.text[:], text)
}

// noteRefused notes that check i of m, which was made for x, refused at a time.
func (g *Gateway) noteRefused(x *Exchange, m *policy.Match, i int, at time.Time) {
	level := m.Sources[i].Level
	g.stripe(x).refused[level].Add(1)
	if g.refusals == nil {
		return
	}
	id := m.Checks[i].Key
	b := g.refusals.bucket(x.stripe, id)
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.add(id, at)
	if e == nil {
		return
	}
	s := m.Sources[i]
	if s.Limit != &foreign {
		e.say(id, level, s.Policy, s.Group, x.snapshot.set.AppendKey(e.text[:0], m, i, &x.Request))
		return
	}
	e.say(0, level, s.Policy, s.Group, nil)
	if d := g.decisions.find(id, at); d != nil { // the fleet knows it by another key
		e.key, e.size = d.Key, copy(e.text[:], d.Text)
	}
}

// noteDenied notes that a deny policy refused x at a time.
func (g *Gateway) noteDenied(x *Exchange, d *policy.Deny, at time.Time) {
	g.stripe(x).refused[weir.LevelDeny].Add(1)
	if g.refusals == nil {
		return
	}
	id := g.refusals.seed.Hash().Add(d.ID).Key()
	b := g.refusals.bucket(x.stripe, id)
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.add(id, at)
	if e == nil {
		return
	}
	text := append(e.text[:0], d.Value...)
	if d.Kind == policy.DenyIP || d.Kind == policy.DenyIPRange {
		text = x.Request.ClientIP.AppendTo(e.text[:0])
	}
	e.say(0, weir.LevelDeny, d.ID, -1, text)
}

// Refused returns what was refused by limits and deny policies, as it stands at now:
// in all since the start, and the keys under which most was of late. The keys are
// there only if somebody is told of accepted calls ([EventOptions]); those with
// nothing for a minute are not. It is meant for about once a second, and safe for
// concurrent use.
func (g *Gateway) Refused(now time.Time) *event.RefusedCalls {
	out := &event.RefusedCalls{Levels: g.Stats().Refused}
	if g.refusals != nil {
		out.Keys = g.refusals.most(now)
	}
	return out
}

// A heavy is a key on its way to be told.
type heavy struct {
	event.RefusedKey
	weight uint64
}

// most returns the keys refused most of late.
func (r *refusals) most(now time.Time) []event.RefusedKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	fade := now.Sub(r.faded) >= refusedFade
	if fade {
		r.faded = now
	}
	byID := make(map[limiter.Key]*heavy)
	for s := range r.stripes {
		for i := range r.stripes[s] {
			r.stripes[s][i].collect(byID, now, fade)
		}
	}
	all := make([]*heavy, 0, len(byID))
	for _, h := range byID {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b *heavy) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Key, b.Key))
	})
	keys := make([]event.RefusedKey, min(len(all), event.MaxRefusedKeys))
	for i := range keys {
		keys[i] = all[i].RefusedKey
	}
	return keys
}

// collect adds what the bucket has to byID.
func (b *refusedBucket) collect(byID map[limiter.Key]*heavy, now time.Time, fade bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.entries {
		e := &b.entries[i]
		if e.calls == 0 || now.Sub(e.last) > refusedSpell {
			continue
		}
		h := byID[e.id]
		if h == nil {
			h = &heavy{RefusedKey: event.RefusedKey{
				Key: e.key, Text: string(e.text[:e.size]), Level: e.level, Policy: e.policy, Group: e.group, Since: e.since,
			}}
			byID[e.id] = h
		}
		h.Calls += e.calls
		h.weight += e.weight
		if e.since.Before(h.Since) {
			h.Since = e.since
		}
		if fade {
			e.weight /= 2
		}
	}
}

package trafficmanager

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
)

// A pace is how many there are a second of what is told as a sum, of late: a mean in
// which what is three seconds old weighs a third of what is new.
type pace float64

const (
	paceMemory = 3 * time.Second
	// paceQuiet is how long nothing need be told for nothing to be wrong; after
	// that, less and less is taken to be.
	paceQuiet = 2 * time.Second
)

// add takes that there were n more in a time.
func (p *pace) add(n uint64, in time.Duration) {
	if in > 0 {
		*p += (pace(float64(n)/in.Seconds()) - *p) * pace(1-math.Exp(-in.Seconds()/paceMemory.Seconds()))
	}
}

// after returns the pace when nothing has been told for so long.
func (p pace) after(silence time.Duration) float64 {
	if silence > paceQuiet {
		p *= pace(math.Exp(-(silence - paceQuiet).Seconds() / paceMemory.Seconds()))
	}
	if p < 0.01 {
		return 0
	}
	return float64(p)
}

// refusals are what one run of a gateway told last of what it refuses.
type refusals struct {
	heard  time.Time // when, by the manager's clock; zero: it has told nothing
	sent   time.Time // the same by the gateway's
	levels [levels]uint64
	pace   pace // of all levels
	keys   []refusedKey
}

const levels = int(weir.LevelBackend) + 1

type refusedKey struct {
	event.RefusedKey
	pace pace
}

// overtaken is by how much what a gateway sent may be older than what came before it.
// What is older still comes from a clock that was set back.
const overtaken = time.Minute

// take takes what a gateway tells. What it told later stays.
func (r *refusals) take(now time.Time, h *event.Header) {
	c := h.Refused
	if c == nil || !h.Sent.After(r.sent) && r.sent.Sub(h.Sent) < overtaken {
		return
	}
	passed := h.Sent.Sub(r.sent)
	if !r.heard.IsZero() {
		r.pace.add(more(sum(&c.Levels), sum(&r.levels)), passed)
	}
	keys := make([]refusedKey, len(c.Keys))
	for i := range keys {
		k := &keys[i]
		k.RefusedKey = c.Keys[i]
		if was := r.find(&k.RefusedKey); was != nil && was.Calls <= k.Calls {
			k.Text, k.Policy, k.pace = was.Text, was.Policy, was.pace
			k.pace.add(k.Calls-was.Calls, passed)
			continue
		}
		k.pace = pace(float64(k.Calls) / max(h.Sent.Sub(k.Since), time.Second).Seconds())
	}
	var ofKeys pace // which knows since when there were any, and so is sooner right
	for i := range keys {
		ofKeys += keys[i].pace
	}
	r.pace = max(r.pace, ofKeys)
	r.heard, r.sent, r.levels, r.keys = now, h.Sent, c.Levels, keys
}

// find returns what was told of a key before, or nil.
func (r *refusals) find(k *event.RefusedKey) *refusedKey {
	for i := range r.keys {
		if was := &r.keys[i]; was.Key == k.Key && was.Level == k.Level && was.Group == k.Group && was.Policy == k.Policy &&
			(k.Key != 0 || was.Text == k.Text) {
			return was
		}
	}
	return nil
}

func sum(levels *[levels]uint64) (n uint64) {
	for _, calls := range levels {
		n += calls
	}
	return n
}

// more returns by how much a sum has grown.
func more(now, was uint64) uint64 { return now - min(now, was) }

// A Refusing is a key under which gateways refuse calls, or a deny policy.
type Refusing struct {
	Key    limiter.Key // zero: it has none
	Text   string
	Level  weir.Level
	Policy string
	Group  int
	// Calls were refused by all gateways, and messages on streams: by each since it
	// began, after a minute or more without any.
	Calls uint64
	// Rate is how many a second there were of late.
	Rate float64
}

// forgotten is after how long of silence nothing is said of what a gateway refused.
const forgotten = time.Minute

// Refused returns the keys under which gateways refuse calls, as they told it: those of
// which most was refused of late first. Each gateway tells of at most
// [event.MaxRefusedKeys].
func (m *Manager) Refused(now time.Time) []Refusing {
	type identity struct {
		key    limiter.Key
		level  weir.Level
		policy string
		group  int
		text   string
	}
	index := make(map[identity]int)
	var all []Refusing
	m.nodes.mu.Lock()
	for _, n := range m.nodes.byID {
		silence := now.Sub(n.refused.heard)
		if silence > forgotten {
			continue
		}
		for i := range n.refused.keys {
			k := &n.refused.keys[i]
			id := identity{key: k.Key, level: k.Level, policy: k.Policy, group: k.Group}
			if k.Key == 0 {
				id.text = k.Text
			}
			at, ok := index[id]
			if !ok {
				at = len(all)
				index[id] = at
				all = append(all, Refusing{Key: k.Key, Text: k.Text, Level: k.Level, Policy: k.Policy, Group: k.Group})
			}
			all[at].Calls += k.Calls
			all[at].Rate += k.pace.after(silence)
		}
	}
	m.nodes.mu.Unlock()
	slices.SortFunc(all, func(a, b Refusing) int {
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Level, b.Level), strings.Compare(a.Text, b.Text))
	})
	return all
}

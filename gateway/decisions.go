package gateway

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A Verdict says what became of a decision.
type Verdict uint8

// What can become of a decision.
const (
	Applied  Verdict = iota
	Outdated         // an equally new or newer one on its key was there
	Late             // its window is over
	Unknown          // its issuer has not told this gateway all that is in force
	Unusable         // it is about nothing that the gateway can know, or there is no room
	verdicts = int(Unusable) + 1
)

// String returns the verdict in a word.
func (v Verdict) String() string {
	return [verdicts]string{"applied", "outdated", "late", "unknown", "unusable"}[v]
}

// Decide takes a decision of a traffic manager into account; skew is by how much
// the issuer's clock is ahead of this node's. It reports what became of it. A
// decision is forgotten when its window ends, by the monotonic clock that now has.
//
// What an issuer says is [Unknown] until DecideAll was called for it: whether that
// was taken back meanwhile is not known, and neither is its clock, nor that it
// lives. Nothing is missed by that, since DecideAll brings all that is in force. It
// is late by what the first answer of a run of a traffic manager takes, once.
func (g *Gateway) Decide(now time.Time, d *weir.Decision, skew time.Duration) Verdict {
	g.decisions.runs.mu.RLock()
	defer g.decisions.runs.mu.RUnlock()
	return g.decisions.hear(now, d, skew)
}

// DecideAll makes ds all the decisions that are in force of those that issuer has made up
// to the number upTo. An older one that comes later is [Outdated]; newer ones that came
// before stay.
func (g *Gateway) DecideAll(now time.Time, issuer string, upTo uint64, ds []weir.Decision, skew time.Duration) {
	d := &g.decisions
	d.runs.mu.Lock()
	defer d.runs.mu.Unlock()
	d.runs.told(issuer, upTo)
	for i := range ds {
		if in := &ds[i]; in.Issuer == issuer {
			d.verdicts[d.apply(now, in, skew)].Add(1)
		} else {
			d.hear(now, in, skew)
		}
	}
	d.keep(issuer, ds, upTo)
}

// Retire ends all that issuer has decided: it is no more. What it is heard to say is
// [Unknown] from now on, unless DecideAll is called for it again.
func (g *Gateway) Retire(issuer string) {
	d := &g.decisions
	d.runs.mu.Lock()
	defer d.runs.mu.Unlock()
	delete(d.runs.all, issuer)
	d.keep(issuer, nil, math.MaxUint64)
}

// maxDecisions bounds the decisions that are kept: about 300 bytes each.
const maxDecisions = 1 << 20

// decisions are those in force, by the keys that they are about.
type decisions struct {
	seed     limiter.Seed // of the keys of texts
	runs     runs
	count    atomic.Int64
	shards   [64]decisionShard
	verdicts [verdicts]atomic.Uint64
}

// A decisionShard has the decisions on some keys. Calls ask for keys, several
// each, and most keys are not decided on: the filter says so at the price of one
// read. It has a bit for each key decided on, and few others.
type decisionShard struct {
	filter [64]atomic.Uint64
	mu     sync.RWMutex
	all    map[limiter.Key][]*decided // one of each issuer, never changed
}

// maxIssuers bounds the issuers of whom a decision on one key is kept.
const maxIssuers = 8

// A decided is a decision as it holds on this node.
type decided struct {
	weir.Decision
	begins, ends time.Time      // by this node's monotonic clock
	until        time.Time      // to be remembered: older ones on its key may end later
	source       *policy.Source // to answer by, where no policy of this node has the limit
}

// holds reports whether the decision throttles at now.
func (e *decided) holds(now time.Time) bool {
	return e.Throttled && !now.Before(e.begins) && now.Before(e.ends)
}

func (d *decisions) shard(k limiter.Key) *decisionShard {
	return &d.shards[uint64(k)%uint64(len(d.shards))]
}

// bit returns the word and the bit of the filter for a key.
func bit(k limiter.Key) (word, mask uint64) { return uint64(k) >> 6 & 63, 1 << (k >> 12 & 63) }

// find returns the decision that throttles a key at now, of several the one that
// does so for longest; or nil.
func (d *decisions) find(k limiter.Key, now time.Time) *decided {
	sh := d.shard(k)
	if word, mask := bit(k); sh.filter[word].Load()&mask == 0 {
		return nil
	}
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	var found *decided
	for _, e := range sh.all[k] {
		if e.holds(now) && (found == nil || e.ends.After(found.ends)) {
			found = e
		}
	}
	return found
}

// hear is [Gateway.Decide]. runs.mu must be held.
func (d *decisions) hear(now time.Time, in *weir.Decision, skew time.Duration) Verdict {
	upTo, known := d.runs.upTo(in.Issuer)
	v := Unknown
	switch {
	case !known:
	case in.Seq <= upTo && in.Ends.Add(-skew).After(now):
		v = Outdated
	default:
		v = d.apply(now, in, skew)
	}
	d.verdicts[v].Add(1)
	return v
}

// apply puts a decision under its keys.
func (d *decisions) apply(now time.Time, in *weir.Decision, skew time.Duration) Verdict {
	// Relative to now, so that the wall clock may be set meanwhile.
	e := &decided{Decision: *in, ends: now.Add(in.Ends.Add(-skew).Sub(now))}
	if !in.Begins.IsZero() {
		e.begins = now.Add(in.Begins.Add(-skew).Sub(now))
	}
	if !now.Before(e.ends) {
		return Late
	}
	e.until = e.ends
	if in.Level != weir.LevelCustom || in.Text == "" {
		if in.Key == 0 {
			return Unusable
		}
		return d.put(in.Key, e)
	}
	// A gateway that has not the rule may have its key template.
	e.source = sourceOf(in)
	v := d.put(d.seed.Key(in.Text), e)
	if in.Key != 0 {
		v = d.put(in.Key, e)
	}
	return v
}

// foreign stands for a limit that only the traffic manager knows.
var foreign = limiter.Limit{Count: math.MaxInt64, Window: limiter.Window{Length: time.Hour}}

// sourceOf says where a check comes from that only the traffic manager makes.
func sourceOf(d *weir.Decision) *policy.Source {
	s := &policy.Source{Level: d.Level, Policy: d.Policy, Group: -1, Limit: &foreign}
	s.Item = string(limiter.AppendPolicy(nil, d.Level.String()+":"+d.Policy, s.Limit))
	s.Name = s.Item[:strings.LastIndex(s.Item, `";q=`)+1]
	return s
}

// put keeps e under k, unless its issuer has said something as new.
func (d *decisions) put(k limiter.Key, e *decided) Verdict {
	sh := d.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.all == nil {
		sh.all = make(map[limiter.Key][]*decided)
	}
	said := sh.all[k]
	i := slices.IndexFunc(said, func(was *decided) bool { return was.Issuer == e.Issuer })
	switch {
	case i >= 0 && !e.Newer(&said[i].Decision):
		return Outdated
	case i >= 0:
		if was := said[i].until; was.After(e.until) {
			e.until = was
		}
		said[i] = e
	case len(said) == maxIssuers || d.count.Load() >= maxDecisions:
		return Unusable
	default:
		sh.all[k] = append(said, e)
		d.count.Add(1)
	}
	word, mask := bit(k)
	sh.filter[word].Or(mask)
	return Applied
}

// keep ends the decisions of an issuer that are not among ds, up to a number.
func (d *decisions) keep(issuer string, ds []weir.Decision, upTo uint64) {
	type name struct {
		key  limiter.Key
		text string // of those without a key
	}
	nameOf := func(in *weir.Decision) name {
		if in.Key != 0 {
			return name{key: in.Key}
		}
		return name{text: in.Text}
	}
	in := make(map[name]bool, len(ds))
	for i := range ds {
		in[nameOf(&ds[i])] = true
	}
	d.each(func(e *decided) bool { return e.Issuer != issuer || e.Seq > upTo || in[nameOf(&e.Decision)] })
}

// sweep forgets what is over at now.
func (d *decisions) sweep(now time.Time) {
	if d.count.Load() > 0 {
		d.each(func(e *decided) bool { return now.Before(e.until) })
	}
}

// each keeps what stay is true of, and makes the filters anew.
func (d *decisions) each(stay func(*decided) bool) {
	for i := range d.shards {
		sh := &d.shards[i]
		var filter [64]uint64
		sh.mu.Lock()
		for k, said := range sh.all {
			rest := slices.DeleteFunc(said, func(e *decided) bool { return !stay(e) })
			d.count.Add(int64(len(rest) - len(said)))
			if len(rest) == 0 {
				delete(sh.all, k)
				continue
			}
			sh.all[k] = rest
			word, mask := bit(k)
			filter[word] |= mask
		}
		for w := range filter {
			sh.filter[w].Store(filter[w])
		}
		sh.mu.Unlock()
	}
}

// block tells the checks of m which keys the fleet has spent.
func (g *Gateway) block(m *policy.Match, s *snapshot, r *weir.Request, now time.Time) {
	if away := g.options.Events.Away; away != nil && s.base.Lossy() && away() {
		withoutManagers(m)
	}
	d := &g.decisions
	if d.count.Load() == 0 {
		return
	}
	for i := range m.Checks {
		if !m.Sources[i].Told() {
			continue
		}
		if e := d.find(m.Checks[i].Key, now); e != nil && m.Checks[i].Blocked == 0 {
			m.Checks[i].Blocked = e.ends.Sub(now)
		}
	}
	for _, t := range s.templates {
		var buf [256]byte
		k := d.seed.Key(string(t.AppendKey(buf[:0], r)))
		if e := d.find(k, now); e != nil {
			addForeign(m, k, e, now)
		}
	}
}

// retryAway is for how long a limit says that it refuses while nobody can tell
// whether it is spent.
const retryAway = time.Second

// withoutManagers makes the checks of m do what their limits say for the time in
// which traffic managers are away. Those that gateways share in a store are none of it.
func withoutManagers(m *policy.Match) {
	for i := range m.Checks {
		c, s := &m.Checks[i], m.Sources[i]
		switch {
		case !s.Eventual():
		case c.Limit.OnStoreLoss == limiter.Closed:
			c.Blocked = retryAway
		case c.Limit.OnStoreLoss == limiter.Open:
			c.Limit = s.Open()
		}
	}
}

// addForeign adds a check that refuses because of e: behind the custom rules.
func addForeign(m *policy.Match, k limiter.Key, e *decided, now time.Time) {
	i := len(m.Checks)
	for i > 0 && m.Sources[i-1].Level > weir.LevelCustom {
		i--
	}
	c := limiter.Check{Limit: e.source.Limit, Key: k, N: 1, Blocked: e.ends.Sub(now)}
	m.Checks, m.Sources = slices.Insert(m.Checks, i, c), slices.Insert(m.Sources, i, e.source)
}

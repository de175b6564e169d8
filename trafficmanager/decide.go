package trafficmanager

import (
	"cmp"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A Subject is a key that is counted, and what a decision says of it.
type Subject struct {
	Key    limiter.Key
	Text   string
	Level  weir.Level
	Policy string
	Group  int
	// Soft tells that gateways let calls past the limit all the same.
	Soft bool

	raw []byte // in place of Text: that is made only if it is told
}

// settle asks the counter of a subject, at a time that may be a little ahead of
// now, and decides on it unless that has been done. Whoever has changed a counter
// calls it afterwards; since it asks while it has the lock of the key, the last
// call sees what all changes come to.
func (m *Manager) settle(now, at time.Time, s *Subject) {
	if at.Before(now) {
		at = now
	}
	sh := m.force.shard(s.Key)
	sh.mu.Lock()
	set := m.set.Load()
	if set == nil {
		sh.mu.Unlock()
		return
	}
	l := set.Limit(s.Level, s.Policy, s.Group)
	var d *weir.Decision
	switch state, reset := m.look(at, l, s.Key, s.Soft); state {
	case spent:
		d = m.throttle(sh, now, s, set, l, at, reset)
	case left:
		d = m.release(sh, now, s.Key)
	}
	sh.mu.Unlock()
	m.publish(d)
}

// A state is what a counter says of its limit.
type state uint8

const (
	left    state = iota // something is left, or nothing is to be held to the limit
	spent                // nothing is left
	unclear              // the counter is in a later window
)

// look asks a counter whether the limit is spent, and how long until something is
// left; l may be nil.
func (m *Manager) look(at time.Time, l *limiter.Limit, key limiter.Key, soft bool) (state, time.Duration) {
	if l == nil || l.Shadow && !soft {
		return left, 0
	}
	one := [1]limiter.Check{{Limit: l, Key: key}}
	switch late := m.limiter.Record(at, one[:]); {
	case late > 0:
		return unclear, 0
	case !one[0].Over:
		return left, 0
	case l.Algorithm == limiter.FixedWindow || l.Cost == limiter.Bytes:
		return spent, one[0].Reset
	}
	// Until one more may pass, which only Take tells: it refuses.
	hard := *l
	hard.Shadow = false
	one[0] = limiter.Check{Limit: &hard, Key: key, N: 1}
	if ticket, ok := m.limiter.Take(at, one[:]); ok { // given back this moment
		ticket.Refund(at)
		return left, 0
	}
	return spent, one[0].Reset
}

// shortest is the least time for which a key of a window that slides is
// throttled: less would be over before anybody knew.
const shortest = 10 * time.Millisecond

// throttle decides that a key is throttled, unless that is known. The shard is
// locked.
func (m *Manager) throttle(sh *forceShard, now time.Time, s *Subject, set *policy.Set, l *limiter.Limit, at time.Time, reset time.Duration) *weir.Decision {
	ends := at.Add(reset)
	var begins time.Time
	if l.Algorithm == limiter.FixedWindow {
		begins, _ = l.Window.Bounds(at)
	} else if reset < shortest {
		return nil
	}
	was := sh.get(s.Key, now)
	if !ends.After(now) || was != nil && was.covers(s, now, ends, l.Algorithm) {
		return nil
	}
	d := &weir.Decision{
		Key: s.Key, Text: cmp.Or(s.Text, string(s.raw)), Level: s.Level, Policy: s.Policy, Group: s.Group,
		Throttled: true, Begins: begins, Ends: ends.Round(0), Issuer: m.issuer, Issued: now,
	}
	if s.Level == weir.LevelAPI || s.Level == weir.LevelResource {
		d.Conditions = set.Conditions(s.Policy)
	}
	m.force.keep(sh, now, d, l, s.Soft)
	m.stats.decisions.Add(1)
	return d
}

// release decides that a key is throttled no longer, if it was. The shard is locked.
func (m *Manager) release(sh *forceShard, now time.Time, key limiter.Key) *weir.Decision {
	was := sh.get(key, now)
	if was == nil || !was.decision.Throttled {
		return nil
	}
	d := *was.decision
	d.Throttled, d.Issued = false, now
	m.force.keep(sh, now, &d, was.limit, was.soft)
	m.stats.released.Add(1)
	return &d
}

// relook decides again on the keys of a shard by a new set.
func (m *Manager) relook(now time.Time, set *policy.Set, sh *forceShard) {
	var made []*weir.Decision
	sh.mu.Lock()
	for key, was := range sh.byKey {
		d := was.decision
		if !d.Throttled || !d.Ends.After(now) {
			continue
		}
		l := set.Limit(d.Level, d.Policy, d.Group)
		if l != nil && (l.Algorithm != was.limit.Algorithm || l.Cost != was.limit.Cost) {
			l = nil // it counts under another key
		}
		s := Subject{Key: key, Text: d.Text, Level: d.Level, Policy: d.Policy, Group: d.Group, Soft: was.soft}
		switch state, reset := m.look(now, l, key, was.soft); state {
		case left:
			made = append(made, m.release(sh, now, key))
		case spent:
			if now.Add(reset).Before(d.Ends) { // the window has become shorter
				made = append(made, m.release(sh, now, key))
			}
			made = append(made, m.throttle(sh, now, &s, set, l, now, reset))
		}
	}
	sh.mu.Unlock()
	for _, d := range made {
		m.publish(d)
	}
}

// publish tells a decision; d may be nil.
func (m *Manager) publish(d *weir.Decision) {
	if d != nil && m.publisher != nil {
		m.publisher.Publish(d)
	}
}

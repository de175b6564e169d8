package policy

import (
	"fmt"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/limiter"
)

// ByLevel is the Accuracy, in a [Definition], of a limit that does not say how closely a
// fleet is held to it: Options.Accuracy does, for the level at which it holds. A [Set]
// has no such limit.
const ByLevel limiter.Accuracy = 0xff

// Accuracies are the accuracies of limits that are [ByLevel], by their [weir.Level]. The zero
// value is Eventual everywhere.
type Accuracies [weir.LevelBackend + 1]limiter.Accuracy

// of returns the accuracy of l at a level.
func (o *Options) of(level weir.Level, l *limiter.Limit) limiter.Accuracy {
	switch {
	case o.AllEventual:
		return limiter.Eventual
	case l.Accuracy == ByLevel:
		return o.Accuracy[level]
	}
	return l.Accuracy
}

// lossOf returns what a limit of an accuracy does while its store is away: what it says or,
// if it says nothing, what follows from the accuracy.
func lossOf(said limiter.OnStoreLoss, a limiter.Accuracy) limiter.OnStoreLoss {
	switch {
	case said != limiter.ByAccuracy:
		return said
	case a == limiter.Exact:
		return limiter.Closed
	}
	return limiter.Local
}

// checkAccuracies reports accuracies that there are not.
func checkAccuracies(all *Accuracies) error {
	for level, a := range all {
		if a > limiter.Exact {
			return fmt.Errorf("compile policies: unknown accuracy %d of level %s", a, weir.Level(level))
		}
	}
	return nil
}

// A Sharing is a limit that says itself how a fleet is held to it.
type Sharing struct {
	Of    string // whose limit it is, for people: subscription policy "Gold"
	Limit *limiter.Limit
}

// String says it for people: subscription policy "Gold": exact, closed.
func (s Sharing) String() string {
	accuracy := "as closely as its level"
	if s.Limit.Accuracy != ByLevel {
		accuracy = s.Limit.Accuracy.String()
	}
	return s.Of + ": " + accuracy + ", " + lossOf(s.Limit.OnStoreLoss, s.Limit.Accuracy).String()
}

// NeedsStore reports whether only gateways that share counters hold the limit as it
// says; others take it for an Eventual one.
func (s Sharing) NeedsStore() bool {
	return s.Limit.Accuracy == limiter.Bounded || s.Limit.Accuracy == limiter.Exact
}

// Sharing returns the limits of d that say themselves, be it in part, how a fleet is held
// to them.
func (d *Definition) Sharing() []Sharing {
	var all []Sharing
	add := func(l *limiter.Limit, format string, args ...any) {
		if l != nil && (l.Accuracy != ByLevel || l.OnStoreLoss != limiter.ByAccuracy) {
			all = append(all, Sharing{fmt.Sprintf(format, args...), l})
		}
	}
	for i := range d.Policies {
		p := &d.Policies[i]
		add(p.Limit, "%s policy %s", p.Kind, quoted(p.Name))
		add(p.Burst, "burst of %s policy %s", p.Kind, quoted(p.Name))
		for j := range p.Groups {
			add(p.Groups[j].Limit, "group %d of %s policy %s", j+1, p.Kind, quoted(p.Name))
		}
	}
	for i := range d.Rules {
		add(&d.Rules[i].Limit, "custom rule %s", quoted(d.Rules[i].Name))
	}
	for i := range d.Backends {
		b := &d.Backends[i]
		add(b.Production, "production backend of %s %s", shortened(b.Context), shortened(b.Version))
		add(b.Sandbox, "sandbox backend of %s %s", shortened(b.Context), shortened(b.Version))
	}
	return all
}

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
	case said == limiter.Local, said == limiter.Closed, said == limiter.Open:
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

// NeedStore names, for people, what has a limit that says itself that it is Bounded or
// Exact: gateways keep it so if they share counters, and otherwise as an Eventual one.
func (d *Definition) NeedStore() []string {
	var names []string
	need := func(l *limiter.Limit, format string, args ...any) bool {
		if l == nil || (l.Accuracy != limiter.Bounded && l.Accuracy != limiter.Exact) {
			return false
		}
		names = append(names, fmt.Sprintf(format, args...))
		return true
	}
	for i := range d.Policies {
		p := &d.Policies[i]
		found := need(p.Limit, "%s policy %s", p.Kind, quoted(p.Name)) || need(p.Burst, "%s policy %s", p.Kind, quoted(p.Name))
		for j := 0; j < len(p.Groups) && !found; j++ {
			found = need(p.Groups[j].Limit, "%s policy %s", p.Kind, quoted(p.Name))
		}
	}
	for i := range d.Rules {
		need(&d.Rules[i].Limit, "custom rule %s", quoted(d.Rules[i].Name))
	}
	for i := range d.Backends {
		b := &d.Backends[i]
		if !need(b.Production, "backend of %s %s", shortened(b.Context), shortened(b.Version)) {
			need(b.Sandbox, "backend of %s %s", shortened(b.Context), shortened(b.Version))
		}
	}
	return names
}

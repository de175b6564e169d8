package app

import (
	"strings"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// accuracies returns the accuracies of limits that say none, as policies have them.
func accuracies(a config.Accuracy) policy.Accuracies {
	of := func(name string) limiter.Accuracy {
		switch name {
		case config.Bounded:
			return limiter.Bounded
		case config.Exact:
			return limiter.Exact
		}
		return limiter.Eventual
	}
	return policy.Accuracies{
		weir.LevelAPI:               of(a.API),
		weir.LevelResource:          of(a.Resource),
		weir.LevelSubscription:      of(a.Subscription),
		weir.LevelSubscriptionBurst: of(a.Burst),
		weir.LevelApplication:       of(a.Application),
		weir.LevelApplicationBurst:  of(a.Burst),
		weir.LevelCustom:            of(a.Custom),
		weir.LevelBackend:           of(a.Backend),
	}
}

// sayAlone warns of limits that ask for counters that are shared, at a gateway that
// shares none.
func (g *gatewayRole) sayAlone(d *policy.Definition) {
	if g.app.options.Config.Shared(config.Gateway) != nil {
		return
	}
	var names []string
	for _, s := range d.Sharing() {
		if s.NeedsStore() {
			names = append(names, s.Of)
		}
	}
	if len(names) > 0 {
		g.app.log.Warn("limits are bounded or exact, and this gateway shares no counters: they are held as if they were eventual",
			"limits", strings.Join(names, ", "))
	}
}

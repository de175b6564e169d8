package doctor

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/weir-project/weir/app"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
)

// storeChecks look at the stores through which the roles of c share, each once.
func storeChecks(c *config.Config) []*check {
	var all []*check
	var seen []*config.Store
	for _, r := range []config.Role{config.Gateway, config.TrafficManager} {
		how := c.Shared(r)
		if how == nil || len(seen) > 0 && isSame(seen[0], &how.Store) {
			continue
		}
		seen = append(seen, &how.Store)
		all = append(all, &check{name: "store " + how.Store.String(), run: func(ctx context.Context, k *check) {
			k.store(ctx, c, r, how)
		}})
	}
	return all
}

// store looks at one store.
func (k *check) store(ctx context.Context, c *config.Config, r config.Role, how *config.Shared) {
	o, err := app.StoreOptions(c, r, how)
	if err != nil {
		k.add(Fault, "correct ["+how.Store.Section+"]", "%v", err)
		return
	}
	o.ClientName = "weir-doctor"
	s, err := redis.New(o)
	if err != nil {
		k.add(Fault, "correct ["+how.Store.Section+"]", "%v", err)
		return
	}
	defer s.Close()
	for _, f := range s.Check(ctx) {
		if f.Level != redis.Fault && strings.Contains(f.Text, "clock and this one") {
			continue // clocks are compared with all others
		}
		k.add(Level(f.Level.String()), f.Advice, "%s", f.Text)
	}
	k.storeClock(ctx, o)
	if how.Store.Timeout < 20*time.Millisecond {
		k.add(Info, "raise socket_timeout unless the network is as fast", "a round of sharing may take %v only", how.Store.Timeout)
	}
}

// storeClock reads the store's clock, by a call that says nothing.
func (k *check) storeClock(ctx context.Context, o redis.Options) {
	o.Prefix += "check:"
	s, err := redis.New(o)
	if err != nil {
		return
	}
	defer s.Close()
	b := &limiter.Batch{Node: rand.Uint64() | 1}
	for range 2 { // the first one connects
		asked := time.Now()
		if err := s.Share(ctx, b); err != nil {
			return // what is wrong has been said
		}
		k.clocks = nil
		k.clock(time.Unix(0, b.Now), asked, time.Now())
	}
}

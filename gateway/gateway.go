// Package gateway is the data plane: it takes a request, finds out who sends it,
// matches it against the policies, decides from memory, and forwards or refuses.
//
//	identify → match → decide → forward or reject
//
// The front doors (http1, http2) receive requests and forward them; all that is
// decided is decided here, so that every protocol is held to the same limits.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/gateway/upstream"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// Options are what a Gateway is made of. Limiter, Seed and Targets must be kept
// for as long as the process runs: they hold what outlives a change of
// definition.
type Options struct {
	Limiter *limiter.Limiter   // required
	Seed    limiter.Seed       // keys of the counters
	Targets *upstream.Registry // required
	Rules   policy.Compiler    // required if any custom rule has a condition
	// Authenticator finds out who calls; nil means one that takes API keys in
	// their usual places, and no tokens.
	Authenticator *identity.Authenticator
	// Proxies are the proxies whose X-Forwarded-For is believed; nil: none.
	Proxies *identity.Proxies
	// IPv6Bits is the length of the network by which IPv6 addresses count where
	// an address is counted; zero means 64.
	IPv6Bits int
	// Accuracy is that of limits that do not say which they have, by their level.
	Accuracy policy.Accuracies
	// AllEventual takes all limits for Eventual: nothing shares Limiter's counters.
	AllEventual bool
	// Sharer shares the limiter's counters with other gateways; nil: nobody does.
	Sharer Sharer
	// Events say who is told of accepted calls; the zero value tells nobody.
	Events EventOptions
}

// A Gateway decides on calls. It is safe for concurrent use.
type Gateway struct {
	options   Options
	limiter   *limiter.Limiter
	snapshot  atomic.Pointer[snapshot]
	apply     sync.Mutex // one change of the snapshot at a time
	overlay   overlay    // guarded by apply
	events    *ledger    // nil: nobody is told
	refusals  *refusals  // nil like events
	decisions decisions
	stats     [stripes]stripe
	next      atomic.Uint32
}

// New returns a Gateway without APIs: until the first Apply it answers 503.
func New(o Options) (*Gateway, error) {
	switch {
	case o.Limiter == nil:
		return nil, errors.New("gateway: Options.Limiter is missing")
	case o.Targets == nil:
		return nil, errors.New("gateway: Options.Targets is missing")
	}
	if o.Authenticator == nil {
		o.Authenticator = identity.NewAuthenticator(identity.AuthenticatorOptions{})
	}
	g := &Gateway{options: o, limiter: o.Limiter}
	g.decisions.seed = limiter.NewSeed()
	if o.Events.To != nil {
		g.events, g.refusals = newLedger(o.Events), newRefusals()
	}
	return g, nil
}

// Apply makes d what the gateway serves and enforces, from the next call on.
// Calls under way end as they began. Counters are kept: a key that both
// definitions know keeps what it has spent. If anything in d is wrong, the error
// says all that is, and nothing changes.
func (g *Gateway) Apply(d Definition) error {
	g.apply.Lock()
	defer g.apply.Unlock()
	s, err := g.compile(&d, time.Now())
	if err != nil {
		return fmt.Errorf("apply definition: %w", err)
	}
	if s, err = s.under(&g.overlay); err != nil {
		return fmt.Errorf("apply definition: %w", err)
	}
	g.snapshot.Store(s)
	return nil
}

// Ready reports whether a definition is in force.
func (g *Gateway) Ready() bool { return g.snapshot.Load() != nil }

// sweepEvery is how often counters of ended windows are looked for.
const sweepEvery = 5 * time.Second

// Run does the gateway's housekeeping until ctx is done, and tells what has been
// spent until then: calls must have ended before.
func (g *Gateway) Run(ctx context.Context) error {
	var telling sync.WaitGroup
	defer telling.Wait()
	if g.events != nil {
		telling.Go(func() { g.events.run(ctx) })
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			g.limiter.Sweep(g.clock(now))
			g.decisions.sweep(now)
		}
	}
}

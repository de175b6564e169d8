package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/uplink"
	"github.com/weir-project/weir/limiter"
)

// A gatewayRole is a gateway, but for its doors, and how it works together with
// traffic managers.
type gatewayRole struct {
	role
	app     *App
	core    *core
	sharing *sharing // of its counters with other gateways; nil: with none

	told       told
	uplink     *uplink.Uplink // to traffic managers elsewhere; nil: there are none
	direct     *direct        // to the one of the process; nil: it is not asked
	directives *directives
	retriever  *retriever // nil: there is nobody to be asked
	hearings   []*hearing // of each broker
	client     *pair      // the certificate that is shown to traffic managers; nil: none
}

// A told hands on what a gateway counted, to somebody who is known only once there is
// a gateway.
type told struct{ to gateway.Told }

// Events implements gateway.Told.
func (t *told) Events(n uint64, body event.Body) { t.to.Events(n, body) }

// away reports whether all traffic managers are.
func (g *gatewayRole) away() bool { return g.uplink != nil && g.uplink.Away() }

// buildGateway makes a.gateway.
func (a *App) buildGateway() error {
	c := &a.options.Config
	u := c.Uplink()
	g := &gatewayRole{app: a, role: role{
		name: string(config.Gateway), source: a.options.Gateway, reloads: reloadMetrics(config.Gateway),
	}}
	shared := c.Shared(config.Gateway)
	with := counting{limiter: newLimiter(c, shared, limiter.Checks), seed: limiter.NewSeed()}
	if u != nil || shared != nil {
		with.seed = limiter.SeedOf(c.FleetSecret())
	}
	if u != nil {
		with.events = gateway.EventOptions{
			To: &g.told, Away: g.away, Flush: c.Events.Flush, MaxEvents: c.Events.MaxEvents, Ledger: int(c.Events.Ledger),
		}
	}
	var err error
	if g.sharing, err = newSharing(c, config.Gateway, shared, with.limiter, nil, a.log); err != nil {
		return err
	}
	with.sharing = g.sharing
	if g.core, err = newCore(c, with, a.reportIssuer); err != nil {
		return err
	}
	g.sharing.tells(g.core.gateway.Source, func() uint64 {
		s := g.core.gateway.Stats()
		return s.Decided()
	})
	g.apply = func(d gateway.Definition) error {
		g.sayAlone(&d.Policies)
		return g.core.gateway.Apply(d)
	}
	a.gateway = g
	a.metrics.MustRegister(newGatewayMetrics(g.core.gateway.Stats), g.reloads)
	if u == nil {
		if c.Role == config.Gateway && shared == nil {
			a.log.Info("the configuration names no traffic manager: this gateway holds limits alone")
		}
		return nil
	}
	if err := g.join(c, u); err != nil {
		return err
	}
	a.metrics.MustRegister(newFleetMetrics(g))
	return nil
}

func (a *App) reportIssuer(issuer string, err error) {
	a.log.Warn("keys of an issuer not available", "issuer", issuer, "error", err)
}

// join makes what the gateway needs to work together with traffic managers.
func (g *gatewayRole) join(c *config.Config, u *config.Uplink) error {
	secure, err := g.clientTLS(c)
	if err != nil {
		return err
	}
	if len(u.Groups) == 0 {
		g.direct = newDirect(g.app.manager.manager, nodeName(c), g.core.gateway.Refused, int(c.Events.QueueBytes), g.app.log)
		g.direct.ahead, g.direct.sharing = g.app.manager.sharing.ahead, g.sharing.state()
		g.told.to = g.direct
	} else if err := g.joinGroups(c, u, secure); err != nil {
		return err
	}
	g.directives = newDirectives(g.core.gateway, u.Denies, max(len(u.Data), 1), g.app.log)
	missed := g.lookUp
	if g.direct == nil {
		g.retriever = newRetriever(u, secure, g.directives, g.app.log)
		missed = g.retriever.ask
	}
	var carriers []*carrier
	if g.direct != nil {
		carriers = append(carriers, g.app.manager.bus)
	}
	for _, at := range u.Brokers {
		k, err := newCarrier(at, c)
		if err != nil {
			return err
		}
		carriers = append(carriers, k)
	}
	secret := broker.NewSecret(c.FleetSecret())
	for _, k := range carriers {
		h := &hearing{carrier: k, secret: secret, gateway: g.core.gateway, into: g.directives, missed: missed, log: g.app.log}
		if g.uplink != nil {
			h.skew = g.uplink.Skew
		} else {
			h.skew = func(string) (time.Duration, bool) { return g.app.manager.sharing.ahead(), true }
		}
		g.hearings = append(g.hearings, h)
	}
	return nil
}

// lookUp takes all that is in force from the traffic manager of the process.
func (g *gatewayRole) lookUp() {
	now := time.Now()
	m := g.app.manager
	ahead := m.sharing.ahead()
	ds, upTo := m.manager.Snapshot(now.Add(ahead))
	g.core.gateway.DecideAll(now, m.manager.Issuer(), upTo, ds, ahead)
	if set := m.set.Load(); set != nil {
		g.directives.answered(0, said{asked: now, denies: set.Denies(), templates: set.KeyTemplates()})
	}
}

// joinGroups makes the uplink to traffic managers that are elsewhere.
func (g *gatewayRole) joinGroups(c *config.Config, u *config.Uplink, secure *tls.Config) error {
	core := g.core.gateway
	o := uplink.Options{
		Node: nodeName(c), User: u.Login.User, Password: string(u.Login.Password),
		CAs: secure.RootCAs, Certificate: secure.GetClientCertificate,
		QueueBytes: int(c.Events.QueueBytes), QueueAge: c.Events.QueueAge,
		Restate: core.Restate, Refused: core.Refused, Sharing: g.sharing.state(),
		Decide: func(d *weir.Decision, skew time.Duration) { core.Decide(time.Now(), d, skew) },
		DecideAll: func(issuer string, upTo uint64, ds []weir.Decision, skew time.Duration) {
			core.DecideAll(time.Now(), issuer, upTo, ds, skew)
		},
		Retire: core.Retire,
		Log:    g.app.log,
	}
	for _, from := range u.Groups {
		to := uplink.Group{}
		if from.FailOver {
			to.Type = uplink.Failover
		}
		for _, at := range from.URLs {
			to.Managers = append(to.Managers, uplink.Manager{URL: at})
		}
		o.Groups = append(o.Groups, to)
	}
	var err error
	if g.uplink, err = uplink.New(o); err != nil {
		return err
	}
	g.told.to = g.uplink
	return nil
}

// clientTLS returns how traffic managers are connected to.
func (g *gatewayRole) clientTLS(c *config.Config) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if c.Events.CAFile != "" {
		if t.RootCAs, err = loadCAs("events.ca_file", c.Events.CAFile); err != nil {
			return nil, err
		}
	}
	if c.Events.CertFile != "" {
		if g.client, err = loadPair("events.cert_file", c.Events.CertFile, c.Events.KeyFile); err != nil {
			return nil, err
		}
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return g.client.certificate(), nil }
	}
	return t, nil
}

// watchClient reads the gateway's certificate again when it has changed.
func (g *gatewayRole) watchClient(ctx context.Context) error {
	g.client.run(ctx, g.app.log)
	return nil
}

// uplinkGrace is how long the uplink may take to tell what still waits.
const uplinkGrace = 4 * time.Second

// services returns what runs of the gateway besides its doors. What tells traffic
// managers begins before the gateway counts, and so ends after it.
func (g *gatewayRole) services() []service {
	all := g.sharing.services()
	if g.client != nil {
		all = append(all, service{"client certificate", g.watchClient, stopGrace})
	}
	if g.direct != nil {
		all = append(all, service{"events", g.direct.run, stopGrace})
	}
	if g.uplink != nil {
		all = append(all, service{"events", g.uplink.Run, uplinkGrace})
	}
	if g.retriever != nil {
		all = append(all, service{"deny policies and key templates", g.retriever.run, stopGrace})
	}
	for _, h := range g.hearings {
		all = append(all, service{fmt.Sprintf("topic of %s", h.carrier.name), h.run, stopGrace})
	}
	all = append(all,
		service{"counters", g.core.gateway.Run, stopGrace},
		service{"backends", g.core.targets.Run, stopGrace},
	)
	if g.core.tokens != nil {
		all = append(all, service{"issuers", g.core.tokens.Run, stopGrace})
	}
	return all
}

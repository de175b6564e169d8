package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/nats"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/policy/rule"
	"github.com/weir-project/weir/trafficmanager"
	"github.com/weir-project/weir/trafficmanager/ingest"
)

// A managerRole is a traffic manager, with its ways to tell what it decides.
type managerRole struct {
	role
	manager *trafficmanager.Manager
	limiter *limiter.Limiter
	sharing *sharing     // of its counters with other traffic managers; nil: with none
	handler http.Handler // of its endpoints
	server  *nats.Server // nil: it has no broker in it
	tellers tellers
	bus     *carrier // to the gateway of the process; nil: there is none
	news    news
	// What is in force; nil before the first apply.
	set        atomic.Pointer[policy.Set]
	definition atomic.Pointer[policy.Definition]
}

// buildManager makes a.manager.
func (a *App) buildManager() error {
	c := &a.options.Config
	shared := c.Shared(config.TrafficManager)
	m := &managerRole{limiter: newLimiter(c, shared, limiter.Records)}
	if err := m.buildTellers(c, a); err != nil {
		return err
	}
	id := randomNumber()
	issuer := fmt.Sprintf("%s-%08x", nodeName(c), uint32(id>>32))
	var err error
	if m.manager, err = trafficmanager.New(trafficmanager.Options{
		Limiter: m.limiter, Issuer: issuer, ID: id, Publisher: m.tellers, Grace: c.TrafficManager.Grace,
		Shares: sharesName(c, shared),
	}); err != nil {
		return err
	}
	if m.sharing, err = newSharing(c, config.TrafficManager, shared, m.limiter, m.manager.Answered, a.log); err != nil {
		return err
	}
	m.sharing.tells(m.source, m.manager.Requests)
	for _, t := range m.tellers {
		t.again = func() { m.manager.Republish(m.sharing.now()) }
	}
	m.news = news{issuer: issuer, tellers: m.tellers}
	if m.handler, err = newEndpoints(c, m, a.log); err != nil {
		return err
	}
	seed := limiter.SeedOf(c.FleetSecret())
	m.role = role{
		name: string(config.TrafficManager), source: a.options.TrafficManager, reloads: reloadMetrics(config.TrafficManager),
		apply: func(d gateway.Definition) error { return m.apply(d.Policies, seed, c.ClientAddress.IPv6Bits) },
	}
	a.manager = m
	a.metrics.MustRegister(newManagerMetrics(m), m.reloads)
	return nil
}

// buildTellers makes the ways to tell decisions.
func (m *managerRole) buildTellers(c *config.Config, a *App) error {
	topic := c.Topic()
	var carriers []*carrier
	if topic.Memory {
		m.bus = newBus()
		carriers = append(carriers, m.bus)
	}
	if topic.Embedded != "" {
		s, own, err := newBroker(&topic, c, a.log)
		if err != nil {
			return err
		}
		m.server = s
		carriers = append(carriers, own)
	}
	for _, u := range topic.Brokers {
		apart, err := newCarrier(u, c)
		if err != nil {
			return err
		}
		carriers = append(carriers, apart)
	}
	secret := broker.NewSecret(c.FleetSecret())
	for _, one := range carriers {
		t, err := newTeller(one, secret, c.Broker.Queue, a.log)
		if err != nil {
			return err
		}
		m.tellers = append(m.tellers, t)
	}
	return nil
}

// apply makes the policies of d those that events are counted by.
func (m *managerRole) apply(d policy.Definition, seed limiter.Seed, ipv6Bits int) error {
	set, err := policy.Compile(d, policy.Options{Seed: seed, Compiler: rule.New(), IPv6Bits: ipv6Bits, AllEventual: true})
	if err != nil {
		return fmt.Errorf("apply policies: %w", err)
	}
	now := m.sharing.now()
	m.manager.Apply(now, set)
	m.definition.Store(&d)
	// Gateways that are told ask at once for all there is: it must be there before.
	m.news.tell(now, m.set.Swap(set), set)
	return nil
}

// source returns where a limit comes from, nil if it is not in force.
func (m *managerRole) source(l *limiter.Limit) *policy.Source {
	if set := m.set.Load(); set != nil {
		return set.Source(l)
	}
	return nil
}

// newEndpoints returns what gateways and operators talk to.
func newEndpoints(c *config.Config, m *managerRole, log *slog.Logger) (http.Handler, error) {
	o := ingest.Options{
		Manager:    m.manager,
		Definition: m.definition.Load,
		Sharing:    m.sharing.state(),
		Users:      []ingest.User{{Name: c.APIM.User, Password: string(c.APIM.Password)}},
		Now:        m.sharing.now,
		Log:        log,
	}
	if c.Management.ClientCA != "" {
		// Its authorities vouch for nobody else, so whoever they vouch for is meant.
		o.Certificate = func(*x509.Certificate) bool { return true }
	}
	return ingest.New(o)
}

const (
	countersSweep = 5 * time.Second
	managerSweep  = time.Minute
	// askEach is how often it is asked whether others gave something back.
	askEach = time.Second
)

// services returns what runs of the traffic manager besides its endpoints.
func (m *managerRole) services(a *App) []service {
	all := m.sharing.services()
	if m.server != nil {
		all = append(all, service{"broker", m.server.Run, stopGrace})
	}
	for _, t := range m.tellers {
		if t.carrier.run != nil {
			all = append(all, service{"connection to " + t.carrier.name, func(ctx context.Context) error {
				return persist(ctx, a.log, t.carrier.name, "gateways hear of decisions when they tell events", t.carrier.run)
			}, stopGrace})
		}
		all = append(all, service{"topic on " + t.carrier.name, t.run, lastWords + stopGrace})
	}
	return append(all, service{"traffic manager", m.sweep, stopGrace})
}

// sweep forgets what is over, and asks what may have changed, until ctx is done.
func (m *managerRole) sweep(ctx context.Context) error {
	counters, decisions, again := time.NewTicker(countersSweep), time.NewTicker(managerSweep), time.NewTicker(askEach)
	defer counters.Stop()
	defer decisions.Stop()
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-counters.C:
			m.limiter.Sweep(m.sharing.now())
		case <-decisions.C:
			m.manager.Sweep(m.sharing.now())
		case <-again.C:
			if m.sharing != nil {
				m.manager.AskAgain(m.sharing.now(), m.sharing.sharer.Ask)
			}
		}
	}
}

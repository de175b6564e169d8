// Package app builds a gateway process from a configuration and a definition,
// runs it, and is the only place that knows all of its parts.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/telemetry"
)

// Options are what a process is built from. Config, Source and Log are required.
type Options struct {
	Config config.Config
	// Source reads the definition to serve: at the start, where an error ends
	// the process, and at each reload, where it leaves the last good one in force.
	Source func() (gateway.Definition, error)
	// Reread reads the configuration again at each reload; nil: it never changes.
	Reread func() (config.Config, error)
	// Watch is the file that Source reads, if a change of it is to be applied
	// without being asked for. Empty: it is not.
	Watch string
	// Hangup asks for a reload with each value; nil: nobody asks.
	Hangup <-chan os.Signal
	// Log takes the log.
	Log io.Writer
	// Version is what /metrics says is running.
	Version string
	// Started is called once, when the process takes requests; nil: nobody
	// wants to know.
	Started func(Addresses)
}

func (o *Options) validate() error {
	switch {
	case o.Source == nil:
		return errors.New("app: Options.Source is missing")
	case o.Log == nil:
		return errors.New("app: Options.Log is missing")
	}
	return nil
}

// Addresses are where a process listens; one that is not open is not valid.
type Addresses struct{ HTTP, HTTPS, Management netip.AddrPort }

// An App is one gateway process.
type App struct {
	options  Options
	log      *slog.Logger
	level    slog.LevelVar
	ready    readiness
	metrics  *prometheus.Registry
	reloads  *prometheus.CounterVec
	core     *core
	applied  stamp // of Options.Watch
	launched time.Time
}

// New builds a process and applies its first definition. It starts nothing and
// opens no port.
func New(o Options) (*App, error) {
	a := &App{options: o, launched: time.Now()}
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := a.setUpLog(); err != nil {
		return nil, err
	}
	var err error
	if a.core, err = newCore(&o.Config, a.reportIssuer); err != nil {
		return nil, err
	}
	a.applied = stampOf(o.Watch)
	d, err := o.Source()
	if err != nil {
		return nil, err
	}
	if err := a.core.gateway.Apply(d); err != nil {
		return nil, err
	}
	a.log.Info("artifact applied", "apis", len(d.APIs), "applications", len(d.Applications))
	a.metrics = telemetry.NewRegistry(o.Version)
	a.reloads = reloadMetrics()
	a.metrics.MustRegister(newGatewayMetrics(a.core.gateway.Stats), a.reloads)
	return a, nil
}

func (a *App) setUpLog() error {
	a.level.Set(logLevel(a.options.Config.Log))
	var err error
	a.log, err = telemetry.NewLogger(a.options.Log, telemetry.LogFormat(a.options.Config.Log.Format), &a.level)
	return err
}

// logLevel returns the level that c names; the configuration has been checked.
func logLevel(c config.Log) slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(c.Level)) != nil {
		return slog.LevelInfo
	}
	return l
}

func (a *App) reportIssuer(issuer string, err error) {
	a.log.Warn("keys of an issuer not available", "issuer", issuer, "error", err)
}

// stopGrace is how long a service without requests may take to stop.
const stopGrace = 2 * time.Second

// Run opens the ports and serves until ctx is done or something fails for good.
// Then it takes no new requests, lets those under way finish for as long as the
// configuration says, and stops every part in the opposite order of its start.
func (a *App) Run(ctx context.Context) error {
	telemetry.AdoptLog(a.log)
	doors, err := a.openDoors()
	if err != nil {
		return err
	}
	management, err := a.openManagement()
	if err != nil {
		doors.close()
		return err
	}
	// Each uses those before it. The doors come last, so that they stop first.
	services := []service{
		{"counters", a.core.gateway.Run, stopGrace},
		{"backends", a.core.targets.Run, stopGrace},
	}
	if a.core.tokens != nil {
		services = append(services, service{"issuers", a.core.tokens.Run, stopGrace})
	}
	if management != nil {
		services = append(services, service{"management", func(ctx context.Context) error {
			return serveManagement(ctx, management, managementHandler(&a.ready, a.metrics))
		}, httpGrace + stopGrace})
	}
	services = append(services,
		service{"reload", a.reloader, stopGrace},
		service{"doors", doors.run, a.options.Config.Shutdown.Grace + stopGrace},
		service{"readiness", a.beReady, stopGrace},
	)
	a.announce(doors.addresses(management))
	err = serve(ctx, services)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	a.log.Info("gateway stopped")
	return nil
}

// beReady is the last service: it is ready while all the others run.
func (a *App) beReady(ctx context.Context) error {
	a.ready.ready.Store(true)
	<-ctx.Done()
	a.ready.ready.Store(false)
	a.log.Info("gateway stopping")
	return nil
}

// announce says where the process listens.
func (a *App) announce(at Addresses) {
	attrs := []any{"took", time.Since(a.launched).Round(time.Millisecond)}
	for _, l := range []struct {
		name string
		addr netip.AddrPort
	}{{"http", at.HTTP}, {"https", at.HTTPS}, {"management", at.Management}} {
		if l.addr.IsValid() {
			attrs = append(attrs, l.name, l.addr.String())
		}
	}
	a.log.Info("ready", attrs...)
	if a.options.Started != nil {
		a.options.Started(at)
	}
}

// proxies returns the proxies that c trusts.
func proxies(c *config.Config) (*identity.Proxies, error) {
	p, err := identity.NewProxies(c.ClientAddress.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("client_address.trusted_proxies: %w", err)
	}
	return p, nil
}

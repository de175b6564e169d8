// Package app builds a process of one or more roles from a configuration and
// artifacts, runs it, and is the only place that knows all of its parts.
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
	"github.com/weir-project/weir/telemetry"
)

// A Source is where a role has what it serves or counts by.
type Source struct {
	// Read reads it: at the start, where an error ends the process, and at each
	// reload, where it leaves the last good one in force.
	Read func() (gateway.Definition, error)
	// Watch is the file that Read reads, if a change of it is to be applied
	// without being asked for. Empty: it is not.
	Watch string
}

// Options are what a process is built from. Config and Log are required, and the
// Source of each role that Config.Role has.
type Options struct {
	Config         config.Config
	Gateway        Source // what is served
	TrafficManager Source // whose limits are counted
	// Reread reads the configuration again at each reload; nil: it never changes.
	Reread func() (config.Config, error)
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
	r := o.Config.Role
	switch {
	case !r.HasGateway() && !r.HasTrafficManager():
		return fmt.Errorf("app: the role %q can't be run", r)
	case r.HasGateway() && o.Gateway.Read == nil:
		return errors.New("app: Options.Gateway is missing")
	case r.HasTrafficManager() && o.TrafficManager.Read == nil:
		return errors.New("app: Options.TrafficManager is missing")
	case o.Log == nil:
		return errors.New("app: Options.Log is missing")
	}
	return nil
}

// Addresses are where a process listens; one that is not open is not valid.
type Addresses struct {
	HTTP, HTTPS netip.AddrPort // for clients of APIs
	// Management and ManagementHTTPS are for everybody else.
	Management, ManagementHTTPS netip.AddrPort
}

// An App is one process.
type App struct {
	options  Options
	log      *slog.Logger
	level    slog.LevelVar
	ready    readiness
	metrics  *prometheus.Registry
	manager  *managerRole // nil: none
	gateway  *gatewayRole // nil: none
	roles    []*role      // in the order in which they start
	launched time.Time
}

// New builds a process and has each role apply its first definition. It starts
// nothing and opens no port.
func New(o Options) (*App, error) {
	a := &App{options: o, launched: time.Now()}
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := a.setUpLog(); err != nil {
		return nil, err
	}
	for _, n := range o.Config.Notes {
		a.log.Warn("a key of the configuration has no effect", "note", n.Error())
	}
	a.metrics = telemetry.NewRegistry(o.Version)
	if err := a.build(); err != nil {
		return nil, err
	}
	if all := a.sharings(); len(all) > 0 {
		a.metrics.MustRegister(newSharingMetrics(all))
	}
	for _, r := range a.roles {
		if err := r.start(a.log); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// sharings returns how the roles share counters, of those that do.
func (a *App) sharings() []*sharing {
	var all []*sharing
	if a.manager != nil && a.manager.sharing != nil {
		all = append(all, a.manager.sharing)
	}
	if a.gateway != nil && a.gateway.sharing != nil {
		all = append(all, a.gateway.sharing)
	}
	return all
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

// stopGrace is how long a service without requests may take to stop.
const stopGrace = 2 * time.Second

// Run opens the ports and serves until ctx is done or something fails for good.
// Then it takes no new requests, lets those under way finish for as long as the
// configuration says, and stops every part in the opposite order of its start.
func (a *App) Run(ctx context.Context) error {
	telemetry.AdoptLog(a.log)
	for _, s := range a.sharings() {
		if err := s.check(ctx); err != nil {
			return err
		}
	}
	var d doors
	if a.gateway != nil {
		if err := a.openDoors(&d); err != nil {
			return err
		}
	}
	m, err := a.openManagement()
	if err != nil {
		d.close()
		return err
	}
	if err := serve(ctx, a.services(&d, m)); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	a.log.Info("stopped")
	return nil
}

// services returns all of the process in the order of its start: each uses those
// before it. Who asks comes last and stops first; so what a gateway has to say at
// the end still reaches the traffic manager of the same process, and that has all
// its ways to tell what follows from it.
func (a *App) services(d *doors, m *management) []service {
	var all []service
	if a.manager != nil {
		all = append(all, a.manager.services(a)...)
	}
	all = append(all, m.services(a)...)
	if a.gateway != nil {
		all = append(all, a.gateway.services()...)
		all = append(all, service{"doors", d.run, a.options.Config.Shutdown.Grace + stopGrace})
	}
	return append(all,
		service{"reload", a.reloader, stopGrace},
		service{"readiness", func(ctx context.Context) error { return a.beReady(ctx, d.addresses(m)) }, stopGrace},
	)
}

// beReady is the last service: it is ready while all the others run.
func (a *App) beReady(ctx context.Context, at Addresses) error {
	a.ready.ready.Store(true)
	a.announce(at)
	<-ctx.Done()
	a.ready.ready.Store(false)
	a.log.Info("stopping")
	return nil
}

// announce says where the process listens.
func (a *App) announce(at Addresses) {
	attrs := []any{"role", string(a.options.Config.Role), "took", time.Since(a.launched).Round(time.Millisecond)}
	for _, l := range []struct {
		name string
		addr netip.AddrPort
	}{{"http", at.HTTP}, {"https", at.HTTPS}, {"management", at.Management}, {"management_https", at.ManagementHTTPS}} {
		if l.addr.IsValid() {
			attrs = append(attrs, l.name, l.addr.String())
		}
	}
	a.log.Info("ready", attrs...)
	if a.options.Started != nil {
		a.options.Started(at)
	}
}

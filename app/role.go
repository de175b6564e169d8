package app

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
)

// A role is what is common to the roles of a process: each works from an artifact,
// which it applies as a whole or not at all.
type role struct {
	name    string // in the log
	source  Source
	applied stamp // of source.Watch
	apply   func(gateway.Definition) error
	reloads *prometheus.CounterVec
}

// build makes the roles of the process, in the order in which they start.
func (a *App) build() error {
	if a.options.Config.Role.HasTrafficManager() {
		if err := a.buildManager(); err != nil {
			return fmt.Errorf("traffic manager: %w", err)
		}
		a.roles = append(a.roles, &a.manager.role)
	}
	if a.options.Config.Role.HasGateway() {
		if err := a.buildGateway(); err != nil {
			return err
		}
		a.roles = append(a.roles, &a.gateway.role)
	}
	return nil
}

// start applies the first definition.
func (r *role) start(log *slog.Logger) error {
	r.applied = stampOf(r.source.Watch)
	d, err := r.source.Read()
	if err != nil {
		return err
	}
	if err := r.apply(d); err != nil {
		return err
	}
	r.say(log, &d)
	return nil
}

// reload reads the definition again and applies it. What is wrong is logged in one
// line, and all stays as it was.
func (r *role) reload(log *slog.Logger) {
	d, err := r.source.Read()
	if err == nil {
		err = r.apply(d)
	}
	if err != nil {
		r.reloads.WithLabelValues("refused").Inc()
		log.Error("artifact refused, the last good one stays in force", "role", r.name, "error", oneLine(err))
		return
	}
	r.reloads.WithLabelValues("applied").Inc()
	r.say(log, &d)
}

func (r *role) say(log *slog.Logger, d *gateway.Definition) {
	log.Info("artifact applied", "role", r.name, "apis", len(d.APIs), "applications", len(d.Applications), "policies", len(d.Policies.Policies))
}

// reloadMetrics count how often a role applied a new artifact, or refused it.
func reloadMetrics(role config.Role) *prometheus.CounterVec {
	name := "gateway"
	if role == config.TrafficManager {
		name = "traffic_manager"
	}
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_" + name + "_reloads_total",
		Help: "Reloads by their result: applied, or refused, which left the last good artifact in force.",
	}, []string{"result"})
	v.WithLabelValues("applied")
	v.WithLabelValues("refused")
	return v
}

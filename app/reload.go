package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/weir-project/weir/config"
)

// reloader reloads whenever it is asked to or the watched file changes, one
// reload after the other, until ctx is done.
func (a *App) reloader(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	watched := make(chan error, 1)
	go func() {
		if a.options.Watch == "" {
			watched <- nil
			return
		}
		watched <- watch(ctx, a.options.Watch, a.applied, func() {
			select {
			case changed <- struct{}{}:
			default: // a reload that is yet to begin will see this change too
			}
		})
	}()
	for {
		select {
		case <-ctx.Done():
			return <-watched
		case <-a.options.Hangup:
			a.reload()
		case <-changed:
			a.reload()
		}
	}
}

// reload reads the configuration and the definition again and applies what it
// can. What is wrong is logged in one line, and stays as it was.
func (a *App) reload() {
	a.reloadConfig()
	d, err := a.options.Source()
	if err == nil {
		err = a.core.gateway.Apply(d)
	}
	if err != nil {
		a.reloads.WithLabelValues("refused").Inc()
		a.log.Error("artifact refused, the last good one stays in force", "error", oneLine(err))
		return
	}
	a.reloads.WithLabelValues("applied").Inc()
	a.log.Info("artifact applied", "apis", len(d.APIs), "applications", len(d.Applications))
}

// oneLine returns the error's text with its faults side by side.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}

// reloadConfig applies a changed log level and names all else that is not as the
// process runs: it needs a restart.
func (a *App) reloadConfig() {
	if a.options.Reread == nil {
		return
	}
	c, err := a.options.Reread()
	if err != nil {
		a.log.Error("configuration refused, nothing of it changes", "error", oneLine(err))
		return
	}
	if level := logLevel(c.Log); level != a.level.Level() {
		a.level.Set(level)
		a.log.Info("log level changed", "level", level)
	}
	if sections := changedSections(&a.options.Config, &c); len(sections) > 0 {
		a.log.Warn("configuration changed, which takes a restart", "sections", strings.Join(sections, " "))
	}
}

// changedSections names the sections in which was and is differ, the level of
// the log excepted.
func changedSections(was, is *config.Config) []string {
	logWas, logIs := was.Log, is.Log
	logWas.Level, logIs.Level = "", ""
	var names []string
	for _, s := range []struct {
		name    string
		was, is any
	}{
		{"listenerConfig", was.Listener, is.Listener},
		{"client_address", was.ClientAddress, is.ClientAddress},
		{"apikey", was.APIKey, is.APIKey},
		{"jwtTokenConfig", was.JWT, is.JWT},
		{"limits", was.Limits, is.Limits},
		{"timeouts", was.Timeouts, is.Timeouts},
		{"backend", was.Backend, is.Backend},
		{"limiter", was.Limiter, is.Limiter},
		{"management", was.Management, is.Management},
		{"log", logWas, logIs},
		{"shutdown", was.Shutdown, is.Shutdown},
	} {
		if fmt.Sprintf("%#v", s.was) != fmt.Sprintf("%#v", s.is) {
			names = append(names, s.name)
		}
	}
	return names
}

package app

import (
	"context"
	"strings"
	"sync"

	"github.com/weir-project/weir/config"
)

// reloader reloads whenever it is asked to or a watched file changes, one reload
// after the other, until ctx is done.
func (a *App) reloader(ctx context.Context) error {
	changed := make(chan *role, len(a.roles))
	var watching sync.WaitGroup
	for _, r := range a.roles {
		if r.source.Watch == "" {
			continue
		}
		watching.Go(func() {
			watch(ctx, r.source.Watch, r.applied, func() {
				select {
				case changed <- r:
				case <-ctx.Done():
				}
			})
		})
	}
	defer watching.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.options.Hangup:
			a.reloadConfig()
			for _, r := range a.roles {
				r.reload(a.log)
			}
		case r := <-changed:
			r.reload(a.log)
		}
	}
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
	if sections := config.Changed(&a.options.Config, &c); len(sections) > 0 {
		a.log.Warn("configuration changed, which takes a restart", "sections", strings.Join(sections, " "))
	}
}

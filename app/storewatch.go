package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/weir-project/weir/limiter/redis"
)

const (
	// checkTime is how long the start waits for a store, at most.
	checkTime = 2 * time.Second
	// watchEach is how often it is asked whether the store is away.
	watchEach = 100 * time.Millisecond
)

// check looks at the store once and logs what it finds, a line each. The error is what
// will not mend by itself; a store that does not answer may do so later.
func (s *sharing) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var err error
	for _, f := range s.store.Check(ctx) {
		s.say(&f)
		switch {
		case f.Level != redis.Fault:
			s.checked = true
		case err == nil && isForGood(&f):
			err = fmt.Errorf("%s: %s: %s: %s", s.how.Store.Section, &s.how.Store, f.Text, f.Advice)
		}
	}
	return err
}

// say logs a finding.
func (s *sharing) say(f *redis.Finding) {
	level := slog.LevelInfo
	switch f.Level {
	case redis.Warning:
		level = slog.LevelWarn
	case redis.Fault:
		level = slog.LevelError
	}
	attrs := []any{"role", s.role, "store", s.how.Store.String(), "finding", f.Text}
	if f.Advice != "" {
		attrs = append(attrs, "advice", f.Advice)
	}
	s.log.Log(context.Background(), level, "store of shared counters", attrs...)
}

// isForGood reports whether a fault is of the kind of server, which waiting does not
// change.
func isForGood(f *redis.Finding) bool {
	return strings.Contains(f.Text, "sharded cluster") || strings.HasSuffix(f.Text, "is too old")
}

// watch says when the store goes away and when it comes back, until ctx is done.
func (s *sharing) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEach)
	defer tick.Stop()
	away, since := false, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		switch lost := s.sharer.Lost(); {
		case lost && !away:
			away, since = true, time.Now()
			s.log.Warn("store of shared counters is away; limits do as their on_store_loss says", "role", s.role,
				"store", s.how.Store.String(), "error", s.why())
		case !lost && away:
			away = false
			s.log.Info("store of shared counters is back", "role", s.role, "store", s.how.Store.String(),
				"away", time.Since(since).Round(time.Millisecond))
			if !s.checked {
				if err := s.check(ctx); err != nil {
					s.log.Error("counters are not shared", "role", s.role, "error", err)
				}
			}
		}
	}
}

// why returns what was wrong with the last call that failed.
func (s *sharing) why() string {
	if err := s.fault.Load(); err != nil {
		return oneLine(*err)
	}
	return ""
}

package app

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A hush is a slog.Handler for what strangers can make a process say: warnings and
// what is worse are written at most every ten seconds for each message, with how often
// there was one since. Messages must be few.
type hush struct {
	slog.Handler
	said *hushed
}

type hushed struct {
	mu sync.Mutex
	of map[string]*rarely
}

// newHush returns a logger that writes to log.
func newHush(log *slog.Logger) *slog.Logger {
	return slog.New(&hush{log.Handler(), &hushed{of: map[string]*rarely{}}})
}

// Handle implements slog.Handler.
func (h *hush) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return h.Handler.Handle(ctx, r)
	}
	now := r.Time
	if now.IsZero() {
		now = time.Now()
	}
	h.said.mu.Lock()
	s := h.said.of[r.Message]
	if s == nil {
		s = new(rarely)
		h.said.of[r.Message] = s
	}
	n := s.add(now)
	h.said.mu.Unlock()
	switch n {
	case 0:
		return nil
	case 1:
	default:
		r = r.Clone()
		r.AddAttrs(slog.Int("times", n))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *hush) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &hush{h.Handler.WithAttrs(attrs), h.said}
}

// WithGroup implements slog.Handler.
func (h *hush) WithGroup(name string) slog.Handler { return &hush{h.Handler.WithGroup(name), h.said} }

// A library takes what a library writes to its log, as lines of one message.
type library struct{ log *slog.Logger }

// Enabled implements slog.Handler, as all the others do.
func (l library) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l library) Handle(_ context.Context, r slog.Record) error {
	l.log.Warn("management port: a library reports", "text", r.Message)
	return nil
}

// WithAttrs implements slog.Handler.
func (l library) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler.
func (l library) WithGroup(string) slog.Handler { return l }

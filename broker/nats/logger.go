package nats

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// A logger writes what a NATS server says into a log: warnings and errors as
// warnings, since the process goes on, and everything else for debugging. Of many
// warnings it writes a few, and how many it left out: anybody who connects can
// cause one.
type logger struct {
	log *slog.Logger

	mu    sync.Mutex
	first error     // the first thing that kept the server from starting
	since time.Time // when the period began
	n     int       // warnings in it
	out   int       // warnings left out, of which nothing has been said
}

const (
	// few is how many warnings are written in a period.
	few    = 5
	period = 10 * time.Second
)

// fatal returns what kept the server from starting, if anything did.
func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// Noticef implements server.Logger.
func (l *logger) Noticef(format string, v ...any) { l.Debugf(format, v...) }

// Warnf implements server.Logger.
func (l *logger) Warnf(format string, v ...any) {
	if strings.HasPrefix(format, "Plaintext passwords") {
		return // of users that exist only in memory
	}
	if attrs, ok := l.some(format, v); ok {
		l.log.Warn("nats: the server warns", attrs...)
	}
}

// Errorf implements server.Logger.
func (l *logger) Errorf(format string, v ...any) {
	if attrs, ok := l.some(format, v); ok {
		l.log.Warn("nats: the server reports an error", attrs...)
	}
}

// some returns what a warning says, unless there were too many of late.
func (l *logger) some(format string, v []any) (attrs []any, ok bool) {
	out, ok := l.take(time.Now())
	if !ok {
		return nil, false
	}
	attrs = []any{"text", fmt.Sprintf(format, v...)}
	if out > 0 {
		attrs = append(attrs, "left_out", out)
	}
	return attrs, true
}

// take reports whether a warning is to be written, and how many were left out
// before it.
func (l *logger) take(now time.Time) (out int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := now.Sub(l.since); since < 0 || since >= period {
		l.since, l.n = now, 0
	}
	if l.n++; l.n > few {
		l.out++
		return 0, false
	}
	out, l.out = l.out, 0
	return out, true
}

// Fatalf implements server.Logger. It ends nothing: Run returns the error.
func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first = fmt.Errorf(format, v...)
	}
}

// Debugf implements server.Logger.
func (l *logger) Debugf(format string, v ...any) {
	l.log.Debug("nats: the server says", "text", fmt.Sprintf(format, v...))
}

// Tracef implements server.Logger.
func (l *logger) Tracef(format string, v ...any) { l.Debugf(format, v...) }

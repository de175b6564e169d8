package nats

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// A logger writes what a NATS server says into a log: warnings and errors as
// warnings, since the process goes on, and everything else for debugging.
type logger struct {
	log *slog.Logger

	mu    sync.Mutex
	first error // the first thing that kept the server from starting
}

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
	l.log.Warn("nats: the server warns", "text", fmt.Sprintf(format, v...))
}

// Errorf implements server.Logger.
func (l *logger) Errorf(format string, v ...any) {
	l.log.Warn("nats: the server reports an error", "text", fmt.Sprintf(format, v...))
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

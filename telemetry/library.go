package telemetry

import (
	"bytes"
	"log"
	"log/slog"
	"sync"
	"time"
)

// AdoptLog makes l take what libraries write to the standard library's log, as
// net/http does: it would stand in the log without form, and with bytes in it
// that came from clients and backends. Of many lines it takes a few, and says how
// many it left out: anybody who connects can cause one. It is for the whole process.
func AdoptLog(l *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(&libraryLog{log: l})
}

const (
	// few is how many lines of libraries are taken in a period.
	few    = 5
	period = 10 * time.Second
)

// A libraryLog is the log of libraries: each Write is a line.
type libraryLog struct {
	log *slog.Logger

	mu    sync.Mutex
	since time.Time // when the period began
	n     int       // lines in it
	out   int       // lines left out, of which nothing has been said
}

// Write implements io.Writer.
func (l *libraryLog) Write(line []byte) (int, error) {
	out, ok := l.take(time.Now(), bytes.Contains(line, []byte("panic")))
	if !ok {
		return len(line), nil
	}
	attrs := []any{"text", string(bytes.TrimSpace(line))}
	if out > 0 {
		attrs = append(attrs, "left_out", out)
	}
	l.log.Warn("a library reports", attrs...)
	return len(line), nil
}

// take reports whether a line is taken, as those that matter are, and how many were
// left out before it.
func (l *libraryLog) take(now time.Time, matters bool) (out int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := now.Sub(l.since); since < 0 || since >= period {
		l.since, l.n = now, 0
	}
	if l.n++; l.n > few && !matters {
		l.out++
		return 0, false
	}
	out, l.out = l.out, 0
	return out, true
}

package telemetry

import (
	"bytes"
	"log"
	"log/slog"
)

// AdoptLog makes l take what libraries write to the standard library's log, as
// net/http does: it would stand in the log without form, and with bytes in it
// that came from clients and backends. It is for the whole process.
func AdoptLog(l *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(libraryLog{l})
}

// A libraryLog is the log of libraries: each Write is a line.
type libraryLog struct{ log *slog.Logger }

// Write implements io.Writer.
func (l libraryLog) Write(line []byte) (int, error) {
	l.log.Warn("a library reports", "text", string(bytes.TrimSpace(line)))
	return len(line), nil
}

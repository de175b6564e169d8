// Package telemetry sets up what a process says about itself: its log and its
// metrics. What is logged and counted, those decide who do the work.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
)

// A LogFormat is how lines of the log are written.
type LogFormat string

// The formats.
const (
	Text LogFormat = "text" // for people
	JSON LogFormat = "json" // for programs
)

// NewLogger returns a logger that writes to w what is at least as important as
// level, which may change while it is in use. The zero format is Text.
func NewLogger(w io.Writer, format LogFormat, level slog.Leveler) (*slog.Logger, error) {
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: brief}
	switch format {
	case Text, "":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case JSON:
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, fmt.Errorf("log format %q: it is text or json", format)
}

// maxValue bounds what one attribute may add to a line: much of it comes from clients.
const maxValue = 1024

// brief shortens values that are long.
func brief(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindString {
		if s := a.Value.String(); len(s) > maxValue {
			return slog.String(a.Key, s[:maxValue]+"…")
		}
	}
	return a
}

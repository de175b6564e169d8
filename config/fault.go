package config

import (
	"fmt"
	"strings"
)

// A Fault is one thing that is wrong in a configuration.
type Fault struct {
	// File and Line are where it stands; Line is 0 where that is not known.
	// File is the name of the environment variable if that is at fault, and
	// empty for a Config that was not read from anywhere.
	File string
	Line int
	// Key is the key with its section: listenerConfig.httpPort.
	Key     string
	Message string
}

// Error returns the fault in one line.
func (f *Fault) Error() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		b.WriteString(": ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults are all the faults of a configuration: the error that [Load] and
// [Config.Validate] return. Use errors.As to have them one by one.
type Faults []*Fault

// Error returns the faults, a line each.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults one by one.
func (f Faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i := range f {
		errs[i] = f[i]
	}
	return errs
}

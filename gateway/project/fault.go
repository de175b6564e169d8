package project

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Fault is one thing that is wrong, or doubtful, in a project's file.
type Fault struct {
	File string
	// Line and Column count from 1; they are 0 where the place is not known.
	Line, Column int
	// Path is the place in the file's own terms: paths./pets.get.
	Path    string
	Message string
}

// Error returns the fault in one line: file:line: message.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults are all that is wrong with a project or a file: the error that the
// functions of this package return. Use errors.As to have them one by one.
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

// maxFaults is how many faults are kept: a file that is wrong in every line
// should not fill a terminal, or the memory.
const maxFaults = 100

// A report collects what is found in the files of a project.
type report struct {
	faults, warnings Faults
	more             int // faults that were not kept
}

func (r *report) fault(f *Fault) {
	if len(r.faults) == maxFaults {
		r.more++
		return
	}
	r.faults = append(r.faults, f)
}

// add records an error of a reader, which is a *Fault where its place is known.
func (r *report) add(err error) {
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		f = &Fault{Message: err.Error()}
	}
	r.fault(f)
}

func (r *report) warn(f *Fault) {
	if len(r.warnings) < maxFaults {
		r.warnings = append(r.warnings, f)
	}
}

// failed reports whether anything is wrong.
func (r *report) failed() bool { return len(r.faults) > 0 }

// err returns the faults in the order of files and lines, or nil.
func (r *report) err() error {
	if !r.failed() {
		return nil
	}
	r.faults.sort()
	if r.more > 0 {
		r.faults = append(r.faults, &Fault{Message: fmt.Sprintf("%d more faults are not listed", r.more)})
	}
	return r.faults
}

func (f Faults) sort() {
	slices.SortStableFunc(f, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

// A place is where something stands in a project.
type place struct {
	file string
	node *yaml.Node // nil: the file as a whole
	path string
}

// saying returns the fault that says message of p.
func (p place) saying(format string, args ...any) *Fault {
	f := &Fault{File: p.file, Path: p.path, Message: fmt.Sprintf(format, args...)}
	if p.node != nil {
		f.Line, f.Column = p.node.Line, p.node.Column
	}
	return f
}

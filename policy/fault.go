package policy

import (
	"errors"
	"strconv"
	"strings"
)

// A List is one of the lists of a [Definition].
type List string

// The lists of a Definition.
const (
	Policies List = "policies"
	Rules    List = "rules"
	Denies   List = "denies"
	Backends List = "backends"
)

// A Fault is one thing that is wrong in a [Definition], and where it stands.
type Fault struct {
	// List and Index are the place in the Definition.
	List  List
	Index int
	// Group and Condition are the places within an advanced policy, counted
	// from 0, or -1 where the fault is in no group or no condition.
	Group, Condition int
	// Subject names what is at fault for people: advanced policy "Office".
	Subject string
	// Field is what is wrong in it: name, limit, burst, when, key ... Empty if
	// it is wrong as a whole.
	Field string
	// Err is what is wrong.
	Err error
}

// Error returns the fault in one line, with its place.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.Subject)
	b.WriteString(": ")
	if f.Group >= 0 {
		b.WriteString("groups[")
		b.WriteString(strconv.Itoa(f.Group))
		b.WriteByte(']')
		if f.Condition >= 0 {
			b.WriteString(".conditions[")
			b.WriteString(strconv.Itoa(f.Condition))
			b.WriteByte(']')
		}
		b.WriteString(": ")
	}
	if f.Field != "" {
		b.WriteString(f.Field)
		b.WriteString(": ")
	}
	b.WriteString(f.Err.Error())
	return b.String()
}

// Unwrap returns what is wrong.
func (f *Fault) Unwrap() error { return f.Err }

// Faults are all the faults of a Definition, in its order: the error that
// [Compile] returns. Use errors.As to have them one by one.
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

// A scope adds faults of one subject to a list of them.
type scope struct {
	faults  *Faults
	list    List
	index   int
	group   int
	cond    int
	subject string
}

// add records err, unless it is nil, as a fault of field.
func (s scope) add(field string, err error) {
	if err == nil {
		return
	}
	*s.faults = append(*s.faults, &Fault{
		List: s.list, Index: s.index, Group: s.group, Condition: s.cond,
		Subject: s.subject, Field: field, Err: err,
	})
}

// say records a fault in words.
func (s scope) say(field, text string) { s.add(field, errors.New(text)) }

// in returns the scope of a group, and of a condition in it where cond is not -1.
func (s scope) in(group, cond int) scope {
	s.group, s.cond = group, cond
	return s
}

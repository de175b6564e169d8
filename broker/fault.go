package broker

import (
	"fmt"
	"strconv"
)

// A FaultKind is what is wrong with a message, as far as it matters for counting.
type FaultKind uint8

// The kinds of fault.
const (
	// Malformed is a message that is not what it should be: no JSON, too large, a
	// field that is missing or wrong.
	Malformed FaultKind = iota
	// Unsigned is a message without a signature, or with a wrong one: it was not
	// said by anybody who knows the Secret, or it was changed.
	Unsigned
	// Unknown is a message of another kind or version than those known here.
	Unknown
)

// String returns the kind in one word, for metrics and logs.
func (k FaultKind) String() string {
	switch k {
	case Malformed:
		return "malformed"
	case Unsigned:
		return "unsigned"
	case Unknown:
		return "unknown"
	}
	return "other"
}

// A Fault is why a message has no effect. It is the only error that [Parse] and
// [ParseDecision] return.
type Fault struct {
	Kind FaultKind
	// Reason is what is wrong. What it cites of the message is quoted and short.
	Reason string
}

// Error returns the fault in one line.
func (f *Fault) Error() string { return f.Kind.String() + " message: " + f.Reason }

func malformed(format string, args ...any) *Fault {
	return &Fault{Malformed, fmt.Sprintf(format, args...)}
}

func unsigned(what string, s Secret, signature *string) *Fault {
	switch {
	case signature == nil || *signature == "":
		return &Fault{Unsigned, what + " without a signature"}
	case s.IsZero():
		return &Fault{Unsigned, what + ", and no secret to check its signature with"}
	}
	return &Fault{Unsigned, what + " whose signature is wrong"}
}

func unknown(format string, args ...any) *Fault {
	return &Fault{Unknown, fmt.Sprintf(format, args...)}
}

// cite quotes a text of a message, shortened.
func cite(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

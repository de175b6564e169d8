package identity

import "errors"

// A Kind is what is wrong with a caller's credentials, as far as the caller may
// know. The numbers are WSO2's codes for the same.
type Kind uint8

// The kinds of refusal.
const (
	// Missing: there are no credentials where some are needed (900902, 401).
	Missing Kind = iota + 1
	// Invalid: they are malformed, unknown, forged, ambiguous, or not for this
	// gateway (900901, 401).
	Invalid
	// Expired: they are genuine and their time is over (900903, 401).
	Expired
	// Forbidden: they are genuine and may not be used here: no subscription to
	// the API, or a client address that the key does not permit (900908, 403).
	Forbidden
	// Unavailable: they cannot be checked, since the issuer's keys could not be
	// had yet (900900, 500 in WSO2; 503 says it better).
	Unavailable
)

// String returns the kind's name, for logs and metrics.
func (k Kind) String() string {
	switch k {
	case Missing:
		return "missing"
	case Invalid:
		return "invalid"
	case Expired:
		return "expired"
	case Forbidden:
		return "forbidden"
	case Unavailable:
		return "unavailable"
	}
	return "unknown"
}

// An Error says why a caller was not let in.
type Error struct {
	Kind Kind
	// Reason is for logs: it may tell which check failed, and never holds a
	// credential or a part of one. Clients are told the Kind only.
	Reason string
}

// Error returns the kind and the reason.
func (e *Error) Error() string { return e.Kind.String() + " credentials: " + e.Reason }

// KindOf returns the Kind of err: Invalid for an error that is none of ours, and
// zero for nil.
func KindOf(err error) Kind {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Invalid
}

func invalid(reason string) *Error { return &Error{Invalid, reason} }

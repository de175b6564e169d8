package load

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
)

// A FaultKind says why a request has no answer. The texts are stable.
type FaultKind string

// The kinds of faults.
const (
	ConnectRefused FaultKind = "connect-refused" // nothing listens there
	ConnectTimeout FaultKind = "connect-timeout" // the connection did not come about in time
	Connect        FaultKind = "connect"         // it did not come about for another reason
	TLSHandshake   FaultKind = "tls"             // no secure connection came about
	Timeout        FaultKind = "timeout"         // no whole answer in time
	Closed         FaultKind = "closed"          // the connection ended before the answer did
	Malformed      FaultKind = "malformed"       // the answer is no HTTP/1.1
)

// A Fault is a kind of requests without an answer.
type Fault struct {
	Kind    FaultKind
	Count   int64
	Example string // what the first of them said
}

// A dialError is one about making a connection.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// A handshakeError is one about making it secure.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

// faultKind returns the kind of a fault.
func faultKind(err error) FaultKind {
	var (
		dial      dialError
		handshake handshakeError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	slow := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || isTimeout(err)
	switch {
	case errors.As(err, &handshake) && !slow:
		return TLSHandshake
	case errors.As(err, &dial) && slow, errors.As(err, &handshake):
		return ConnectTimeout
	case errors.As(err, &dial) && errors.Is(err, syscall.ECONNREFUSED):
		return ConnectRefused
	case errors.As(err, &dial):
		return Connect
	case slow:
		return Timeout
	case errors.Is(err, errMalformed):
		return Malformed
	case errors.As(err, &record), errors.As(err, &alert):
		return TLSHandshake
	}
	return Closed
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

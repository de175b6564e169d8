package http2

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/weir-project/weir/gateway/upstream"
)

// Options are what a Server is made of. Zero values mean the defaults.
type Options struct {
	Pipeline Pipeline           // required
	Targets  *upstream.Registry // required: how backends are reached

	// MaxStreams is how many calls a connection may have at the same time; 100.
	MaxStreams int
	// MaxHeaderBytes bounds a request's head as RFC 9113 counts it, 32 KiB;
	// MaxFields its fields, 100; MaxURI its target, 8 KiB.
	MaxHeaderBytes int
	MaxFields      int
	MaxURI         int
	// MaxBody is the largest body of a request in bytes; zero: no limit.
	MaxBody int64
	// ReadHeaderTimeout bounds the time for the beginning of a connection, and
	// for each request's head from its first frame to its end; 5 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is for how long a connection without calls is kept; 60 s.
	IdleTimeout time.Duration
	// StallTimeout bounds how long a client may leave a call waiting for the
	// next part of a body that it announced. It does not hold for what gRPC
	// clients send, whose streams may rest. In all a body may keep the call
	// waiting for as long, and a second for each 500 bytes; 60 s.
	StallTimeout time.Duration
	// WriteTimeout is for how long a client may take nothing of its answer; 30 s.
	WriteTimeout time.Duration
	// StreamIdleTimeout is for how long an event stream may be silent; 5 min.
	StreamIdleTimeout time.Duration
	// PingAfter is the silence after which a client is asked whether it is
	// still there; 30 s. It has 15 s to answer.
	PingAfter time.Duration
	// Logger takes what goes wrong; nil: nothing is logged.
	Logger *slog.Logger
}

const (
	pingTimeout      = 15 * time.Second
	writeByteTimeout = 20 * time.Second // to a backend
	maxFrame         = 16 << 10
	streamWindow     = 256 << 10
	connWindow       = 1 << 20
	// headerSlack is how much larger than allowed a head may be for its refusal
	// to be in our shape. It is about as much as comes in maxContinuation frames:
	// beyond, net/http or the guard ends it.
	headerSlack = 512 << 10
)

func (o Options) complete() (Options, error) {
	if o.Pipeline == nil {
		return o, errors.New("http2: Options.Pipeline is missing")
	}
	if o.Targets == nil {
		return o, errors.New("http2: Options.Targets is missing")
	}
	if o.MaxBody < 0 {
		return o, fmt.Errorf("http2: MaxBody is negative: %d", o.MaxBody)
	}
	for _, n := range []struct {
		name string
		at   *int
		zero int
	}{
		{"MaxStreams", &o.MaxStreams, 100},
		{"MaxHeaderBytes", &o.MaxHeaderBytes, 32 << 10},
		{"MaxFields", &o.MaxFields, 100},
		{"MaxURI", &o.MaxURI, 8 << 10},
	} {
		if err := complete("http2: "+n.name, n.at, n.zero); err != nil {
			return o, err
		}
	}
	for _, d := range []struct {
		name string
		at   *time.Duration
		zero time.Duration
	}{
		{"ReadHeaderTimeout", &o.ReadHeaderTimeout, 5 * time.Second},
		{"IdleTimeout", &o.IdleTimeout, 60 * time.Second},
		{"StallTimeout", &o.StallTimeout, 60 * time.Second},
		{"WriteTimeout", &o.WriteTimeout, 30 * time.Second},
		{"StreamIdleTimeout", &o.StreamIdleTimeout, 5 * time.Minute},
		{"PingAfter", &o.PingAfter, 30 * time.Second},
	} {
		if err := complete("http2: "+d.name, d.at, d.zero); err != nil {
			return o, err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// complete puts the default in place of zero, and refuses what is negative.
func complete[T int | time.Duration](name string, at *T, zero T) error {
	if *at < 0 {
		return fmt.Errorf("%s is negative: %v", name, *at)
	}
	if *at == 0 {
		*at = zero
	}
	return nil
}

package gateway

import (
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

// A Told is told what the gateway counted, so that traffic managers may know.
type Told interface {
	// Events takes the events of accepted calls since the last time, encoded; n
	// is one more with each. It is called by one goroutine, must not wait, and
	// may keep body.
	Events(n uint64, body event.Body)
}

// EventOptions say how the gateway tells traffic managers of accepted calls.
type EventOptions struct {
	// To is told; nil: nobody, and calls pay nothing for it.
	To Told
	// Flush is how long events are collected before they are told; zero: 10 ms.
	Flush time.Duration
	// MaxEvents is how many different events are collected at most before they
	// are told; zero: 512.
	MaxEvents int
	// Ledger bounds the memory for what may have to be told again, in bytes; zero: 32 MiB.
	Ledger int
}

// Restate returns what the gateway has told in windows that are still open at
// now, as restatements (see package event), and the number of the last Events that
// are in it. It is for a traffic manager that has just begun to listen.
func (g *Gateway) Restate(now time.Time) (n uint64, bodies []event.Body) { return 0, nil }

// Decide takes a decision of a traffic manager into account; skew is by how much
// the issuer's clock is ahead of this node's. It reports what became of it.
func (g *Gateway) Decide(now time.Time, d *weir.Decision, skew time.Duration) Verdict { return 0 }

// DecideAll makes ds all the decisions that are in force of those that issuer made.
func (g *Gateway) DecideAll(now time.Time, issuer string, ds []weir.Decision, skew time.Duration) {}

// A Verdict says what became of a decision.
type Verdict uint8

// What can become of a decision.
const (
	Applied  Verdict = iota
	Outdated         // an equally new or newer one on its key was there
	Late             // its window is over
	Unusable         // it is about nothing that the gateway can know, or there is no room
)

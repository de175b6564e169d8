package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/gateway"
)

// A hearing is what a gateway hears on the topic of one broker. It implements
// broker.Listener.
type hearing struct {
	carrier *carrier
	secret  broker.Secret
	gateway *gateway.Gateway
	// skew returns by how much the clock of an issuer is ahead; nil: by nothing.
	skew func(issuer string) (time.Duration, bool)
	into *directives
	// missed is called when what was told may have been missed.
	missed func()
	log    *slog.Logger

	connected atomic.Bool
	losses    atomic.Uint64
	verdicts  [gateway.Unusable + 1]atomic.Uint64
	ignored   [broker.Unknown + 1]atomic.Uint64
	changes   atomic.Uint64 // of policies

	// Of the goroutine that calls.
	said   bool // that it is lost
	faults rarely
}

// run listens until ctx is done.
func (h *hearing) run(ctx context.Context) error {
	defer h.connected.Store(false)
	return persist(ctx, h.log, h.carrier.name, "decisions are heard from traffic managers when events are told",
		func(ctx context.Context) error { return broker.Listen(ctx, h.carrier, h.secret, h) })
}

// Connected implements broker.Listener.
func (h *hearing) Connected() {
	h.connected.Store(true)
	h.said = false
	h.log.Info("listening to the topic", "broker", h.carrier.name)
	h.missed()
}

// Lost implements broker.Listener.
func (h *hearing) Lost(err error) {
	h.connected.Store(false)
	h.losses.Add(1)
	if !h.said {
		h.said = true
		h.log.Warn("topic is not heard; decisions are heard from traffic managers", "broker", h.carrier.name, "error", oneLine(err))
	}
}

// Decision implements broker.Listener.
func (h *hearing) Decision(d weir.Decision) {
	var skew time.Duration
	if h.skew != nil {
		skew, _ = h.skew(d.Issuer)
	}
	h.verdicts[h.gateway.Decide(time.Now(), &d, skew)].Add(1)
}

// Deny implements broker.Listener.
func (h *hearing) Deny(d broker.Deny) {
	if h.into.deny(time.Now(), d) {
		h.missed() // sources know better
	}
}

// KeyTemplate implements broker.Listener.
func (h *hearing) KeyTemplate(k broker.KeyTemplate) {
	if h.into.template(time.Now(), k) {
		h.missed()
	}
}

// PolicyChange implements broker.Listener. A gateway's policies are those of its
// artifact.
func (h *hearing) PolicyChange(broker.PolicyChange) { h.changes.Add(1) }

// Ignored implements broker.Listener.
func (h *hearing) Ignored(kind broker.FaultKind, err error) {
	h.ignored[min(kind, broker.Unknown)].Add(1)
	if n := h.faults.add(time.Now()); n > 0 {
		h.log.Warn("messages on the topic have no effect", "broker", h.carrier.name, "messages", n, "error", oneLine(err))
	}
}

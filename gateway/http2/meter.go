package http2

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/gateway"
)

// A Meter is a [Pipeline] that counts what passes on long streams while they
// last; [gateway.Gateway] is one. Both methods are called between Admit and
// Finish, never two at a time for one Exchange.
type Meter interface {
	// Event charges one server-sent event and reports whether it may pass.
	Event(x *gateway.Exchange, now time.Time) bool
	// Progress tells what has passed so far, as Finish will at the end: o
	// counts from the call's beginning.
	Progress(x *gateway.Exchange, now time.Time, o gateway.Outcome)
}

var _ Meter = (*gateway.Gateway)(nil)

// Progress is told whenever this much has passed, or this time while some does.
const (
	progressBytes = 64 << 10
	progressTime  = time.Second
)

// A metering is the state of what a call has told its Meter. Both directions of a
// call use it, each from a goroutine of its own.
type metering struct {
	meter    Meter // nil: nobody wants to know
	x        *gateway.Exchange
	received atomic.Int64 // of the request's body
	sent     atomic.Int64 // of the answer's body

	mu   sync.Mutex
	told int64 // the sum of both, as last told
	at   time.Time
	over bool
}

// moved is called after each piece of a body in either direction.
func (m *metering) moved() {
	if m.meter == nil {
		return
	}
	sum := m.received.Load() + m.sent.Load()
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over || sum-m.told < progressBytes && now.Sub(m.at) < progressTime {
		return
	}
	m.told, m.at = sum, now
	m.meter.Progress(m.x, now, gateway.Outcome{
		RequestBytes: m.received.Load(), ResponseBytes: m.sent.Load(), Forwarded: true,
	})
}

// event charges one event and reports whether it may pass.
func (m *metering) event() bool {
	if m.meter == nil {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.meter.Event(m.x, time.Now())
}

// end keeps what is still on its way from using the Exchange any more.
func (m *metering) end() {
	m.mu.Lock()
	m.over = true
	m.mu.Unlock()
}

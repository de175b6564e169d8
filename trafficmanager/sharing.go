package trafficmanager

import (
	"time"

	"github.com/weir-project/weir/event"
)

// A sharing is how one run of a gateway said last that it shares counters.
type sharing struct {
	heard time.Time // when, by the manager's clock
	sent  time.Time // the same by the gateway's
	told  *event.Sharing
}

// take takes what a gateway tells. What it told later stays.
func (s *sharing) take(now time.Time, h *event.Header) {
	if h.Sharing == nil || !h.Sent.After(s.sent) && s.sent.Sub(h.Sent) < overtaken {
		return
	}
	s.heard, s.sent, s.told = now, h.Sent, h.Sharing
}

// stale is after how long of silence nothing is said any more of how a gateway shares
// counters: of its rights, others may have been granted by then what it did not spend.
const stale = 10 * time.Second

// at returns what is still of use of it at now, or nil.
func (s *sharing) at(now time.Time) *event.Sharing {
	if now.Sub(s.heard) > stale {
		return nil
	}
	return s.told
}

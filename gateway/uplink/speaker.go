package uplink

import (
	"log/slog"
	"time"
)

const (
	// quiet is how long nothing more is said of what goes on.
	quiet = 10 * time.Second
	// tolerated is the difference between two clocks of which nothing is said.
	tolerated = 250 * time.Millisecond
)

// A speaker writes the log of one link: what changes, and what is lost, but not
// each time that it happens. It is used by the link's goroutine, without a lock,
// since a log may be slow.
type speaker struct {
	log *slog.Logger

	downSince time.Time // zero: it answers
	kind      kind      // of the fault that was last told
	told      bool      // that it is down
	faults    rate
	drops     rate
	gone      int // events that were dropped since it was last up
	refusals  rate
	clocks    rate
	apart     bool // the clocks
}

// A rate counts what happens between two lines.
type rate struct {
	last time.Time
	n    int
}

// add counts n more, and returns how many there were since the last line if it is
// time for another; zero: it is not.
func (r *rate) add(now time.Time, n int) int {
	r.n += n
	if r.n == 0 || !r.last.IsZero() && now.Sub(r.last) < quiet {
		return 0
	}
	n = r.n
	r.n, r.last = 0, now
	return n
}

// failed says that the manager is down, once; and again if the reason is another.
func (s *speaker) failed(now time.Time, f *fault) {
	if s.downSince.IsZero() {
		s.downSince = now
	}
	if s.told && s.kind == f.kind || s.faults.add(now, 1) == 0 {
		return
	}
	s.told, s.kind = true, f.kind
	if f.kind == refusing {
		s.log.Error("traffic manager is not told; events wait, requests go on", "error", f.Error())
		return
	}
	s.log.Warn("traffic manager does not answer; events wait, requests go on", "error", f.Error())
}

// answered says that the manager is up, if it was said that it is not.
func (s *speaker) answered(now time.Time) {
	if s.told {
		s.log.Info("traffic manager answers again", "after", now.Sub(s.downSince).Round(time.Millisecond), "events_dropped", s.gone)
		s.drops.n = 0
	}
	s.told, s.downSince, s.gone = false, time.Time{}, 0
}

// dropped says that events were dropped.
func (s *speaker) dropped(now time.Time, events, waiting int) {
	s.gone += events
	if n := s.drops.add(now, events); n > 0 {
		s.log.Warn("events dropped that waited for a traffic manager", "events", n, "waiting_bytes", waiting)
	}
}

// refused says that the manager refused events.
func (s *speaker) refused(now time.Time, events int, reason string) {
	if n := s.refusals.add(now, events); n > 0 {
		s.log.Warn("traffic manager refused events", "events", n, "reason", reason[:min(len(reason), 200)])
	}
}

// skew says that the manager's clock differs from ours, or no longer does.
func (s *speaker) skew(now time.Time, ahead time.Duration) {
	apart := ahead.Abs() > tolerated
	if apart == s.apart || s.clocks.add(now, 1) == 0 {
		return
	}
	s.apart = apart
	if apart {
		s.log.Warn("clock differs from that of a traffic manager", "manager_ahead", ahead)
		return
	}
	s.log.Info("clock agrees with that of a traffic manager again", "manager_ahead", ahead)
}

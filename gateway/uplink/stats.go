package uplink

import (
	"strconv"
	"time"
)

// A State says how a manager is doing.
type State uint8

// The states.
const (
	Connecting State = iota // it has never answered
	Up                      // it answered the last call
	Down                    // it did not
	Refusing                // it refuses to be told, until somebody changes something
)

// String returns the state as it stands in output and metrics.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return strconv.Itoa(int(s))
}

var stateNames = [...]string{"connecting", "up", "down", "refusing"}

// Stats are what an Uplink knows of its managers.
type Stats struct {
	Managers []ManagerStats // in the order of the options
}

// ManagerStats are what is known of one manager. Counters are since the start.
type ManagerStats struct {
	Group  int    // from 1
	URL    string // of its endpoints
	State  State
	Since  time.Time // when the state began; zero: with the start
	Issuer string    // its name in decisions, of late
	Shares string    // the store through which it shares its counters; empty: none

	QueueBytes  int // memory of what waits, and of what is on its way
	QueueEvents int
	QueueAge    time.Duration // of the oldest that waits

	Calls        uint64 // that were made, also without events
	Repeated     uint64 // of them, those made again for want of an answer
	Sent         uint64 // events, each once
	Acknowledged uint64 // events that were answered
	// Dropped are events that waited too long or for which there was no room.
	// Those of windows that are still open reach a manager that shares nothing
	// in a restatement.
	Dropped      uint64
	Refused      uint64 // events that the manager called wrong, or too large
	Late         uint64 // events that it did not count because their window is over
	Restatements uint64 // that were told to the end
	Decisions    uint64

	RTT  time.Duration // shortest of late; zero: not known
	Skew time.Duration // by how much its clock is ahead of ours

	LastError   string // empty: none yet
	LastErrorAt time.Time
}

// Stats returns what is known. It is safe for concurrent use.
func (u *Uplink) Stats() Stats {
	var s Stats
	now := time.Now()
	for _, g := range u.groups {
		g.mu.Lock()
		for _, l := range g.links {
			s.Managers = append(s.Managers, l.snapshot(now))
		}
		g.mu.Unlock()
	}
	return s
}

// snapshot returns the statistics of now. group.mu must be held.
func (l *link) snapshot(now time.Time) ManagerStats {
	m := l.stats
	m.QueueBytes = l.queue.bytes + l.held
	m.QueueEvents = l.queue.events()
	m.QueueAge = l.queue.age(now)
	m.RTT = l.clock.rtt()
	m.Skew, _ = l.clock.ahead(l.options.Now())
	return m
}

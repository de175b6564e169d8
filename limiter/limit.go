package limiter

import (
	"errors"
	"fmt"
	"time"
)

// A Limit is a count per window: what one key may spend, and how it is held to it.
//
// The zero value refuses everything, in windows of no length, and is not valid:
// see [Limit.Validate]. A Limit must not be changed while a [Limiter] uses it;
// to change a limit, make a new one and check the same [Key] against it: what was
// spent stays spent and the new count applies at once.
type Limit struct {
	// Count is how much may be spent in a window, in units of Cost.
	// Zero refuses everything.
	Count int64
	// Window is the time in which Count may be spent.
	Window Window
	// Cost is what is counted.
	Cost Cost
	// Algorithm is how the window moves.
	Algorithm Algorithm
	// Burst is the depth of a TokenBucket: what may be spent at once after a
	// pause. Zero means Count. Other algorithms ignore it.
	Burst int64
	// Accuracy is how closely a fleet is held to the limit.
	Accuracy Accuracy
	// OnStoreLoss is what happens while the store of shared counters is away.
	OnStoreLoss OnStoreLoss
	// Shadow counts and reports, and never refuses.
	Shadow bool
}

// A Window is a length of time, or a unit of the calendar.
type Window struct {
	// Length is the length of a window that is not of the calendar, at least a
	// millisecond. Fixed windows begin at multiples of it since the Unix epoch,
	// so that all nodes agree on them.
	Length time.Duration
	// Calendar, if not zero, makes the window a unit of the calendar; Length
	// is then ignored. Only FixedWindow has calendar windows.
	Calendar Calendar
	// Every is how many calendar units make a window; zero means one.
	Every int
	// Location is the time zone of the calendar; nil means UTC.
	Location *time.Location
}

// A Calendar is a unit of the calendar. Weeks begin on Monday.
type Calendar uint8

// The units of the calendar.
const (
	NoCalendar Calendar = iota
	Day
	Week
	Month
	Year
)

// A Cost is what a Limit counts.
type Cost uint8

// What can be counted.
const (
	Requests Cost = iota // requests, each by its weight
	Bytes                // bytes of request and response bodies
	Events               // messages on a stream
)

// An Algorithm is how a Limit's window moves.
type Algorithm uint8

const (
	// FixedWindow counts in windows that follow each other, aligned to the
	// Unix epoch or to the calendar: N pass, the N+1st is refused.
	FixedWindow Algorithm = iota
	// SlidingWindow never lets more than Count pass in any window, wherever
	// it begins. It counts in sub-buckets and counts the whole oldest one, so
	// it may refuse up to one sub-bucket's content too early.
	SlidingWindow
	// TokenBucket refills Count evenly over the window and lets Burst be
	// spent at once (GCRA, in integers).
	TokenBucket
)

// An Accuracy is how closely a fleet of nodes is held to a Limit.
type Accuracy uint8

// The accuracies; one node alone never exceeds a limit, whatever its accuracy.
const (
	Eventual Accuracy = iota // by events and decisions
	Bounded                  // by shared registers
	Exact                    // by rights granted before they are spent
)

// OnStoreLoss is what a shared Limit does while its store is away.
type OnStoreLoss uint8

// What can be done while the store is away.
const (
	Local  OnStoreLoss = iota // keep this node's share
	Closed                    // refuse
	Open                      // let pass
)

// errNoWindow and its like are what Validate says of a Limit on its own;
// callers add the place.
var (
	errNegativeCount = errors.New("count is negative")
	errNegativeBurst = errors.New("burst is negative")
	errShortWindow   = errors.New("window is shorter than a millisecond")
	errCalendar      = errors.New("calendar windows need the fixed-window algorithm")
)

// Validate reports the first thing that is wrong with l, or nil.
func (l *Limit) Validate() error {
	switch {
	case l.Count < 0:
		return errNegativeCount
	case l.Burst < 0:
		return errNegativeBurst
	case l.Window.Calendar > Year:
		return fmt.Errorf("unknown calendar unit %d", l.Window.Calendar)
	case l.Window.Calendar != NoCalendar && l.Algorithm != FixedWindow:
		return errCalendar
	case l.Window.Calendar != NoCalendar && l.Window.Every < 0:
		return errors.New("calendar window is of a negative number of units")
	case l.Window.Calendar == NoCalendar && l.Window.Length < time.Millisecond:
		return errShortWindow
	case l.Algorithm > TokenBucket:
		return fmt.Errorf("unknown algorithm %d", l.Algorithm)
	case l.Cost > Events:
		return fmt.Errorf("unknown cost %d", l.Cost)
	case l.Accuracy > Exact:
		return fmt.Errorf("unknown accuracy %d", l.Accuracy)
	case l.OnStoreLoss > Open:
		return fmt.Errorf("unknown on_store_loss %d", l.OnStoreLoss)
	}
	return nil
}

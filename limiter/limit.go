package limiter

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Limit is a count per window: what one key may spend, and how it is held to it.
//
// The zero value refuses everything, in windows of no length, and is not valid:
// see [Limit.Validate]. A Limit must not be changed while a [Limiter] uses it;
// to change a limit, make a new one and check the same [Key] against it. The new
// one applies at once:
//
//   - with another Count, what was spent in the running window stays spent;
//   - with another Window or Algorithm, what was spent in the window that still
//     runs counts in the new one that holds now, be it shorter or longer, and
//     is forgotten when that ends. So nothing is spent twice, and a key that
//     had spent its year is not kept waiting for more than the new window;
//   - a TokenBucket is at worst empty then: it does not inherit a debt.
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
	// OnStoreLoss is what happens while the store of shared counters is away. With
	// Local or Open, what is Exact otherwise isn't in that time.
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
	// Every is how many calendar units make a window, up to 10000; zero means one.
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
	ByAccuracy OnStoreLoss = iota // Closed where the limit is Exact, otherwise Local
	Local                         // keep this node's share
	Closed                        // refuse, but for rights that the node still has
	Open                          // let pass
)

// StoreLoss returns what is done while the store is away, which is not ByAccuracy.
func (l *Limit) StoreLoss() OnStoreLoss {
	switch {
	case l.OnStoreLoss != ByAccuracy:
		return l.OnStoreLoss
	case l.Accuracy == Exact:
		return Closed
	}
	return Local
}

// mostUnits is how many units of the calendar may make one window.
const mostUnits = 10000

// These are what Validate says of a Limit on its own; callers add the place.
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
	case l.Window.Calendar != NoCalendar && (l.Window.Every < 0 || l.Window.Every > mostUnits):
		return fmt.Errorf("calendar window is of %d units, want 1 to %d", l.Window.Every, mostUnits)
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

// String returns the limit in words: "5000 requests per 1m", "10 requests per
// calendar month (Europe/Berlin)", "5 events in any 1h", "60 requests per 1m,
// up to 10 at once".
func (l *Limit) String() string {
	s := amount(l.Count, l.Cost.String())
	if l.Algorithm == SlidingWindow {
		s += " in any " + l.Window.String()
	} else {
		s += " per " + l.Window.String()
	}
	if l.Algorithm == TokenBucket {
		s += fmt.Sprintf(", up to %d at once", l.depth())
	}
	if l.Shadow {
		s += " (shadow)"
	}
	return s
}

// String returns the window in words: "1m30s", "1d", "calendar month
// (Europe/Berlin)", "3 calendar months (UTC)".
func (w Window) String() string {
	if w.Calendar == NoCalendar {
		return shortDuration(w.Length)
	}
	name := "calendar " + w.Calendar.String()
	if n := w.every(); n > 1 {
		name = amount(int64(n), name+"s")
	}
	return name + " (" + w.location().String() + ")"
}

// amount returns a number with a noun in the plural, which it puts into the
// singular where there is one.
func amount(n int64, nouns string) string {
	if n == 1 {
		nouns = strings.TrimSuffix(nouns, "s")
	}
	return strconv.FormatInt(n, 10) + " " + nouns
}

// shortDuration returns d without units of which there are none.
func shortDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if d >= time.Minute && d%time.Minute == 0 {
		s = strings.TrimSuffix(s, "0s")
	}
	if d >= time.Hour && d%time.Hour == 0 {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// String returns day, week, month or year.
func (c Calendar) String() string {
	return nameOf([]string{"none", "day", "week", "month", "year"}, int(c))
}

// String returns requests, bytes or events.
func (c Cost) String() string { return nameOf([]string{"requests", "bytes", "events"}, int(c)) }

// String returns the algorithm's name as it stands in configuration.
func (a Algorithm) String() string {
	return nameOf([]string{"fixed-window", "sliding-window", "token-bucket"}, int(a))
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

// String returns the accuracy's name as it stands in configuration.
func (a Accuracy) String() string {
	return nameOf([]string{"eventual", "bounded", "exact"}, int(a))
}

// String returns the name as it stands in configuration; "by accuracy" has none there.
func (o OnStoreLoss) String() string {
	return nameOf([]string{"by accuracy", "local", "closed", "open"}, int(o))
}

package limiter

import (
	"math"
	"time"
)

// Equal reports whether w and o are the same windows.
func (w Window) Equal(o Window) bool {
	if w.Calendar != o.Calendar {
		return false
	}
	if w.Calendar == NoCalendar {
		return w.Length == o.Length
	}
	return w.every() == o.every() && w.location().String() == o.location().String()
}

// Bounds returns the beginning and the end of the window that holds t. The end
// belongs to the next window. Windows of a length are aligned to the Unix
// epoch. Windows of the calendar begin when their first day does in Location,
// be it 23, 24 or 25 hours long; several units make one window counted from
// January 1970 (days), Monday 29 December 1969 (weeks) or the year 0 (months, years).
func (w *Window) Bounds(t time.Time) (begin, end time.Time) {
	b, e := w.bounds(nanos(t))
	return time.Unix(0, b).In(w.location()), time.Unix(0, e).In(w.location())
}

// bounds is Bounds in nanoseconds.
func (w *Window) bounds(ns int64) (begin, end int64) {
	if w.Calendar != NoCalendar {
		return w.calendarBounds(ns)
	}
	length := int64(w.Length)
	begin = floorDiv(ns, length)
	if begin < math.MinInt64/length {
		begin = math.MinInt64
	} else {
		begin *= length
	}
	return begin, addSat(begin, length)
}

func (w *Window) location() *time.Location {
	if w.Location == nil {
		return time.UTC
	}
	return w.Location
}

func (w *Window) every() int { return max(w.Every, 1) }

// calendarBounds is bounds for windows of the calendar.
func (w *Window) calendarBounds(ns int64) (begin, end int64) {
	loc, every := w.location(), w.every()
	y, m, d := time.Unix(0, ns).In(loc).Date()
	switch w.Calendar {
	case Day:
		n := floorTo(dayNumber(y, m, d), every)
		return dayBegin(1970, 1, 1+n, loc), dayBegin(1970, 1, 1+n+every, loc)
	case Week:
		// The epoch was a Thursday: day -3 was a Monday.
		n := floorTo(dayNumber(y, m, d)+3, 7*every) - 3
		return dayBegin(1970, 1, 1+n, loc), dayBegin(1970, 1, 1+n+7*every, loc)
	case Month:
		n := floorTo(12*y+int(m)-1, every)
		return dayBegin(0, time.Month(n+1), 1, loc), dayBegin(0, time.Month(n+1+every), 1, loc)
	default:
		n := floorTo(y, every)
		return dayBegin(n, 1, 1, loc), dayBegin(n+every, 1, 1, loc)
	}
}

// floorTo returns the largest multiple of m that is not above n.
func floorTo(n, m int) int { return int(floorDiv(int64(n), int64(m))) * m }

// dayNumber returns the days from the epoch to a date.
func dayNumber(y int, m time.Month, d int) int {
	return int(floorDiv(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix(), 24*60*60))
}

// dayBegin returns the first moment of a date in a time zone. Where a change of
// the clock skips midnight, that is the change; where it brings midnight twice,
// the first.
func dayBegin(y int, m time.Month, d int, loc *time.Location) int64 {
	const day = 24 * 60 * 60
	midnight := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()
	before := time.Unix(midnight-day, 0).In(loc)
	_, old := before.Zone()
	_, new := time.Unix(midnight+day, 0).In(loc).Zone()
	begin := midnight - int64(old)
	if old != new {
		_, change := before.ZoneBounds()
		if t := change.Unix(); begin >= t {
			begin = max(midnight-int64(new), t)
		}
	}
	switch { // an end that cannot be told is later than any time
	case begin >= farthest:
		return math.MaxInt64
	case begin <= -farthest:
		return math.MinInt64
	}
	return begin * int64(time.Second)
}

// calendarSpan identifies a window of the calendar in the bits of a slot's
// span. Two that differ only in their zone, or by 256 units, may look the same:
// a change from one to the other then waits for the end of the old window.
func (w *Window) calendarSpan() uint64 {
	const mantissa = spanBits - 6
	zone := Seed{}.Hash().Add(w.location().String()).Key()
	return uint64(w.Calendar)<<mantissa | uint64(w.every()&0xff)<<(mantissa-8) | uint64(zone)&(1<<(mantissa-8)-1)
}

// calendarLength returns the usual length of a unit of the calendar: that of a
// month or a year is the average.
func calendarLength(c Calendar) int64 {
	const day = int64(24 * time.Hour)
	switch c {
	case Day:
		return day
	case Week:
		return 7 * day
	case Month:
		return 146097 * 18 * int64(time.Second)
	case Year:
		return 146097 * 216 * int64(time.Second)
	}
	return 0
}

// usual returns the window's length; of the calendar, its usual length.
func (w *Window) usual() int64 {
	if w.Calendar == NoCalendar {
		return int64(w.Length)
	}
	return mulSat(calendarLength(w.Calendar), int64(w.every()))
}

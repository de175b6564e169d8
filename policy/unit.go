package policy

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/weir-project/weir/limiter"
)

// Window returns the window of n units of time, as policies write it. Units are
// ms, sec (s, second), min (minute), hour (h), day (d), week, month and year, in
// singular or plural and without regard to case. A month is 2 630 000 000 ms and
// a year 31 556 900 000 ms, as in WSO2; for the calendar's see limiter.Window.
func Window(n int64, unit string) (limiter.Window, error) {
	length, ok := unitLength(unit)
	switch {
	case !ok:
		return limiter.Window{}, fmt.Errorf("unknown unit of time %q; there are ms, sec, min, hour, day, week, month and year", unit)
	case n < 1:
		return limiter.Window{}, fmt.Errorf("window of %d %s; it must be at least 1", n, unit)
	case n > int64(math.MaxInt64/length):
		return limiter.Window{}, fmt.Errorf("window of %d %s is too long", n, unit)
	}
	return limiter.Window{Length: time.Duration(n) * length}, nil
}

// unitLength returns how long a unit of time is.
func unitLength(unit string) (time.Duration, bool) {
	switch strings.ToLower(unit) {
	case "ms", "millisecond", "milliseconds":
		return time.Millisecond, true
	case "s", "sec", "second", "seconds":
		return time.Second, true
	case "min", "minute", "minutes":
		return time.Minute, true
	case "h", "hour", "hours":
		return time.Hour, true
	case "d", "day", "days":
		return day, true
	case "week", "weeks":
		return 7 * day, true
	case "month", "months":
		return compatibleMonth, true
	case "year", "years":
		return compatibleYear, true
	}
	return 0, false
}

// DataBytes returns how many bytes n units of data are. Units are B, KB, MB and
// GB, without regard to case; a KB is 1024 bytes.
func DataBytes(n int64, unit string) (int64, error) {
	var size int64
	switch strings.ToUpper(unit) {
	case "B":
		size = 1
	case "KB":
		size = 1 << 10
	case "MB":
		size = 1 << 20
	case "GB":
		size = 1 << 30
	default:
		return 0, fmt.Errorf("unknown unit of data %q; there are B, KB, MB and GB", unit)
	}
	switch {
	case n < 0:
		return 0, fmt.Errorf("%d %s is negative", n, unit)
	case n > math.MaxInt64/size:
		return 0, fmt.Errorf("%d %s is too much", n, unit)
	}
	return n * size, nil
}

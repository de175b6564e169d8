package faults

import (
	"testing"
	"time"
	"unsafe"
)

const (
	microsecond = int64(time.Microsecond)
	millisecond = int64(time.Millisecond)
	second      = int64(time.Second)
)

// A clock is that of a node: a monotonic one, which drifts, and a wall clock, which
// anybody may set.
type clock struct {
	boot  int64 // the true time at which the monotonic clock began
	drift int64 // by how much the monotonic clock is fast, in billionths
	ahead int64 // by how much the wall clock is ahead of the true time
}

// read returns what the clock shows at a true time, as time.Now would.
func (c *clock) read(now int64) time.Time {
	return instant(now+c.ahead, c.mono(now)+second)
}

// mono returns what has passed since the monotonic clock began, by itself.
func (c *clock) mono(now int64) int64 {
	since := now - c.boot
	return since + since/1000*c.drift/1_000_000
}

// instant returns a Time with a monotonic reading. Only time.Now makes those, and
// by its own clock; so this one writes the fields themselves.
func instant(wall, mono int64) time.Time {
	const (
		hasMonotonic = 1 << 63
		from1885     = 2682288000 // seconds from 1885 to the Unix epoch
	)
	fields := struct {
		wall uint64
		ext  int64
		loc  *time.Location
	}{
		wall: hasMonotonic | uint64(wall/second+from1885)<<30 | uint64(wall%second),
		ext:  mono,
	}
	return *(*time.Time)(unsafe.Pointer(&fields))
}

// TestInstant shows that a made instant is one of the time package's.
func TestInstant(t *testing.T) {
	wall := time.Date(2026, 3, 1, 12, 30, 15, 123456789, time.UTC)
	a := instant(wall.UnixNano(), 5*second)
	b := instant(wall.UnixNano()-3*second, 7*second)
	if got := a.UnixNano(); got != wall.UnixNano() {
		t.Errorf("wall clock shows %d, want %d", got, wall.UnixNano())
	}
	if got := b.Sub(a); got != 2*time.Second {
		t.Errorf("b is %v after a, want 2s by the monotonic clock", got)
	}
	if got := b.Round(0).Sub(a.Round(0)); got != -3*time.Second {
		t.Errorf("b is %v after a by the wall clock, want -3s", got)
	}
	if got := a.Add(time.Second).Sub(a); got != time.Second {
		t.Errorf("a second later is %v later", got)
	}
}

package limiter

import (
	"testing"
	"time"
)

// TestRecord is a minute of ten, as a traffic manager sees it.
func TestRecord(t *testing.T) {
	l := New(Options{})
	limit := perMinute(10)
	for i, s := range []struct {
		at        time.Duration
		n         int64
		late      int
		over      bool
		remaining int64
	}{
		{0, 4, 0, false, 6},
		{2 * time.Second, 5, 0, false, 1},
		{time.Second, 1, 0, true, 0},               // out of order, in its window
		{3 * time.Second, 5, 0, true, 0},           // more than there was
		{4 * time.Second, -5, 0, true, 0},          // which is taken back
		{5 * time.Second, -2, 0, false, 2},         // and more
		{-time.Second, 3, 1, false, 0},             // of the window before
		{60 * time.Second, 1, 0, false, 9},         // the next
		{59 * time.Second, 7, 1, false, 0},         // late: not in the next
		{61 * time.Second, -100, 0, false, 10},     // never below nothing
		{59 * time.Second, -1, 1, false, 0},        // taken back late
		{10 * time.Minute, 10, 0, true, 0},         // after a pause
		{10*time.Minute - 1, 10, 1, false, 0},      // a nanosecond late
		{10*time.Minute + 30, 0, 0, true, 0},       // nothing, but asked
		{11*time.Minute - 1, 1 << 60, 0, true, 0},  // absurd
		{11*time.Minute - 1, 1 << 62, 0, true, 0},  // and more so
		{11*time.Minute - 1, -1 << 63, 0, true, 0}, // what has been too much stays so
		{11 * time.Minute, 1, 0, false, 9},
	} {
		c := []Check{{Limit: limit, Key: 1, N: s.n}}
		late := l.Record(at(s.at), c)
		if late != s.late || c[0].Over != s.over || late == 0 && c[0].Remaining != s.remaining {
			t.Errorf("step %d: late %d, over %v, remaining %d; want %d, %v, %d",
				i, late, c[0].Over, c[0].Remaining, s.late, s.over, s.remaining)
		}
	}
}

// TestRecordCalendar is a calendar month in a zone whose clocks change.
func TestRecordCalendar(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	l := New(Options{})
	limit := &Limit{Count: 10, Window: Window{Calendar: Month, Location: berlin}}
	date := func(m time.Month, d, h, min int) time.Time { return time.Date(2026, m, d, h, min, 0, 0, berlin) }
	for i, s := range []struct {
		at        time.Time
		late      int
		remaining int64
	}{
		{date(3, 2, 0, 0), 0, 9},
		{date(3, 31, 23, 59), 0, 8},
		{date(3, 1, 0, 0), 0, 7},
		{date(4, 1, 0, 0), 0, 9},
		{date(3, 31, 23, 59), 1, 0},
		{date(4, 30, 23, 59), 0, 8},
		{date(1, 30, 23, 59), 1, 0},
	} {
		c := []Check{{Limit: limit, Key: 1, N: 1}}
		if late := l.Record(s.at, c); late != s.late || late == 0 && c[0].Remaining != s.remaining {
			t.Errorf("step %d: late %d, remaining %d; want %d, %d", i, late, c[0].Remaining, s.late, s.remaining)
		}
	}
}

// TestRecordSlides shows that what comes a little late counts as now where
// windows slide, and that a bucket refills.
func TestRecordSlides(t *testing.T) {
	for _, a := range []Algorithm{SlidingWindow, TokenBucket} {
		l := New(Options{})
		limit := perMinute(60)
		limit.Algorithm = a
		record := func(d time.Duration, n int64) Check {
			c := []Check{{Limit: limit, Key: 1, N: n}}
			if late := l.Record(at(d), c); late != 0 {
				t.Errorf("%v: at %v: %d late", a, d, late)
			}
			return c[0]
		}
		record(0, 50)
		if c := record(-time.Second, 10); !c.Over || c.Reset <= 0 {
			t.Errorf("%v: all spent: %+v", a, c)
		}
		if c := record(time.Millisecond, -10); c.Over || c.Remaining != 10 {
			t.Errorf("%v: taken back: %+v", a, c)
		}
		if c := record(3*time.Minute, 1); c.Over || c.Remaining != 59 {
			t.Errorf("%v: later: %+v", a, c)
		}
	}
}

// TestBlocked holds a check to what others have spent: whatever is left here,
// nothing passes, but for a shadow.
func TestBlocked(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{})
		limit, shadow := perMinute(10), perMinute(10)
		limit.Algorithm, shadow.Algorithm, shadow.Shadow = a, a, true
		pass := []Check{{Limit: shadow, Key: 2, N: 1, Blocked: time.Second}, {Limit: limit, Key: 1, N: 1}}
		if _, ok := l.Take(t0, pass); !ok || !pass[0].Over || pass[0].Remaining != 0 || pass[0].Reset != time.Second {
			t.Errorf("%v: a shadow that is blocked: %v, %+v", a, ok, pass[0])
		}
		for _, n := range []int{1, 2, 9} {
			checks := make([]Check, n)
			for i := range checks {
				checks[i] = Check{Limit: limit, Key: Key(10 + i), N: 1}
			}
			checks[n-1].Blocked = 3 * time.Second
			ticket, ok := l.Take(t0, checks)
			if c := checks[n-1]; ok || ticket.Refused() != n-1 || !c.Over || c.Remaining != 0 || c.Reset != 3*time.Second {
				t.Errorf("%v: Take of %d = %v, refused by %d, %+v", a, n, ok, ticket.Refused(), c)
			}
			if n > 1 && checks[0].Remaining != 10 {
				t.Errorf("%v: a refused call has spent something", a)
			}
		}
		if c := []Check{{Limit: limit, Key: 1, N: 1, Blocked: -1}}; !l.Peek(t0, c) {
			t.Errorf("%v: a block that is over still blocks", a)
		}
	}
}

func TestSeedOf(t *testing.T) {
	a, b := SeedOf([]byte("a secret")), SeedOf([]byte("another"))
	if a != SeedOf([]byte("a secret")) || a == b || a == (Seed{}) || a.Key("x") == b.Key("x") {
		t.Errorf("the seeds are %v and %v", a, b)
	}
}

func TestRecordAllocs(t *testing.T) {
	l := New(Options{})
	checks := []Check{{Limit: perMinute(1 << 40), Key: 1, N: 1}, {Limit: perMinute(1 << 40), Key: 2, N: 1}}
	l.Record(t0, checks)
	if n := testing.AllocsPerRun(100, func() { l.Record(t0, checks) }); n != 0 {
		t.Errorf("Record allocates %v times", n)
	}
}

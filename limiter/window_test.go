package limiter

import (
	"math"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestBounds(t *testing.T) {
	berlin, lima := zone(t, "Europe/Berlin"), zone(t, "America/Lima")
	havana, paulo, beirut := zone(t, "America/Havana"), zone(t, "America/Sao_Paulo"), zone(t, "Asia/Beirut")
	apia, lord := zone(t, "Pacific/Apia"), zone(t, "Australia/Lord_Howe")
	for _, test := range []struct {
		window         Window
		at, begin, end string // in UTC
	}{
		{Window{Length: time.Minute}, "2026-06-01T10:00:59Z", "2026-06-01T10:00:00Z", "2026-06-01T10:01:00Z"},
		{Window{Length: time.Minute}, "1969-12-31T23:59:30Z", "1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z"},
		{Window{Length: 2630000000 * time.Millisecond}, "1970-01-31T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-31T10:33:20Z"},
		{Window{Calendar: Day}, "2026-06-01T10:00:59Z", "2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z"},
		{Window{Calendar: Day, Location: lima}, "2026-06-01T02:00:00Z", "2026-05-31T05:00:00Z", "2026-06-01T05:00:00Z"},
		// 23 and 25 hours.
		{Window{Calendar: Day, Location: berlin}, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		{Window{Calendar: Day, Location: berlin}, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		{Window{Calendar: Day, Location: lord}, "2026-10-04T00:00:00Z", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"},
		// Midnight is skipped, comes twice, or the whole day is left out.
		{Window{Calendar: Day, Location: beirut}, "2024-03-31T12:00:00Z", "2024-03-30T22:00:00Z", "2024-03-31T21:00:00Z"},
		{Window{Calendar: Day, Location: paulo}, "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		{Window{Calendar: Day, Location: paulo}, "2018-02-17T23:30:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z"},
		{Window{Calendar: Day, Location: havana}, "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		{Window{Calendar: Day, Location: apia}, "2011-12-30T09:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
		{Window{Calendar: Day, Location: apia}, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
		{Window{Calendar: Day, Every: 10}, "1970-01-15T12:00:00Z", "1970-01-11T00:00:00Z", "1970-01-21T00:00:00Z"},
		{Window{Calendar: Day, Every: 10}, "1969-12-31T12:00:00Z", "1969-12-22T00:00:00Z", "1970-01-01T00:00:00Z"},
		// 1 June 2026 is a Monday.
		{Window{Calendar: Week}, "2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z"},
		{Window{Calendar: Week}, "2026-05-31T23:59:59Z", "2026-05-25T00:00:00Z", "2026-06-01T00:00:00Z"},
		{Window{Calendar: Week, Location: berlin}, "2026-03-25T00:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"},
		{Window{Calendar: Week, Every: 2}, "1970-01-01T00:00:00Z", "1969-12-29T00:00:00Z", "1970-01-12T00:00:00Z"},
		{Window{Calendar: Month}, "2028-02-29T23:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{Window{Calendar: Month, Location: berlin}, "2026-12-31T23:30:00Z", "2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z"},
		{Window{Calendar: Month, Every: 3}, "2026-06-30T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"},
		{Window{Calendar: Month, Every: 5}, "2026-06-30T00:00:00Z", "2026-04-01T00:00:00Z", "2026-09-01T00:00:00Z"},
		{Window{Calendar: Year}, "2026-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{Window{Calendar: Year, Every: 4, Location: lima}, "2026-06-01T00:00:00Z", "2024-01-01T05:00:00Z", "2028-01-01T05:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		begin, end := test.window.Bounds(at)
		if b, e := begin.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339); b != test.begin || e != test.end {
			t.Errorf("%v at %s is %s to %s, want %s to %s", test.window, test.at, b, e, test.begin, test.end)
		}
	}
}

// TestBoundsFollow walks through years of windows: each holds its beginning and
// not its end, at which the next begins.
func TestBoundsFollow(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Beirut", "America/Havana", "Pacific/Apia", "Africa/Cairo", "Atlantic/Azores", "America/Asuncion"} {
		for _, w := range []Window{{Calendar: Day}, {Calendar: Day, Every: 3}, {Calendar: Week}, {Calendar: Month}, {Calendar: Year}} {
			w.Location = zone(t, name)
			at := time.Date(2009, 12, 31, 12, 0, 0, 0, time.UTC)
			_, at = w.Bounds(at)
			for at.Year() < 2028 {
				begin, end := w.Bounds(at)
				if !begin.Equal(at) || !end.After(begin) {
					t.Fatalf("%v at %v is %v to %v", w, at, begin, end)
				}
				local := at.In(w.Location)
				if h, m, s := local.Clock(); h > 1 || h == 1 && (m != 0 || s != 0) {
					t.Fatalf("%v begins at %v", w, local)
				}
				if _, e := w.Bounds(end.Add(-1)); !e.Equal(end) {
					t.Fatalf("%v: a nanosecond before %v the end is %v", w, end, e)
				}
				at = end
			}
		}
	}
}

func FuzzBounds(f *testing.F) {
	f.Add(int64(0), int64(time.Minute), uint8(0), 1, "UTC")
	f.Add(int64(1774746000e9), int64(1), uint8(1), 1, "Europe/Berlin")
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), uint8(4), 10000, "Pacific/Apia")
	f.Add(int64(math.MinInt64), int64(math.MaxInt64), uint8(3), 7, "America/Havana")
	f.Fuzz(func(t *testing.T, ns, length int64, calendar uint8, every int, name string) {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Skip()
		}
		l := Limit{Count: 1, Window: Window{Length: time.Duration(length), Calendar: Calendar(calendar), Every: every, Location: loc}}
		if l.Validate() != nil {
			t.Skip()
		}
		begin, end := l.Window.bounds(nanos(time.Unix(0, ns)))
		if ns := nanos(time.Unix(0, ns)); begin > ns || end <= ns {
			t.Errorf("%v at %d is %d to %d", l.Window, ns, begin, end)
		}
	})
}

func TestFarTimes(t *testing.T) {
	l := New(Options{})
	for _, limit := range []*Limit{
		perMinute(1),
		{Count: 1, Window: Window{Length: math.MaxInt64}},
		{Count: 1, Window: Window{Calendar: Year, Every: 10000}},
		{Count: 1, Window: Window{Calendar: Day}},
		{Count: 1, Window: Window{Length: math.MaxInt64}, Algorithm: SlidingWindow},
		{Count: 1, Window: Window{Length: math.MaxInt64}, Algorithm: TokenBucket},
	} {
		for i, now := range []time.Time{{}, time.Unix(-1<<40, 0), t0, time.Unix(1<<40, 0)} {
			c := []Check{{Limit: limit, Key: Key(i), N: 1}}
			if _, ok := l.Take(now, c); !ok {
				t.Errorf("%v: the first Take at %v = false", limit, now)
			}
			if _, ok := l.Take(now, c); ok || c[0].Reset <= 0 {
				t.Errorf("%v: the second Take at %v = %v, reset %v", limit, now, ok, c[0].Reset)
			}
		}
		l = New(Options{})
	}
}

func TestCalendarLimit(t *testing.T) {
	l := New(Options{})
	limit := &Limit{Count: 1, Window: Window{Calendar: Day, Location: zone(t, "Europe/Berlin")}}
	for _, s := range []struct {
		at    string
		ok    bool
		reset time.Duration
	}{
		{"2026-03-29T00:30:00+01:00", true, 22*time.Hour + 30*time.Minute}, // a day of 23 hours
		{"2026-03-29T23:59:59+02:00", false, time.Second},
		{"2026-03-30T00:00:00+02:00", true, 24 * time.Hour},
	} {
		now, err := time.Parse(time.RFC3339, s.at)
		if err != nil {
			t.Fatal(err)
		}
		c := []Check{{Limit: limit, Key: 1, N: 1}}
		if _, ok := l.Take(now, c); ok != s.ok || c[0].Reset != s.reset {
			t.Errorf("Take at %s = %v, reset %v; want %v, %v", s.at, ok, c[0].Reset, s.ok, s.reset)
		}
	}
}

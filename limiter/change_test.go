package limiter

import (
	"testing"
	"time"
)

func TestChangedCount(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l := New(Options{})
		for _, s := range []struct {
			count, n, remaining int64
			ok                  bool
		}{
			{10, 6, 4, true},
			{20, 1, 13, true},
			{5, 1, 0, false},
			{8, 1, 0, true},
		} {
			limit := perMinute(s.count)
			limit.Algorithm = a
			if a == TokenBucket {
				limit.Window.Length = 1000 * time.Hour // nothing flows in
			}
			c := []Check{{Limit: limit, Key: 1, N: s.n}}
			_, ok := l.Take(t0, c)
			if a == TokenBucket && s.count == 8 {
				// The bucket of five was full: the debt beyond it is forgiven.
				s.remaining = 2
			}
			if ok != s.ok || c[0].Remaining != s.remaining {
				t.Errorf("algorithm %d: Take(%d) of %d = %v, remaining %d; want %v, %d", a, s.n, s.count, ok, c[0].Remaining, s.ok, s.remaining)
			}
		}
	}
}

func TestChangedWindow(t *testing.T) {
	hour := &Limit{Count: 5, Window: Window{Length: time.Hour}}
	steps := []struct {
		at        time.Duration
		limit     *Limit
		n         int64
		ok        bool
		remaining int64
	}{
		{70 * time.Second, hour, 4, true, 1},
		{80 * time.Second, perMinute(5), 1, true, 0}, // the hour's four count in this minute
		{119 * time.Second, perMinute(5), 1, false, 0},
		{120 * time.Second, perMinute(5), 1, true, 4}, // and not in the next
		{130 * time.Second, hour, 1, true, 3},         // the minute's one counts in the hour
		{179 * time.Minute, &Limit{Count: 5, Window: Window{Calendar: Day}}, 2, true, 3},
		{180 * time.Minute, &Limit{Count: 5, Window: Window{Calendar: Month}}, 2, true, 1},
	}
	l := New(Options{})
	for i, s := range steps {
		c := []Check{{Limit: s.limit, Key: 1, N: s.n}}
		if _, ok := l.Take(at(s.at), c); ok != s.ok || c[0].Remaining != s.remaining {
			t.Errorf("step %d: Take = %v, remaining %d; want %v, %d", i, ok, c[0].Remaining, s.ok, s.remaining)
		}
	}
}

func TestChangedAlgorithm(t *testing.T) {
	algorithms := []Algorithm{FixedWindow, SlidingWindow, TokenBucket}
	for _, from := range algorithms {
		for _, to := range algorithms {
			l := New(Options{})
			limit := func(a Algorithm, n int64) *Limit {
				return &Limit{Count: n, Window: Window{Length: time.Hour}, Algorithm: a}
			}
			take := func(d time.Duration, lim *Limit, n, remaining int64) {
				t.Helper()
				c := []Check{{Limit: lim, Key: 1, N: n}}
				if _, ok := l.Take(at(d), c); !ok || c[0].Remaining != remaining {
					t.Errorf("from %d to %d: Take = %v, remaining %d; want true, %d", from, to, ok, c[0].Remaining, remaining)
				}
			}
			take(0, limit(from, 10), 3, 7)
			take(0, limit(to, 10), 2, 5)
			take(0, limit(from, 10), 1, 4)
			take(3*time.Hour, limit(to, 10), 1, 9) // nothing stays for longer than its window
		}
	}
}

package limiter_test

import (
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// TestRightsOfAnotherWindow has rights be granted in a window of ten seconds before that
// begins, and the limit then get windows of a second: the last of these ends when the other
// would, and has none of its rights.
func TestRightsOfAnotherWindow(t *testing.T) {
	l := limiter.New(limiter.Options{Sharing: limiter.Checks})
	s := limiter.NewSharer(l, nil, limiter.SharerOptions{Node: 1, Lanes: 1})
	long := &limiter.Limit{Count: 10_000, Window: limiter.Window{Length: 10 * time.Second}, Accuracy: limiter.Exact}
	short := *long
	short.Window.Length = time.Second
	for _, row := range []struct {
		from, to time.Duration
		limit    *limiter.Limit
		left     int64 // for the store to grant, each time
		passes   bool
	}{
		{0, time.Millisecond, long, 0, false},
		{5 * time.Second, 10 * time.Second, long, 1000, true}, // also of what is to come
		{10 * time.Second, 10 * time.Second, &short, 0, false},
		{19 * time.Second, 20 * time.Second, &short, 0, false},
		{20 * time.Second, 20 * time.Second, &short, 0, false},
		{21 * time.Second, 22 * time.Second, &short, 1000, true},
	} {
		passed := 0
		for at := row.from; at <= row.to; at += 10 * time.Millisecond {
			now := midday.Add(at)
			if b := s.Next(0, now); b != nil {
				for i := range b.Assertions {
					b.Assertions[i].Want = min(b.Assertions[i].Want, row.left)
				}
				s.Done(0, now, answer(b, now, 1), nil)
			}
			if _, ok := l.Take(s.Time(now), []limiter.Check{{Limit: row.limit, Key: 7, N: 1}}); ok {
				passed++
			}
		}
		if passed > 0 != row.passes {
			t.Errorf("from %v to %v, windows of %v: %d passed", row.from, row.to, row.limit.Window.Length, passed)
		}
	}
}

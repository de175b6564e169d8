package limiter_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter"
)

// answer answers a batch as a store does that nobody else uses.
func answer(b *limiter.Batch, now time.Time, epoch uint64) *limiter.Batch {
	b.Now, b.Epoch, b.Durable, b.Nodes = now.UnixNano(), epoch, true, 1
	for i := range b.Assertions {
		a := &b.Assertions[i]
		a.Status, a.Sum, a.Granted = limiter.Applied, a.Register+a.Want, a.Want
	}
	return b
}

// TestUntoldStays has the node's clock go ahead at once, as with the first answer of a store
// if it was behind: what the store was not told of yet is not forgotten for that.
func TestUntoldStays(t *testing.T) {
	for _, row := range []struct {
		algorithm limiter.Algorithm
		ahead     time.Duration // of the node's clock, the store's
		after     time.Duration // when the limiter is swept
		keys      int
	}{
		{limiter.FixedWindow, 0, 0, 1},
		{limiter.FixedWindow, 0, 31 * time.Second, 1},
		{limiter.FixedWindow, 0, 89 * time.Second, 1},
		{limiter.FixedWindow, 0, 91 * time.Second, 0}, // 30 s after its window
		{limiter.FixedWindow, 500 * time.Millisecond, 91 * time.Second, 0},
		{limiter.FixedWindow, 5 * time.Minute, 0, 1},
		{limiter.FixedWindow, 5 * time.Minute, 29 * time.Second, 1},
		{limiter.FixedWindow, 5 * time.Minute, 31 * time.Second, 0},
		{limiter.FixedWindow, 24 * time.Hour, 0, 1},
		{limiter.FixedWindow, -5 * time.Minute, 0, 1},
		{limiter.SlidingWindow, 5 * time.Minute, 0, 1},
		{limiter.SlidingWindow, 5 * time.Minute, 31 * time.Second, 0},
		{limiter.TokenBucket, 0, 29 * time.Second, 1},
		{limiter.TokenBucket, 0, 91 * time.Second, 0},
		{limiter.TokenBucket, 5 * time.Minute, 0, 1},
		{limiter.TokenBucket, 5 * time.Minute, 29 * time.Second, 1},
		{limiter.TokenBucket, 5 * time.Minute, 31 * time.Second, 0},
	} {
		l := limiter.New(limiter.Options{Sharing: limiter.Checks})
		s := limiter.NewSharer(l, nil, limiter.SharerOptions{Node: 1, Lanes: 1})
		limit := perMinute(100, limiter.Bounded)
		limit.Algorithm = row.algorithm
		b := s.Next(0, midday)
		l.Take(s.Time(midday), []limiter.Check{{Limit: limit, Key: 7, N: 1}})
		s.Done(0, midday, answer(b, midday.Add(row.ahead), 1), nil)
		l.Sweep(s.Time(midday.Add(row.after)))
		if got := l.Len(); got != row.keys {
			t.Errorf("%v, clock ahead by %v, %v later: %d keys, want %d", row.algorithm, row.ahead, row.after, got, row.keys)
		}
	}
}

// TestForgottenOnItsWay has the time of a key be over while it is told again, in vain, and then
// used: it is told once, and what it was told is still known.
func TestForgottenOnItsWay(t *testing.T) {
	l := limiter.New(limiter.Options{Sharing: limiter.Checks})
	s := limiter.NewSharer(l, nil, limiter.SharerOptions{Node: 1, Lanes: 1})
	limit := &limiter.Limit{Count: 10, Window: limiter.Window{Length: time.Second}, Accuracy: limiter.Bounded}
	for _, step := range []struct {
		at     time.Duration
		take   bool
		told   int // assertions in the batch
		epoch  uint64
		failed bool
	}{
		{at: 0, epoch: 1},
		{at: 100 * time.Millisecond, take: true, told: 1, epoch: 1},
		{at: 9900 * time.Millisecond, epoch: 2},
		{at: 10100 * time.Millisecond, told: 1, failed: true},         // again, for the new epoch
		{at: 10200 * time.Millisecond, take: true, told: 2, epoch: 2}, // what is over, and what is spent now
		{at: 10700 * time.Millisecond, epoch: 2},
	} {
		now := midday.Add(step.at)
		l.Sweep(s.Time(now))
		if step.take {
			l.Take(s.Time(now), []limiter.Check{{Limit: limit, Key: 7, N: 1}})
		}
		b := s.Next(0, now)
		if b == nil || len(b.Assertions) != step.told {
			t.Fatalf("at %v: the batch is %+v, want %d assertions", step.at, b, step.told)
		}
		if step.failed {
			s.Done(0, now, b, errors.New("no answer"))
			continue
		}
		s.Done(0, now, answer(b, now, step.epoch), nil)
	}
}

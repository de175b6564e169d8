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

// TestPassedWhileAway lets more pass than was granted while the store is away, as Open does:
// the store is told when it is there again, though nobody asks for more.
func TestPassedWhileAway(t *testing.T) {
	for _, algorithm := range []limiter.Algorithm{limiter.FixedWindow, limiter.TokenBucket} {
		l := limiter.New(limiter.Options{Sharing: limiter.Checks})
		s := limiter.NewSharer(l, nil, limiter.SharerOptions{Node: 1, Lanes: 1})
		limit := perMinute(3, limiter.Exact)
		limit.Algorithm, limit.OnStoreLoss = algorithm, limiter.Open
		passed := int64(0)
		var b *limiter.Batch
		for _, step := range []struct {
			at     time.Duration
			takes  int
			left   int64 // that the store may grant
			failed bool
		}{
			{at: 0, left: 3},
			{at: 20 * time.Millisecond, takes: 1, left: 3}, // it wants rights
			{at: 50 * time.Millisecond, takes: 5},          // and spends them; there are no more
			{at: 1 * time.Second},                          // nothing is asked for
			{at: 5 * time.Second},
			{at: 9 * time.Second},
			{at: 10 * time.Second, failed: true},
			{at: 11 * time.Second, failed: true},
			{at: 12 * time.Second, takes: 7}, // is it there again?
			{at: 12 * time.Second},
		} {
			now := midday.Add(step.at)
			for range step.takes {
				if _, ok := l.Take(s.Time(now), []limiter.Check{{Limit: limit, Key: 7, N: 1}}); ok {
					passed++
				}
			}
			if b = s.Next(0, now); step.failed {
				s.Done(0, now, b, errors.New("no answer"))
				continue
			}
			s.Done(0, now, answerUpTo(b, now, step.left), nil)
		}
		if len(b.Assertions) != 1 || b.Assertions[0].Register < passed || passed <= limit.Count {
			t.Errorf("%v: %d have passed; the last batch is %+v", algorithm, passed, b.Assertions)
		}
	}
}

// answerUpTo is answer of a store that has no more than left to grant, since others have
// the rest.
func answerUpTo(b *limiter.Batch, now time.Time, left int64) *limiter.Batch {
	for i := range b.Assertions {
		b.Assertions[i].Want = min(b.Assertions[i].Want, left)
	}
	answer(b, now, 1)
	for i := range b.Assertions {
		if a := &b.Assertions[i]; left == 0 {
			a.Sum = max(a.Sum, a.Limit)
		}
	}
	return b
}

// TestNotDurable grants what no replica has, and the key is forgotten before that is given
// back: it is given back all the same.
func TestNotDurable(t *testing.T) {
	for _, algorithm := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow} {
		l := limiter.New(limiter.Options{Sharing: limiter.Checks})
		s := limiter.NewSharer(l, nil, limiter.SharerOptions{Node: 1, Lanes: 1})
		limit := perMinute(10, limiter.Exact)
		limit.Algorithm = algorithm
		s.Done(0, midday, answer(s.Next(0, midday), midday, 1), nil)
		if _, ok := l.Take(midday, []limiter.Check{{Limit: limit, Key: 7, N: 1}}); ok {
			t.Fatalf("%v: passed without a right", algorithm)
		}
		b := answer(s.Next(0, midday), midday, 1)
		if len(b.Assertions) != 1 || b.Assertions[0].Granted == 0 {
			t.Fatalf("%v: the store grants %+v", algorithm, b.Assertions)
		}
		b.Durable = false
		s.Done(0, midday, b, nil)
		l.Sweep(midday)
		now := midday.Add(50 * time.Millisecond)
		b = s.Next(0, now)
		if l.Len() != 0 || b == nil {
			t.Fatalf("%v: %d keys; the batch is %v", algorithm, l.Len(), b)
		}
		for i := range b.Assertions {
			if n := b.Assertions[i].Register; n != 0 {
				t.Errorf("%v: %d are asserted that nobody has", algorithm, n)
			}
		}
	}
}

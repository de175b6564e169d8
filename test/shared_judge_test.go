package test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// The judges find out by how much the calls that passed are over a limit. When a call
// was admitted is not known to the instant: after it was sent, before it arrived. Each
// judge finds only what cannot be otherwise, however the calls fell in between.

// overWindows returns by how much calls are over a limit of fixed windows that follow
// the clock: every span of whole windows has room for its number of times the limit. Below
// zero nothing was over.
func overWindows(calls []sharedCall, limit int, length time.Duration) int {
	over := -limit
	for begin := range windows(calls, length) {
		ends := make(map[int64]int)
		last := begin
		for _, c := range calls {
			if end := c.arrived / int64(length); c.sent/int64(length) >= begin {
				ends[end]++
				last = max(last, end)
			}
		}
		sum := 0
		for w := begin; w <= last; w++ {
			sum += ends[w]
			over = max(over, sum-limit*int(w-begin+1))
		}
	}
	return over
}

// overOneWindow is overWindows for limits that each window may exceed by a little: the most
// that one of them did.
func overOneWindow(calls []sharedCall, limit int, length time.Duration) int {
	all := make(map[int64]int)
	over := -limit
	for _, c := range calls {
		if w := c.sent / int64(length); w == c.arrived/int64(length) {
			all[w]++
			over = max(over, all[w]-limit)
		}
	}
	return over
}

// windows returns the windows in which calls were sent, with how many those were.
func windows(calls []sharedCall, length time.Duration) map[int64]int {
	all := make(map[int64]int)
	for _, c := range calls {
		all[c.sent/int64(length)]++
	}
	return all
}

// overSliding returns by how much calls are over a limit that holds in every window of a
// length, wherever it begins.
func overSliding(calls []sharedCall, limit int, length time.Duration) int {
	over := -limit
	for i := range calls {
		n := 0
		for _, c := range calls[i:] { // in the order in which they were sent
			if c.arrived < calls[i].sent+int64(length) {
				n++
			}
		}
		over = max(over, n-limit)
	}
	return over
}

// overBucket returns by how much calls are over a bucket of a depth that a number of
// units flows into each second.
func overBucket(calls []sharedCall, depth, perSecond int) int {
	over := -depth
	byArrival := slices.Clone(calls)
	slices.SortFunc(byArrival, func(a, b sharedCall) int { return int(a.arrived - b.arrived) })
	for i := range calls {
		n := 0
		for _, c := range byArrival {
			if c.sent < calls[i].sent {
				continue
			}
			n++
			flowed := float64(c.arrived-calls[i].sent) / 1e9 * float64(perSecond)
			over = max(over, n-depth-int(flowed)-1)
		}
	}
	return over
}

// admittedAt returns calls that were admitted at known times, in milliseconds.
func admittedAt(ms ...int64) (calls []sharedCall) {
	for _, at := range ms {
		calls = append(calls, sharedCall{sent: at * 1e6, arrived: at*1e6 + 1000})
	}
	return calls
}

// TestSharedJudges holds the judges to what they have to find, and what not.
func TestSharedJudges(t *testing.T) {
	t.Parallel()
	fixed := func(c []sharedCall) int { return overWindows(c, 2, time.Second) }
	one := func(c []sharedCall) int { return overOneWindow(c, 2, time.Second) }
	sliding := func(c []sharedCall) int { return overSliding(c, 2, time.Second) }
	bucket := func(c []sharedCall) int { return overBucket(c, 2, 1) }
	across := admittedAt(999, 999, 999)
	across[2].arrived = 1001e6 // it may have been admitted in the next window
	wide := append(admittedAt(999, 999), admittedAt(1001, 1001)...)
	wide = append(wide, sharedCall{sent: 999e6, arrived: 1001e6})
	for i, test := range []struct {
		judge func([]sharedCall) int
		calls []sharedCall
		want  bool
	}{
		{fixed, admittedAt(1, 2), false},
		{fixed, admittedAt(1, 2, 999), true},
		{fixed, admittedAt(998, 999, 1001, 1002), false},
		{fixed, across, false},
		{fixed, wide, true}, // two windows have room for four
		{one, admittedAt(1, 2, 1001, 1002), false},
		{one, admittedAt(1, 2, 3, 1001), true},
		{sliding, admittedAt(1, 500, 1002), false},
		{sliding, admittedAt(1, 500, 999), true},
		{sliding, admittedAt(998, 999, 1001), true},
		{bucket, admittedAt(1, 2, 1005, 2007), false},
		{bucket, admittedAt(1, 2, 3, 4), true},
		{bucket, admittedAt(1, 2, 1005, 1006, 1007), true},
	} {
		slices.SortFunc(test.calls, func(a, b sharedCall) int { return int(a.sent - b.sent) })
		if over := test.judge(test.calls); over > 0 != test.want {
			t.Errorf("case %d: over by %d", i, over)
		}
	}
}

// used returns how many of the whole windows between two times' worth of a limit
// have been used, in percent.
func used(calls []sharedCall, limit int, length time.Duration, from, to time.Time) float64 {
	begin, end := from.UnixNano()/int64(length)+1, to.UnixNano()/int64(length)
	if begin >= end {
		return 100
	}
	n := 0
	for _, c := range calls {
		if w := c.sent / int64(length); w >= begin && w < end {
			n++
		}
	}
	return 100 * float64(n) / float64(limit*int(end-begin))
}

// A spread is how long some calls took.
type spread struct {
	calls        int
	median, high time.Duration // of all, and of 99 in 100
	slow         int           // longer than 50 ms
}

// delays returns how long the calls took that were sent between two times, and that
// some function chooses.
func delays(calls []sharedCall, from, to time.Time, of func(*sharedCall) bool) spread {
	var all []time.Duration
	s := spread{}
	for i := range calls {
		c := &calls[i]
		if c.sent < from.UnixNano() || c.sent >= to.UnixNano() || c.status == 0 || !of(c) {
			continue
		}
		d := time.Duration(c.answered - c.sent)
		all = append(all, d)
		if d > 50*time.Millisecond {
			s.slow++
		}
	}
	if s.calls = len(all); s.calls > 0 {
		slices.Sort(all)
		s.median, s.high = all[len(all)/2], all[len(all)*99/100]
	}
	return s
}

func (s spread) String() string {
	return fmt.Sprintf("%d calls, median %s, p99 %s, %d over 50 ms", s.calls, s.median.Round(10*time.Microsecond), s.high.Round(10*time.Microsecond), s.slow)
}

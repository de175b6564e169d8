package main

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/weir-project/weir/limiter"
)

// An accuracy is by how much limits of one cell were exceeded and not used up, in
// percent of them.
type accuracy struct {
	Requests  int64   `json:"requests"`
	Admitted  int64   `json:"admitted"`
	Windows   int     `json:"windows"` // that were whole; of all keys together
	OverWorst float64 `json:"over_worst_percent"`
	OverMean  float64 `json:"over_mean_percent"`
	OverUnits int64   `json:"over_worst_units"`
	Unused    float64 `json:"unused_mean_percent"` // of what all together could have been let pass
	Worst     float64 `json:"unused_worst_percent"`
	Burst     int64   `json:"most_in_two_intervals"` // requests for one key
}

// eventsOf returns what became of all requests of a subject, by time.
func (s *subject) eventsOf() []event {
	var all []event
	for _, st := range s.streams {
		all = append(all, st.events...)
	}
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return all
}

// measure adds up the subjects of a cell, whose requests came from begin to end. Two
// intervals are how long what was spent may be unknown to others.
func measure(c *cell, subjects []*subject, begin, end time.Time, intervals time.Duration) accuracy {
	var a accuracy
	for _, s := range subjects {
		if s.cell != c {
			continue
		}
		events := s.eventsOf()
		for _, e := range events {
			a.Requests++
			if e.passed {
				a.Admitted++
			}
		}
		a.Burst = max(a.Burst, mostIn(events, intervals))
		switch s.limit.Algorithm {
		case limiter.FixedWindow:
			a.fixed(s.limit, events, begin, end)
		case limiter.SlidingWindow:
			a.rolling(s.limit, events, mostIn(passed(events), s.limit.Window.Length))
		case limiter.TokenBucket:
			a.rolling(s.limit, events, mostMissing(s.limit, events))
		}
	}
	if a.Windows > 0 {
		a.OverMean /= float64(a.Windows)
		a.Unused /= float64(a.Windows)
	}
	return a
}

// fixed looks at each window. Those that are not whole can be exceeded, but not left
// unused.
func (a *accuracy) fixed(l *limiter.Limit, events []event, begin, end time.Time) {
	type window struct{ asked, passed int64 }
	windows := map[int64]*window{}
	length := int64(l.Window.Length)
	for _, e := range events {
		w := windows[e.at/length]
		if w == nil {
			w = &window{}
			windows[e.at/length] = w
		}
		w.asked++
		if e.passed {
			w.passed++
		}
	}
	percent := 100 / float64(l.Count)
	for i, w := range windows {
		over := max(w.passed-l.Count, 0)
		a.over(l, over)
		if i*length < begin.UnixNano() || (i+1)*length > end.UnixNano() {
			continue
		}
		a.Windows++
		a.OverMean += percent * float64(over)
		a.unused(percent * float64(max(min(l.Count, w.asked)-w.passed, 0)))
	}
}

func (a *accuracy) over(l *limiter.Limit, units int64) {
	a.OverUnits = max(a.OverUnits, units)
	a.OverWorst = max(a.OverWorst, 100*float64(units)/float64(l.Count))
}

func (a *accuracy) unused(percent float64) {
	a.Unused += percent
	a.Worst = max(a.Worst, percent)
}

// rolling compares with one node alone to which all requests come: what the limit
// lets pass at best. most is the most that counted at once.
func (a *accuracy) rolling(l *limiter.Limit, events []event, most int64) {
	if len(events) == 0 {
		return
	}
	best := *l
	best.Accuracy = limiter.Eventual
	lone := limiter.New(limiter.Options{MaxKeys: 1})
	var want int64
	for _, e := range events {
		if _, ok := lone.Take(time.Unix(0, e.at), []limiter.Check{{Limit: &best, Key: 1, N: 1}}); ok {
			want++
		}
	}
	length := float64(events[len(events)-1].at-events[0].at) / float64(l.Window.Length)
	over := max(most-l.Count, 0)
	a.over(l, over)
	a.Windows++
	a.OverMean += 100 * float64(over) / float64(l.Count)
	a.unused(100 * float64(max(want-int64(len(passed(events))), 0)) / (float64(l.Count) * max(length, 1)))
}

// passed returns the events that passed.
func passed(events []event) []event {
	return slices.DeleteFunc(slices.Clone(events), func(e event) bool { return !e.passed })
}

// mostIn returns the most events in any time of a length.
func mostIn(events []event, length time.Duration) (most int64) {
	first := 0
	for i, e := range events {
		for events[first].at <= e.at-int64(length) {
			first++
		}
		most = max(most, int64(i-first+1))
	}
	return most
}

// mostMissing returns the most that was missing in the limit's bucket, in whole units.
func mostMissing(l *limiter.Limit, events []event) int64 {
	perUnit := float64(l.Window.Length) / float64(l.Count)
	var missing, most float64
	var last int64
	for _, e := range passed(events) {
		missing = max(missing-float64(e.at-last)/perUnit, 0) + 1
		last, most = e.at, max(most, missing)
	}
	return int64(math.Ceil(most - 0.01)) // which is what sums of fractions may be off
}

package drill

import (
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/weir-project/weir/load"
)

// edge is how near to the end of a window a request may count in the next.
const edge = 5 * time.Millisecond

// A window is what was seen of a limit in one of its windows.
type window struct {
	begins            time.Time
	admitted, refused int64
	edge              int64 // admitted ones that may count in the next window
	// resumed is when the last one was admitted that came after one that was not; zero:
	// there is none.
	resumed time.Time
}

// windows returns the whole windows of the log from a time on.
func (l *log) windows(from, to time.Time) []window {
	per := l.limit.Per
	n := int(to.Sub(from) / per)
	all := make([]window, n)
	for i := range all {
		all[i].begins = from.Add(time.Duration(i) * per)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortFunc(l.all, func(a, b load.Observation) int { return a.Sent.Compare(b.Sent) })
	refused := false // the last one
	for _, o := range l.all {
		i := int(math.Floor(float64(o.Sent.Sub(from)) / float64(per)))
		if i < 0 || i >= n {
			continue
		}
		w := &all[i]
		switch o.Outcome {
		case load.Admitted:
			w.admitted++
			if refused {
				w.resumed = o.Sent
			}
			if end := w.begins.Add(per); o.Done.After(end.Add(-edge)) {
				w.edge++
			}
		case load.Refused:
			w.refused++
		}
		refused = o.Outcome == load.Refused
	}
	return all
}

// over and under return by how many percent a limit was exceeded for certain, and how
// many percent were refused though they were left.
func (w *window) over(count int64) float64 {
	return percent(max(w.admitted-w.edge-count, 0), count)
}

func (w *window) under(count int64) float64 {
	return percent(max(min(count-w.admitted, w.refused), 0), count)
}

func percent(n, of int64) float64 { return math.Round(1e4*float64(n)/float64(of)) / 100 }

// Bounds of what is promised.
const (
	// mostUnder is by how many percent a limit may be left unused when all is well. What
	// gateways hold of an exact limit at the end of a window of a second is a few.
	mostUnder = 10
	// mostDelay is what may be added to the time of a request.
	mostDelay = 20 * time.Millisecond
	// mostAway is how long it may take until limits are held by all together again.
	mostAway = 5 * time.Second
)

// report measures what was seen.
func (r *run) report(logs []*log) *Report {
	out := &Report{Drill: r.plan.name, About: r.plan.about, Events: r.events}
	end := r.began.Add(duration)
	back := r.back(logs, end)
	for _, l := range logs {
		out.Requests += int64(len(l.all))
		if l.limit.Count == 0 {
			continue
		}
		r.measureOver(out, l, end, back)
	}
	for _, l := range logs {
		if l.limit.Count > 0 {
			r.measureUnder(out, l, end, back)
		}
	}
	failed, delay, noise := r.troubles(logs, back)
	out.add(Measure{What: "requests that failed", Value: float64(failed), Unit: "requests"})
	out.add(Measure{What: "longest delay added", Value: millis(max(delay-noise, 0)), Most: millis(mostDelay), Unit: "ms"})
	away := back.Sub(r.mended)
	if back.IsZero() {
		away = end.Sub(r.mended)
	}
	out.add(Measure{What: "limits held by all again after", Value: math.Round(max(away, 0).Seconds()*100) / 100, Most: mostAway.Seconds(), Unit: "s"})
	out.judge(noise > mostDelay)
	return out
}

func (r *Report) add(m Measure) { r.Measures = append(r.Measures, m) }

// judge gives each measure its verdict. Where the machine was busy with something else, what
// depends on time is unclear if it is not held; what is promised to be none is
// never excused.
func (r *Report) judge(busy bool) {
	r.Held = true
	for i := range r.Measures {
		m := &r.Measures[i]
		switch {
		case m.Value <= m.Most:
			m.Verdict = Held
		case busy && m.Most > 0:
			m.Verdict = Unclear
		default:
			m.Verdict, r.Held = Broken, false
		}
	}
}

func millis(d time.Duration) float64 { return math.Round(float64(d.Microseconds())/10) / 100 }

// measureOver adds by how much a limit was exceeded, when all was well and meanwhile.
func (r *run) measureOver(out *Report, l *log, end, back time.Time) {
	promised := map[string]float64{bounded: r.plan.boundedOver, eventual: r.plan.eventualOver}[l.limit.Accuracy]
	usual := float64(usualOver)
	if l.limit.Accuracy == exact {
		usual = 0
	}
	well := Measure{What: l.limit.Name + " limit exceeded by, before and after", Most: usual, Unit: "%"}
	meanwhile := Measure{What: l.limit.Name + " limit exceeded by, meanwhile", Most: promised, Unit: "%"}
	for _, w := range l.windows(r.began, end) {
		m := &well
		if r.amiss(&w, l.limit.Per, back) {
			m = &meanwhile
		}
		m.worse(w.over(l.limit.Count), w.begins.Sub(r.began))
	}
	if promised == usual {
		well.What = l.limit.Name + " limit exceeded by"
		well.worse(meanwhile.Value, time.Duration(meanwhile.At*float64(time.Second)))
		out.add(well)
		return
	}
	out.add(well)
	out.add(meanwhile)
}

// worse makes a value that was measured at a time m's, if it is greater.
func (m *Measure) worse(value float64, at time.Duration) {
	if value > m.Value {
		m.Value, m.At = value, at.Seconds()
	}
}

// measureUnder adds how much was refused too early: when all was well, and
// meanwhile unless it is the store that failed, without which nothing can be granted.
func (r *run) measureUnder(out *Report, l *log, end, back time.Time) {
	m := Measure{What: l.limit.Name + " limit, refused too early", Most: mostUnder, Unit: "%"}
	for _, w := range l.windows(r.began, end) {
		// The first window begins with connecting.
		if w.begins.After(r.began) && (r.plan.store == anyStore || !r.amiss(&w, l.limit.Per, back)) {
			m.worse(w.under(l.limit.Count), w.begins.Sub(r.began))
		}
	}
	out.add(m)
}

// amiss reports whether the failure, or what followed from it, was in a window.
func (r *run) amiss(w *window, per time.Duration, back time.Time) bool {
	if !w.begins.Add(per).After(r.struck) {
		return false
	}
	return back.IsZero() || !w.begins.After(back)
}

// back returns when limits were held by all together again: all nodes are connected, and from
// then on no window of the exact limit is exceeded or left unused. Zero: never.
func (r *run) back(logs []*log, end time.Time) time.Time {
	if r.whole.IsZero() {
		return time.Time{}
	}
	back := r.whole
	for _, l := range logs {
		if l.limit.Name != exact {
			continue
		}
		for _, w := range l.windows(r.began, end) {
			ends := w.begins.Add(l.limit.Per)
			over, under := w.over(l.limit.Count) > 0, w.under(l.limit.Count) > mostUnder
			if !over && w.resumed.After(r.mended) {
				ends = w.resumed // what was left of the window was too short
			}
			if ends.After(r.mended) && (over || under) && ends.After(back) {
				back = ends
			}
		}
	}
	if !back.Before(end.Add(-2 * time.Second)) {
		return time.Time{}
	}
	return back
}

// troubles returns how many requests failed that should not have; the longest that one
// took that was held to a limit, from the failure on, and the longest that one took
// that was not: what this machine does to all.
func (r *run) troubles(logs []*log, back time.Time) (failed int64, longest, noise time.Duration) {
	for _, l := range logs {
		l.mu.Lock()
		for _, o := range l.all {
			if r.excused(&o, back) {
				continue
			}
			if o.Outcome == load.Failed || o.Outcome == load.Other && o.Status >= http.StatusInternalServerError {
				failed++
			}
			took := o.Done.Sub(o.Sent)
			switch {
			case o.Done.Before(r.struck):
			case l.limit.Count == 0:
				noise = max(noise, took)
			default:
				longest = max(longest, took)
			}
		}
		l.mu.Unlock()
	}
	return failed, longest, noise
}

// excused reports whether a request went to the gateway that was made to fail.
func (r *run) excused(o *load.Observation, back time.Time) bool {
	return o.Target == r.plan.victim-1 && !o.Done.Before(r.struck) && (back.IsZero() || o.Sent.Before(back))
}

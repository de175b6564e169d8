package load

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what a tally holds, whatever the server says.
const (
	maxRefusals = 64
	maxExample  = 300 // bytes of a fault's example
	tooLate     = 10 * time.Millisecond
)

// A counter is a Count that many count in.
type counter [outcomes]atomic.Int64

func (c *counter) count() Count {
	return Count{
		Admitted: c[Admitted].Load(), Refused: c[Refused].Load(),
		Other: c[Other].Load(), Failed: c[Failed].Load(),
	}
}

type windowCounter struct {
	counter
	edge atomic.Int64
}

type refusalCounter struct {
	refusal Refusal // without Count
	n       atomic.Int64
}

// A tally counts what becomes of the requests of one run. Many count in it at a
// time; its size follows from the options.
type tally struct {
	start       time.Time
	window      time.Duration
	firstWindow int64 // number of windows[0] since the epoch

	targets   []counter
	seconds   []counter
	windows   []windowCounter
	statuses  [600]atomic.Int64
	latency   [Failed]Histogram // of answers, by outcome
	late      atomic.Int64
	latest    atomic.Int64 // nanoseconds
	abandoned atomic.Int64

	mu       sync.Mutex
	refusals []*refusalCounter
	faults   []*Fault
}

func newTally(o *Options, start time.Time) *tally {
	t := &tally{
		start: start, window: o.Window,
		targets: make([]counter, len(o.Targets)),
		seconds: make([]counter, secondsOf(o)),
	}
	if o.Window > 0 {
		t.firstWindow = start.UnixNano() / int64(o.Window)
		t.windows = make([]windowCounter, windowsOf(o))
	}
	return t
}

// secondsOf returns how many seconds a load has something in at most.
func secondsOf(o *Options) int { return int((o.Duration + time.Second - 1) / time.Second) }

// windowsOf returns how many windows a load touches at most.
func windowsOf(o *Options) int { return int(o.Duration/o.Window) + 2 }

// windowOf returns the number of the window that holds at. The clock may be set
// while the load runs: what is before the first window or behind the last counts
// there.
func (t *tally) windowOf(at time.Time) int {
	return min(max(int(at.UnixNano()/int64(t.window)-t.firstWindow), 0), len(t.windows)-1)
}

// observe counts a request, and begun is when its latency counts from.
func (t *tally) observe(o *Observation, begun time.Time) {
	t.targets[o.Target][o.Outcome].Add(1)
	second := int(o.Sent.Sub(t.start) / time.Second)
	t.seconds[min(max(second, 0), len(t.seconds)-1)][o.Outcome].Add(1)
	if t.window > 0 {
		in := t.windowOf(o.Sent)
		t.windows[in].counter[o.Outcome].Add(1)
		if o.Outcome == Admitted && t.windowOf(o.Done) != in {
			t.windows[in].edge.Add(1)
		}
	}
	if o.Outcome != Failed {
		t.statuses[o.Status].Add(1)
		t.latency[o.Outcome].Record(o.Done.Sub(begun))
	}
}

// lag counts by how much a request left after it was due.
func (t *tally) lag(by time.Duration) {
	if by <= tooLate {
		return
	}
	t.late.Add(1)
	for was := t.latest.Load(); int64(by) > was && !t.latest.CompareAndSwap(was, int64(by)); was = t.latest.Load() {
	}
}

// refusal returns the counter of a reason. Of too many different ones, those that
// come last count as one that says nothing but its status.
func (t *tally) refusal(r Refusal) *refusalCounter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.refusals) >= maxRefusals && t.findRefusal(r) == nil {
		r = Refusal{Status: r.Status}
	}
	c := t.findRefusal(r)
	if c == nil {
		c = &refusalCounter{refusal: r}
		t.refusals = append(t.refusals, c)
	}
	return c
}

func (t *tally) findRefusal(r Refusal) *refusalCounter {
	i := slices.IndexFunc(t.refusals, func(c *refusalCounter) bool { return c.refusal == r })
	if i < 0 {
		return nil
	}
	return t.refusals[i]
}

// fault counts a request that failed for err.
func (t *tally) fault(err error) {
	kind := faultKind(err)
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.faults, func(f *Fault) bool { return f.Kind == kind })
	if i < 0 {
		i = len(t.faults)
		text := err.Error()
		t.faults = append(t.faults, &Fault{Kind: kind, Example: text[:min(len(text), maxExample)]})
	}
	t.faults[i].Count++
}

func (t *tally) total() (c Count) {
	for i := range t.targets {
		n := t.targets[i].count()
		c.Admitted += n.Admitted
		c.Refused += n.Refused
		c.Other += n.Other
		c.Failed += n.Failed
	}
	return c
}

// result returns what was counted in a load that ended at end.
func (t *tally) result(end time.Time) *Result {
	r := &Result{
		Started: t.start, Ended: end, Total: t.total(),
		Late: t.late.Load(), Latest: time.Duration(t.latest.Load()), Abandoned: t.abandoned.Load(),
		Statuses:        make(map[int]int64),
		AdmittedLatency: newLatency(&t.latency[Admitted]), RefusedLatency: newLatency(&t.latency[Refused]),
	}
	for i := range t.statuses {
		if n := t.statuses[i].Load(); n > 0 {
			r.Statuses[i] = n
		}
	}
	var all Histogram
	for i := range t.latency {
		all.Add(&t.latency[i])
	}
	r.Latency = newLatency(&all)
	for i := range t.targets {
		r.Targets = append(r.Targets, t.targets[i].count())
	}
	lasted := int((end.Sub(t.start) + time.Second - 1) / time.Second)
	for i := range min(lasted, len(t.seconds)) {
		r.Seconds = append(r.Seconds, t.seconds[i].count())
	}
	t.causes(r)
	t.windowsOf(r)
	return r
}

// causes adds refusals and faults to r.
func (t *tally) causes(r *Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.refusals {
		c.refusal.Count = c.n.Load()
		r.Refusals = append(r.Refusals, c.refusal)
	}
	for _, f := range t.faults {
		r.Faults = append(r.Faults, *f)
	}
	slices.SortStableFunc(r.Refusals, func(a, b Refusal) int { return cmp.Compare(b.Count, a.Count) })
	slices.SortStableFunc(r.Faults, func(a, b Fault) int { return cmp.Compare(b.Count, a.Count) })
}

// windowsOf adds the windows that the load touched to r.
func (t *tally) windowsOf(r *Result) {
	for i := range t.windows {
		begins := time.Unix(0, (t.firstWindow+int64(i))*int64(t.window))
		w := Window{
			Begins: begins, Count: t.windows[i].count(), Edge: t.windows[i].edge.Load(),
			Whole: !begins.Before(r.Started) && !begins.Add(t.window).After(r.Ended),
		}
		if begins.Before(r.Ended) || w.Sent() > 0 {
			r.Windows = append(r.Windows, w)
		}
	}
}

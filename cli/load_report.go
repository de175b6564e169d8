package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/weir-project/weir/load"
)

// A loadReport is what load prints. Its JSON form is stable.
type loadReport struct {
	Started   time.Time `json:"started"`
	Seconds   float64   `json:"seconds"` // for how long requests were sent
	Stopped   bool      `json:"stopped"` // before the duration was over
	Rate      float64   `json:"rate"`    // as asked for; 0: as many as it takes
	loadCount           // of all
	Due       int64     `json:"due"`
	Unsent    int64     `json:"unsent"`
	Late      int64     `json:"late"`
	LatestMS  float64   `json:"latest_ms"`
	Abandoned int64     `json:"abandoned"`

	Statuses map[string]int64 `json:"statuses"`
	Refusals []loadRefusal    `json:"refusals"`
	Faults   []loadFault      `json:"faults"`
	Latency  loadLatencies    `json:"latency_ms"`

	Limit     int64        `json:"limit,omitempty"`
	Window    string       `json:"window"`
	Windows   []loadWindow `json:"windows"`
	Targets   []loadTarget `json:"targets"`
	PerSecond []loadCount  `json:"per_second"`
}

type loadCount struct {
	Requests int64 `json:"requests"`
	Admitted int64 `json:"admitted"`
	Refused  int64 `json:"refused"`
	Other    int64 `json:"other"`
	Errors   int64 `json:"errors"`
}

func newLoadCount(c load.Count) loadCount {
	return loadCount{c.Sent(), c.Admitted, c.Refused, c.Other, c.Failed}
}

type loadRefusal struct {
	Status int    `json:"status"`
	Code   string `json:"code,omitempty"`
	Level  string `json:"level,omitempty"`
	Policy string `json:"policy,omitempty"`
	Count  int64  `json:"count"`
}

type loadFault struct {
	Kind    string `json:"kind"`
	Count   int64  `json:"count"`
	Example string `json:"example"`
}

type loadLatencies struct {
	All      loadLatency `json:"all"`
	Admitted loadLatency `json:"admitted"`
	Refused  loadLatency `json:"refused"`
}

type loadLatency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func newLoadLatency(l load.Latency) loadLatency {
	return loadLatency{
		l.Count, milliseconds(l.Mean), milliseconds(l.P50), milliseconds(l.P90), milliseconds(l.P99),
		milliseconds(l.P999), milliseconds(l.Max),
	}
}

// milliseconds returns d in milliseconds, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

type loadWindow struct {
	Begins time.Time `json:"begins"`
	Whole  bool      `json:"whole"`
	loadCount
	// Edge is how many admitted ones were answered after the window.
	Edge        int64    `json:"edge"`
	Over        *int64   `json:"over,omitempty"`         // nil: there is no limit
	OverPercent *float64 `json:"over_percent,omitempty"` // of the limit
	Under       *int64   `json:"under,omitempty"`        // nil: there is no limit, or the window is not whole
}

type loadTarget struct {
	URL string `json:"url"`
	loadCount
}

func newLoadReport(f *loadFlags, r *load.Result) *loadReport {
	p := &loadReport{
		Started: r.Started, Seconds: r.Ended.Sub(r.Started).Seconds(), Rate: f.options.Rate,
		Stopped:   r.Ended.Before(r.Started.Add(f.options.Duration)),
		loadCount: newLoadCount(r.Total), Due: r.Due, Unsent: r.Unsent,
		Late: r.Late, LatestMS: milliseconds(r.Latest), Abandoned: r.Abandoned,
		Statuses: make(map[string]int64),
		Refusals: []loadRefusal{}, Faults: []loadFault{}, Windows: []loadWindow{},
		Latency: loadLatencies{newLoadLatency(r.Latency), newLoadLatency(r.AdmittedLatency), newLoadLatency(r.RefusedLatency)},
		Limit:   f.limit, Window: shortDuration(f.options.Window),
	}
	for status, n := range r.Statuses {
		p.Statuses[strconv.Itoa(status)] = n
	}
	for _, c := range r.Refusals {
		p.Refusals = append(p.Refusals, loadRefusal(c))
	}
	for _, c := range r.Faults {
		p.Faults = append(p.Faults, loadFault{string(c.Kind), c.Count, c.Example})
	}
	for i := range r.Windows {
		p.Windows = append(p.Windows, newLoadWindow(&r.Windows[i], f.limit))
	}
	for i, c := range r.Targets {
		p.Targets = append(p.Targets, loadTarget{f.options.Targets[i], newLoadCount(c)})
	}
	for _, c := range r.Seconds {
		p.PerSecond = append(p.PerSecond, newLoadCount(c))
	}
	return p
}

// newLoadWindow holds a window against a limit; 0 is none.
func newLoadWindow(w *load.Window, limit int64) loadWindow {
	v := loadWindow{Begins: w.Begins, Whole: w.Whole, loadCount: newLoadCount(w.Count), Edge: w.Edge}
	if limit == 0 {
		return v
	}
	over := w.Over(limit)
	percent := 100 * float64(over) / float64(limit)
	v.Over, v.OverPercent = &over, &percent
	if w.Whole {
		under := w.Under(limit)
		v.Under = &under
	}
	return v
}

// worst returns the window in which the limit was exceeded most, and that in which
// most of it was left although others were refused; nil if there is none.
func (p *loadReport) worst() (over, under *loadWindow) {
	for i := range p.Windows {
		w := &p.Windows[i]
		if w.Over != nil && (over == nil || *w.Over > *over.Over) {
			over = w
		}
		if w.Under != nil && (under == nil || *w.Under > *under.Under) {
			under = w
		}
	}
	return over, under
}

// shortDuration returns d without the units that are zero: 1m and not 1m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// percent returns what part of all n is, for people.
func percent(n, all int64) string {
	return strconv.FormatFloat(100*float64(n)/float64(max(all, 1)), 'f', 1, 64) + " %"
}

// brief returns a latency in milliseconds for people, with three digits that count.
func brief(ms float64) string {
	digits := 2
	switch {
	case ms >= 100:
		digits = 0
	case ms >= 10:
		digits = 1
	}
	return strconv.FormatFloat(ms, 'f', digits, 64) + " ms"
}

// origin returns where a refusal came from, for people.
func (r *loadRefusal) origin() string {
	words := []string{strconv.Itoa(r.Status)}
	for _, said := range []string{r.Code, r.Level, r.Policy} {
		if said != "" {
			words = append(words, printable(said))
		}
	}
	return strings.Join(words, " ")
}

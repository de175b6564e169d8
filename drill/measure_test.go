package drill

import (
	"testing"
	"time"

	"github.com/weir-project/weir/load"
)

var t0 = time.Unix(1_700_000_000, 0)

// A scene is a drill whose failure lasts from 6.3 s to 10.3 s after the beginning, and
// that is whole again half a second later.
func scene(p plan) (*run, []*log) {
	r := &run{plan: &p, limits: limits(), began: t0, struck: t0.Add(strikeAt), mended: t0.Add(strikeAt + outage)}
	r.whole = r.mended.Add(500 * time.Millisecond)
	var logs []*log
	for _, l := range r.limits {
		g := &log{limit: l}
		for at := time.Duration(0); at < duration; at += time.Second / rate {
			g.see(at, g.limit.Count == 0 || int64(at%l.Per/(time.Second/rate)) < l.Count, time.Millisecond)
		}
		logs = append(logs, g)
	}
	return r, logs
}

// see adds a request that was sent at a time and took so long.
func (l *log) see(at time.Duration, admitted bool, took time.Duration) {
	o := load.Observation{Target: len(l.all) % 3, Sent: t0.Add(at), Done: t0.Add(at + took), Outcome: load.Refused, Status: 429}
	if admitted {
		o.Outcome, o.Status = load.Admitted, 200
	}
	l.add(o)
}

// change changes the outcome of the requests that were sent in a span.
func (l *log) change(from, to time.Duration, f func(*load.Observation)) {
	for i := range l.all {
		if at := l.all[i].Sent.Sub(t0); at >= from && at < to {
			f(&l.all[i])
		}
	}
}

func (r *Report) of(t *testing.T, what string) Measure {
	t.Helper()
	for _, m := range r.Measures {
		if m.What == what {
			return m
		}
	}
	t.Fatalf("no measure %q in %+v", what, r.Measures)
	return Measure{}
}

func TestReport(t *testing.T) {
	refuse := func(o *load.Observation) { o.Outcome, o.Status = load.Refused, 429 }
	admit := func(o *load.Observation) { o.Outcome, o.Status = load.Admitted, 200 }
	fail := func(o *load.Observation) { o.Outcome, o.Status = load.Other, 500 }
	slow := func(o *load.Observation) { o.Done = o.Sent.Add(50 * time.Millisecond) }
	for _, tt := range []struct {
		name   string
		drill  int // index of the plan
		change func(r *run, logs []*log)
		what   string
		value  float64
		held   Verdict
	}{
		{"all is well", 0, func(*run, []*log) {}, "exact limit exceeded by", 0, Held},
		{"one over", 0, func(_ *run, g []*log) { g[0].change(7900*time.Millisecond, 7903*time.Millisecond, admit) }, "exact limit exceeded by", 1, Broken},
		{"one over, at the edge", 0, func(_ *run, g []*log) { g[0].change(7996*time.Millisecond, 8*time.Second, admit) }, "exact limit exceeded by", 0, Held},
		{"a share each", 0, func(_ *run, g []*log) { g[1].change(7400*time.Millisecond, 7600*time.Millisecond, admit) }, "bounded limit exceeded by, meanwhile", 50, Held},
		{"a share each, for too long", 0, func(_ *run, g []*log) { g[1].change(17400*time.Millisecond, 17600*time.Millisecond, admit) }, "bounded limit exceeded by, before and after", 50, Broken},
		{"closed meanwhile", 0, func(_ *run, g []*log) { g[0].change(6300*time.Millisecond, 12500*time.Millisecond, refuse) }, "exact limit, refused too early", 0, Held},
		{"closed for so long", 0, func(_ *run, g []*log) { g[0].change(6300*time.Millisecond, 12500*time.Millisecond, refuse) }, "limits held by all again after", 2.7, Held},
		{"closed within a window", 0, func(_ *run, g []*log) {
			g[0].change(6300*time.Millisecond, 12500*time.Millisecond, refuse)
			g[0].change(12500*time.Millisecond, 13*time.Second, admit)
			g[0].change(12700*time.Millisecond, 13*time.Second, refuse)
		}, "limits held by all again after", 2.2, Held},
		{"closed for too long", 0, func(_ *run, g []*log) { g[0].change(6300*time.Millisecond, 17500*time.Millisecond, refuse) }, "limits held by all again after", 7.7, Broken},
		{"never whole", 0, func(r *run, _ []*log) { r.whole = time.Time{} }, "limits held by all again after", 14.7, Broken},
		{"closed without a reason", 6, func(_ *run, g []*log) { g[0].change(7*time.Second, 8*time.Second, refuse) }, "exact limit, refused too early", 100, Broken},
		{"a failure", 0, func(_ *run, g []*log) { g[2].change(7*time.Second, 7001*time.Millisecond, fail) }, "requests that failed", 1, Broken},
		{"delayed", 0, func(_ *run, g []*log) { g[0].change(7*time.Second, 7001*time.Millisecond, slow) }, "longest delay added", 49, Broken},
		{"all delayed", 0, func(_ *run, g []*log) {
			for _, l := range g {
				l.change(7*time.Second, 7001*time.Millisecond, slow)
			}
		}, "longest delay added", 0, Held},
		{"late on a busy machine", 0, func(_ *run, g []*log) {
			g[1].change(8400*time.Millisecond, 8600*time.Millisecond, admit)
			g[1].change(19400*time.Millisecond, 19600*time.Millisecond, admit)
			g[3].change(7*time.Second, 7001*time.Millisecond, slow)
		}, "bounded limit exceeded by, before and after", 50, Unclear},
		{"one over on a busy machine", 0, func(_ *run, g []*log) {
			g[0].change(7900*time.Millisecond, 7903*time.Millisecond, admit)
			g[3].change(7*time.Second, 7001*time.Millisecond, slow)
		}, "exact limit exceeded by", 1, Broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, logs := scene(plans()[tt.drill])
			tt.change(r, logs)
			report := r.report(logs)
			m := report.of(t, tt.what)
			if m.Value != tt.value || m.Verdict != tt.held {
				t.Errorf("got %+v, want %g, %s", m, tt.value, tt.held)
			}
			if tt.held == Broken && report.Held {
				t.Error("the report says that all held")
			}
		})
	}
}

// The gateway that was killed owes nobody an answer; the others do.
func TestVictim(t *testing.T) {
	for victim, want := range map[int]float64{0: 0, 1: 1} {
		r, logs := scene(plans()[8])
		if r.plan.victim != 1 {
			t.Fatalf("the plan is %s", r.plan.name)
		}
		done := false
		logs[1].change(7*time.Second, 8*time.Second, func(o *load.Observation) {
			if o.Target == victim && !done {
				o.Outcome, o.Status, done = load.Failed, 0, true
			}
		})
		if m := r.report(logs).of(t, "requests that failed"); m.Value != want {
			t.Errorf("gateway %d: got %+v, want %g", victim+1, m, want)
		}
	}
}

func TestPlans(t *testing.T) {
	names := map[string]bool{}
	for _, p := range plans() {
		if p.name == "" || p.about == "" || p.strike == nil || names[p.name] || (p.mend == nil) != (p.lasts == 0) {
			t.Errorf("plan %+v", p)
		}
		names[p.name] = true
		if p.lasts > 0 && strikeAt+p.lasts+mostAway+2*time.Second > duration {
			t.Errorf("%s: the load ends before it can be seen whether all is well again", p.name)
		}
	}
}

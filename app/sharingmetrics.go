package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/limiter"
)

// A sharingMetrics shows how the roles of the process share counters. Labels are a role
// and, of limits, their accuracy and what they count: no key is one.
type sharingMetrics struct {
	all []*sharing

	up, calls, errors, losses, epochs *prometheus.Desc
	assertions, waits                 *prometheus.Desc
	nodes, trip, offset               *prometheus.Desc
	keys, held, over, lag             *prometheus.Desc
}

var _ prometheus.Collector = (*sharingMetrics)(nil)

func newSharingMetrics(all []*sharing) *sharingMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("weir_shared_"+name, help, []string{"role"}, nil)
	}
	limits := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("weir_shared_"+name, help, []string{"role", "accuracy", "unit"}, nil)
	}
	return &sharingMetrics{
		all:        all,
		up:         desc("store_up", "Whether the store of shared counters is used; 0 while it is away, and limits do as their on_store_loss says."),
		calls:      desc("calls_total", "Calls that the store answered, each one round trip."),
		errors:     desc("call_errors_total", "Calls of the store that failed, or were not answered in time."),
		losses:     desc("store_losses_total", "How often the store went away."),
		epochs:     desc("epochs_total", "How often the store may have lost what it was told, as by a failover, and was told again."),
		assertions: desc("assertions_total", "Counters in the calls that the store answered."),
		waits:      desc("waits_total", "Times that a request waited for the store, for a right to an exact limit."),
		nodes:      desc("nodes", "Nodes of the role that share counters, this one included, as far as is known."),
		trip:       desc("round_trip_seconds", "How long a call of the store takes of late."),
		offset:     desc("clock_offset_seconds", "By how much the store's clock, by which shared windows begin and end, is ahead of this machine's."),
		keys:       limits("keys", "Shared counters that were in use of late."),
		held:       limits("rights_held", "Rights to exact limits that were granted and are not spent."),
		over:       limits("over", "By how much a limit was exceeded at most, of late, by all nodes together."),
		lag:        limits("staleness_seconds", "How long it took at most, of late, until the store had answered to what was spent."),
	}
}

// Describe implements prometheus.Collector.
func (m *sharingMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.up, m.calls, m.errors, m.losses, m.epochs, m.assertions, m.waits, m.nodes, m.trip, m.offset,
		m.keys, m.held, m.over, m.lag,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *sharingMetrics) Collect(c chan<- prometheus.Metric) {
	s := sink{c}
	for _, one := range m.all {
		t, role := one.sharer.Stats(), metricRole(one.role)
		s.gauge(m.up, truth(!t.Lost), role)
		s.count(m.calls, t.Calls, role)
		s.count(m.errors, t.Errors, role)
		s.count(m.losses, t.Losses, role)
		s.count(m.epochs, t.Epochs, role)
		s.count(m.assertions, t.Assertions, role)
		s.count(m.waits, t.Waited, role)
		s.gauge(m.nodes, float64(t.Nodes), role)
		s.gauge(m.trip, t.Trip.Seconds(), role)
		s.gauge(m.offset, t.Offset.Seconds(), role)
		for of, sum := range sumLimits(one.sharer.Limits()) {
			s.gauge(m.keys, float64(sum.Keys), role, of.accuracy, of.unit)
			s.gauge(m.held, float64(sum.Held), role, of.accuracy, of.unit)
			s.gauge(m.over, float64(sum.Over), role, of.accuracy, of.unit)
			s.gauge(m.lag, sum.Lag.Seconds(), role, of.accuracy, of.unit)
		}
	}
}

// metricRole returns a role as labels have it.
func metricRole(role string) string {
	if role == string(config.TrafficManager) {
		return "traffic_manager"
	}
	return role
}

// A limitKind is what limits are shown together by.
type limitKind struct{ accuracy, unit string }

// A limitSum is how the limits of a kind stand together.
type limitSum struct {
	Keys       int
	Held, Over int64
	Lag        time.Duration
}

func sumLimits(all []limiter.LimitStats) map[limitKind]limitSum {
	sums := make(map[limitKind]limitSum)
	for i := range all {
		l := &all[i]
		k := limitKind{l.Limit.Accuracy.String(), l.Limit.Cost.String()}
		s := sums[k]
		s.Keys, s.Held = s.Keys+l.Keys, s.Held+l.Held
		s.Over, s.Lag = max(s.Over, l.Over), max(s.Lag, l.Lag)
		sums[k] = s
	}
	return sums
}

package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/event"
)

// A sharingMetrics shows how the roles of the process share counters. Labels are a role
// and, of limits, what the definition says of them: no key is one.
type sharingMetrics struct {
	all []*sharing

	up, calls, errors, losses, epochs      *prometheus.Desc
	assertions, requests, trips, waits     *prometheus.Desc
	nodes, trip, offset                    *prometheus.Desc
	keys, held, over, lag, limitAssertions *prometheus.Desc
}

var _ prometheus.Collector = (*sharingMetrics)(nil)

func newSharingMetrics(all []*sharing) *sharingMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("weir_shared_"+name, help, []string{"role"}, nil)
	}
	limits := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("weir_shared_limit_"+name, help, []string{"role", "level", "policy", "accuracy", "unit"}, nil)
	}
	return &sharingMetrics{
		all:        all,
		up:         desc("store_up", "Whether the store of shared counters is used; 0 while it is away, and limits do as their on_store_loss says."),
		calls:      desc("calls_total", "Calls that the store answered, each one round trip."),
		errors:     desc("call_errors_total", "Calls of the store that failed, or were not answered in time."),
		losses:     desc("store_losses_total", "How often the store went away."),
		epochs:     desc("epochs_total", "How often the store may have lost what it was told, as by a failover, and was told again."),
		assertions: desc("assertions_total", "Counters in the calls that the store answered."),
		requests:   desc("requests_total", "Requests that the role has counted: for each of them the store was called so many times as calls_total says."),
		trips:      desc("round_trips_per_request", "Calls of the store for each request of late; none while there are no requests."),
		waits:      desc("waits_total", "Times that a request waited for the store, for a right to an exact limit."),
		nodes:      desc("nodes", "Nodes of the role that share counters, this one included, as far as is known."),
		trip:       desc("round_trip_seconds", "How long a call of the store takes of late."),
		offset:     desc("clock_offset_seconds", "By how much the store's clock, by which shared windows begin and end, is ahead of this machine's."),
		keys:       limits("keys", "Counters of a limit that were in use of late."),
		held:       limits("rights_held", "Rights to an exact limit that were granted and are not spent."),
		over:       limits("over", "By how much a limit was exceeded at most, of late, by all nodes together."),
		lag:        limits("staleness_seconds", "How long it took at most, of late, until the store had answered to what was spent of a limit."),

		limitAssertions: limits("assertions_total", "Answers of the store about counters of a limit, as far as they were seen by whoever looked."),
	}
}

// Describe implements prometheus.Collector.
func (m *sharingMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.up, m.calls, m.errors, m.losses, m.epochs, m.assertions, m.requests, m.trips, m.waits, m.nodes, m.trip, m.offset,
		m.keys, m.held, m.over, m.lag, m.limitAssertions,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *sharingMetrics) Collect(c chan<- prometheus.Metric) {
	s := sink{c}
	for _, one := range m.all {
		m.collectRole(s, metricRole(one.role), one.standing)
	}
}

func (m *sharingMetrics) collectRole(s sink, role string, of *standing) {
	now := of.state(time.Now())
	s.gauge(m.up, truth(!now.Lost), role)
	s.count(m.calls, now.Calls, role)
	s.count(m.errors, now.Errors, role)
	s.count(m.losses, now.Losses, role)
	s.count(m.epochs, now.Epochs, role)
	s.count(m.assertions, of.sharer.Stats().Assertions, role)
	s.count(m.requests, of.requests(), role)
	if now.RecentRequests > 0 {
		s.gauge(m.trips, float64(now.RecentCalls)/float64(now.RecentRequests), role)
	}
	s.count(m.waits, now.Waits, role)
	s.gauge(m.nodes, float64(now.Nodes), role)
	s.gauge(m.trip, now.Trip.Seconds(), role)
	s.gauge(m.offset, now.Offset.Seconds(), role)
	all, told := of.limits()
	for id, l := range withoutGroups(all) {
		labels := id.labels(role)
		s.gauge(m.keys, float64(l.Keys), labels...)
		s.gauge(m.held, float64(l.Held), labels...)
		s.gauge(m.over, float64(l.Over), labels...)
		s.gauge(m.lag, l.Lag.Seconds(), labels...)
	}
	answers := make(map[limitID]uint64, len(told))
	for id, n := range told {
		id.group = 0
		answers[id] += n
	}
	for id, n := range answers {
		s.count(m.limitAssertions, n, id.labels(role)...)
	}
}

// labels returns those of a limit of a role, but for its group.
func (id limitID) labels(role string) []string {
	return []string{role, id.level.String(), id.policy, id.accuracy.String(), id.cost.String()}
}

// withoutGroups returns how the limits of each policy stand together, whatever their group
// of conditions: their number is bounded by that of the policies.
func withoutGroups(all []event.SharedLimit) map[limitID]event.SharedLimit {
	sums := make(map[limitID]event.SharedLimit, len(all))
	for i := range all {
		l := &all[i]
		id := limitID{l.Level, l.Policy, 0, l.Accuracy, l.Cost}
		s := sums[id]
		s.Keys, s.Held = s.Keys+l.Keys, s.Held+l.Held
		s.Over, s.Lag = max(s.Over, l.Over), max(s.Lag, l.Lag)
		sums[id] = s
	}
	return sums
}

// metricRole returns a role as labels have it.
func metricRole(role string) string {
	if role == string(config.TrafficManager) {
		return "traffic_manager"
	}
	return role
}

package app

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir/trafficmanager"
)

// A managerMetrics shows what a traffic manager counts. The label of a gateway is the
// name that it gave itself; only gateways with credentials give one, and a traffic
// manager knows a bounded number of them.
type managerMetrics struct {
	m *managerRole

	events, batches, restatements                *prometheus.Desc
	decisions, inForce, counters, unknown, rules *prometheus.Desc
	lag, skew, heard                             *prometheus.Desc
	connected, told, waiting                     *prometheus.Desc
}

var _ prometheus.Collector = (*managerMetrics)(nil)

func newManagerMetrics(m *managerRole) *managerMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("weir_"+name, help, labels, nil)
	}
	return &managerMetrics{
		m: m,
		events: desc("events_total", "Events by what became of them: counted; late, that is older than the grace; past, of windows that were over; "+
			"refused as wrong; uncounted, since their batch did not count.", "result"),
		batches: desc("event_batches_total", "Batches by what became of them: counted; asked, whose gateway is to tell everything again; calls without events; "+
			"repeated, which were counted before.", "result"),
		restatements: desc("event_restatements_total", "How often a gateway told everything again."),
		decisions:    desc("decisions_total", "Decisions made: that a key is throttled, or released.", "result"),
		inForce:      desc("decisions_in_force", "Keys that are throttled."),
		counters:     desc("traffic_manager_counters_held", "Counters in memory, one for each limit and key."),
		unknown:      desc("traffic_manager_unknown_tiers_total", "Events of a tier that the policies lack."),
		rules:        desc("traffic_manager_rule_errors_total", "Custom rules whose expression failed on an event, and so did not apply."),
		lag:          desc("events_lag_seconds", "How old the oldest event of a gateway's last batch was when it arrived.", "gateway"),
		skew:         desc("gateway_clock_skew_seconds", "By how much the clock of a gateway is behind.", "gateway"),
		heard:        desc("gateway_silence_seconds", "How long a gateway has not been heard of.", "gateway"),
		connected:    desc("broker_connected", "Whether decisions can be told to a broker.", "broker"),
		told:         desc("decisions_told_total", "Messages to a broker by what became of them: told, failed, or dropped since too many waited.", "broker", "result"),
		waiting:      desc("decisions_waiting", "Messages that wait to be told to a broker.", "broker"),
	}
}

// Describe implements prometheus.Collector.
func (m *managerMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.events, m.batches, m.restatements, m.decisions, m.inForce, m.counters, m.unknown, m.rules,
		m.lag, m.skew, m.heard, m.connected, m.told, m.waiting,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *managerMetrics) Collect(c chan<- prometheus.Metric) {
	s := sink{c}
	now := m.m.sharing.now()
	t := m.m.manager.Stats(now)
	for _, e := range []struct {
		result string
		n      uint64
	}{{"counted", t.Counted}, {"late", t.Late}, {"past", t.Past}, {"refused", t.Refused}, {"uncounted", t.Uncounted}} {
		s.count(m.events, e.n, e.result)
	}
	for _, e := range []struct {
		result string
		n      uint64
	}{{"counted", t.Batches}, {"asked", t.Asked}, {"calls", t.Calls}, {"repeated", t.Repeated}} {
		s.count(m.batches, e.n, e.result)
	}
	s.count(m.restatements, t.Restatements)
	s.count(m.decisions, t.Decisions, "throttled")
	s.count(m.decisions, t.Released, "released")
	s.gauge(m.inForce, float64(t.InForce))
	s.gauge(m.counters, float64(t.Keys))
	s.count(m.unknown, t.UnknownTiers)
	s.count(m.rules, t.RuleErrors)
	for name, n := range latest(t.Nodes) {
		s.gauge(m.lag, n.Lag.Seconds(), name)
		s.gauge(m.skew, n.Skew.Seconds(), name)
		s.gauge(m.heard, max(now.Sub(n.Heard), 0).Seconds(), name)
	}
	for _, t := range m.m.tellers {
		name := t.carrier.name
		s.gauge(m.connected, truth(t.carrier.err() == nil), name)
		s.count(m.told, t.told.Load(), name, "told")
		s.count(m.told, t.failed.Load(), name, "failed")
		s.count(m.told, t.dropped.Load(), name, "dropped")
		s.gauge(m.waiting, float64(t.length()), name)
	}
}

// latest returns the last run of each gateway by its name.
func latest(nodes []trafficmanager.NodeStats) map[string]*trafficmanager.NodeStats {
	all := make(map[string]*trafficmanager.NodeStats, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		name := strings.ToValidUTF8(n.Name, "?") // as labels have to be
		if was := all[name]; was == nil || n.Heard.After(was.Heard) {
			all[name] = n
		}
	}
	return all
}

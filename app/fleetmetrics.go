package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/uplink"
)

// A fleetMetrics shows how a gateway works together with traffic managers. Labels are
// what the configuration names.
type fleetMetrics struct {
	g *gatewayRole

	up, queueBytes, queueEvents, queueAge      *prometheus.Desc
	sent, acknowledged, refused, late, dropped *prometheus.Desc
	calls, repeated, restatements              *prometheus.Desc
	rtt, skew                                  *prometheus.Desc
	connected, losses, decisions, ignored      *prometheus.Desc
	slow                                       *prometheus.Desc
}

var _ prometheus.Collector = (*fleetMetrics)(nil)

func newFleetMetrics(g *gatewayRole) *fleetMetrics {
	events := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("weir_events_"+name, help, []string{"traffic_manager"}, nil)
	}
	topic := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"broker"}, labels...), nil)
	}
	return &fleetMetrics{
		g:            g,
		up:           events("traffic_manager_up", "Whether a traffic manager answered the last call."),
		queueBytes:   events("queue_bytes", "Memory of events that wait for a traffic manager or are on their way to it."),
		queueEvents:  events("queue_events", "Events that wait for a traffic manager."),
		queueAge:     events("queue_age_seconds", "How long the oldest of them has waited."),
		sent:         events("sent_total", "Events sent to a traffic manager, each counted once."),
		acknowledged: events("acknowledged_total", "Events that a traffic manager has taken."),
		refused:      events("refused_total", "Events that a traffic manager called wrong."),
		late:         events("late_total", "Events that reached a traffic manager when their window was over."),
		dropped:      events("dropped_total", "Events that were dropped because they had waited too long or too many waited."),
		calls:        events("calls_total", "Calls to a traffic manager."),
		repeated:     events("calls_repeated_total", "Calls made again for want of an answer."),
		restatements: events("restatements_total", "How often a traffic manager was told everything again."),
		rtt:          events("round_trip_seconds", "Shortest round trip to a traffic manager of late."),
		skew:         events("clock_skew_seconds", "By how much the clock of a traffic manager is ahead."),
		connected:    topic("weir_broker_listening", "Whether the topic of a broker is listened to."),
		losses:       topic("weir_broker_lost_total", "How often the topic of a broker was lost, or could not be reached."),
		slow:         topic("weir_broker_slow_total", "Messages dropped because the gateway was slower than the topic."),
		decisions:    topic("weir_decisions_heard_total", "Decisions heard on the topic by what became of them.", "result"),
		ignored:      topic("weir_broker_ignored_total", "Messages on the topic that have no effect, by what is wrong with them.", "kind"),
	}
}

// Describe implements prometheus.Collector.
func (m *fleetMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.up, m.queueBytes, m.queueEvents, m.queueAge, m.sent, m.acknowledged, m.refused, m.late, m.dropped,
		m.calls, m.repeated, m.restatements, m.rtt, m.skew, m.connected, m.losses, m.slow, m.decisions, m.ignored,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *fleetMetrics) Collect(c chan<- prometheus.Metric) {
	s := sink{c}
	if m.g.uplink != nil {
		for _, t := range m.g.uplink.Stats().Managers {
			m.collectManager(s, &t)
		}
	}
	if d := m.g.direct; d != nil {
		s.count(m.sent, d.counted.Load()+d.dropped.Load(), "in-process")
		s.count(m.acknowledged, d.counted.Load(), "in-process")
		s.count(m.dropped, d.dropped.Load(), "in-process")
	}
	for _, h := range m.g.hearings {
		name := h.carrier.name
		s.gauge(m.connected, truth(h.connected.Load()), name)
		s.count(m.losses, h.losses.Load(), name)
		s.count(m.slow, h.carrier.dropped(), name)
		for v := range h.verdicts {
			s.count(m.decisions, h.verdicts[v].Load(), name, gateway.Verdict(v).String())
		}
		for k := range h.ignored {
			s.count(m.ignored, h.ignored[k].Load(), name, broker.FaultKind(k).String())
		}
	}
}

func (m *fleetMetrics) collectManager(s sink, t *uplink.ManagerStats) {
	s.gauge(m.up, truth(t.State == uplink.Up), t.URL)
	s.gauge(m.queueBytes, float64(t.QueueBytes), t.URL)
	s.gauge(m.queueEvents, float64(t.QueueEvents), t.URL)
	s.gauge(m.queueAge, t.QueueAge.Seconds(), t.URL)
	s.count(m.sent, t.Sent, t.URL)
	s.count(m.acknowledged, t.Acknowledged, t.URL)
	s.count(m.refused, t.Refused, t.URL)
	s.count(m.late, t.Late, t.URL)
	s.count(m.dropped, t.Dropped, t.URL)
	s.count(m.calls, t.Calls, t.URL)
	s.count(m.repeated, t.Repeated, t.URL)
	s.count(m.restatements, t.Restatements, t.URL)
	s.gauge(m.rtt, t.RTT.Seconds(), t.URL)
	s.gauge(m.skew, t.Skew.Seconds(), t.URL)
}

// A sink takes metrics.
type sink struct{ c chan<- prometheus.Metric }

func (s sink) count(d *prometheus.Desc, n uint64, labels ...string) {
	s.c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

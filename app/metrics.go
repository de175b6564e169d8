package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway"
)

// A gatewayMetrics shows a gateway's own counters to Prometheus. It reads them
// when it is asked and counts nothing itself, so that requests pay nothing for
// it. No label has a value that a client can choose.
type gatewayMetrics struct {
	stats func() gateway.Stats

	requests, refusals, shadowed *prometheus.Desc
	requestBytes, responseBytes  *prometheus.Desc
	ruleErrors, counters         *prometheus.Desc
	applied                      *prometheus.Desc
}

var _ prometheus.Collector = (*gatewayMetrics)(nil)

func newGatewayMetrics(stats func() gateway.Stats) *gatewayMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("weir_gateway_"+name, help, labels, nil)
	}
	return &gatewayMetrics{
		stats: stats,
		requests: desc("requests_total", "Requests by what came of them: forwarded to a backend; refused at a level; "+
			"rejected for another reason, such as wrong credentials; failed, that is forwarded but not answered by a backend.", "outcome"),
		refusals:      desc("refusals_total", "Requests refused, by the level that refused and the code that the client was told.", "level", "code"),
		shadowed:      desc("shadowed_total", "Requests that a level would have refused but for a shadow limit or a quota that lets pass.", "level"),
		requestBytes:  desc("request_body_bytes_total", "Bytes of request bodies, as transferred."),
		responseBytes: desc("response_body_bytes_total", "Bytes of response bodies, as transferred."),
		ruleErrors:    desc("rule_errors_total", "Custom rules whose expression failed on a request, and so did not apply."),
		counters:      desc("counters_held", "Counters in memory, one for each limit and key."),
		applied:       desc("applied_timestamp_seconds", "When the artifact in force was applied; 0 if none is."),
	}
}

// Describe implements prometheus.Collector.
func (m *gatewayMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.requests, m.refusals, m.shadowed, m.requestBytes, m.responseBytes, m.ruleErrors, m.counters, m.applied,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *gatewayMetrics) Collect(c chan<- prometheus.Metric) {
	s := m.stats()
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	var refused uint64
	for l := weir.LevelDeny; l <= weir.LevelBackend; l++ {
		_, code := gateway.Code(l)
		count(m.refusals, s.Refused[l], l.String(), code)
		count(m.shadowed, s.Shadowed[l], l.String())
		refused += s.Refused[l]
	}
	count(m.requests, s.Forwarded, "forwarded")
	count(m.requests, refused, "refused")
	count(m.requests, s.Rejected, "rejected")
	count(m.requests, s.Failed, "failed")
	count(m.requestBytes, s.RequestBytes)
	count(m.responseBytes, s.ResponseBytes)
	count(m.ruleErrors, s.RuleErrors)
	c <- prometheus.MustNewConstMetric(m.counters, prometheus.GaugeValue, float64(s.Keys))
	applied := 0.0
	if !s.Applied.IsZero() {
		applied = float64(s.Applied.UnixMilli()) / 1000
	}
	c <- prometheus.MustNewConstMetric(m.applied, prometheus.GaugeValue, applied)
}

package app

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/telemetry"
)

func TestGatewayMetrics(t *testing.T) {
	s := gateway.Stats{
		Forwarded: 90, Rejected: 7, Failed: 2, RuleErrors: 1, Keys: 12,
		RequestBytes: 1000, ResponseBytes: 2000, Applied: time.UnixMilli(1_700_000_000_500),
	}
	s.Refused[weir.LevelApplication] = 3
	s.Refused[weir.LevelBackend] = 4
	s.Shadowed[weir.LevelSubscription] = 5
	want := `# HELP weir_gateway_requests_total Requests by what came of them: forwarded to a backend; refused at a level; rejected for another reason, such as wrong credentials; failed, that is forwarded but not answered by a backend.
# TYPE weir_gateway_requests_total counter
weir_gateway_requests_total{outcome="failed"} 2
weir_gateway_requests_total{outcome="forwarded"} 90
weir_gateway_requests_total{outcome="refused"} 7
weir_gateway_requests_total{outcome="rejected"} 7
# HELP weir_gateway_refusals_total Requests refused, by the level that refused and the code that the client was told.
# TYPE weir_gateway_refusals_total counter
weir_gateway_refusals_total{code="900800",level="api"} 0
weir_gateway_refusals_total{code="900801",level="backend"} 4
weir_gateway_refusals_total{code="900802",level="resource"} 0
weir_gateway_refusals_total{code="900803",level="application"} 3
weir_gateway_refusals_total{code="900804",level="subscription"} 0
weir_gateway_refusals_total{code="900805",level="deny"} 0
weir_gateway_refusals_total{code="900806",level="custom"} 0
weir_gateway_refusals_total{code="900807",level="subscription-burst"} 0
weir_gateway_refusals_total{code="900809",level="application-burst"} 0
# HELP weir_gateway_applied_timestamp_seconds When the artifact in force was applied; 0 if none is.
# TYPE weir_gateway_applied_timestamp_seconds gauge
weir_gateway_applied_timestamp_seconds 1.7000000005e+09
# HELP weir_gateway_counters_held Counters in memory, one for each limit and key.
# TYPE weir_gateway_counters_held gauge
weir_gateway_counters_held 12
`
	got := scrape(t, newGatewayMetrics(func() gateway.Stats { return s }))
	for line := range strings.Lines(want) {
		if !strings.Contains(got, line) {
			t.Errorf("no %s in\n%s", line, got)
		}
	}
}

func TestReloadMetricsStartAtZero(t *testing.T) {
	for role, name := range map[config.Role]string{config.Gateway: "gateway", config.TrafficManager: "traffic_manager"} {
		got := scrape(t, reloadMetrics(role))
		for _, want := range []string{`{result="applied"} 0`, `{result="refused"} 0`} {
			if want = "weir_" + name + "_reloads_total" + want; !strings.Contains(got, want) {
				t.Errorf("no %s in the metrics", want)
			}
		}
	}
}

// scrape returns what Prometheus would read of c.
func scrape(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	telemetry.Handler(r).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

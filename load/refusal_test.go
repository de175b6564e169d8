package load

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRefusal(t *testing.T) {
	weir := `{"code":"900803","message":"Message throttled out","level":"application","policy":"Trial"}`
	for _, tt := range []struct {
		status int
		body   string
		want   Refusal
		ok     bool
	}{
		{429, weir, Refusal{429, "900803", "application", "Trial", 0}, true},
		{429, `{"fault":{"code":900800,"message":"x"}}`, Refusal{Status: 429, Code: "900800"}, true},
		{429, `<html>slow down`, Refusal{Status: 429}, true},
		{429, ``, Refusal{Status: 429}, true},
		{429, weir[:50], Refusal{Status: 429}, true},
		{429, `[{"code":1}]`, Refusal{Status: 429}, true},
		{503, `{"code":"900801","level":"backend","policy":"PRODUCTION"}`, Refusal{503, "900801", "backend", "PRODUCTION", 0}, true},
		{403, `{"code":"900805"}`, Refusal{Status: 403, Code: "900805"}, true},
		{503, `{"code":"503"}`, Refusal{}, false},
		{503, ``, Refusal{}, false},
		{403, `{"code":"900908"}`, Refusal{}, false},
		{401, `{"code":"900803"}`, Refusal{}, false},
	} {
		got, ok := refusal(tt.status, []byte(tt.body))
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%d %s: got %+v %v, want %+v %v", tt.status, tt.body, got, ok, tt.want, tt.ok)
		}
	}
}

// Refusals are told from other answers, and counted by what they say.
func TestRefusals(t *testing.T) {
	answers := []string{
		fineAnswer,
		withBody("429 Too Many Requests", `{"code":"900803","level":"application","policy":"Trial"}`),
		withBody("429 Too Many Requests", `{"code":"900803","level":"application","policy":"Trial"}`),
		withBody("503 Service Unavailable", `{"code":"900801","level":"backend","policy":"PRODUCTION"}`),
		withBody("503 Service Unavailable", `{"code":"503"}`),
		"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
	}
	var n atomic.Int64
	f := newFake(t, answering(func(*http.Request) string { return answers[int(n.Add(1)-1)%len(answers)] }))
	r := run(t, Options{Targets: []string{f.url}, Rate: 600, Clients: 2, Duration: 200 * time.Millisecond})
	if r.Total != (Count{Admitted: 20, Refused: 60, Other: 40}) {
		t.Errorf("got %+v, want 20 admitted, 60 refused, 40 other", r.Total)
	}
	want := []Refusal{{429, "900803", "application", "Trial", 40}, {503, "900801", "backend", "PRODUCTION", 20}}
	if len(r.Refusals) != 2 || r.Refusals[0] != want[0] || r.Refusals[1] != want[1] {
		t.Errorf("got %+v, want %+v", r.Refusals, want)
	}
	if r.Statuses[200] != 20 || r.Statuses[429] != 40 || r.Statuses[503] != 40 || r.Statuses[302] != 20 {
		t.Errorf("statuses %v", r.Statuses)
	}
	if r.AdmittedLatency.Count != 20 || r.RefusedLatency.Count != 60 || r.Latency.Count != 120 {
		t.Errorf("latencies of %d, %d and %d", r.AdmittedLatency.Count, r.RefusedLatency.Count, r.Latency.Count)
	}
}

// A server that always says something else takes no more memory for it.
func TestManyReasons(t *testing.T) {
	var n atomic.Int64
	f := newFake(t, answering(func(*http.Request) string {
		return withBody("429 Too Many Requests", fmt.Sprintf(`{"code":"%d"}`, n.Add(1)))
	}))
	r := run(t, Options{Targets: []string{f.url}, Rate: 1000, Clients: 1, Duration: 200 * time.Millisecond})
	if len(r.Refusals) != maxRefusals+1 || r.Refusals[0].Code != "" || r.Refusals[0].Count != 200-maxRefusals {
		t.Errorf("%d reasons, first %+v; want %d, and the rest as one", len(r.Refusals), r.Refusals[0], maxRefusals+1)
	}
}

func FuzzRefusal(f *testing.F) {
	f.Add(429, []byte(`{"code":"900803","level":"application","policy":"Trial"}`))
	f.Add(503, []byte(`{"fault":{"code":900801}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r, ok := refusal(status, body)
		if ok && (r.Status != status || status != 429 && !strings.HasPrefix(r.Code, throttling)) {
			t.Errorf("got %+v", r)
		}
	})
}

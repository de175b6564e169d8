package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-project/weir/load"
)

// newShop returns a server that admits ten requests and refuses all others.
func newShop(t *testing.T) *httptest.Server {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/missing":
			http.NotFound(w, r)
		case n.Add(1) <= 10:
			_, _ = io.WriteString(w, "fine")
		default:
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"code":"900803","level":"application","policy":"Ten\u001b[31m"}`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestLoad(t *testing.T) {
	shop := newShop(t)
	code, out, errs := call(t, "load", shop.URL, "--rate", "200", "--duration", "200ms", "--limit", "8", "--window", "24h", "--clients", "4")
	if code != 0 || errs != "" {
		t.Fatalf("got %d, %q", code, errs)
	}
	for _, want := range []string{
		"40 requests in 0.2 s: 200.0 a second (asked for: 200 a second)\n",
		"admitted  10        25.0 %  2xx\n",
		"refused   30        75.0 %  429 900803 application Ten\\x1b[31m\n",
		"all answers",
		"  40        10        8      2     25.00  –      30\n",
		"Limit 8 per 24h: over by at most 2 (25.00 %)\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestLoadJSON(t *testing.T) {
	shop := newShop(t)
	code, out, errs := call(t, "load", shop.URL, shop.URL+"/missing", "--rate", "100", "--duration", "200ms", "--limit", "5", "--window", "24h", "-o", "json")
	if code != 0 {
		t.Fatalf("got %d, %s", code, errs)
	}
	var r struct {
		Requests, Admitted, Refused, Other, Errors, Due int64
		Stopped                                         bool
		Refusals                                        []struct{ Code, Level string }
		Windows                                         []struct {
			Admitted int64
			Over     *int64
			Under    *int64
		}
		Targets []struct {
			URL      string
			Requests int64
		}
		LatencyMS map[string]struct{ Count int64 } `json:"latency_ms"`
		PerSecond []map[string]int64               `json:"per_second"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if r.Requests != 20 || r.Admitted != 10 || r.Other != 10 || r.Refused != 0 || r.Due != 20 || r.Stopped {
		t.Errorf("got %+v", r)
	}
	if len(r.Windows) != 1 || *r.Windows[0].Over != 5 || r.Windows[0].Under != nil {
		t.Errorf("windows %+v, want one that is over by 5", r.Windows)
	}
	if len(r.Targets) != 2 || r.Targets[1].Requests != 10 || r.Targets[0].URL != shop.URL {
		t.Errorf("targets %+v", r.Targets)
	}
	if r.LatencyMS["all"].Count != 20 || r.LatencyMS["admitted"].Count != 10 || len(r.PerSecond) != 1 {
		t.Errorf("latencies %+v, seconds %+v", r.LatencyMS, r.PerSecond)
	}
}

// ^C ends a load, and what came of it is printed.
func TestLoadStopped(t *testing.T) {
	shop := newShop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var out, errs bytes.Buffer
	err := Run(ctx, Env{
		Args: []string{"load", shop.URL, "--rate", "100", "--duration", "1h"}, Stdout: &out, Stderr: &errs,
		Getenv: func(string) string { return "" },
	})
	if err != nil || !strings.Contains(out.String(), "Stopped before its time") || !strings.Contains(out.String(), "admitted  10 ") {
		t.Errorf("got %v and\n%s", err, out.String())
	}
}

// What the flags say is what is sent.
func TestLoadRequest(t *testing.T) {
	got := make(chan string, 1)
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case got <- fmt.Sprintf("%s %s %s %s %s", r.Method, r.RequestURI, r.Header.Get("ApiKey"), r.Host, body):
		default:
		}
	}))
	defer s.Close()
	body := filepath.Join(t.TempDir(), "pet.json")
	if err := os.WriteFile(body, []byte(`{"name":"Rex"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := call(t, "load", s.URL+"/pets?a=b", "-X", "PUT", "--body", "@"+body, "-H", "ApiKey: a:b", "--header", "Host: shop.example",
		"--insecure", "--rate", "1", "--duration", "10ms", "--clients", "1")
	if code != 0 {
		t.Fatalf("got %d, %s", code, errs)
	}
	if line, want := <-got, `PUT /pets?a=b a:b shop.example {"name":"Rex"}`; line != want {
		t.Errorf("sent %s, want %s", line, want)
	}
}

func TestDrawBar(t *testing.T) {
	o := &load.Options{Duration: 10 * time.Second}
	p := load.Progress{Started: true, Elapsed: 5 * time.Second, Total: load.Count{Admitted: 10, Refused: 40, Failed: 1}}
	now := time.Unix(90, 0)
	for _, tt := range []struct {
		columns int
		want    string
	}{
		{200, "[===============               ]  50 %  51 sent, 10 admitted, 40 refused, 1 errors"},
		{60, "[====    ]  50 %  51 sent, 10 admitted, 40 refused, 1 errors"},
		{30, " 50 %  51 sent, 10 admitted, …"},
		{0, ""},
	} {
		got := drawBar(p, o, tt.columns, now)
		if columnsOfText(got) > tt.columns {
			t.Errorf("%d columns: %q takes %d", tt.columns, got, columnsOfText(got))
		}
		if got != tt.want {
			t.Errorf("%d columns: got %q, want %q", tt.columns, got, tt.want)
		}
	}
	if got := drawBar(load.Progress{}, o, 80, now); got != "connecting" {
		t.Errorf("before: %q", got)
	}
	o.Align = time.Minute
	if got := drawBar(load.Progress{}, o, 80, now); got != "starts in 30s" {
		t.Errorf("before: %q", got)
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Minute: "1m", 24 * time.Hour: "24h", 90 * time.Second: "1m30s", 10 * time.Second: "10s", 90 * time.Minute: "1h30m", 100 * time.Millisecond: "100ms",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestBrief(t *testing.T) {
	for ms, want := range map[float64]string{0.123: "0.12 ms", 9.999: "10.00 ms", 12.34: "12.3 ms", 1234.5: "1234 ms"} {
		if got := brief(ms); got != want {
			t.Errorf("%g: got %s, want %s", ms, got, want)
		}
	}
}

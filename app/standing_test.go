package app

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A fakeSharer says of its limits what it is told to say.
type fakeSharer struct {
	stats  limiter.SharerStats
	limits []limiter.LimitStats
}

func (f *fakeSharer) Stats() limiter.SharerStats   { return f.stats }
func (f *fakeSharer) Limits() []limiter.LimitStats { return f.limits }

// A fakeRole is a standing of sources that the test changes.
type fakeRole struct {
	*standing
	counters fakeSharer
	sources  map[*limiter.Limit]*policy.Source
	requests uint64
}

func newFakeRole() *fakeRole {
	r := &fakeRole{sources: map[*limiter.Limit]*policy.Source{}}
	r.standing = &standing{
		node: 7, sharer: &r.counters, requests: func() uint64 { return r.requests },
		source: func(l *limiter.Limit) *policy.Source { return r.sources[l] },
	}
	return r
}

// limit has r know a limit.
func (r *fakeRole) limit(level weir.Level, name string, group int, l limiter.Limit) *limiter.Limit {
	r.sources[&l] = &policy.Source{Level: level, Policy: name, Group: group, Limit: &l}
	return &l
}

// TestStanding adds up what is one limit, by names that stay when the definition is replaced.
func TestStanding(t *testing.T) {
	r := newFakeRole()
	a := r.limit(weir.LevelBackend, "PRODUCTION", -1, limiter.Limit{Count: 100, Accuracy: limiter.Bounded})
	b := r.limit(weir.LevelBackend, "PRODUCTION", -1, limiter.Limit{Count: 50, Accuracy: limiter.Bounded})
	gold := r.limit(weir.LevelSubscription, "Gold", -1, limiter.Limit{Count: 9, Accuracy: limiter.Exact, Cost: limiter.Bytes})
	gone := &limiter.Limit{Count: 3}
	r.counters.stats = limiter.SharerStats{Calls: 10, Errors: 1, Losses: 2, Waited: 3, Epochs: 4, Nodes: 5, Lost: true, Trip: 6, Offset: -7}
	r.requests = 1000
	r.counters.limits = []limiter.LimitStats{
		{Limit: gone, Keys: 99},
		{Limit: gold, Keys: 4, Held: 30, Assertions: 90, Lag: 3},
		{Limit: a, Keys: 1, Assertions: 5, Over: 2, Lag: 8},
		{Limit: b, Keys: 2, Assertions: 6, Over: 3, Lag: 7},
	}
	backends := event.SharedLimit{
		Level: weir.LevelBackend, Policy: "PRODUCTION", Group: -1, Accuracy: limiter.Bounded, Keys: 3, Assertions: 11, Over: 3, Count: 50, Lag: 8,
	}
	of := event.SharedLimit{
		Level: weir.LevelSubscription, Policy: "Gold", Group: -1, Accuracy: limiter.Exact, Cost: limiter.Bytes, Keys: 4, Held: 30, Assertions: 90, Count: 9, Lag: 3,
	}
	now := time.Now()
	got := r.state(now)
	if len(got.Limits) != 2 || got.Limits[0] != backends || got.Limits[1] != of || got.All != 2 {
		t.Errorf("got\n%+v, want\n%+v\n%+v", got.Limits, backends, of)
	}
	got.Limits = nil
	if want := (event.Sharing{
		Node: 7, Lost: true, Nodes: 5, Calls: 10, Errors: 1, Losses: 2, Waits: 3, Epochs: 4, RecentCalls: 10, RecentRequests: 1000,
		Trip: 6, Offset: -7, All: 2,
	}); !equalSharing(got, &want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// The definition is replaced: the limits that were seen are still known. Some counters
	// of Gold are forgotten, which takes nothing back of what was told.
	clear(r.sources)
	r.counters.limits[1].Assertions, r.counters.limits[2].Assertions = 20, 8
	got = r.state(now)
	if len(got.Limits) != 2 || got.Limits[0].Assertions != 14 || got.Limits[1].Assertions != 90 {
		t.Errorf("after a change: %+v", got.Limits)
	}
	r.counters.limits = nil
	if got = r.state(now); len(got.Limits) != 0 || len(r.known) != 0 {
		t.Errorf("of counters that are not used: %+v", got.Limits)
	}
	if _, told := r.limits(); told[limitID{weir.LevelSubscription, "Gold", -1, limiter.Exact, limiter.Bytes}] != 90 {
		t.Errorf("the answers are forgotten: %v", told)
	}
}

func equalSharing(a, b *event.Sharing) bool {
	return string(event.AppendHeader(nil, &event.Header{Sharing: a})) == string(event.AppendHeader(nil, &event.Header{Sharing: b}))
}

// Of very many limits those are told that were exceeded, and of which most is.
func TestStandingIsBounded(t *testing.T) {
	r := newFakeRole()
	for i := range 100 {
		l := r.limit(weir.LevelCustom, strings.Repeat("x", i+1), -1, limiter.Limit{Count: 1})
		r.counters.limits = append(r.counters.limits, limiter.LimitStats{Limit: l, Keys: 1, Assertions: uint64(i)})
	}
	r.counters.limits[1].Over = 1
	got := r.state(time.Now())
	if len(got.Limits) != event.MaxSharedLimits || got.All != 100 {
		t.Fatalf("%d limits of %d", len(got.Limits), got.All)
	}
	if got.Limits[0].Policy != "xx" || got.Limits[1].Assertions != 99 {
		t.Errorf("first are %+v", got.Limits[:2])
	}
}

// The round trips for each request are those of late, whoever else asks.
func TestTrips(t *testing.T) {
	var tr trips
	at := time.Now()
	var calls, requests uint64
	for second := range 100 { // 20 calls and 100 requests a second, and later as many calls alone
		calls += 20
		if second < 60 {
			requests += 100
		}
		for ask := range 3 {
			c, r := tr.recent(at.Add(time.Duration(second)*time.Second), calls, requests)
			switch {
			case second > 20 && (c < 200 || c > 400):
				t.Errorf("%d s, question %d: %d calls of late", second, ask, c)
			case second > 20 && second < 60 && r != 5*c:
				t.Errorf("%d s: %d requests and %d calls of late", second, r, c)
			case second > 80 && r != 0:
				t.Errorf("%d s: %d requests of late, and there are none", second, r)
			}
		}
	}
}

// TestSharingMetrics shows each limit by its policy and level, groups together, and no
// ratio where there is nothing to divide by.
func TestSharingMetrics(t *testing.T) {
	r := newFakeRole()
	r.counters.stats = limiter.SharerStats{Calls: 10, Assertions: 40, Nodes: 3, Offset: 2 * time.Second}
	for group := -1; group < 2; group++ {
		l := r.limit(weir.LevelAPI, "Wide", group, limiter.Limit{Count: 10, Accuracy: limiter.Exact})
		r.counters.limits = append(r.counters.limits, limiter.LimitStats{
			Limit: l, Keys: 2, Held: 5, Assertions: 7, Over: int64(group + 1), Lag: 20 * time.Millisecond,
		})
	}
	m := newSharingMetrics([]*sharing{{role: "traffic-manager", standing: r.standing}})
	got := scrape(t, m)
	const labels = `{accuracy="exact",level="api",policy="Wide",role="traffic_manager",unit="requests"}`
	for _, want := range []string{
		"weir_shared_limit_keys" + labels + " 6\n", "weir_shared_limit_rights_held" + labels + " 15\n",
		"weir_shared_limit_over" + labels + " 2\n", "weir_shared_limit_staleness_seconds" + labels + " 0.02\n",
		"weir_shared_limit_assertions_total" + labels + " 21\n", `weir_shared_store_up{role="traffic_manager"} 1` + "\n",
		`weir_shared_assertions_total{role="traffic_manager"} 40` + "\n", `weir_shared_clock_offset_seconds{role="traffic_manager"} 2` + "\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "\nweir_shared_round_trips_per_request{") {
		t.Errorf("round trips of no request:\n%s", got)
	}
	r.requests = 1000
	r.counters.limits = nil
	got = scrape(t, m)
	if want := `weir_shared_round_trips_per_request{role="traffic_manager"} 0.01` + "\n"; !strings.Contains(got, want) {
		t.Errorf("no %s in\n%s", want, got)
	}
	if strings.Contains(got, "weir_shared_limit_keys{") || !strings.Contains(got, "weir_shared_limit_assertions_total"+labels+" 21\n") {
		t.Errorf("of a limit that is not used:\n%s", got)
	}
}

// The document names each metric of shared counters, and none that is not there.
func TestSharingMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/top.md")
	if err != nil {
		t.Fatal(err)
	}
	there := make(chan *prometheus.Desc, 100)
	newSharingMetrics(nil).Describe(there)
	close(there)
	known := map[string]bool{}
	for d := range there {
		name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1]
		known[name] = true
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
	}
	for _, name := range regexp.MustCompile(`weir_shared_\w+`).FindAllString(string(text), -1) {
		if !known[name] {
			t.Errorf("there is no %s", name)
		}
	}
}

package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// sharingOf is what a node says of itself, in the form of package ingest: it shares an exact
// limit, of which it holds rights, and a burst that was exceeded.
func sharingOf(node string, lost bool, held, over int, limits string) string {
	return fmt.Sprintf(`{"node":%q,"lost":%t,"nodes":2,"calls":400,"errors":3,"losses":1,"waits":7,"epochs":2,
 "recentCalls":21,"recentRequests":1000,"roundTrip":0.31,"clockOffset":-250,"limitsInUse":2,"somethingNew":[],"limits":[
 {"level":"application","policy":"Few","group":-1,"accuracy":"exact","unit":"requests","keys":4,"held":%d,"assertions":90,"over":0,"limit":100,"staleness":12.5},
 {"level":"subscription-burst","policy":"Gold\u001b[2J","group":-1,"accuracy":"bounded","unit":"requests","keys":9,"held":0,"assertions":50,"over":%d,"limit":20,"staleness":4}%s]}`,
		node, lost, held, over, limits)
}

// withSharing has the manager of someStats, and its gateways, share counters.
func withSharing(own, first string) string {
	stats := strings.Replace(someStats, `"ready":true,`, `"ready":true,"sharing":`+own+`,`, 1)
	return strings.Replace(stats, `"refusedPerSecond":33.25}`, `"refusedPerSecond":33.25,"sharing":`+first+`}`, 1)
}

// newSharingGateway returns a gateway that says at /sharing what it is told to, and asks for no
// credentials.
func newSharingGateway(t *testing.T, answer string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/sharing" || r.Header.Get("Authorization") != "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func roles(name, sharing string) string {
	return fmt.Sprintf(`{"now":1,"name":%q,"roles":[{"role":"gateway","sharing":%s}]}`, name, sharing)
}

// TestTopSharing shows nodes and limits of a fleet with a store, of gateways as they told
// a traffic manager and of one that is asked itself.
func TestTopSharing(t *testing.T) {
	group := `,{"level":"api","policy":"Wide","group":1,"accuracy":"eventual","unit":"bytes","keys":1,"held":0,"assertions":1,"over":0,"limit":5000,"staleness":20}`
	s := newManager(t, true, withSharing(sharingOf("0a", false, 0, 0, group), sharingOf("01", false, 30, 1, "")), someKeys)
	second := newSharingGateway(t, roles("gw-2", sharingOf("02", true, 12, 3, "")))
	code, out, errs := call(t, "top", "--url", s.URL, "--gateway", second.URL)
	if code != 0 || errs != "" {
		t.Fatalf("got %d, %s", code, errs)
	}
	for _, want := range []string{
		"   store: away from 1 of 3   refused a second: 33.2   keys: 48",
		"SHARES COUNTERS          AS               STORE  NODES  ROUND TRIP  TRIPS/REQUEST  WAITED  LOST  EPOCHS         CLOCK\n" +
			"gw-2                     gateway          away       2     0.31 ms          0.021       7     1       2  250 ms ahead\n" +
			"gw-1                     gateway          up         2     0.31 ms          0.021       7     1       2  250 ms ahead\n",
		"  traffic-manager  up         2     0.31 ms          0.021       7     1       2  250 ms ahead\n",
		"LIMIT               POLICY        HELD BY           ACCURACY  NODES  KEYS    STALE     OVER  RIGHTS HELD  TRIPS/REQUEST  STORE\n" +
			`subscription-burst  Gold\x1b[2J   gateways          bounded       2     9        –  3 of 20            –          0.021  away from 1 of 2` + "\n" +
			"application         Few           gateways          exact         2     4        –        0           42          0.021  away from 1 of 2\n",
		"api                 Wide group 2  traffic-managers  eventual      1     1  20.0 ms        0            –          0.021  up\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("what others wrote steers the terminal")
	}
	if code, out, _ = call(t, "top", "--url", newManager(t, true, someStats, someKeys).URL); code != 0 || strings.Contains(out, "SHARES") || strings.Contains(out, "store") {
		t.Errorf("without a store: %d\n%s", code, out)
	}
	if code, out, _ = call(t, "top", "--url", newManager(t, true, someStats, someKeys).URL, "-o", "json"); code != 0 || strings.Contains(out, `"sharing"`) || strings.Contains(out, `"limits"`) {
		t.Errorf("without a store: %d\n%s", code, out)
	}
}

// TestTopSharingJSON adds up what is to be added, takes the most of what is not, and shows a
// gateway once that several speak of: as it said last.
func TestTopSharingJSON(t *testing.T) {
	own := sharingOf("0a", false, 0, 0, "")
	older := sharingOf("01", false, 99, 9, "")
	a := newManager(t, true, withSharing(own, sharingOf("01", false, 30, 1, "")), someKeys)
	b := newManager(t, true, strings.Replace(withSharing(strings.Replace(own, `"0a"`, `"0b"`, 1), older), `"heard":999900`, `"heard":999000`, 1), someKeys)
	second := newSharingGateway(t, roles("gw-2", strings.Replace(sharingOf("02", false, 12, 3, ""), `"recentRequests":1000`, `"recentRequests":0`, 1)))
	code, out, errs := call(t, "top", "--url", a.URL, "--url", b.URL, "--gateway", second.URL, "--gateway", "http://127.0.0.1:1", "-o", "json")
	var v topView
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 {
		t.Fatalf("got %d %s: %v", code, errs, err)
	}
	if len(v.Sharing) != 5 || !strings.Contains(v.Sharing[0].Error, "refused") || v.Sharing[1].Name != "gw-1" || v.Sharing[2].URL != second.URL {
		t.Fatalf("nodes %+v", v.Sharing)
	}
	n := v.Sharing[1]
	if !n.StoreUp || n.Role != "gateway" || n.Node != "01" || n.Nodes != 2 || n.Calls != 400 || n.Failed != 3 || n.Losses != 1 || n.Waited != 7 ||
		n.Epochs != 2 || n.RoundTrip != 0.31 || n.ClockOffset != -250 || n.LimitsInUse != 2 || n.Trips == nil || *n.Trips != 0.021 {
		t.Errorf("node %+v", n)
	}
	if v.Sharing[2].Trips != nil {
		t.Error("there are round trips for each of no requests")
	}
	var few *topLimit
	for i := range v.Limits {
		if l := &v.Limits[i]; l.Policy == "Few" && l.Role == "gateway" {
			few = l
		}
	}
	if len(v.Limits) != 4 || few == nil {
		t.Fatalf("limits %+v", v.Limits)
	}
	if few.Held != 42 || few.Keys != 4 || few.Nodes != 2 || few.Assertions != 180 || few.Staleness != 12.5 || few.Limit != 100 || few.Group != nil ||
		few.Trips == nil || *few.Trips != 0.042 {
		t.Errorf("limit %+v", few)
	}
	if l := v.Limits[0]; l.Over != 3 || l.Limit != 20 || l.Level != "subscription-burst" {
		t.Errorf("first is %+v, want what was exceeded", l)
	}
}

// TestTopOfGateways asks gateways that no traffic manager knows, and nobody else.
func TestTopOfGateways(t *testing.T) {
	g := newSharingGateway(t, roles("gw-1", sharingOf("01", false, 30, 0, "")))
	code, out, errs := call(t, "top", "--gateway", g.URL+"/")
	if code != 0 || errs != "" || !strings.Contains(out, "   store: up   asked: 1\n\nSHARES COUNTERS") || strings.Contains(out, "MANAGER") || strings.Contains(out, "KEY ") {
		t.Errorf("got %d %s\n%s", code, errs, out)
	}
	old := httptest.NewServer(http.NotFoundHandler())
	defer old.Close()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--gateway", old.URL}, 1, old.URL + ": it tells nothing of counters that are shared"},
		{[]string{"--gateway", newSharingGateway(t, `{"name":"a","roles":[]}`).URL}, 1, "it shares no counters"},
		{[]string{"--gateway", newSharingGateway(t, `[`).URL}, 1, "its answer"},
		{[]string{"--gateway", old.URL, "--url", "http://127.0.0.1:1"}, 1, "connection refused"},
		{[]string{"--gateway", old.URL, "--gateway", g.URL}, 0, ""},
		{[]string{"--gateway", g.URL, "--url", "http://127.0.0.1:1"}, 0, ""},
		{[]string{"--gateway", "localhost:9764"}, 2, "write it as http://localhost:9764"},
		{[]string{"--gateway", "http://a:b@localhost:9764"}, 2, "write it as"},
	} {
		code, _, errs := call(t, append([]string{"top", "--once"}, tt.args...)...)
		if code != tt.code || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: got %d %s, want %d %q", tt.args, code, errs, tt.code, tt.want)
		}
	}
}

// Of very many nodes and limits a terminal shows those with a trouble first, and keys
// have room, too.
func TestTopSharingFitsTerminals(t *testing.T) {
	var limits strings.Builder
	for i := range 70 {
		fmt.Fprintf(&limits, `,{"level":"api","policy":"Policy %d 東京\u202e\r\n","group":%d,"accuracy":"eventual","keys":1,"over":%d,"limit":5000}`, i, i, i)
	}
	own := strings.Replace(sharingOf("0a", true, 0, 0, limits.String()), `"limitsInUse":2`, `"limitsInUse":99`, 1)
	s := newManager(t, true, withSharing(own, sharingOf("01", false, 30, 19, "")), someKeys)
	w := &topWatch{managers: []*topNode{newTestManager(t, s)}, keys: 100}
	for i := range 20 {
		w.gateways = append(w.gateways, newTopNode(newSharingGateway(t, roles(fmt.Sprint("gw-", i), sharingOf(fmt.Sprint("1", i), false, 1, 0, ""))).URL, nil))
	}
	v := w.look(t.Context())
	if err := v.fault(); err != nil {
		t.Fatal(err)
	}
	for columns := 1; columns < 250; columns++ {
		for _, line := range v.draw(columns, 0) {
			if n := columnsOfText(line); n > columns || strings.ContainsAny(line, "\x1b\r\n\u202e") {
				t.Fatalf("%d columns: %q takes %d", columns, line, n)
			}
		}
	}
	text := strings.Join(v.draw(100, 40), "\n")
	for _, want := range []string{"away", "19 of 20", "… and 18 more", "has 99 limits in use and tells of 72", "for 29.0 s"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, m := range w.gateways {
		m.client.CloseIdleConnections()
	}
}

package ingest

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
	"github.com/weir-project/weir/trafficmanager"
)

var t0 = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// A service is a handler and what stands behind it.
type service struct {
	*Handler
	t       testing.TB
	manager *trafficmanager.Manager
	log     *bytes.Buffer
	at      time.Time
}

func perMinute(n int64) *limiter.Limit {
	return &limiter.Limit{Count: n, Window: limiter.Window{Length: time.Minute}}
}

// serve returns a service of d, ready to count unless d is nil.
func serve(t testing.TB, d *policy.Definition) *service {
	t.Helper()
	m, err := trafficmanager.New(trafficmanager.Options{Limiter: limiter.New(limiter.Options{}), Issuer: "tm-1", ID: 0x4d})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, manager: m, log: new(bytes.Buffer), at: t0}
	if d != nil {
		set, err := policy.Compile(*d, policy.Options{Seed: limiter.SeedOf([]byte("fleet"))})
		if err != nil {
			t.Fatal(err)
		}
		m.Apply(t0, set)
	}
	s.Handler, err = New(Options{
		Manager: m, Definition: func() *policy.Definition { return d }, Users: []User{{"admin", "secret"}, {"gw", "other"}},
		Log: slog.New(slog.NewTextHandler(s.log, nil)), Now: func() time.Time { return s.at },
		Sharing: func(time.Time) *event.Sharing { return &event.Sharing{Node: 11, Lost: true} },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func gold(n int64) *policy.Definition {
	return &policy.Definition{Policies: []policy.Policy{{Kind: policy.Subscription, Name: "Gold", Limit: perMinute(n)}}}
}

// ask returns the answer to a request with credentials.
func (s *service) ask(method, path, media string, body []byte, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.SetBasicAuth("admin", "secret")
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// get returns the body of an answer to GET, which must be 200, in one line.
func (s *service) get(path string) string {
	s.t.Helper()
	w := s.ask("GET", path, "", nil)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		s.t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return strings.TrimSpace(w.Body.String())
}

// batch returns a batch of n calls for each of apps.
func batch(h event.Header, n int64, apps ...string) []byte {
	var e event.Encoder
	for _, app := range apps {
		i := e.Request(&weir.Fields{}, &weir.Request{
			Time: t0, API: "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu", Verb: "GET",
			Application: weir.Application{ID: app, Name: "shop", Owner: "bob"}, SubscriptionTier: "Gold", User: "alice",
			ClientIP: netip.MustParseAddr("10.0.0.1"),
		})
		if h.Restates {
			e.Open(i, weir.OpenWindow{Window: limiter.Window{Length: time.Minute}, Spent: weir.Spent{Requests: n}})
		} else {
			e.Spend(i, weir.Spent{Requests: n})
		}
	}
	return append(event.AppendHeader(nil, &h), e.Body()...)
}

func first() event.Header {
	return event.Header{Node: "gw-1", Incarnation: 1, Seq: 1, Sent: t0, Restates: true, First: true}
}

func zipped(p []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(p)
	_ = w.Close()
	return b.Bytes()
}

func TestNew(t *testing.T) {
	good := serve(t, gold(1))
	o := Options{Manager: good.manager, Definition: good.definition, Users: []User{{"a", "b"}}}
	for name, change := range map[string]func(*Options){
		"no manager":     func(o *Options) { o.Manager = nil },
		"no definition":  func(o *Options) { o.Definition = nil },
		"nobody":         func(o *Options) { o.Users = nil },
		"blank password": func(o *Options) { o.Users = []User{{"a", "b"}, {"admin", ""}} },
		"blank name":     func(o *Options) { o.Users = []User{{"", "b"}} },
	} {
		bad := o
		change(&bad)
		if _, err := New(bad); err == nil {
			t.Errorf("%s: there is a handler", name)
		}
	}
}

// TestGuard tries every route with every kind of credentials (B06): there is
// nothing without them, not even whether there is something.
func TestGuard(t *testing.T) {
	s := serve(t, gold(10))
	s.guard.certificate = func(c *x509.Certificate) bool { return c.Subject.CommonName == "gateway" }
	certificate := func(name string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Authorization")
			c := &x509.Certificate{}
			c.Subject.CommonName = name
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
		}
	}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	for _, who := range []struct {
		name   string
		change func(*http.Request)
		ok     bool
	}{
		{"admin", basic("admin", "secret"), true},
		{"another user", basic("gw", "other"), true},
		{"a certificate", certificate("gateway"), true},
		{"nobody", func(r *http.Request) { r.Header.Del("Authorization") }, false},
		{"a wrong password", basic("admin", "other"), false},
		{"the beginning of a password", basic("admin", "secre"), false},
		{"a blank password", basic("admin", ""), false},
		{"parts in other places", basic("admins", "ecret"), false},
		{"a wrong user", basic("root", "secret"), false},
		{"another scheme", func(r *http.Request) { r.Header.Set("Authorization", "Bearer YWRtaW46c2VjcmV0") }, false},
		{"no base64", func(r *http.Request) { r.Header.Set("Authorization", "Basic ***") }, false},
		{"a certificate of somebody else", certificate("console"), false},
		{"a certificate that was not verified", func(r *http.Request) {
			certificate("gateway")(r)
			r.TLS.VerifiedChains = nil
		}, false},
	} {
		for _, path := range []string{
			"/endpoints/events", "/endpoints/throttleEventReceiver", "/internal/data/v1/decisions", "/internal/data/v1/block",
			"/internal/data/v1/keyTemplates", "/internal/data/v1/subscription-policies", "/internal/data/v1/top",
			"/internal/data/v1/stats", "/internal/data/v1/nothing", "/",
		} {
			w := s.ask("GET", path, "", nil, who.change)
			if ok := w.Code != http.StatusUnauthorized; ok != who.ok {
				t.Errorf("%s of %s: %d", path, who.name, w.Code)
			}
			if !who.ok && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("%s of %s: WWW-Authenticate is %q", path, who.name, w.Header().Get("WWW-Authenticate"))
			}
		}
	}
}

// TestRefusalsLogged logs refused logins, escaped and without passwords, and one
// in ten seconds of a flood.
func TestRefusalsLogged(t *testing.T) {
	s := serve(t, gold(10))
	try := func() {
		s.ask("GET", "/internal/data/v1/top", "", nil, func(r *http.Request) {
			r.SetBasicAuth("eve\nlevel=INFO "+strings.Repeat("x", 5000), "hunter2")
		})
	}
	for range 1000 {
		try()
	}
	s.at = s.at.Add(10 * time.Second)
	try()
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "refusals=1") || !strings.Contains(lines[1], "refusals=1000") {
		t.Errorf("logged %q", lines)
	}
	if strings.Contains(s.log.String(), "hunter2") || s.log.Len() > 1000 {
		t.Errorf("logged %s", s.log)
	}
}

// TestBody refuses bodies that are too large, also once they are decompressed
// (A21), of another type or encoding, or cut short.
func TestBody(t *testing.T) {
	one := func() []byte { return batch(first(), 1, "5") }
	encoded := func(e string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Content-Encoding", e) }
	}
	large := bytes.Repeat([]byte{0}, defaultBody+1)
	for _, tt := range []struct {
		name   string
		method string
		media  string
		body   []byte
		change func(*http.Request)
		status int
	}{
		{"a batch", "POST", event.MediaType, one(), nil, 200},
		{"with parameters", "POST", event.MediaType + "; x=y", one(), nil, 200},
		{"gzip", "POST", event.MediaType, zipped(one()), encoded("gzip"), 200},
		{"GZIP", "POST", event.MediaType, zipped(one()), encoded("GZIP"), 200},
		{"gzip in two parts", "POST", event.MediaType, append(zipped(one()[:20]), zipped(one()[20:])...), encoded("gzip"), 200},
		{"identity", "POST", event.MediaType, one(), encoded("identity"), 200},
		{"another method", "GET", event.MediaType, one(), nil, 405},
		{"another type", "POST", "application/json", one(), nil, 415},
		{"no type", "POST", "", one(), nil, 415},
		{"an absurd type", "POST", ";;;", one(), nil, 415},
		{"brotli", "POST", event.MediaType, one(), encoded("br"), 415},
		{"twice gzip", "POST", event.MediaType, zipped(zipped(one())), encoded("gzip, gzip"), 415},
		{"too large", "POST", event.MediaType, large, nil, 413},
		{"too large, of unknown length", "POST", event.MediaType, large, func(r *http.Request) { r.ContentLength = -1 }, 413},
		{"too large when decompressed", "POST", event.MediaType, zipped(random(defaultBody + 1)), encoded("gzip"), 413},
		{"a bomb", "POST", event.MediaType, zipped(large[:defaultBody]), encoded("gzip"), 413},
		{"a large bomb", "POST", event.MediaType, zipped(bytes.Repeat(large, 20)), encoded("gzip"), 413},
		{"no gzip", "POST", event.MediaType, one(), encoded("gzip"), 400},
		{"gzip cut short", "POST", event.MediaType, zipped(random(1000))[:500], encoded("gzip"), 400},
		{"gzip and more", "POST", event.MediaType, append(zipped(one()), "more"...), encoded("gzip"), 400},
		{"cut short", "POST", event.MediaType, one()[:len(one())-1], nil, 400},
		{"no batch", "POST", event.MediaType, []byte("{}"), nil, 400},
		{"empty", "POST", event.MediaType, nil, nil, 400},
		{"a body that fails", "POST", event.MediaType, nil, func(r *http.Request) { r.Body = io.NopCloser(failing{}) }, 400},
	} {
		s := serve(t, gold(10))
		change := tt.change
		if change == nil {
			change = func(*http.Request) {}
		}
		w := s.ask(tt.method, "/endpoints/events", tt.media, tt.body, change)
		if w.Code != tt.status {
			t.Errorf("%s: %d %q, want %d", tt.name, w.Code, w.Body, tt.status)
		}
		if counted := s.manager.Stats(t0).Counted; (counted == 1) != (tt.status == 200) {
			t.Errorf("%s: counted %d", tt.name, counted)
		}
		var e struct{ Error string }
		if tt.status != 200 && tt.status != 405 && (json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Error == "") {
			t.Errorf("%s: says %q", tt.name, w.Body)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// random returns n bytes that hardly compress.
func random(n int) []byte {
	p := make([]byte, n)
	for i, x := 0, uint64(1); i < n; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p[i] = byte(x)
	}
	return p
}

// TestNoPolicies keeps gateways from telling what could not be counted (W20).
func TestNoPolicies(t *testing.T) {
	s := serve(t, nil)
	w := s.ask("POST", "/endpoints/events", event.MediaType, batch(first(), 1, "5"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	for _, path := range []string{"decisions", "block", "keyTemplates", "api-policies", "global-policies"} {
		if w := s.ask("GET", "/internal/data/v1/"+path, "", nil); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if got := s.get("/internal/data/v1/stats"); !strings.Contains(got, `"ready":false`) {
		t.Errorf("stats are %s", got)
	}
}

// TestDecisions shows what is in force, and what is new.
func TestDecisions(t *testing.T) {
	s := serve(t, gold(3))
	const before = `{"manager":"000000000000004d","issuer":"tm-1","version":0,"now":1780315200000,"all":true,"decisions":[]}`
	if got := s.get("/internal/data/v1/decisions"); got != before {
		t.Errorf("at first there is %s", got)
	}
	s.ask("POST", "/endpoints/events", event.MediaType, batch(first(), 3, "a", "b"))
	var got struct {
		Version   uint64
		All       bool
		Decisions []map[string]any
	}
	read := func(query string) {
		t.Helper()
		got.Decisions = nil
		if err := json.Unmarshal([]byte(s.get("/internal/data/v1/decisions"+query)), &got); err != nil {
			t.Fatal(err)
		}
	}
	read("?manager=000000000000004d&version=1")
	if got.All || got.Version != 2 || len(got.Decisions) != 1 {
		t.Fatalf("after one there are %+v", got)
	}
	key := got.Decisions[0]["key"]
	want := fmt.Sprint(map[string]any{
		"throttleKey": "b:/pizza/1:1:Gold", "isThrottled": true, "expiryTimeStamp": 1780315260000.0, "key": key, "level": "subscription",
		"policy": "Gold", "group": -1.0, "windowStart": 1780315200000.0, "issuer": "tm-1", "seq": 2.0, "issued": 1780315200000.0,
	})
	if fmt.Sprint(got.Decisions[0]) != want {
		t.Errorf("a decision is\n%v, want\n%v", got.Decisions[0], want)
	}
	read("?manager=4e&version=1")
	if !got.All || len(got.Decisions) != 2 {
		t.Errorf("of another manager there are %+v", got)
	}
	for _, bad := range []string{"?manager=x", "?version=-1", "?manager=1&version=1e9", "?manager=11111111111111111"} {
		if w := s.ask("GET", "/internal/data/v1/decisions"+bad, "", nil); w.Code != 400 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}

// sharingJSON is what is shown of a gateway that shares counters.
const sharingJSON = `{"node":"000000000000000a","lost":false,"nodes":3,"calls":7,"errors":0,"losses":0,"waits":0,"epochs":0,` +
	`"recentCalls":2,"recentRequests":40,"roundTrip":0.3,"clockOffset":0,"limitsInUse":1,"limits":[` +
	`{"level":"application","policy":"Few","group":-1,"accuracy":"exact","unit":"requests","keys":5,"held":12,"assertions":9,"over":1,"limit":100,"staleness":12}]}`

// TestTop shows keys and the manager's own figures.
func TestTop(t *testing.T) {
	s := serve(t, gold(4))
	h := first()
	h.Refused = &event.RefusedCalls{Keys: []event.RefusedKey{
		{Key: 9, Text: "a:/pizza/1:1:Gold", Level: weir.LevelSubscriptionBurst, Policy: "Gold", Group: -1, Calls: 12, Since: h.Sent.Add(-2 * time.Second)},
	}}
	h.Refused.Levels[weir.LevelSubscriptionBurst] = 40
	h.Sharing = &event.Sharing{Node: 10, Nodes: 3, Calls: 7, RecentCalls: 2, RecentRequests: 40, Trip: 300 * time.Microsecond, All: 1, Limits: []event.SharedLimit{
		{Level: weir.LevelApplication, Policy: "Few", Group: -1, Accuracy: limiter.Exact, Keys: 5, Held: 12, Assertions: 9, Over: 1, Count: 100, Lag: 12 * time.Millisecond},
	}}
	s.ask("POST", "/endpoints/events", event.MediaType, batch(h, 3, "a", "b"))
	var got struct {
		Keys []map[string]any
	}
	_ = json.Unmarshal([]byte(s.get("/internal/data/v1/top?n=1")), &got)
	if len(got.Keys) != 2 {
		t.Fatalf("there are %+v", got)
	}
	want := fmt.Sprint(map[string]any{
		"throttleKey": "a:/pizza/1:1:Gold", "key": got.Keys[0]["key"], "level": "subscription", "policy": "Gold", "group": -1.0, "limit": 4.0,
		"unit": "requests", "window": "1m", "algorithm": "fixed-window", "used": 3.0, "share": 0.75, "ends": 1780315260000.0, "throttled": false,
		"refused": 0.0, "refusedPerSecond": 0.0,
	})
	if fmt.Sprint(got.Keys[0]) != want {
		t.Errorf("the first is\n%v, want\n%v", got.Keys[0], want)
	}
	if k := got.Keys[1]; k["level"] != "subscription-burst" || k["local"] != true || k["refused"] != 12.0 || k["refusedPerSecond"] != 6.0 || k["ends"] != 0.0 {
		t.Errorf("what gateways refuse by themselves is\n%v", k)
	}
	for _, bad := range []string{"0", "-1", "x", "2049", "99999999999999999999"} {
		if w := s.ask("GET", "/internal/data/v1/top?n="+bad, "", nil); w.Code != 400 {
			t.Errorf("n=%s: %d", bad, w.Code)
		}
	}
	stats := s.get("/internal/data/v1/stats")
	for _, part := range []string{
		`"events":{"counted":2,"late":0,"past":0,"refused":0,"uncounted":0}`, `"restatements":1`, `"keys":2`, `"ready":true`,
		`{"name":"gw-1","incarnation":"0000000000000001","known":true,"batches":1,"events":2,"lag":0,"skew":0,"heard":1780315200000,"refused":{"subscription-burst":40},"refusedPerSecond":6,"sharing":` + sharingJSON + `}`,
		`"sharing":{"node":"000000000000000b","lost":true,"nodes":0,`, `"requests":0`, // they were restated
	} {
		if !strings.Contains(stats, part) {
			t.Errorf("stats lack %s: %s", part, stats)
		}
	}
}

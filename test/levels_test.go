package test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// perWindow is the limit of every level here, in windows of a second: far below
// what the clients ask for in one.
const perWindow = 40

// A level is one at which a request can be throttled, with an API, /LEVEL/1, and
// an application of its own. What is empty is not limited.
type level struct {
	name, code string
	status     int
	apiTier    string // of x-wso2-throttling-tier
	resTier    string
	planTier   string
	appTier    string
	backend    bool
}

var levels = []level{
	{name: "api", code: "900800", status: 429, apiTier: "Few"},
	{name: "resource", code: "900802", status: 429, resTier: "Few"},
	{name: "subscription", code: "900804", status: 429, planTier: "Few"},
	{name: "subscription-burst", code: "900807", status: 429, planTier: "Burst"},
	{name: "application", code: "900803", status: 429, appTier: "Few"},
	{name: "application-burst", code: "900809", status: 429, appTier: "Burst"},
	{name: "custom", code: "900806", status: 429},
	{name: "backend", code: "900801", status: 503, backend: true},
}

const levelPolicies = `
resourcePolicies:
  - Few: {count: 40, unitTime: 1, timeUnit: sec}
subscriptionPolicies:
  - Few: {count: 40, unitTime: 1, timeUnit: sec}
  - Burst: {count: 1000000, unitTime: 1, timeUnit: day, rateLimitCount: 40, rateLimitTimeUnit: sec}
applicationPolicies:
  - Few: {count: 40, unitTime: 1, timeUnit: sec}
  - Burst: {count: 1000000, unitTime: 1, timeUnit: day, rateLimitCount: 40, rateLimitTimeUnit: sec}
customRules:
  - name: Rule
    when: api.name == "custom"
    key: $apiContext
    limit: {count: 40, unitTime: 1, timeUnit: sec}
`

// levelFiles returns a project with every level.
func levelFiles() files {
	f := files{"policies.yaml": levelPolicies}
	apps := "applications:\n"
	for _, l := range levels {
		apps += fmt.Sprintf("  - {name: %s, owner: ann, tier: %s, subscriptions: [{api: %s, version: \"1\", tier: %s}]}\n",
			l.name, tier(l.appTier), l.name, tier(l.planTier))
		f["api_definitions/"+l.name+".yaml"] = l.definition()
	}
	f["applications.yaml"] = apps
	return f
}

func tier(name string) string {
	if name == "" {
		return "Unlimited"
	}
	return name
}

// definition returns the OpenAPI file of the level's API.
func (l level) definition() string {
	var b strings.Builder
	fmt.Fprintf(&b, "openapi: 3.0.3\ninfo: {title: %s, version: \"1\"}\nx-wso2-basePath: /%s/1\n", l.name, l.name)
	b.WriteString("x-wso2-production-endpoints: {urls: [BACKEND]}\n")
	if l.apiTier != "" {
		fmt.Fprintf(&b, "x-wso2-throttling-tier: %s\n", l.apiTier)
	}
	if l.backend {
		fmt.Fprintf(&b, "x-weir-max-throughput: {productionMaxCount: %d, productionUnitTime: 1000}\n", perWindow)
	}
	fmt.Fprintf(&b, "paths:\n  /menu:\n    get: {x-wso2-throttling-tier: %s, responses: {\"200\": {description: fine}}}\n", tier(l.resTier))
	return b.String()
}

// TestEveryLevelIsExact has 64 clients at a time, a third each over HTTP/1.1, h2c
// and HTTP/2 over TLS, ask for far more than each level allows, over several
// windows: in each of them, exactly as many pass as the limit says.
func TestEveryLevelIsExact(t *testing.T) {
	b := newBackend(t, "one")
	p := newProject(t, b.URL, levelFiles())
	for _, l := range levels {
		p.key(l.name, "PRODUCTION")
	}
	cert := newCertificate(t, t.TempDir(), 1)
	g := p.serve(cert.conf())
	clients := []*client{g.h1(t), g.h2c(t), g.h2(t, cert.roots)}
	var admitted atomic.Int64
	t.Run("levels", func(t *testing.T) {
		for _, l := range levels {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				f := &flood{t: t, level: l, clients: clients, key: p.key(l.name, "PRODUCTION"), spent: map[int64]bool{}}
				admitted.Add(f.run(3))
			})
		}
	})
	if got := int64(b.hits()); got != admitted.Load() {
		t.Errorf("%d requests reached the backend, %d were let pass", got, admitted.Load())
	}
}

// A flood is clients that call without a pause.
type flood struct {
	t       *testing.T
	level   level
	clients []*client
	key     string

	mu     sync.Mutex
	passed []span
	spent  map[int64]bool // windows that a refusal was about
	last   int64          // the last window that is waited for; 0: not known yet
}

// A span is the windows in one of which a call was admitted: those from when it
// was sent to when it was answered. A window is a second, in Unix time.
type span struct{ from, to int64 }

// run calls until so many windows have been spent, and returns how many requests
// have passed: in each of these windows as many as the limit says, and in no
// window more.
func (f *flood) run(windows int64) int64 {
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for f.call(f.clients[i%len(f.clients)], windows) {
			}
		})
	}
	all.Wait()
	if len(f.passed) == 0 || f.t.Failed() {
		f.t.Errorf("%d requests passed", len(f.passed))
		return int64(len(f.passed))
	}
	first := slices.MinFunc(f.passed, func(a, b span) int { return cmp.Compare(a.from, b.from) }).from
	last := slices.MaxFunc(f.passed, func(a, b span) int { return cmp.Compare(a.to, b.to) }).to
	for from := first; from <= last; from++ {
		for to := from; to <= last; to++ {
			f.check(from, to)
		}
	}
	return int64(len(f.passed))
}

// check holds what passed in the windows from from to to, both included, to the
// limit: surely in them no more than it allows, and perhaps in them no less than
// what was needed to spend those that were spent.
func (f *flood) check(from, to int64) {
	var surely, perhaps, spent int64
	for _, p := range f.passed {
		if p.from >= from && p.to <= to {
			surely++
		}
		if p.from <= to && p.to >= from {
			perhaps++
		}
	}
	for w := from; w <= to; w++ {
		if f.spent[w] {
			spent++
		}
	}
	if most := (to - from + 1) * perWindow; surely > most || perhaps < spent*perWindow {
		f.t.Errorf("in %d windows, of which %d were spent, %d to %d requests passed", to-from+1, spent, surely, perhaps)
	}
}

// call makes one call. It reports false once the last window has been spent, or
// anything is wrong.
func (f *flood) call(c *client, windows int64) bool {
	sent := time.Now().Unix()
	r, err := c.do("GET", "/"+f.level.name+"/1/menu", "", "ApiKey", f.key)
	if err != nil {
		f.t.Error(err)
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.StatusCode == http.StatusOK {
		f.passed = append(f.passed, span{sent, time.Now().Unix()})
		return true
	}
	if r.StatusCode != f.level.status || !strings.Contains(r.text, `"`+f.level.code+`"`) {
		f.t.Errorf("status %d: %s", r.StatusCode, r.text)
		return false
	}
	body := r.refusal(f.t)
	end, err := time.Parse("2006-Jan-02 15:04:05+0000 UTC", body.NextAccessTime)
	if err != nil || r.number("Retry-After") != 1 || body.Level != f.level.name {
		f.t.Errorf("Retry-After %q, body %s", r.Header.Get("Retry-After"), r.text)
		return false
	}
	window := end.Unix() - 1
	f.spent[window] = true
	if f.last == 0 {
		f.last = window + windows - 1
	}
	return window < f.last
}

// TestRefusals sends one request too many at each level, and reads all of the
// answer; what explain says of the first request is true of it.
func TestRefusals(t *testing.T) {
	b := newBackend(t, "one")
	f := levelFiles()
	for name, text := range f { // windows of a day, which a test does not outlast
		text = strings.ReplaceAll(text, "unitTime: 1, timeUnit: sec", "unitTime: 1, timeUnit: day")
		text = strings.ReplaceAll(text, "rateLimitTimeUnit: sec", "rateLimitTimeUnit: min")
		f[name] = strings.ReplaceAll(text, "productionUnitTime: 1000", "productionUnitTime: 86400000")
	}
	f["policies.yaml"] += "denyPolicies:\n  - {id: no-deny, type: API, value: /deny/1}\n"
	denied := level{name: "deny", code: "900805", status: 403}
	f["api_definitions/deny.yaml"] = denied.definition()
	f["applications.yaml"] += "  - {name: deny, owner: ann, tier: Unlimited, subscriptions: [{api: deny, version: \"1\", tier: Unlimited}]}\n"
	all := append([]level{denied}, levels...)
	p := newProject(t, b.URL, f)
	for _, l := range all {
		p.key(l.name, "PRODUCTION")
	}
	g := p.serve("")
	h1, h2 := g.h1(t), g.h2c(t)
	for _, l := range all {
		t.Run(l.name, func(t *testing.T) {
			path, key := "/"+l.name+"/1/menu", p.key(l.name, "PRODUCTION")
			told := p.explain(t, "--path", path, "--api-key", key)
			if l.name != "deny" {
				l.spend(t, h1, path, key, told)
			} else if told.Answer.Code != l.code || told.Answer.Level != "deny" || told.Answer.Policy != "no-deny" {
				t.Errorf("explain tells %+v", told.Answer)
			}
			for _, c := range []*client{h1, h2} {
				l.refused(t, c, path, key)
			}
		})
	}
}

// spend uses up the level's limit, one call after the other.
func (l level) spend(t *testing.T, c *client, path, key string, told explanation) {
	t.Helper()
	if !told.Answer.Forward || len(told.Checks) == 0 {
		t.Fatalf("explain tells %+v", told)
	}
	check := told.Checks[0]
	for _, c := range told.Checks { // of a burst, the quota stands before it
		if c.Level == l.name {
			check = c
		}
	}
	if check.Level != l.name || check.Uses != 1 || check.Remaining != perWindow-1 || check.Refuses || check.Key == "" {
		t.Errorf("explain tells %+v", told.Checks)
	}
	for i := range perWindow {
		r := c.get(t, path, "ApiKey", key).want(t, 200, "")
		if r.number("X-RateLimit-Limit") != perWindow || r.number("X-RateLimit-Remaining") != perWindow-1-i {
			t.Fatalf("call %d: X-RateLimit-Limit %q, -Remaining %q", i+1, r.Header.Get("X-RateLimit-Limit"), r.Header.Get("X-RateLimit-Remaining"))
		}
		if policy := fmt.Sprintf("%q;q=%d;w=", check.Level+":"+check.Policy, perWindow); !strings.Contains(r.Header.Get("RateLimit-Policy"), policy) {
			t.Fatalf("RateLimit-Policy is %q, without %s", r.Header.Get("RateLimit-Policy"), policy)
		}
	}
}

// refused reads a refusal, as JSON and as XML.
func (l level) refused(t *testing.T, c *client, path, key string) {
	t.Helper()
	r := c.get(t, path, "ApiKey", key, "Accept", "application/json").want(t, l.status, l.code)
	body := r.refusal(t)
	if body.Level != l.name || body.Policy == "" || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("Content-Type %q, body %s", r.Header.Get("Content-Type"), r.text)
	}
	limited := l.name != "deny"
	if (r.number("Retry-After") >= 1) != limited || (body.NextAccessTime != "") != limited {
		t.Errorf("Retry-After %q, nextAccessTime %q", r.Header.Get("Retry-After"), body.NextAccessTime)
	}
	if limited && (r.number("X-RateLimit-Remaining") != 0 || !strings.Contains(r.Header.Get("RateLimit"), `"`+l.name+":"+body.Policy+`";r=0;t=`)) {
		t.Errorf("X-RateLimit-Remaining %q, RateLimit %q", r.Header.Get("X-RateLimit-Remaining"), r.Header.Get("RateLimit"))
	}
	r = c.get(t, path, "ApiKey", key, "Accept", "application/xml")
	if r.StatusCode != l.status || !strings.Contains(r.text, `xmlns:amt="http://wso2.org/apimanager/throttling"`) ||
		!strings.Contains(r.text, "<amt:code>"+l.code+"</amt:code>") || r.Header.Get("Content-Type") != "application/xml; charset=utf-8" {
		t.Errorf("as XML: status %d, %s, %s", r.StatusCode, r.Header.Get("Content-Type"), r.text)
	}
}

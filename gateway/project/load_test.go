package project

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/identity"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// loadShop loads the project that has everything in it.
func loadShop(t testing.TB) *Project {
	t.Helper()
	p, err := Load("testdata/shop")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, _ := json.MarshalIndent(got, "", " ")
		w, _ := json.MarshalIndent(want, "", " ")
		t.Errorf("%s: got %s\nwant %s", what, g, w)
	}
}

func TestLoadAPIs(t *testing.T) {
	p := loadShop(t)
	if p.Name != "shop" {
		t.Errorf("got the name %q, want shop", p.Name)
	}
	stock := &gateway.Endpoints{
		URLs: []string{"http://stock-1.internal:8080/stock", "http://stock-2.internal:8080/stock"}, Failover: true, Timeout: 2500 * time.Millisecond,
	}
	photos := &gateway.Endpoints{URLs: []string{"https://photos.example.com"}}
	want := []gateway.API{
		{
			Name: "Tool Catalogue", Version: "2.1.0", Context: "/tools/2.1.0", AuthHeader: "X-Catalogue-Token",
			CORS: &gateway.CORS{
				AllowOrigins: []string{"https://shop.example.com", "https://admin.example.com"}, AllowMethods: []string{"GET", "POST"},
				AllowHeaders: []string{"Authorization", "Content-Type"}, ExposeHeaders: []string{"X-Total"}, AllowCredentials: true, MaxAge: 10 * time.Minute,
			},
			Production: &gateway.Endpoints{URLs: []string{"http://10.1.0.1:8080/catalogue", "http://10.1.0.2:8080/catalogue"}},
			Sandbox:    &gateway.Endpoints{URLs: []string{"http://sandbox.internal/catalogue/"}, Timeout: 9 * time.Second},
			Resources: []gateway.Resource{
				{Method: "GET", Template: "/tools", Tier: "10kPerMin", DisableSecurity: true, Weight: 2},
				{Method: "POST", Template: "/tools", Tier: "FewWrites", Weight: 10},
				{Method: "GET", Template: "/tools/{toolId}"},
				{Method: "DELETE", Template: "/tools/{toolId}", Tier: "Unlimited", Production: stock},
				{Method: "GET", Template: "/tools/{toolId}/photo.{format}", Production: photos},
			},
		},
		{
			Name: "Legacy Prices", Version: "1.0", Context: "/legacy-prices/1.0",
			Sandbox:   &gateway.Endpoints{URLs: []string{"http://prices.internal"}},
			Resources: []gateway.Resource{{Method: "GET", Template: "/prices"}},
		},
		{
			Name: "Orders 🌱", Version: "1", Context: "/api/orders", Tier: "Office",
			Production: &gateway.Endpoints{URLs: []string{"https://orders.internal:8443"}},
			Resources: []gateway.Resource{
				{Method: "GET", Template: "/orders/{id}"},
				{Method: "PUT", Template: "/orders/{id}", DisableSecurity: true},
				{Method: "GET", Template: "/status", DisableSecurity: true},
			},
		},
	}
	byName := map[string]gateway.API{}
	for _, a := range p.Definition.APIs {
		byName[a.Name] = a
	}
	if len(byName) != len(want) {
		t.Errorf("got %d APIs, want %d", len(byName), len(want))
	}
	for _, w := range want {
		same(t, w.Name, byName[w.Name], w)
	}
	var warnings []string
	for _, w := range p.Warnings {
		warnings = append(warnings, filepath.Base(w.File)+": "+w.Message)
	}
	same(t, "warnings", warnings, []string{
		"catalogue.yaml: TRACE /tools/{toolId}/photo.{format} is not served: the gateway forwards no such requests",
		`policies.yaml: no API has the context "/old/1", so nothing is denied`,
	})
}

// quota returns a limit of n requests in a window.
func quota(n int64, window time.Duration) *limiter.Limit {
	return &limiter.Limit{Count: n, Window: limiter.Window{Length: window}, Accuracy: policy.ByLevel}
}

func TestLoadPolicies(t *testing.T) {
	d := loadShop(t).Definition.Policies
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	month := 2_630_000_000 * time.Millisecond
	want := []policy.Policy{
		{Kind: policy.Advanced, Name: "FewWrites", Limit: quota(5, time.Minute), Per: policy.PerUser},
		{
			Kind: policy.Advanced, Name: "Office", Description: "Generous by day, from the office",
			Limit: &limiter.Limit{Count: 100, Window: limiter.Window{Length: time.Hour}, Algorithm: limiter.SlidingWindow, Accuracy: policy.ByLevel},
			Groups: []policy.Group{
				{Description: "the office", Limit: quota(10000, time.Hour), Conditions: []policy.Condition{
					{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("192.0.2.1/32")}},
					{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("2001:db8::1/128")}, Invert: true},
				}},
				{
					Limit: &limiter.Limit{Count: 10 << 20, Window: limiter.Window{Length: 24 * time.Hour}, Cost: limiter.Bytes, Accuracy: policy.ByLevel},
					Conditions: []policy.Condition{
						{IP: &policy.IPCondition{From: netip.MustParseAddr("198.51.100.10"), To: netip.MustParseAddr("198.51.100.20")}},
						{IP: &policy.IPCondition{Prefix: netip.MustParsePrefix("198.51.100.0/24")}},
						{Header: &policy.ValueCondition{Name: "User-Agent", Pattern: "^curl/"}},
						{Query: &policy.ValueCondition{Name: "debug"}},
						{Claim: &policy.ValueCondition{Name: "role", Pattern: "^admin$"}, Invert: true},
					},
				},
				{Conditions: []policy.Condition{{Header: &policy.ValueCondition{Name: "X-Internal"}}}},
			},
		},
		{
			Kind: policy.Application, Name: "PerToken", Per: policy.PerToken,
			Limit: &limiter.Limit{Count: 60, Window: limiter.Window{Length: 5 * time.Minute}, Algorithm: limiter.TokenBucket, Burst: 10, Accuracy: policy.ByLevel},
		},
		{
			Kind: policy.Application, Name: "Team", Per: policy.PerApplication,
			Limit: &limiter.Limit{Count: 1000, Window: limiter.Window{Calendar: limiter.Day, Location: berlin}, Accuracy: policy.ByLevel},
			Burst: quota(5, time.Second),
		},
		{Kind: policy.Application, Name: "10PerMin", Limit: quota(12, time.Minute)},
		{Kind: policy.Subscription, Name: "Gold", Limit: quota(20, time.Minute), Burst: quota(10, time.Second)},
		{
			Kind: policy.Subscription, Name: "Volume", PassOnQuotaReach: true,
			Limit: &limiter.Limit{Count: 2 << 30, Window: limiter.Window{Length: month}, Cost: limiter.Bytes, Accuracy: limiter.Exact, OnStoreLoss: limiter.Closed},
		},
		{
			Kind: policy.Subscription, Name: "Stream",
			Limit: &limiter.Limit{Count: 500, Window: limiter.Window{Calendar: limiter.Month, Every: 2}, Cost: limiter.Events, Shadow: true, Accuracy: policy.ByLevel},
		},
		{
			Kind: policy.Subscription, Name: "Free",
			Burst: &limiter.Limit{Count: 100, Window: limiter.Window{Length: time.Minute}, Accuracy: limiter.Exact, OnStoreLoss: limiter.Open},
		},
	}
	own := d.Policies[len(d.Policies)-len(want):]
	for i := range want {
		same(t, want[i].Name, own[i], want[i])
	}
	names := map[policyName]int{}
	for _, p := range d.Policies {
		names[policyName{p.Kind, p.Name}]++
	}
	for _, p := range policy.Defaults() {
		if n := names[policyName{p.Kind, p.Name}]; n != 1 {
			t.Errorf("%s policy %s is there %d times, want once", p.Kind, p.Name, n)
		}
	}
}

func TestLoadRules(t *testing.T) {
	d := loadShop(t).Definition.Policies
	same(t, "rules", d.Rules, []policy.CustomRule{{
		Name: "no-scrapers", Description: "Nobody reads the whole catalogue", When: `api.context == "/tools/2.1.0" && request.method == "GET"`,
		Key:   "$apiContext:$clientIp",
		Limit: limiter.Limit{Count: 300, Window: limiter.Window{Length: time.Minute}, Accuracy: limiter.Bounded},
	}})
	same(t, "denies", d.Denies, []policy.Deny{
		{Kind: policy.DenyIP, IP: policy.IPCondition{Prefix: netip.MustParsePrefix("203.0.113.9/32")}},
		{ID: "lab", Kind: policy.DenyIP, IP: policy.IPCondition{Prefix: netip.MustParsePrefix("203.0.113.128/25")}, Off: true},
		{Kind: policy.DenyIPRange, IP: policy.IPCondition{From: netip.MustParseAddr("2001:db8::10"), To: netip.MustParseAddr("2001:db8::20")}},
		{Kind: policy.DenyUser, Value: "mallory"},
		{Kind: policy.DenyApplication, Value: "bob:Crawler"},
		{Kind: policy.DenyAPI, Value: "/old/1"},
	})
	// The figures of maximum-backend-throughput.md: 600 a minute, 700 in five.
	same(t, "backends", d.Backends, []policy.Backend{{
		Context: "/tools/2.1.0", Version: "2.1.0",
		Production: &limiter.Limit{Count: 600, Window: limiter.Window{Length: time.Minute}, Accuracy: policy.ByLevel},
		Sandbox:    &limiter.Limit{Count: 700, Window: limiter.Window{Length: 5 * time.Minute}, Accuracy: policy.ByLevel},
	}})
}

func TestLoadApplications(t *testing.T) {
	same(t, "applications", loadShop(t).Definition.Applications, []identity.Application{
		{
			ID: "Web Shop", Name: "Web Shop", Owner: "alice", Tier: "Team",
			Keys: []identity.Key{
				{Type: weir.Production, Hash: "sha256:" + strings.Repeat("01", 32)},
				{Type: weir.Sandbox, Hash: "sha256:" + strings.Repeat("02", 32)},
			},
			Subscriptions: []identity.Subscription{
				{API: "Tool Catalogue", Version: "2.1.0", Tier: "Gold"}, {API: "Legacy Prices", Version: "1.0", Tier: "Volume"},
			},
		},
		{
			ID: "4711", Name: "Partner", Owner: "bob", Tier: "Unlimited",
			Clients:       []identity.Client{{ID: "partner-client"}, {ID: "partner-trial", Type: weir.Sandbox, Issuer: "https://accounts.example.com"}},
			Subscriptions: []identity.Subscription{{API: "Tool Catalogue", Tier: "Free"}},
		},
	})
}

// TestDefaultContext has the base path of APIs that do not say it.
func TestDefaultContext(t *testing.T) {
	tests := []struct{ name, top, want string }{
		{"no servers", "", "/pet-store/1.0.0"},
		{"a path", "servers: [{url: https://a.example/v2/pets}]", "/v2/pets"},
		{"a slash at its end", "servers: [{url: https://a.example/v2/}]", "/v2"},
		{"only a path", "servers: [{url: /api}]", "/api"},
		{"only a host", "servers: [{url: https://a.example}]", "/pet-store/1.0.0"},
		{"the root", "servers: [{url: /}]", "/pet-store/1.0.0"},
		{"variables", "servers: [{url: 'https://{host}/{base}', variables: {host: {default: x}, base: {default: v7}}}]", "/v7"},
		{"a path that cannot be requested", "servers: [{url: https://a.example/a//b}]", "/pet-store/1.0.0"},
		{"dots", "servers: [{url: https://a.example/a/../b}]", "/pet-store/1.0.0"},
		{"said", "x-wso2-basePath: /x/{version}/", "/x/1.0.0"},
		{"the root, said", "x-wso2-basePath: /", "/"},
	}
	for _, tt := range tests {
		text := "openapi: 3.0.3\ninfo: {title: 'Pet Store!', version: 1.0.0}\n" + tt.top +
			"\nx-wso2-production-endpoints: {urls: [http://a]}\npaths: {}\n"
		p, err := LoadFS(with(map[string]string{"api_definitions/petstore.yaml": text}), "", "x")
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := p.Definition.APIs[0].Context; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestNameContext(t *testing.T) {
	tests := []struct{ name, version, file, want string }{
		{"Pets", "v1", "a.yaml", "/pets/v1"},
		{"Größe & Maß", "1.0 beta", "a.yaml", "/gr-e-ma/1.0-beta"},
		{"宠物", "2", "pet shop.yaml", "/pet-shop/2"},
		{"宠物", "..", "宠.yaml", "/api"},
	}
	for _, tt := range tests {
		got := nameContext(tt.name, tt.version, tt.file)
		if got != tt.want {
			t.Errorf("%q %q: got %s, want %s", tt.name, tt.version, got, tt.want)
		}
		if canonical, fault := canonicalContext(got); fault != "" || canonical != got {
			t.Errorf("%s: %s", got, fault)
		}
	}
}

func TestLoadNothing(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "there is no such project") {
		t.Errorf("no folder: got %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "is no folder") {
		t.Errorf("a file: got %v", err)
	}
	if _, err := LoadFS(filesOf(nil), "", "x"); err == nil || err.Error() != "api_definitions: has no API definition: put an OpenAPI file into it" {
		t.Errorf("an empty folder: got %v", err)
	}
}

func TestFaultsAreErrors(t *testing.T) {
	_, err := LoadFS(with(map[string]string{"policies.yaml": "a: 1\nb: 2\n"}), "shop", "x")
	faults, ok := errors.AsType[Faults](err)
	if !ok || len(faults) != 2 {
		t.Fatalf("got %v, want two faults", err)
	}
	f, ok := errors.AsType[*Fault](err)
	if !ok || f.File != filepath.Join("shop", "policies.yaml") || f.Line != 1 || f.Column != 1 || f.Path != "a" {
		t.Errorf("got %+v, want the fault at the key a", f)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 3 * maxFaults {
		b.WriteString("k" + strings.Repeat("x", i) + ": 1\n")
	}
	_, err := LoadFS(with(map[string]string{"policies.yaml": b.String()}), "", "x")
	faults, _ := errors.AsType[Faults](err)
	if len(faults) != maxFaults+1 || faults[maxFaults].Error() != "200 more faults are not listed" {
		t.Errorf("got %d faults, the last: %v", len(faults), faults[len(faults)-1])
	}
}

// A group's limit is the same beside its conditions and in a mapping of its own.
func TestLoadGroupLimits(t *testing.T) {
	load := func(limit string) []policy.Group {
		p, err := LoadFS(with(map[string]string{"policies.yaml": `resourcePolicies:
  - Office:
      count: 1
      timeUnit: min
      conditionalGroups:
        - {conditions: [{ip: 10.0.0.1}], ` + limit + "}\n"}), "", "case")
		if err != nil {
			t.Fatalf("%s: %v", limit, err)
		}
		for _, p := range p.Definition.Policies.Policies {
			if p.Name == "Office" {
				return p.Groups
			}
		}
		t.Fatalf("%s: the policy is not there", limit)
		return nil
	}
	for _, limit := range []string{"count: 7, timeUnit: hour, algorithm: sliding-window", "dataAmount: 2, dataUnit: MB, timeUnit: day", "unlimited: true"} {
		beside := load(limit)
		if beside[0].Limit == nil && limit != "unlimited: true" {
			t.Errorf("%s: got no limit", limit)
		}
		same(t, limit, load("limit: {"+limit+"}"), beside)
	}
}

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFleetLateGateway starts gateways when a limit is spent already: they refuse
// from the moment at which they work together, without a call that passes.
func TestFleetLateGateway(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	other := f.with("mall")
	tm := f.manager("")
	conf := tm.throttlingConfig("")
	f.holds(t, []*managerProcess{tm}, []*gatewayProcess{f.micro(conf), f.micro(conf)})
	before := f.hits()
	late := []*gatewayProcess{f.micro(conf), f.serveRole("gateway", urlGroup("loadbalance", tm))}
	for _, g := range late {
		began := time.Now()
		g.awaitJoined(t)
		f.refuse(t, g)
		within(t, began, 2*time.Second, "to know what was decided before")
	}
	if f.hits() != before {
		t.Errorf("%d calls passed late gateways", f.hits()-before)
	}
	other.passSlowly(t, 0, 10, []*managerProcess{tm}, late...)
	awaitHeard(t, 1, late...)
	other.refuse(t, late...)
}

const dataPolicies = `
resourcePolicies:
  - Menu:
      count: 100
      unitTime: 1
      timeUnit: day
      conditionalGroups:
        - description: scripts
          conditions:
            - {header: {name: User-Agent, pattern: "^curl"}}
            - {ip: 127.0.0.9}
          count: 10
          timeUnit: min
subscriptionPolicies:
  - Plan: {count: 10, unitTime: 1, timeUnit: day, rateLimitCount: 5, rateLimitTimeUnit: sec, stopOnQuotaReach: false}
  - Volume: {dataAmount: 2, dataUnit: KB, unitTime: 3, timeUnit: hour}
applicationPolicies:
  - Team: {count: 7, unitTime: 2, timeUnit: week}
customRules:
  - name: each
    when: request.method == "GET"
    key: $apiContext:$userId
    limit: {count: 3, unitTime: 1, timeUnit: day}
denyPolicies:
  - {id: "7", type: IP, value: 203.0.113.7}
  - {id: range, type: IPRANGE, from: 198.51.100.1, to: 198.51.100.9, invert: true}
  - {type: USER, value: mallory}
  - {type: APPLICATION, value: "bob:Crawler"}
  - {type: API, value: /secret/1}
  - {type: API, value: /old/1, enabled: false}
`

// TestFleetData asks for what WSO2's gateways and traffic managers ask for, and holds
// it to their shapes.
func TestFleetData(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	f.write(files{"policies.yaml": dataPolicies})
	tm := f.manager("")
	for path, want := range map[string]string{
		"block": `{"api":["/secret/1"],"application":["bob:Crawler"],"custom":[],"ip":[` +
			`{"fixedIp":"203.0.113.7","id":7,"invert":false,"tenantDomain":"carbon.super","type":"IP"},` +
			`{"endingIp":"198.51.100.9","id":"range","invert":true,"startingIp":"198.51.100.1","tenantDomain":"carbon.super","type":"IPRANGE"}],` +
			`"subscription":[],"user":["mallory"]}`,
		"keyTemplates": `["$apiContext:$userId"]`,
		"subscription-policies?policyName=Plan": `[{"defaultLimit":{"quotaType":"requestCount","requestCount":{"requestCount":10,"timeUnit":"day","unitTime":1}},` +
			`"graphQLMaxComplexity":0,"graphQLMaxDepth":0,"name":"Plan","quotaType":"requestCount","rateLimitCount":5,"rateLimitTimeUnit":"sec",` +
			`"stopOnQuotaReach":false,"tenantDomain":"carbon.super","tenantId":-1234}]`,
		"subscription-policies?policyName=Volume": `[{"defaultLimit":{"bandwidth":{"dataAmount":2,"dataUnit":"KB","timeUnit":"hour","unitTime":3},"quotaType":"bandwidthVolume"},` +
			`"graphQLMaxComplexity":0,"graphQLMaxDepth":0,"name":"Volume","quotaType":"bandwidthVolume","rateLimitCount":0,"rateLimitTimeUnit":"",` +
			`"stopOnQuotaReach":true,"tenantDomain":"carbon.super","tenantId":-1234}]`,
		"application-policies?policyName=Team": `[{"burstLimit":{"rateLimitCount":0},"defaultLimit":{"quotaType":"requestCount","requestCount":{"requestCount":7,"timeUnit":"week","unitTime":2}},` +
			`"name":"Team","quotaType":"requestCount","tenantDomain":"carbon.super","tenantId":-1234}]`,
		"api-policies?policyName=Menu": `[{"applicableLevel":"apiLevel","conditionGroups":[{"condition":[` +
			`{"conditionType":"Header","isInverted":false,"name":"User-Agent","value":"^curl"},` +
			`{"conditionType":"IPSpecific","isInverted":false,"name":"IPSpecific","value":"127.0.0.9"}],` +
			`"conditionGroupId":0,"defaultLimit":{"quotaType":"requestCount","requestCount":{"requestCount":10,"timeUnit":"min","unitTime":1}},"quotaType":"requestCount"}],` +
			`"defaultLimit":{"quotaType":"requestCount","requestCount":{"requestCount":100,"timeUnit":"day","unitTime":1}},` +
			`"name":"Menu","quotaType":"requestCount","tenantDomain":"carbon.super","tenantId":-1234}]`,
		"global-policies": `[{"defaultLimit":{"quotaType":"requestCount","requestCount":{"requestCount":3,"timeUnit":"day","unitTime":1}},` +
			`"keyTemplate":"$apiContext:$userId","name":"each","quotaType":"requestCount","siddhiQuery":"","tenantDomain":"carbon.super","tenantId":-1234,` +
			`"when":"request.method == \"GET\""}]`,
		"api-policies?policyName=none": `[]`,
	} {
		r := tm.ask(t, path)
		if got := canonicalJSON(t, r.text); r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" || got != want {
			t.Errorf("GET %s: status %d, %s\n%s\nwant\n%s", path, r.StatusCode, r.Header.Get("Content-Type"), got, want)
		}
	}
}

// canonicalJSON returns a text of JSON with its members in order; of a list of
// policies, the list, without numbers that mean nothing.
func canonicalJSON(t testing.TB, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if o, ok := v.(map[string]any); ok && o["list"] != nil {
		list := o["list"].([]any)
		if n := o["count"]; n != float64(len(list)) || o["pagination"] == nil {
			t.Errorf("count is %v of %d: %s", n, len(list), text)
		}
		for _, p := range list {
			delete(p.(map[string]any), "id")
			groups, _ := p.(map[string]any)["conditionGroups"].([]any)
			for _, g := range groups {
				delete(g.(map[string]any), "policyId")
			}
		}
		v = list
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(out))
}

// TestFleetDecisions asks what is in force: all of it, and then what is new.
func TestFleetDecisions(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	other := f.with("mall")
	tm := f.manager("")
	g := f.micro(tm.throttlingConfig(""))
	f.holds(t, []*managerProcess{tm}, []*gatewayProcess{g})
	type decisions struct {
		Manager, Issuer string
		Version         uint64
		All             bool
		Decisions       []struct {
			ThrottleKey, Level, Policy, Key, Issuer string
			IsThrottled                             bool
			ExpiryTimeStamp, WindowStart            int64
		}
	}
	ask := func(query string) (d decisions) {
		t.Helper()
		if err := json.Unmarshal([]byte(tm.ask(t, "decisions"+query).text), &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	all := ask("")
	begins := time.Now().UTC().Truncate(24 * time.Hour)
	if len(all.Decisions) != 1 || !all.All {
		t.Fatalf("in force are %+v, want one decision", all)
	}
	d := all.Decisions[0]
	if d.ThrottleKey != "shop:/pizza/1:1:Plan" || !d.IsThrottled || d.Level != "subscription" || d.Policy != "Plan" || len(d.Key) != 16 || d.Issuer != all.Issuer ||
		d.WindowStart != begins.UnixMilli() || d.ExpiryTimeStamp != begins.Add(24*time.Hour).UnixMilli() {
		t.Errorf("the decision is %+v", d)
	}
	since := fmt.Sprintf("?manager=%s&version=%d", all.Manager, all.Version)
	if none := ask(since); none.All || len(none.Decisions) != 0 {
		t.Errorf("new are %+v, want nothing", none)
	}
	other.passSlowly(t, 0, 10, []*managerProcess{tm}, g)
	awaitHeard(t, 2, g)
	if fresh := ask(since); fresh.All || len(fresh.Decisions) != 1 || fresh.Decisions[0].ThrottleKey != "mall:/pizza/1:1:Plan" {
		t.Errorf("new are %+v, want one decision on mall", fresh)
	}
	for _, query := range []string{"?manager=x", "?version=-1"} {
		if r := tm.ask(t, "decisions"+query); r.StatusCode != 400 {
			t.Errorf("%s: status %d, want 400", query, r.StatusCode)
		}
	}
}

// TestFleetDirectives gives the traffic manager deny policies and a custom rule that
// the artifact of the gateways does not have: gateways enforce them, as soon as the
// topic tells or from their start, until they are taken back.
func TestFleetDirectives(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 100)
	for _, app := range fleetApps[1:] {
		f.with(app)
	}
	barn := f.with("barn")
	f.build()
	ours := *f
	ours.project = &project{t: t, home: t.TempDir(), backend: f.project.backend, keys: f.keys, binary: server}
	if err := os.CopyFS(ours.path(), os.DirFS(f.path())); err != nil {
		t.Fatal(err)
	}
	ours.made = true
	tm := f.manager("")
	conf := tm.throttlingConfig("")
	gateways := []*gatewayProcess{ours.micro(conf), ours.serveRole("gateway", urlGroup("loadbalance", tm))}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	f.pass(t, 2, gateways...)
	reload := func(policies string) {
		t.Helper()
		f.write(files{"policies.yaml": fleetPolicies(100) + policies})
		f.build()
		tm.signal(syscall.SIGHUP)
	}
	status := func(f *fleet, want int, code string, all ...*gatewayProcess) {
		t.Helper()
		for _, g := range all {
			until(t, fmt.Sprintf("status %d", want), func() bool { return f.call(t, g).StatusCode == want })
			if want != 200 {
				f.call(t, g).want(t, want, code)
			}
		}
	}

	reload("denyPolicies:\n  - {id: \"3\", type: APPLICATION, value: \"ann:barn\"}\n")
	status(barn, 403, "900805", gateways...)
	f.pass(t, 2, gateways...)
	late := ours.micro(conf)
	late.awaitJoined(t)
	status(barn, 403, "900805", late)

	reload("denyPolicies:\n  - {id: \"4\", type: API, value: /pizza/1}\n")
	status(f, 403, "900805", append(gateways, late)...)
	reload("")
	status(f, 200, "", append(gateways, late)...)
	status(barn, 200, "", append(gateways, late)...)

	reload("customRules:\n  - {name: few, key: \"$apiContext:$appId\", limit: {count: 3, unitTime: 1, timeUnit: day}}\n")
	status(barn, 429, "900806", append(gateways, late)...)
	status(f, 429, "900806", append(gateways, late)...)
	reload("")
	status(f, 200, "", append(gateways, late)...)
	status(barn, 200, "", append(gateways, late)...)
}

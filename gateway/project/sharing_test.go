package project

import (
	"bytes"
	"testing"

	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// TestAccuracyIsSaidOrNot reads limits that say how closely a fleet is held to them,
// and limits that leave it to their level. An artifact keeps which is which.
func TestAccuracyIsSaidOrNot(t *testing.T) {
	p, err := LoadFS(filesOf(map[string]string{
		"policies.yaml": `
resourcePolicies:
  - Silent: {count: 1, timeUnit: min}
  - Eventual: {count: 1, timeUnit: min, accuracy: eventual}
  - Bounded: {count: 1, timeUnit: min, accuracy: bounded, onStoreLoss: local}
applicationPolicies:
  - Bursts: {count: 1, timeUnit: min, accuracy: exact, rateLimitCount: 1, rateLimitTimeUnit: sec, rateLimitAccuracy: eventual, rateLimitOnStoreLoss: closed}
  - SilentBursts: {count: 1, timeUnit: min, accuracy: exact, rateLimitCount: 1, rateLimitTimeUnit: sec, onStoreLoss: open}
`,
		"api_definitions/petstore.yaml": `
openapi: 3.0.3
info: {title: Petstore, version: 1.0.0}
x-wso2-production-endpoints: {urls: [http://127.0.0.1:9091]}
x-weir-max-throughput: {productionMaxCount: 5, sandboxMaxCount: 6, accuracy: eventual, onStoreLoss: closed}
paths: {}
`,
		"api_definitions/silent.yaml": `
openapi: 3.0.3
info: {title: Silent, version: 1.0.0}
x-wso2-basePath: /silent
x-wso2-production-endpoints: {urls: [http://127.0.0.1:9091]}
x-weir-max-throughput: {productionMaxCount: 5}
paths: {}
`,
	}), "", "sharing")
	if err != nil {
		t.Fatal(err)
	}
	type said struct {
		accuracy limiter.Accuracy
		loss     limiter.OnStoreLoss
	}
	none := limiter.ByAccuracy
	want := map[string]said{
		"Silent": {policy.ByLevel, none}, "Eventual": {limiter.Eventual, none}, "Bounded": {limiter.Bounded, limiter.Local},
		"Bursts": {limiter.Exact, none}, "Bursts burst": {limiter.Eventual, limiter.Closed},
		"SilentBursts": {limiter.Exact, limiter.Open}, "SilentBursts burst": {policy.ByLevel, none},
		"10kPerMin": {policy.ByLevel, none}, "Unauthenticated": {policy.ByLevel, none},
		"/petstore/1.0.0 production": {limiter.Eventual, limiter.Closed}, "/petstore/1.0.0 sandbox": {limiter.Eventual, limiter.Closed},
		"/silent production": {policy.ByLevel, none},
	}
	data := encode(t, &p.Definition)
	again, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for from, d := range map[string]policy.Definition{"project": p.Definition.Policies, "artifact": again.Policies} {
		got := map[string]said{}
		note := func(name string, l *limiter.Limit) {
			if _, asked := want[name]; asked && l != nil {
				got[name] = said{l.Accuracy, l.OnStoreLoss}
			}
		}
		for _, p := range d.Policies {
			note(p.Name, p.Limit)
			note(p.Name+" burst", p.Burst)
		}
		for _, b := range d.Backends {
			note(b.Context+" production", b.Production)
			note(b.Context+" sandbox", b.Sandbox)
		}
		same(t, from, got, want)
	}
}

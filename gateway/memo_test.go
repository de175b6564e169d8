package gateway

import (
	"testing"

	"github.com/weir-project/weir/gateway/identity"
)

// An exchange that is used again answers each call as a new one would, whatever
// was called before.
func TestMemoChangesNothing(t *testing.T) {
	w := newWorld(t)
	calls := []*Exchange{
		call("GET", "/pizza/1/menu", "ApiKey", w.production),
		call("GET", "/pizza/1/menu", "ApiKey", w.sandbox),
		call("GET", "/pizza/1/menu", "ApiKey", w.stranger),
		call("GET", "/pizza/1/menu"),
		call("GET", "/pizza/1/menu", "ApiKey", w.production+"x"),
		call("GET", "/pizza/1/m%65nu", "ApiKey", w.production),
		call("DELETE", "/pizza/1/menu", "ApiKey", w.production),
		call("GET", "/pizza/1/open"),
		call("GET", "/pizza/1/heavy", "Authorization", "Bearer "+w.production),
		call("GET", "/pizza/1//menu", "ApiKey", w.production),
		call("POST", "/pizza/1/orders/1?ApiKey="+w.production),
		call("GET", "/nothing", "ApiKey", w.production),
	}
	bad := call("GET", "/pizza/1/menu", "ApiKey", w.production)
	bad.Host = "a@b"
	calls = append(calls, bad)
	type result struct {
		status            int
		path, query, host string
		application       string
		resource          string
	}
	of := func(x *Exchange) result {
		r := result{path: x.ForwardPath, query: x.ForwardQuery, application: x.Request.Application.ID, resource: x.Request.Resource}
		if a := w.Admit(x); a != nil {
			r.status = a.Status
		} else {
			r.host = x.Upstream.Targets()[0].Host
		}
		r.path, r.query, r.application, r.resource = x.ForwardPath, x.ForwardQuery, x.Request.Application.ID, x.Request.Resource
		w.Finish(x, Outcome{}) // given back, so that the order of calls doesn't matter
		return r
	}
	used := &Exchange{}
	for i, first := range calls {
		for j, second := range calls {
			for _, x := range []*Exchange{first, second, second} {
				used.Reset()
				used.Time, used.Method, used.Host, used.Path, used.RawQuery = x.Time, x.Method, x.Host, x.Path, x.RawQuery
				used.Peer, used.Headers = x.Peer, x.Headers
				fresh := *x
				fresh.scratch, fresh.Fields, fresh.Match = nil, nil, used.Match
				if got, want := of(used), of(&fresh); got != want {
					t.Fatalf("call %d after %d: %+v, want %+v", j, i, got, want)
				}
			}
		}
	}
}

// What is remembered of one definition is not believed under the next.
func TestMemoForgets(t *testing.T) {
	w := newWorld(t)
	x := call("GET", "/pizza/1/menu", "ApiKey", w.production)
	if a := w.Admit(x); a != nil {
		t.Fatalf("answer %d %s", a.Status, a.Body)
	}
	d := w.definition
	d.Applications = append([]identity.Application{}, d.Applications...)
	d.Applications[0].Keys = d.Applications[0].Keys[1:] // the key is revoked
	if err := w.Apply(d); err != nil {
		t.Fatal(err)
	}
	x.again()
	if a := w.Admit(x); a == nil || a.Status != 401 {
		t.Errorf("a revoked key: answer %+v, want 401", a)
	}
	d.APIs = append([]API{}, w.definition.APIs...)
	d.APIs[0].Context = "/pizza/2"
	d.Policies.Backends = nil
	if err := w.Apply(d); err != nil {
		t.Fatal(err)
	}
	x.again()
	if a := w.Admit(x); a == nil || a.Status != 404 {
		t.Errorf("a path that moved: answer %+v, want 404", a)
	}
}

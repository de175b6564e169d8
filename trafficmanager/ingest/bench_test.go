package ingest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/policy"
)

// twenty is a definition of twenty policies, of which an event of caller is
// counted by three.
func twenty() *policy.Definition {
	d := &policy.Definition{}
	for i := range 6 {
		d.Policies = append(d.Policies,
			policy.Policy{Kind: policy.Advanced, Name: fmt.Sprint("Advanced", i), Limit: perMinute(1 << 40), Groups: []policy.Group{
				{Limit: perMinute(1 << 40), Conditions: []policy.Condition{{Header: &policy.ValueCondition{Name: "x-plan", Pattern: "^gold$"}}}},
			}},
			policy.Policy{Kind: policy.Subscription, Name: fmt.Sprint("Plan", i), Limit: perMinute(1 << 40)},
			policy.Policy{Kind: policy.Application, Name: fmt.Sprint("App", i), Limit: perMinute(1 << 40)})
	}
	d.Rules = []policy.CustomRule{{Name: "user", Key: "$userId", Limit: *perMinute(1 << 40)}, {Name: "app", Key: "$appId", Limit: *perMinute(1 << 40)}}
	return d
}

func caller(i int) weir.Event {
	return weir.Event{Spent: weir.Spent{Requests: 1, Events: 1}, Request: weir.Request{
		Time: t0, API: "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu", Verb: "GET", ResourceTier: "Advanced3",
		Application:      weir.Application{ID: fmt.Sprint("application-", i), Name: "shop", Owner: "bob", Tier: "App3"},
		SubscriptionTier: "Plan3", User: fmt.Sprint("user-", i),
	}}
}

// A sink is a ResponseWriter that keeps the status.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// BenchmarkReceive is an event on its way through the handler, with
// authentication, in calls of 100 events, matched with 20 policies and counted.
func BenchmarkReceive(b *testing.B) {
	const events = 100
	var all event.Encoder
	var array bytes.Buffer
	for i := range events {
		e := caller(i)
		all.Spend(all.Request(&weir.Fields{}, &e.Request), e.Spent)
		array.WriteByte("[,"[min(i, 1)])
		array.Write(event.AppendWSO2(nil, "", &weir.Fields{}, &e))
	}
	array.WriteByte(']')
	body := all.Body()
	for _, way := range []struct {
		name, path, media string
		body              func(seq uint64) []byte
	}{
		{"batch", "/endpoints/events", event.MediaType, func(seq uint64) []byte {
			h := event.Header{Incarnation: 1, Seq: seq, Sent: t0, Manager: 0x4d, First: seq == 1, Restates: seq == 1}
			return append(event.AppendHeader(nil, &h), body...)
		}},
		{"json", "/endpoints/throttleEventReceiver", "application/json", func(uint64) []byte { return array.Bytes() }},
	} {
		b.Run(way.name, func(b *testing.B) {
			s := serve(b, twenty())
			r := httptest.NewRequest("POST", way.path, nil)
			r.SetBasicAuth("admin", "secret")
			r.Header.Set("Content-Type", way.media)
			w := &sink{header: http.Header{}}
			n, seq := 0, uint64(0)
			b.ReportAllocs()
			for b.Loop() { // an iteration is an event
				if n++; n%events != 1 {
					continue
				}
				seq++
				p := way.body(seq)
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(p)), int64(len(p))
				if s.ServeHTTP(w, r); w.status != http.StatusOK {
					b.Fatalf("call %d: %d", seq, w.status)
				}
			}
		})
	}
}

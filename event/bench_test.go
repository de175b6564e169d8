package event_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

// busy returns n different calls: of 40 users, at one of 5 resources each.
func busy(n int) []weir.Request {
	all := make([]weir.Request, n)
	for i := range all {
		r := call()
		r.Headers, r.Query, r.Claims = nil, nil, nil
		r.Resource = fmt.Sprintf("/menu/%d/{id}", i%5)
		r.User = fmt.Sprintf("user-%d@example.org", i%40)
		r.Application.ID = fmt.Sprint(i % 20)
		all[i] = r
	}
	return all
}

func BenchmarkEncode(b *testing.B) {
	const n = 200
	all := busy(n)
	var e event.Encoder
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		for i := range all {
			e.Spend(e.Request(&everything, &all[i]), weir.Spent{Requests: 1, Bytes: 900, Events: 1})
		}
		e.Body()
	}
	perEvent(b, n)
}

func BenchmarkAppendRequest(b *testing.B) {
	r := call()
	var p []byte
	b.ReportAllocs()
	for b.Loop() {
		p = event.AppendRequest(p[:0], &everything, &r)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{100, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var e event.Encoder
			for _, r := range busy(n) {
				e.Spend(e.Request(&everything, &r), weir.Spent{Requests: 1, Bytes: 900, Events: 1})
			}
			p := batch(&header, e.Body())
			var d event.Decoder
			var h event.Header
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decode(p, &h, func(int, *weir.Event) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			perEvent(b, n)
			b.ReportMetric(float64(len(p))/float64(n), "B/event")
		})
	}
}

// BenchmarkDecodeJSON is the same events as encoding/json reads them into a struct,
// to compare with.
func BenchmarkDecodeJSON(b *testing.B) {
	const n = 100
	type plain struct {
		Time, Requests, Bytes, Events                      int64
		Context, Version, Resource, Verb, API, User, Token string
		APITier, ResourceTier, SubscriptionTier, ClientIP  string
		ApplicationID, ApplicationName, ApplicationOwner   string
		ApplicationTier                                    string
	}
	var all []plain
	for _, r := range busy(n) {
		all = append(all, plain{
			r.Time.UnixNano(), 1, 900, 1, r.Context, r.Version, r.Resource, r.Verb, r.API, r.User, r.Token,
			r.APITier, r.ResourceTier, r.SubscriptionTier, r.ClientIP.String(),
			r.Application.ID, r.Application.Name, r.Application.Owner, r.Application.Tier,
		})
	}
	p, err := json.Marshal(all)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var into []plain
		if err := json.Unmarshal(p, &into); err != nil {
			b.Fatal(err)
		}
	}
	perEvent(b, n)
}

func perEvent(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
}

// wso2Batch returns n different events as one array of WSO2's JSON.
func wso2Batch(n int) []byte {
	p := []byte("[")
	for i, r := range busy(n) {
		if i > 0 {
			p = append(p, ',')
		}
		e := weir.Event{Request: r, Spent: weir.Spent{Requests: 1, Bytes: 900, Events: 1}}
		p = event.AppendWSO2(p, "urn:uuid:5b0c6c1e-7f5a-4b7e-9a3e-0d4c8f6d2a11", &everything, &e)
	}
	return append(p, ']')
}

func BenchmarkDecodeWSO2(b *testing.B) {
	const n = 100
	p := wso2Batch(n)
	var d event.WSO2Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(p, admitted, func(int, *weir.Event) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	perEvent(b, n)
	b.ReportMetric(float64(len(p))/n, "B/event")
}

// BenchmarkDecodeWSO2Library is the same with encoding/json, into structs.
func BenchmarkDecodeWSO2Library(b *testing.B) {
	const n = 100
	type envelope struct {
		Event struct {
			PayloadData struct {
				MessageID, AppKey, AppTier, APIKey, APITier, SubscriptionKey, SubscriptionTier  string
				ResourceKey, ResourceTier, UserID, APIContext, APIVersion, AppTenant, APITenant string
				AppID, APIName, Properties, KeyType, ApplicationName, ApplicationOwner, Token   string
				Timestamp                                                                       int64
			}
		}
	}
	p := wso2Batch(n)
	b.ReportAllocs()
	for b.Loop() {
		var all []envelope
		if err := json.Unmarshal(p, &all); err != nil {
			b.Fatal(err)
		}
		for i := range all {
			var properties map[string]any
			if err := json.Unmarshal([]byte(all[i].Event.PayloadData.Properties), &properties); err != nil {
				b.Fatal(err)
			}
		}
	}
	perEvent(b, n)
}

func BenchmarkAppendWSO2(b *testing.B) {
	e := weir.Event{Request: busy(1)[0], Spent: weir.Spent{Requests: 1, Bytes: 900, Events: 1}}
	var p []byte
	b.ReportAllocs()
	for b.Loop() {
		p = event.AppendWSO2(p[:0], "", &everything, &e)
	}
}

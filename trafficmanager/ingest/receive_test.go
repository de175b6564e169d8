package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

// tell sends a batch, which must be answered by a reply.
func (s *service) tell(body []byte) event.Reply {
	s.t.Helper()
	w := s.ask("POST", "/endpoints/events", event.MediaType, body)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != event.MediaType {
		s.t.Fatalf("a batch is answered by %d %q", w.Code, w.Body)
	}
	r, err := event.ParseReply(w.Body.Bytes())
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// TestEvents is a gateway from its first batch on.
func TestEvents(t *testing.T) {
	s := serve(t, gold(10))
	h := event.Header{Node: "gw-1", Incarnation: 1, Seq: 1, Sent: t0}
	if r := s.tell(batch(h, 3, "5")); !r.Restate || r.Manager != 0x4d || r.Issuer != "tm-1" || !r.Now.Equal(t0) || !r.All {
		t.Errorf("a gateway that is not known is answered by %+v", r)
	}
	f := first()
	f.Seq, f.Manager = 2, 0x4d
	if r := s.tell(batch(f, 3, "5", "6")); r.Restate || len(r.Refused) > 0 {
		t.Errorf("its restatement is answered by %+v", r)
	}
	h.Seq, h.Manager = 3, 0x4d
	body := batch(h, 7, "5")
	r := s.tell(body)
	if len(r.Decisions) != 1 || r.Decisions[0].Text != "5:/pizza/1:1:Gold" || r.All || r.Version != 1 {
		t.Errorf("the event that spends the limit is answered by %+v", r)
	}
	if r = s.tell(body); len(r.Decisions) != 1 || r.Restate {
		t.Errorf("sent again, it is answered by %+v", r)
	}
	h.Seq, h.Version = 0, r.Version
	if r = s.tell(event.AppendHeader(nil, &h)); len(r.Decisions) != 0 || r.Restate || r.Version != 1 {
		t.Errorf("a call without events is answered by %+v", r)
	}
	if top := s.manager.Top(t0, 1); len(top) != 1 || top[0].Used != 10 || !top[0].Throttled {
		t.Errorf("counted are %+v", top)
	}
}

// TestRefused refuses each bad event by its index and counts the rest.
func TestRefused(t *testing.T) {
	s := serve(t, gold(1000))
	f := first()
	s.tell(event.AppendHeader(nil, &f))
	h := event.Header{Incarnation: 1, Seq: 2, Sent: t0, Manager: 0x4d}
	var e event.Encoder
	for i := range 3000 {
		r := weir.Request{Time: t0, Context: "/pizza/1", Version: "1", Application: weir.Application{ID: "5"}, SubscriptionTier: "Gold", User: "alice"}
		switch {
		case i == 1:
			r.Time = t0.Add(-time.Minute) // late, not wrong
		case i%2 == 0:
			r.Context = ""
		}
		e.Spend(e.Request(&weir.Fields{}, &r), weir.Spent{Requests: 1})
	}
	body := append(event.AppendHeader(nil, &h), e.Body()...)
	r := s.tell(body)
	if len(r.Refused) != maxRefusals || r.Refused[1].Index != 2 || r.Refused[1].Reason == "" || r.Late != 1 {
		t.Errorf("%d are refused, %d late, the second is %+v", len(r.Refused), r.Late, r.Refused[1])
	}
	got := s.manager.Stats(t0)
	if got.Refused != 1500 || got.Counted != 1499 || got.Late != 1 {
		t.Errorf("stats are %+v", got)
	}
	// The answer was lost.
	if r = s.tell(body); r.Restate {
		t.Error("asked to restate what was counted")
	}
	if again := s.manager.Stats(t0); again.Counted != got.Counted || again.Repeated != 1 || again.Refused != got.Refused {
		t.Errorf("stats are %+v", again)
	}
}

// TestWSO2 takes events as WSO2's gateways send them (reference 1.5): one, or an
// array, of which each stands for itself.
func TestWSO2(t *testing.T) {
	event := func(app, more string) string {
		return `{"event":{"metaData":{},"correlationData":{},"payloadData":{"messageID":"m-1","appKey":"` + app + `:alice@carbon.super","appTier":"50PerMin",` +
			`"apiKey":"/pizza/1:1","apiTier":"","subscriptionKey":"` + app + `:/pizza/1:1","subscriptionTier":"Gold","resourceKey":"/pizza/1/1/menu:GET",` +
			`"resourceTier":"Unlimited","userId":"alice@carbon.super","apiContext":"/pizza/1","apiVersion":"1","appTenant":"carbon.super",` +
			`"apiTenant":"carbon.super","appId":"` + app + `","apiName":"Pizza",` + more + `"properties":"{\"ip\":167838211,\"ipv6\":0}"}}}`
	}
	five, bad := event("5", ""), `{"event":{"payloadData":{"appId":"5"}}}`
	for _, tt := range []struct {
		name, body string
		status     int
		answer     string // its beginning
		used       int64
	}{
		{"one", five, 200, `{"accepted":1,"refused":[]}`, 1},
		{"an array", "[" + five + "," + five + "]", 200, `{"accepted":2,"refused":[]}`, 2},
		{"an empty array", "[]", 200, `{"accepted":0,"refused":[]}`, 0},
		{"spaces", " \n[ " + five + " ] ", 200, `{"accepted":1,"refused":[]}`, 1},
		{"with a count", event("5", `"count":7,`), 200, `{"accepted":1,"refused":[]}`, 7},
		{"late", "[" + five + "," + event("5", `"timestamp":1780315100000,`) + "]", 200, `{"accepted":1,"late":1,"refused":[]}`, 1},
		{"one of three is wrong", "[" + five + "," + bad + "," + five + "]", 200, `{"accepted":2,"refused":[{"index":1,"reason":"`, 2},
		{"none is right", bad, 200, `{"accepted":0,"refused":[{"index":0,"reason":"`, 0},
		{"cut short", "[" + five + "," + five[:50], 400, `{"error":"events: at byte `, 0},
		{"no JSON", "hello", 400, `{"error":"events: at byte 0`, 0},
		{"nothing", "", 400, `{"error":"`, 0},
		{"too deep", strings.Repeat("[", 100_000), 400, `{"error":"`, 0},
	} {
		s := serve(t, gold(1000))
		w := s.ask("POST", "/endpoints/throttleEventReceiver", "application/json; charset=utf-8", []byte(tt.body))
		if got := w.Body.String(); w.Code != tt.status || !strings.HasPrefix(got, tt.answer) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, w.Code, got, tt.status, tt.answer)
		}
		var used int64
		for _, u := range s.manager.Top(t0, 10) {
			used += u.Used
			if u.Text != "5:/pizza/1:1:Gold" {
				t.Errorf("%s: counted under %s", tt.name, u.Text)
			}
		}
		if used != tt.used {
			t.Errorf("%s: counted %d, want %d", tt.name, used, tt.used)
		}
	}
	s := serve(t, gold(1000))
	if w := s.ask("POST", "/endpoints/throttleEventReceiver", "text/plain", []byte(five)); w.Code != 415 {
		t.Errorf("of another type: %d", w.Code)
	}
}

// TestMixed counts what WSO2's gateways tell and what ours do under the same keys
// (W33).
func TestMixed(t *testing.T) {
	s := serve(t, gold(10))
	s.tell(batch(first(), 6, "5"))
	var f weir.Fields
	e := weir.Event{Spent: weir.Spent{Requests: 4, Events: 4}, Request: weir.Request{
		Time: t0, API: "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu", Verb: "GET",
		Application: weir.Application{ID: "5"}, SubscriptionTier: "Gold", User: "alice",
	}}
	w := s.ask("POST", "/endpoints/throttleEventReceiver", "application/json", event.AppendWSO2(nil, "", &f, &e))
	if top := s.manager.Top(t0, 10); w.Code != 200 || len(top) != 1 || top[0].Used != 10 || !top[0].Throttled {
		t.Errorf("%d %s: counted are %+v", w.Code, w.Body, top)
	}
}

// TestCompressed counts a batch that is as large as it may be when decompressed.
func TestCompressed(t *testing.T) {
	s := serve(t, gold(1<<40))
	var apps []string
	for i := range 5000 {
		apps = append(apps, fmt.Sprint("application ", i))
	}
	body := batch(first(), 1, apps...)
	w := s.ask("POST", "/endpoints/events", event.MediaType, zipped(body), func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
	if w.Code != http.StatusOK || s.manager.Stats(t0).Counted != 5000 {
		t.Errorf("%d: %+v", w.Code, s.manager.Stats(t0))
	}
}

// FuzzEvents sends whatever to the receivers: there is an answer, and what is
// answered otherwise than by 200 was not counted.
func FuzzEvents(f *testing.F) {
	f.Add(false, event.MediaType, "", batch(first(), 1, "5"))
	f.Add(false, event.MediaType, "gzip", zipped(batch(first(), 1, "5")))
	f.Add(true, "application/json", "", []byte(`{"event":{"payloadData":{"appKey":"5:alice"}}}`))
	s := serve(f, gold(10))
	f.Fuzz(func(t *testing.T, wso2 bool, media, encoding string, body []byte) {
		before := s.manager.Stats(t0).Counted
		path := "/endpoints/events"
		if wso2 {
			path = "/endpoints/throttleEventReceiver"
		}
		w := s.ask("POST", path, media, body, func(r *http.Request) {
			if encoding != "" {
				r.Header.Set("Content-Encoding", encoding)
			}
		})
		if n := s.manager.Stats(t0).Counted - before; w.Code != http.StatusOK && n > 0 {
			t.Errorf("%d, and %d counted", w.Code, n)
		}
		if w.Code != http.StatusOK && !bytes.HasPrefix(w.Body.Bytes(), []byte("{")) && w.Code != http.StatusNotFound {
			t.Errorf("%d %q", w.Code, w.Body)
		}
	})
}

package ingest

import (
	"bytes"
	"fmt"
	"net/http"
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

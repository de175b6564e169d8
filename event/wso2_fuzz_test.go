package event_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

// object is an object of JSON, as encoding/json reads it.
type object map[string]json.RawMessage

// text returns a member that is null, a text or a number, as text.
func (o object) text(t *testing.T, name string) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(o[name]))
	d.UseNumber()
	if len(o[name]) > 0 {
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	}
	t.Errorf("%s is taken: %s", name, o[name])
	return ""
}

func (o object) number(t *testing.T, name string, or int64) int64 {
	s := o.text(t, name)
	if s == "" {
		return or
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Errorf("%s is taken: %v", name, err)
	}
	return n
}

// member returns a member that is an object.
func (o object) member(t *testing.T, name string) (m object) {
	if err := json.Unmarshal(o[name], &m); err != nil || m == nil {
		t.Fatalf("%s is taken: %v, %s", name, err, o[name])
	}
	return m
}

// properties returns the properties of an event.
func (o object) properties(t *testing.T) object {
	raw := o["properties"]
	if len(raw) > 0 && raw[0] == '"' {
		raw = json.RawMessage(o.text(t, "properties"))
	}
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var p object
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatalf("properties are taken: %v, %s", err, raw)
	}
	return p
}

// checkEvent holds an event that was decoded against what encoding/json reads.
func checkEvent(t *testing.T, raw json.RawMessage, e *weir.Event) {
	var whole object
	if err := json.Unmarshal(raw, &whole); err != nil {
		t.Fatal(err)
	}
	o := whole.member(t, "event").member(t, "payloadData")
	r := &e.Request
	for name, got := range map[string]string{
		"apiContext": r.Context, "apiVersion": r.Version, "apiName": r.API, "appId": r.Application.ID, "appTier": r.Application.Tier,
		"subscriptionTier": r.SubscriptionTier, "resourceTier": r.ResourceTier, "token": r.Token, "applicationOwner": r.Application.Owner,
	} {
		if want := o.text(t, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if want := strings.TrimSuffix(o.text(t, "userId"), "@carbon.super"); r.User != want {
		t.Errorf("user %q, want %q", r.User, want)
	}
	api := r.Context + ":" + r.Version
	if got, want := r.Context+"/"+r.Version+r.Resource+":"+r.Verb, o.text(t, "resourceKey"); got != want && want != api && want != "" {
		t.Errorf("resource key %q, want %q", got, want)
	}
	want := weir.Spent{Requests: o.number(t, "count", 1), Bytes: o.number(t, "bytes", e.Spent.Bytes)}
	if want.Events = o.number(t, "events", want.Requests); e.Spent != want {
		t.Errorf("spent %+v, want %+v", e.Spent, want)
	}
	if at := time.UnixMilli(o.number(t, "timestamp", now.UnixMilli())); !r.Time.Equal(at) {
		t.Errorf("time %v, want %v", r.Time, at)
	}
	p := o.properties(t)
	for name := range p {
		value := string(p[name])
		if value[0] == '"' {
			value = p.text(t, name)
		}
		if r.Query == nil {
			continue
		}
		if got, ok := r.Query.Value(name); ok && len(value) <= 64<<10 && (got != value || value == "null" && p[name][0] != '"') {
			t.Errorf("property %q is %q, want %q", name, got, value)
		}
	}
}

// What we take encoding/json takes, with the same values; and what it takes we do,
// but for what is too deep or too much.
func FuzzDecodeWSO2(f *testing.F) {
	f.Add([]byte(document))
	for _, e := range wso2Events() {
		f.Add(event.AppendWSO2(nil, "", &everything, &e))
	}
	f.Add([]byte("[" + document + "," + properties(`{"a\u00e9":[1,{}],"x":"\ud83d\ude00\ud800","y":true,"ip":null}`) + "]"))
	f.Add([]byte(`[{"event":{"payloadData":{"apiContext":"/","count":"-3","\u0061ppId":7}}},1,null]`))
	f.Fuzz(func(t *testing.T, p []byte) {
		var raws []json.RawMessage
		trimmed := bytes.Trim(p, " \t\r\n")
		if !bytes.HasPrefix(trimmed, []byte("[")) {
			raws = []json.RawMessage{trimmed}
		} else if json.Valid(p) {
			if err := json.Unmarshal(p, &raws); err != nil {
				t.Fatal(err)
			}
		}
		next := 0
		var d event.WSO2Decoder
		refused, err := d.Decode(p, now, func(i int, e *weir.Event) error {
			if i < next {
				t.Errorf("event %d after %d", i, next-1)
			}
			next = i + 1
			checkEvent(t, raws[i], e)
			return nil
		})
		known := json.Valid(p) && len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[')
		limited := err != nil && (strings.HasSuffix(err.Error(), "nested too deep") || strings.HasSuffix(err.Error(), fmt.Sprintf("more than %d events", event.MaxWSO2Events)))
		if (err == nil) != known && !limited {
			t.Errorf("%v, and encoding/json takes it: %v", err, known)
		}
		if err != nil && (next > 0 || refused != nil) {
			t.Errorf("%v, and events were looked at", err)
		}
		for _, r := range refused {
			if r.Index >= len(raws) || r.Reason == "" {
				t.Errorf("refused: %+v of %d", r, len(raws))
			}
		}
	})
}

// What is told in WSO2's form is decoded, whatever stands in it.
func FuzzAppendWSO2(f *testing.F) {
	f.Add("/pizza/1", "1", "/menu/{id}", "GET", "alice", "5", "50PerMin", "gold", int64(1), int64(2))
	f.Add("/\xff", "\"", "/\\", "\u2028", "a@carbon.super", "::1", "", "\x00", int64(-1), int64(-2))
	f.Fuzz(func(t *testing.T, context, version, resource, verb, user, id, tier, value string, n, bytes int64) {
		if len(context+version+resource+verb+user+id+tier) > 1000 || strings.ContainsAny(verb, ":") || resource != "" && resource[0] != '/' {
			return
		}
		e := weir.Event{
			Request: weir.Request{
				Time: admitted, Context: "/" + context, Version: version, Resource: resource, Verb: verb, User: user, ResourceTier: tier,
				Application: weir.Application{ID: id, Tier: tier}, SubscriptionTier: tier, Headers: bag{"x-plan": value}, Token: value[:min(len(value), 1000)],
			},
			Spent: weir.Spent{Requests: n % (1 << 53), Bytes: bytes % (1 << 53), Events: 3},
		}
		p := event.AppendWSO2(nil, "", &everything, &e)
		if !json.Valid(p) {
			t.Fatalf("it is no JSON: %s", p)
		}
		var d event.WSO2Decoder
		got, refused := decodeWSO2(t, &d, p)
		if len(refused) > 0 || len(got) != 1 || got[0].Spent != e.Spent {
			t.Errorf("%+v, refused %v, of %s", got, refused, p)
		}
		if got[0].Request.Context != strings.ToValidUTF8(e.Request.Context, "\uFFFD") && !strings.Contains(got[0].Request.Context, "\uFFFD") {
			t.Errorf("context %q, want %q", got[0].Request.Context, e.Request.Context)
		}
	})
}

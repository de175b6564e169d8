package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

var now = time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC)

// decodeWSO2 returns all events of p.
func decodeWSO2(tb testing.TB, d *event.WSO2Decoder, p []byte) ([]told, []event.Refusal) {
	tb.Helper()
	var all []told
	refused, err := d.Decode(p, now, func(i int, e *weir.Event) error {
		all = append(all, tell(&everything, e))
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all, refused
}

// wso2Events are events that can be told in WSO2's form.
func wso2Events() map[string]weir.Event {
	one := weir.Spent{Requests: 1, Events: 1}
	of := func(r weir.Request, s weir.Spent, change func(*weir.Request)) weir.Event {
		r.Weight, r.Bytes = 0, 0
		if change != nil {
			change(&r)
		}
		return weir.Event{Request: r, Spent: s}
	}
	return map[string]weir.Event{
		"whole":            of(call(), weir.Spent{Requests: 3, Bytes: 5000, Events: 3}, nil),
		"one":              of(call(), one, nil),
		"messages":         of(call(), weir.Spent{Bytes: 77, Events: 12}, nil),
		"taken back":       of(call(), weir.Spent{Requests: -1, Bytes: -512, Events: -1}, nil),
		"weight":           of(call(), weir.Spent{Requests: 5, Events: 1}, nil),
		"anonymous":        of(anonymousCall("192.0.2.1"), one, nil),
		"anonymous IPv6":   of(anonymousCall("2001:db8::1"), one, nil),
		"anonymous ::1":    of(anonymousCall("::1"), one, nil),
		"largest address":  of(anonymousCall("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), one, nil),
		"mapped address":   of(anonymousCall("::ffff:10.0.0.1"), one, nil),
		"IPv6":             of(call(), one, func(r *weir.Request) { r.ClientIP = netip.MustParseAddr("2001:db8::aaaa:1") }),
		"no address":       of(call(), one, func(r *weir.Request) { r.ClientIP = netip.Addr{} }),
		"a real anonymous": of(call(), one, func(r *weir.Request) { r.User = "anonymous" }),
		"user with @":      of(call(), one, func(r *weir.Request) { r.User = "bob@example.org" }),
		"user of a tenant": of(call(), one, func(r *weir.Request) { r.User = "bob@carbon.superb" }),
		"no user":          of(call(), one, func(r *weir.Request) { r.User = "" }),
		"API policy":       of(call(), one, func(r *weir.Request) { r.APITier, r.ResourceTier = "10KPerMin", "" }),
		"resource policy":  of(call(), one, func(r *weir.Request) { r.APITier, r.ResourceTier = "", "Menu" }),
		"unlimited API":    of(call(), one, func(r *weir.Request) { r.APITier, r.ResourceTier = "Unlimited", "Menu" }),
		"empty tiers": of(call(), one, func(r *weir.Request) {
			*r = weir.Request{Time: r.Time, Context: "/a", Application: weir.Application{ID: "5"}}
		}),
		"colons":            of(call(), one, func(r *weir.Request) { r.APITier, r.Context, r.Version, r.Resource = "", "/a:b", "1:0", "/x:y/{z}:w" }),
		"everything quoted": of(call(), one, func(r *weir.Request) { r.User, r.API = "\"\\\x00\x1f\u2028é😀", "</script>" }),
		"values": of(call(), one, func(r *weir.Request) {
			r.Headers, r.Query, r.Claims = bag{"x-plan": `a"b\c`, "x-raw": "\n"}, bag{"q": "é😀", "v": ""}, bag{"plan": "{}"}
		}),
	}
}

// counted is what a traffic manager counts of an event.
func counted(t *testing.T, e *weir.Event) []string {
	t.Helper()
	limit := func(c limiter.Cost) *limiter.Limit {
		return &limiter.Limit{Count: 1000, Window: limiter.Window{Length: time.Minute}, Cost: c}
	}
	def := policy.Definition{Policies: []policy.Policy{
		{Kind: policy.Subscription, Name: "Gold", Limit: limit(limiter.Bytes)},
		{Kind: policy.Subscription, Name: "Unauthenticated", Limit: limit(limiter.Requests)},
		{Kind: policy.Application, Name: "50PerMin", Per: policy.PerToken, Limit: limit(limiter.Events)},
	}}
	for _, name := range []string{"10KPerMin", "Menu"} {
		def.Policies = append(def.Policies, policy.Policy{Kind: policy.Advanced, Name: name, Limit: limit(limiter.Requests), Groups: []policy.Group{{
			Conditions: []policy.Condition{{Header: &policy.ValueCondition{Name: "x-plan", Pattern: "go"}}}, Limit: limit(limiter.Requests),
		}}})
	}
	for i, key := range []string{
		"$userId $apiName $resourceKey $resource $method", "$appId $applicationName $applicationOwner $keyType", "$clientIp $header.x-plan $query.q $claim.plan",
	} {
		def.Rules = append(def.Rules, policy.CustomRule{Name: fmt.Sprint("rule", i), Key: key, Limit: *limit(limiter.Requests)})
	}
	set, err := policy.Compile(def, policy.Options{Seed: limiter.SeedOf([]byte("fleet"))})
	if err != nil {
		t.Fatal(err)
	}
	var m policy.Match
	set.MatchEvent(&m, e)
	var out []string
	for i, c := range m.Checks {
		out = append(out, fmt.Sprintf("%s %d %x %d %s", m.Sources[i].Name, m.Sources[i].Group, c.Key, c.N, set.AppendKey(nil, &m, i, &e.Request)))
	}
	return out
}

func TestWSO2CountsTheSame(t *testing.T) {
	f := everything
	f.Claims = []string{"plan", "claim"}
	for name, e := range wso2Events() {
		t.Run(name, func(t *testing.T) {
			p := event.AppendWSO2(nil, "", &f, &e)
			var d event.WSO2Decoder
			n := 0
			refused, err := d.Decode(p, now, func(_ int, got *weir.Event) error {
				n++
				if got, want := counted(t, got), counted(t, &e); !slices.Equal(got, want) {
					t.Errorf("counted %q, want %q, of %s", got, want, p)
				}
				if !got.Request.Time.Equal(e.Request.Time.Truncate(time.Millisecond)) || got.Spent != e.Spent || got.Open != nil {
					t.Errorf("%v %+v, want %v %+v", got.Request.Time, got.Spent, e.Request.Time, e.Spent)
				}
				return nil
			})
			if err != nil || len(refused) > 0 || n != 1 {
				t.Errorf("%d events, %v, %v, of %s", n, refused, err, p)
			}
		})
	}
}

// The form is exactly WSO2's: testdata has been held against its description.
func TestWSO2Golden(t *testing.T) {
	events := wso2Events()
	for _, name := range []string{"whole", "anonymous", "anonymous IPv6", "API policy", "taken back", "values"} {
		e := events[name]
		if name != "API policy" && name != "whole" {
			e.Request.APITier = ""
		}
		got := event.AppendWSO2(nil, "urn:uuid:5b0c6c1e-7f5a-4b7e-9a3e-0d4c8f6d2a11", &everything, &e)
		file := filepath.Join("testdata", "wso2", strings.ReplaceAll(name, " ", "_")+".json")
		want, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v; it is\n%s", err, got)
			continue
		}
		if string(got) != strings.TrimSpace(string(want)) {
			t.Errorf("%s: got\n%s, want\n%s", name, got, want)
		}
	}
}

func TestWSO2IDs(t *testing.T) {
	e := wso2Events()["one"]
	id := regexp.MustCompile(`"messageID":"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"`)
	a, b := event.AppendWSO2(nil, "", &everything, &e), event.AppendWSO2(nil, "", &everything, &e)
	if !id.Match(a) || id.FindString(string(a)) == id.FindString(string(b)) {
		t.Errorf("IDs in %s and %s", a, b)
	}
}

// The user stands in keys as WSO2 has it there.
func TestWSO2Users(t *testing.T) {
	for user, want := range map[string]string{
		"alice": "alice@carbon.super", "alice@carbon.super": "alice@carbon.super", "a@example.org": "a@example.org@carbon.super",
		"carbon.superman": "carbon.superman", "anonymous": "anonymous", "": "@carbon.super",
	} {
		r := call()
		r.User = user
		p := string(event.AppendWSO2(nil, "", &everything, &weir.Event{Request: r}))
		if !strings.Contains(p, `"appKey":"5:`+want+`"`) || !strings.Contains(p, `"userId":"`+want+`"`) {
			t.Errorf("user %q: want %s in %s", user, want, p)
		}
	}
}

// Nothing of one event gets into another.
func TestWSO2EventsAreApart(t *testing.T) {
	whole := wso2Events()["whole"]
	p := event.AppendWSO2([]byte("["), "", &everything, &whole)
	p = append(append(append(p, ','), with("properties", "null")...), ']')
	var d event.WSO2Decoder
	want := documented()
	want.Request.ClientIP = netip.Addr{}
	for range 2 {
		got, refused := decodeWSO2(t, &d, p)
		if len(got) != 2 || len(refused) > 0 || !reflect.DeepEqual(got[1], want) {
			t.Errorf("got %+v, refused %v, want %+v", got, refused, want)
		}
	}
}

// Names that mean something among properties are not a client's to give.
func TestWSO2NamesThatMeanSomething(t *testing.T) {
	f := weir.Fields{Headers: []string{"ip", "messageSize", "reset", "a"}, Query: []string{"ipv6", "a"}, Claims: []string{"TOTAL_TOKENS", "a", "b"}}
	r := call()
	all := bag{"ip": "1", "messageSize": "999", "reset": "true", "ipv6": "1", "TOTAL_TOKENS": "5", "a": "first", "b": "b"}
	r.Headers, r.Query, r.Claims = all, bag{"ipv6": "1", "a": "second"}, all
	e := weir.Event{Request: r, Spent: weir.Spent{Requests: 1, Events: 1}}
	var p struct {
		Event struct{ PayloadData struct{ Properties string } }
	}
	if err := json.Unmarshal(event.AppendWSO2(nil, "", &f, &e), &p); err != nil {
		t.Fatal(err)
	}
	if want := `{"ip":167838211,"ipv6":0,"a":"first","b":"b"}`; p.Event.PayloadData.Properties != want {
		t.Errorf("properties %s, want %s", p.Event.PayloadData.Properties, want)
	}
}

// document is what WSO2's gateways send, in the form that is described.
const document = `{"event":{"metaData":{},"correlationData":{},"payloadData":{
  "messageID":"m-1","appKey":"5:alice@carbon.super","appTier":"50PerMin",
  "apiKey":"/pizza/1:1","apiTier":"","subscriptionKey":"5:/pizza/1:1","subscriptionTier":"Gold",
  "resourceKey":"/pizza/1/1/menu:GET","resourceTier":"Unlimited","userId":"alice@carbon.super",
  "apiContext":"/pizza/1","apiVersion":"1","appTenant":"carbon.super","apiTenant":"carbon.super",
  "appId":"5","apiName":"Pizza","properties":"{\"ip\":167838211,\"ipv6\":0}"}}}`

// documented is what it tells.
func documented() told {
	return told{
		Request: weir.Request{
			Time: now, API: "Pizza", Version: "1", Context: "/pizza/1", Resource: "/menu", Verb: "GET",
			ResourceTier: "Unlimited", Application: weir.Application{ID: "5", Tier: "50PerMin"}, SubscriptionTier: "Gold",
			User: "alice", ClientIP: netip.MustParseAddr("10.1.2.3"),
		},
		Spent: weir.Spent{Requests: 1, Events: 1},
	}
}

func TestWSO2Document(t *testing.T) {
	var d event.WSO2Decoder
	for _, c := range []struct {
		p string
		n int
	}{
		{document, 1}, {"[" + document + "]", 1}, {" [ " + document + " , " + document + "\n]\t", 2}, {"[]", 0},
	} {
		got, refused := decodeWSO2(t, &d, []byte(c.p))
		want := slices.Repeat([]told{documented()}, c.n)
		if len(refused) > 0 || len(got) != c.n || c.n > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot %+v, want %+v; refused %v", c.p, got, want, refused)
		}
	}
}

// with returns the document with another attribute, in place of the one of that
// name if it has one.
func with(name, value string) string {
	has := regexp.MustCompile(`"` + name + `":"([^"\\]|\\.)*"`)
	if has.MatchString(document) {
		return has.ReplaceAllLiteralString(document, `"`+name+`":`+value)
	}
	return strings.Replace(document, `"messageID"`, `"`+name+`":`+value+`,"messageID"`, 1)
}

// properties returns the document with other properties.
func properties(object string) string {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return with("properties", string(text))
}

func TestWSO2Variants(t *testing.T) {
	address := func(s string) func(*told) {
		return func(w *told) {
			w.Request.ClientIP = netip.Addr{}
			if s != "" {
				w.Request.ClientIP = netip.MustParseAddr(s)
			}
		}
	}
	spent := func(s weir.Spent) func(*told) { return func(w *told) { w.Spent = s } }
	for name, c := range map[string]struct {
		p      string
		change func(*told)
	}{
		"more around it":     {strings.Replace(document, `"metaData":{}`, `"metaData":{"a":[1,{"b":null}]},"x":true,"eventx":{"payloadData":1}`, 1), nil},
		"metaData null":      {strings.Replace(document, `"metaData":{}`, `"metaData":null`, 1), nil},
		"unknown attributes": {strings.Replace(document, `"messageID"`, `"later":[{}],"later":2,"messageID"`, 1), nil},
		"other order":        {strings.Replace(strings.Replace(document, `"appId":"5",`, ``, 1), `"messageID"`, `"appId":"5","messageID"`, 1), nil},
		"escaped names":      {strings.Replace(document, `"userId"`, `"user\u0049d"`, 1), nil},
		"number":             {with("appId", "5"), nil},
		"number as version":  {strings.Replace(with("apiVersion", "1.0"), "/pizza/1/1/menu", "/pizza/1/1.0/menu", 1), func(w *told) { w.Request.Version = "1.0" }},
		"null":               {with("subscriptionTier", "null"), func(w *told) { w.Request.SubscriptionTier = "" }},
		"apiTier null":       {with("apiTier", "null"), nil},
		"no keys":            {with("appKey", "null"), nil},
		"tenant":             {with("userId", `"bob@other.org@carbon.super"`), func(w *told) { w.Request.User = "bob@other.org" }},
		"twice the tenant":   {with("userId", `"b@carbon.super@carbon.super"`), func(w *told) { w.Request.User = "b@carbon.super" }},
		"API key": {with("resourceKey", `"/pizza/1:1"`), func(w *told) {
			w.Request.APITier, w.Request.Resource, w.Request.Verb = "Unlimited", "", ""
		}},
		"API key, API tier null": {strings.Replace(strings.Replace(document, "/pizza/1/1/menu:GET", "/pizza/1:1", 1), `"resourceTier":"Unlimited"`, `"resourceTier":"10K"`, 1), func(w *told) {
			w.Request.APITier, w.Request.ResourceTier, w.Request.Resource, w.Request.Verb = "10K", "10K", "", ""
		}},
		"API key, no resource tier": {strings.Replace(strings.Replace(with("apiTier", `"10K"`), "/pizza/1/1/menu:GET", "/pizza/1:1", 1), `"resourceTier":"Unlimited"`, `"resourceTier":null`, 1), func(w *told) {
			w.Request.APITier, w.Request.ResourceTier, w.Request.Resource, w.Request.Verb = "10K", "", "", ""
		}},
		"no resource key": {with("resourceKey", "null"), func(w *told) { w.Request.Resource, w.Request.Verb = "", "" }},
		"colon in the template": {with("resourceKey", `"/pizza/1/1/a:b:POST"`), func(w *told) {
			w.Request.Resource, w.Request.Verb = "/a:b", "POST"
		}},

		"count":            {with("count", "12"), spent(weir.Spent{Requests: 12, Events: 12})},
		"count as text":    {with("count", `"12"`), spent(weir.Spent{Requests: 12, Events: 12})},
		"count null":       {with("count", "null"), nil},
		"count 0":          {with("count", "0"), spent(weir.Spent{})},
		"negative":         {with("count", "-2"), spent(weir.Spent{Requests: -2, Events: -2})},
		"events":           {with("events", "7"), spent(weir.Spent{Requests: 1, Events: 7})},
		"bytes":            {with("bytes", "-7"), spent(weir.Spent{Requests: 1, Events: 1, Bytes: -7})},
		"size":             {properties(`{"messageSize":1024}`), func(w *told) { w.Request.ClientIP, w.Spent.Bytes = netip.Addr{}, 1024 }},
		"bytes, and size":  {strings.Replace(properties(`{"messageSize":"1024"}`), `"messageID"`, `"bytes":3,"messageID"`, 1), func(w *told) { w.Request.ClientIP, w.Spent.Bytes = netip.Addr{}, 3 }},
		"timestamp":        {with("timestamp", "1760000040123"), func(w *told) { w.Request.Time = time.UnixMilli(1760000040123).UTC() }},
		"sandbox":          {with("keyType", `"SANDBOX"`), func(w *told) { w.Request.KeyType = weir.Sandbox }},
		"production":       {with("keyType", `"PRODUCTION"`), nil},
		"token and name":   {with("token", `"t"`), func(w *told) { w.Request.Token = "t" }},
		"resource and key": {with("resource", `"/other"`), nil},

		"no properties":      {with("properties", "null"), address("")},
		"empty properties":   {with("properties", `""`), address("")},
		"object":             {with("properties", `{"ip":167838211}`), nil},
		"ip as text":         {properties(`{"ip":"10.1.2.3","ipv6":"0"}`), nil},
		"ip as figures":      {properties(`{"ip":"167838211"}`), nil},
		"ipv6":               {properties(`{"ip":0,"ipv6":42540766411282592856903984951653826561}`), address("2001:db8::1")},
		"ipv6 as text":       {properties(`{"ip":0,"ipv6":"2001:db8::1"}`), address("2001:db8::1")},
		"ipv6 ::1":           {properties(`{"ipv6":1}`), address("::1")},
		"zone":               {properties(`{"ipv6":"fe80::1%eth0"}`), address("fe80::1")},
		"none":               {properties(`{"ip":0,"ipv6":0}`), address("")},
		"ip of a client":     {properties(`{"ip":"x' OR 1","ipv6":-1}`), address("")},
		"too large ip":       {properties(`{"ip":4294967296}`), address("")},
		"too large ipv6":     {properties(`{"ipv6":340282366920938463463374607431768211457}`), address("")},
		"size of a client":   {properties(`{"ip":167838211,"messageSize":"-5"}`), nil},
		"size that is large": {properties(`{"ip":167838211,"messageSize":9007199254740993}`), nil},
		"values": {properties(`{"ip":167838211,"x-plan":"g\"o\\ld\u00e9","q":1.50,"v":true,"plan":[1, "a"],"none":null}`), func(w *told) {
			w.Values = `0 "x-plan"="g\"o\\ldé" 1 "q"="1.50" 1 "v"="true" 2 "plan"="[1, \"a\"]" `
		}},
		"half a character": {properties(`{"ip":167838211,"x-plan":"\ud800\u0041\udc00"}`), func(w *told) { w.Values = "0 \"x-plan\"=\"\uFFFDA\uFFFD\" " }},
		"a whole one":      {properties(`{"ip":167838211,"x-plan":"\ud83d\ude00"}`), func(w *told) { w.Values = `0 "x-plan"="😀" ` }},

		"anonymous": {with("userId", `"anonymous"`), func(w *told) { // of a real application
			w.Request.User, w.Request.Application.Name = "anonymous", "5"
		}},
		"anonymous without ip": {strings.Replace(strings.Replace(with("userId", `"anonymous"`), `"appId":"5"`, `"appId":"192.0.2.9"`, 1), `\"ip\":167838211`, `\"ip\":0`, 1), func(w *told) {
			w.Request.User, w.Request.Application.ID = "anonymous", "192.0.2.9"
			w.Request.ClientIP = netip.MustParseAddr("192.0.2.9")
		}},
		"anonymous with an ip of its own": {strings.Replace(with("userId", `"anonymous"`), `"appId":"5"`, `"appId":"192.0.2.9"`, 1), func(w *told) {
			w.Request.User, w.Request.Application.ID = "anonymous", "192.0.2.9"
			w.Request.ClientIP = netip.MustParseAddr("192.0.2.9")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want := documented()
			if c.change != nil {
				c.change(&want)
			}
			// Values stand in one room: what is a header is a query parameter, too.
			want.Values = ""
			probe := documented()
			if c.change != nil {
				c.change(&probe)
			}
			var d event.WSO2Decoder
			got, refused := decodeWSO2(t, &d, []byte(c.p))
			if len(got) != 1 || len(refused) > 0 {
				t.Fatalf("%d events, refused %v, of %s", len(got), refused, c.p)
			}
			for part := range strings.SplitSeq(strings.TrimSpace(probe.Values), " ") {
				if !strings.Contains(got[0].Values, part) {
					t.Errorf("values %s, want %s", got[0].Values, part)
				}
			}
			got[0].Values = ""
			if !reflect.DeepEqual(got[0], want) {
				t.Errorf("got\n%+v, want\n%+v, of %s", got[0], want, c.p)
			}
		})
	}
}

func TestWSO2BadEventsAreRefusedByIndex(t *testing.T) {
	deep := strings.Repeat("[", 20) + strings.Repeat("]", 20)
	for name, c := range map[string]struct{ p, reason string }{
		"a number":         {"1", "it is no event: it has no object event, with an object payloadData"},
		"null":             {"null", "it is no event: it has no object event, with an object payloadData"},
		"empty":            {"{}", "it is no event: it has no object event, with an object payloadData"},
		"event null":       {`{"event":null}`, "it is no event: it has no object event, with an object payloadData"},
		"no payload":       {`{"event":{"metaData":{}}}`, "it is no event: it has no object event, with an object payloadData"},
		"payload array":    {`{"event":{"payloadData":[]}}`, "it is no event: it has no object event, with an object payloadData"},
		"empty payload":    {`{"event":{"payloadData":{}}}`, "there is no apiContext"},
		"two events":       {`{"event":{"payloadData":{}},"event":{}}`, "event or payloadData is there twice"},
		"two payloads":     {`{"event":{"payloadData":{},"payload\u0044ata":{}}}`, "event or payloadData is there twice"},
		"twice":            {strings.Replace(document, `"appId"`, `"userId":"x","appId"`, 1), "userId is there twice"},
		"twice, escaped":   {strings.Replace(document, `"appId"`, `"user\u0049d":"x","appId"`, 1), "userId is there twice"},
		"twice, null":      {strings.Replace(document, `"appId"`, `"count":null,"count":2,"appId"`, 1), "count is there twice"},
		"no context":       {with("apiContext", "null"), "there is no apiContext"},
		"true":             {with("userId", "true"), "userId is neither a text nor a number"},
		"an object":        {with("apiVersion", "{}"), "apiVersion is neither a text nor a number"},
		"too long":         {with("userId", `"`+strings.Repeat("x", 4097)+`"`), "userId is longer than 4096 bytes"},
		"no UTF-8":         {with("userId", "\"\xff\""), "it is no UTF-8"},
		"no UTF-8 aside":   {with("other", "\"\xff\""), "it is no UTF-8"},
		"count":            {with("count", "1.5"), "count is no whole number"},
		"count as text":    {with("count", `"many"`), "count is no whole number"},
		"absurd":           {with("count", "9007199254740993"), "what was spent is absurd"},
		"absurd bytes":     {with("bytes", "-9007199254740993"), "what was spent is absurd"},
		"huge":             {with("count", "99999999999999999999"), "count is no whole number"},
		"timestamp 0":      {with("timestamp", "0"), "timestamp is no time after 1970 in milliseconds"},
		"timestamp":        {with("timestamp", "9223372036855"), "timestamp is no time after 1970 in milliseconds"},
		"timestamp ns":     {with("timestamp", "1760000040123000000"), "timestamp is no time after 1970 in milliseconds"},
		"key type":         {with("keyType", `"TEST"`), "keyType is neither PRODUCTION nor SANDBOX"},
		"resource key":     {with("resourceKey", `"/other/1/1/menu:GET"`), "resourceKey is neither that of the API nor of one of its resources"},
		"version":          {with("resourceKey", `"/pizza/1/10/menu:GET"`), "resourceKey is neither that of the API nor of one of its resources"},
		"no method":        {with("resourceKey", `"/pizza/1/1/menu"`), "resourceKey is neither that of the API nor of one of its resources"},
		"context alone":    {with("resourceKey", `"/pizza/1"`), "resourceKey is neither that of the API nor of one of its resources"},
		"no resource key":  {strings.Replace(with("resourceKey", `""`), `"resourceTier":"Unlimited"`, `"resourceTier":"10K"`, 1), "there is no resourceKey, and a tier for it"},
		"properties":       {with("properties", `"x"`), "properties is no object of JSON"},
		"properties array": {with("properties", `"[]"`), "properties is no object of JSON"},
		"properties list":  {with("properties", `[]`), "properties is no object of JSON"},
		"properties cut":   {with("properties", `"{\"ip\":1"`), "properties is no object of JSON"},
		"properties, more": {with("properties", `"{}{}"`), "properties is no object of JSON"},
		"properties deep":  {properties(`{"a":` + deep + `}`), "properties is no object of JSON"},
		"ip twice":         {properties(`{"ip":1,"ipv6":0,"ip":2}`), `property "ip" is there twice`},
		"header twice":     {properties(`{"a":"1","b":"2","a":"3"}`), `property "a" is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			var d event.WSO2Decoder
			got, refused := decodeWSO2(t, &d, []byte("["+document+","+c.p+","+document+"]"))
			want := []event.Refusal{{Index: 1, Reason: c.reason}}
			if !reflect.DeepEqual(got, []told{documented(), documented()}) || !reflect.DeepEqual(refused, want) {
				t.Errorf("%d events, refused %v, want %v", len(got), refused, want)
			}
		})
	}
}

func TestWSO2BadJSON(t *testing.T) {
	many := "[" + strings.Repeat("{},", 1000) + "{}]"
	for name, c := range map[string]struct{ p, reason string }{
		"nothing":       {"", "events: at byte 0: there is neither an event nor an array of events"},
		"a text":        {`"x"`, "events: at byte 0: there is neither an event nor an array of events"},
		"NUL":           {"\x00", "events: at byte 0: there is neither an event nor an array of events"},
		"cut":           {document[:100], "events: at byte 100: "},
		"cut array":     {"[" + document, "a comma is missing, or the end"},
		"comma":         {"[" + document + ",]", "a value is missing"},
		"comma first":   {"[,{}]", "events: at byte 1: a value is missing"},
		"two":           {document + document, "there is something after the end"},
		"NUL behind":    {"{}\x00", "events: at byte 2: there is something after the end"},
		"no name":       {"{1:2}", "events: at byte 1: a name in quotes is missing"},
		"no colon":      {`{"a" 1}`, "events: at byte 5: a colon is missing"},
		"comma in it":   {`{"a":1,}`, "events: at byte 7: a name in quotes is missing"},
		"control":       {"{\"ab\n\":1}", "events: at byte 4: a control character stands in a text"},
		"long control":  {"{\"0123456789\t0123456789\":1}", "events: at byte 12: a control character stands in a text"},
		"escape":        {`{"\x":1}`, "events: at byte 2: there is no such escape"},
		"cut escape":    {`{"\u12g4":1}`, "events: at byte 2: there is no such escape"},
		"number 01":     {`{"a":01}`, "events: at byte 6: a comma is missing, or the end"},
		"number -":      {`{"a":-}`, "events: at byte 6: a number lacks digits"},
		"number 1.":     {`{"a":1.}`, "events: at byte 7: a number lacks digits"},
		"number 1e":     {`{"a":1e+}`, "events: at byte 8: a number lacks digits"},
		"number +1":     {`{"a":+1}`, "events: at byte 5: a value is missing"},
		"word":          {`{"a":nul}`, "events: at byte 5: a value is missing"},
		"NaN":           {`{"a":NaN}`, "events: at byte 5: a value is missing"},
		"nested":        {strings.Repeat("[", 17) + strings.Repeat("]", 17), "events: at byte 16: it is nested too deep"},
		"nested in one": {strings.Repeat(`{"a":`, 17) + "1" + strings.Repeat("}", 17), "events: at byte 80: it is nested too deep"},
		"too many":      {many, "there are more than 1000 events"},
		"wrong closing": {`[{]`, "a name in quotes is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			var d event.WSO2Decoder
			refused, err := d.Decode([]byte(c.p), now, func(i int, _ *weir.Event) error {
				t.Errorf("event %d", i)
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), c.reason) || refused != nil {
				t.Errorf("%v, %v, want %s", refused, err, c.reason)
			}
		})
	}
	var d event.WSO2Decoder
	if got, refused := decodeWSO2(t, &d, []byte(strings.Repeat("[", 16)+strings.Repeat("]", 16))); len(got) > 0 || len(refused) != 1 {
		t.Errorf("16 levels: %v, %v", got, refused)
	}
}

// A client that sends a lot does not go uncounted.
func TestWSO2ManyProperties(t *testing.T) {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, `"q%d":"v",`, i)
	}
	long := strings.Repeat("é", 40_000)
	p := properties(`{"x-plan":"` + long + `",` + b.String() + `"ip":167838211}`)
	var d event.WSO2Decoder
	refused, err := d.Decode([]byte(p), now, func(_ int, e *weir.Event) error {
		n := 0
		for i := range 300 {
			if _, ok := e.Request.Query.Value(fmt.Sprint("q", i)); ok {
				n++
			}
		}
		if v, _ := e.Request.Headers.Value("X-Plan"); v != long[:64<<10] || n != 199 {
			t.Errorf("a value of %d bytes, and %d properties", len(v), n)
		}
		if e.Request.ClientIP != netip.MustParseAddr("10.1.2.3") {
			t.Errorf("address %s", e.Request.ClientIP)
		}
		return nil
	})
	if err != nil || len(refused) > 0 {
		t.Error(refused, err)
	}
}

func TestWSO2EachCanRefuse(t *testing.T) {
	var d event.WSO2Decoder
	refused, err := d.Decode([]byte("["+document+","+document+"]"), now, func(i int, _ *weir.Event) error {
		if i == 1 {
			return errors.New("not this")
		}
		return nil
	})
	if want := []event.Refusal{{Index: 1, Reason: "not this"}}; err != nil || !reflect.DeepEqual(refused, want) {
		t.Errorf("%v, %v, want %v", refused, err, want)
	}
}

package broker_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// secret is that of the golden files.
var secret = broker.NewSecret([]byte("a secret that the fleet shares"))

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func decision() weir.Decision {
	return weir.Decision{
		Key: 0x0123456789abcdef, Text: "5:/pizza/1:1:Gold", Level: weir.LevelSubscription, Policy: "Gold", Group: -1,
		Throttled: true, Begins: at(1_759_999_980_000), Ends: at(1_760_000_040_000),
		Issuer: "tm-1", Seq: 42, Issued: at(1_760_000_012_345),
	}
}

func origin() broker.Origin {
	return broker.Origin{Issuer: "cp-1", Seq: 7, Issued: at(1_760_000_000_001)}
}

func deny(kind policy.DenyKind, value string) *broker.Deny {
	return &broker.Deny{Deny: policy.Deny{ID: "7", Kind: kind, Value: value}, Origin: origin()}
}

// golden are messages of all kinds, by the names of their files.
func golden() map[string]struct {
	topic string
	want  broker.Message
} {
	type row = struct {
		topic string
		want  broker.Message
	}
	plain := decision()
	grouped := decision()
	grouped.Text, grouped.Level, grouped.Policy, grouped.Group = "/pizza/1/1/menu:GET_condition_0", weir.LevelResource, "10KPerMin", 0
	grouped.Conditions = "W3siaXBzcGVjaWZpYyI6e319XQ=="
	over := decision()
	over.Key, over.Text, over.Throttled, over.Begins = 0, `a "key" <&> ÿ`, false, time.Time{}
	address := deny(policy.DenyIP, "")
	address.Deny.IP.Prefix = netip.MustParsePrefix("10.1.2.3/32")
	network := deny(policy.DenyIP, "")
	network.Deny.ID, network.Deny.Invert = "office", true
	network.Deny.IP.Prefix = netip.MustParsePrefix("2001:db8::/32")
	between := deny(policy.DenyIPRange, "")
	between.Deny.IP.From, between.Deny.IP.To = netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.1.2.9")
	between.Remove = true
	return map[string]row{
		"decision":              {broker.ThrottleData, broker.Message{Decision: &plain}},
		"decision-condition":    {broker.ThrottleData, broker.Message{Decision: &grouped}},
		"decision-over":         {broker.ThrottleData, broker.Message{Decision: &over}},
		"deny-api":              {broker.ThrottleData, broker.Message{Deny: deny(policy.DenyAPI, "/pizza/1.0.0")}},
		"deny-application":      {broker.ThrottleData, broker.Message{Deny: deny(policy.DenyApplication, "bob:Shop")}},
		"deny-user":             {broker.ThrottleData, broker.Message{Deny: deny(policy.DenyUser, "alice@carbon.super")}},
		"deny-ip":               {broker.ThrottleData, broker.Message{Deny: address}},
		"deny-ip-network":       {broker.ThrottleData, broker.Message{Deny: network}},
		"deny-iprange":          {broker.ThrottleData, broker.Message{Deny: between}},
		"key-template-add":      {broker.Notification, broker.Message{KeyTemplate: &broker.KeyTemplate{New: "$userId:$apiContext", Origin: origin()}}},
		"key-template-delete":   {broker.Notification, broker.Message{KeyTemplate: &broker.KeyTemplate{Old: "$userId", Origin: origin()}}},
		"key-template-update":   {broker.Notification, broker.Message{KeyTemplate: &broker.KeyTemplate{Old: "$userId", New: "$appId", Origin: origin()}}},
		"policy-change-updates": {broker.Notification, broker.Message{PolicyChange: &broker.PolicyChange{Event: "POLICY_UPDATE", Detail: []byte(`{"policyName":"Gold"}`), Origin: origin()}}},
	}
}

// write returns the message that tells m.
func write(s broker.Secret, m broker.Message) []byte {
	switch {
	case m.Decision != nil:
		return broker.AppendDecision(nil, s, m.Decision)
	case m.Deny != nil:
		return broker.AppendDeny(nil, s, m.Deny)
	case m.KeyTemplate != nil:
		return broker.AppendKeyTemplate(nil, s, m.KeyTemplate)
	}
	return broker.AppendPolicyChange(nil, s, m.PolicyChange)
}

// What is on the wire is what other programs, and other versions of this one, read:
// the golden files change only with the version.
func TestGolden(t *testing.T) {
	for name, g := range golden() {
		file := filepath.Join("testdata", name+".json")
		text := write(secret, g.want)
		if *update {
			if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(text) + "\n"; got != string(want) {
			t.Errorf("%s: wrote\n%swant\n%s", name, got, want)
		}
		got, err := broker.Parse(secret, g.topic, want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, g.want) {
			t.Errorf("%s: read\n%+v, want\n%+v", name, got, g.want)
		}
	}
}

// kindOf returns the kind of fault of err.
func kindOf(t testing.TB, err error) broker.FaultKind {
	t.Helper()
	f, ok := errors.AsType[*broker.Fault](err)
	if !ok {
		t.Fatalf("got %v, want a fault", err)
	}
	return f.Kind
}

// Whatever field is changed, left out or emptied, the message has no effect.
func TestTampering(t *testing.T) {
	for name, g := range golden() {
		text := write(secret, g.want)
		var m struct {
			Event struct {
				PayloadData map[string]any `json:"payloadData"`
			} `json:"event"`
		}
		for field := range fieldsOf(t, text) {
			for what, change := range map[string]func(map[string]any){
				"left out": func(p map[string]any) { delete(p, field) },
				"null":     func(p map[string]any) { p[field] = nil },
				"changed":  func(p map[string]any) { p[field] = changed(p[field]) },
				"an array": func(p map[string]any) { p[field] = []int{1} },
			} {
				if field == "timestamp" { // the same as issued, for WSO2's gateways
					continue
				}
				clear(m.Event.PayloadData)
				if err := json.Unmarshal(text, &m); err != nil {
					t.Fatal(err)
				}
				// Numbers that a float64 would not hold.
				for k := range m.Event.PayloadData {
					m.Event.PayloadData[k] = fieldsOf(t, text)[k]
				}
				change(m.Event.PayloadData)
				bad, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := broker.Parse(secret, g.topic, bad); err == nil {
					t.Errorf("%s: %s %s: read %+v", name, field, what, got)
				}
			}
		}
	}
}

func fieldsOf(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var m struct {
		Event struct {
			PayloadData map[string]any `json:"payloadData"`
		} `json:"event"`
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m.Event.PayloadData
}

// changed returns another value of the same type.
func changed(v any) any {
	switch v := v.(type) {
	case bool:
		return !v
	case json.Number:
		return json.Number("1" + strings.TrimPrefix(string(v), "-"))
	case string:
		switch v {
		case "true":
			return "false"
		case "false":
			return "true"
		}
		return v + "1"
	}
	return v
}

// A field that is not known does no harm, nor does another order of fields.
func TestUnknownFields(t *testing.T) {
	d := decision()
	text := broker.AppendDecision(nil, secret, &d)
	more := strings.Replace(string(text), `{"event":{"payloadData":{`, `{"x":{"y":[null,{}]},"event":{"metaData":null,"payloadData":{"tomorrow":{"a":[1.5e9,null]},`, 1)
	if got, err := broker.ParseDecision(secret, []byte(more)); err != nil || got != d {
		t.Errorf("got %+v, %v", got, err)
	}
	sorted, err := json.Marshal(map[string]any{"event": map[string]any{"payloadData": fieldsOf(t, text)}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := broker.ParseDecision(secret, sorted); err != nil || got != d {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFaults(t *testing.T) {
	d := decision()
	good := string(broker.AppendDecision(nil, secret, &d))
	ip := golden()["deny-ip"].want
	goodIP := string(write(secret, ip))
	add := string(write(secret, golden()["key-template-add"].want))
	re := func(text string, oldNew ...string) string { return strings.NewReplacer(oldNew...).Replace(text) }
	const T, N = broker.ThrottleData, broker.Notification
	for _, tt := range []struct {
		name, topic, text string
		want              broker.FaultKind
	}{
		{"nothing", T, "", broker.Malformed},
		{"no JSON", T, "\x00\x01", broker.Malformed},
		{"half a message", T, good[:len(good)/2], broker.Malformed},
		{"two messages", T, good + good, broker.Malformed},
		{"null", T, "null", broker.Malformed},
		{"array", T, "[]", broker.Malformed},
		{"event null", T, `{"event":null}`, broker.Malformed},
		{"event text", T, `{"event":"x"}`, broker.Malformed},
		{"payload null", T, `{"event":{"payloadData":null}}`, broker.Malformed},
		{"payload array", T, `{"event":{"payloadData":[]}}`, broker.Malformed},
		{"payload empty", T, `{"event":{"payloadData":{}}}`, broker.Unknown},
		{"no UTF-8", T, re(good, "Gold", "\xff\xfe"), broker.Malformed},
		{"too deep", T, `{"x":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `,` + good[1:], broker.Malformed},
		{"very deep", T, strings.Repeat(`{"event":`, 7000), broker.Malformed},
		{"too long", T, good + strings.Repeat(" ", broker.MaxMessage), broker.Malformed},
		{"WSO2's own", T, `{"event":{"payloadData":{"throttleKey":"5:/pizza/1:1:Gold","isThrottled":true,"expiryTimeStamp":1760000040000}}}`, broker.Unsigned},
		{"WSO2's own deny", T, `{"event":{"payloadData":{"id":7,"blockingCondition":"IP","conditionValue":"{\"fixedIp\":\"10.1.2.3\",\"invert\":false}","state":"true","tenantDomain":"carbon.super"}}}`, broker.Unsigned},
		{"WSO2's own template", N, `{"event":{"payloadData":{"eventType":"CUSTOM_POLICY_ADD","timestamp":1,"event":"e30="}}}`, broker.Unsigned},
		{"WSO2's own policy", N, `{"event":{"payloadData":{"eventType":"POLICY_CREATE","timestamp":1,"event":"e30="}}}`, broker.Unsigned},
		{"WSO2's old template", T, `{"event":{"payloadData":{"keyTemplateValue":["$userId"],"keyTemplateState":"add"}}}`, broker.Unknown},
		{"another notification", N, `{"event":{"payloadData":{"eventType":"API_CREATE","timestamp":1,"event":"e30="}}}`, broker.Unknown},
		{"almost a policy", N, `{"event":{"payloadData":{"eventType":"POLICY_","timestamp":1,"event":"e30="}}}`, broker.Unknown},
		{"almost a policy", N, `{"event":{"payloadData":{"eventType":"CREATE","timestamp":1,"event":"e30="}}}`, broker.Unknown},
		{"decision as notification", N, good, broker.Unknown},
		{"notification as decision", T, add, broker.Unknown},
		{"other topic", "cacheInvalidation", good, broker.Unknown},
		{"two things", T, re(good, `"throttleKey"`, `"blockingCondition":"IP","throttleKey"`), broker.Malformed},
		{"signature empty", T, re(good, `"signature":"`, `"signature":"","x":"`), broker.Unsigned},
		{"signature no base64", T, re(good, `"signature":"`, `"signature":"!`), broker.Unsigned},
		{"signature of another", T, re(good, `"signature":"`, `"signature":"AAAA`), broker.Unsigned},
		{"version missing", T, re(good, `"version":1`, `"versio":1`), broker.Malformed},
		{"version 2", T, re(good, `"version":1`, `"version":2`), broker.Unknown},
		{"version 2, other types", T, re(good, `"version":1`, `"version":2`, `"seq":42`, `"seq":"42"`), broker.Unknown},
		{"version no number", T, re(good, `"version":1`, `"version":"one"`), broker.Unknown},
		{"flag as text", T, re(good, `"isThrottled":true`, `"isThrottled":"true"`), broker.Malformed},
		{"time as text", T, re(good, `1760000040000`, `"1760000040000"`), broker.Malformed},
		{"time broken", T, re(good, `1760000040000`, `1760000040000.5`), broker.Malformed},
		{"time huge", T, re(good, `1760000040000`, `9223372036854775807`), broker.Malformed},
		{"time before all", T, re(good, `1760000040000`, `-1`), broker.Malformed},
		{"number huge", T, re(good, `1760000040000`, `1e400`), broker.Malformed},
		{"ends before it begins", T, re(good, `"windowStart":1759999980000`, `"windowStart":1760000040000`), broker.Malformed},
		{"key short", T, re(good, "0123456789abcdef", "123456789abcdef"), broker.Malformed},
		{"key in capitals", T, re(good, "0123456789abcdef", "0123456789ABCDEF"), broker.Malformed},
		{"key of nothing", T, re(good, "0123456789abcdef", "0000000000000000", "5:/pizza/1:1:Gold", ""), broker.Malformed},
		{"level unknown", T, re(good, `"subscription"`, `"unknown"`), broker.Malformed},
		{"group below -1", T, re(good, `"group":-1`, `"group":-2`), broker.Malformed},
		{"issuer empty", T, re(good, "tm-1", ""), broker.Malformed},
		{"seq negative", T, re(good, `"seq":42`, `"seq":-42`), broker.Malformed},
		{"range of nothing", T, re(goodIP, `"IP"`, `"IPRANGE"`, `{\"fixedIp\":\"10.1.2.3\",\"invert\":false}`, `{}`), broker.Malformed},
		{"address of nothing", T, re(goodIP, `{\"fixedIp\":\"10.1.2.3\",\"invert\":false}`, `{}`), broker.Malformed},
		{"address null", T, re(goodIP, `\"10.1.2.3\"`, `null`), broker.Malformed},
		{"address array", T, re(goodIP, `\"10.1.2.3\"`, `[]`), broker.Malformed},
		{"address no JSON", T, re(goodIP, `{\"fixedIp\"`, `\"fixedIp\"`), broker.Malformed},
		{"address deep", T, re(goodIP, `\"10.1.2.3\"`, strings.Repeat("[", 9)), broker.Malformed},
		{"address with zone", T, re(goodIP, "10.1.2.3", "fe80::1%eth0"), broker.Malformed},
		{"address out of range", T, re(goodIP, "10.1.2.3", "10.1.2.300"), broker.Malformed},
		{"range backwards", T, re(goodIP, `"IP"`, `"IPRANGE"`, `\"fixedIp\":\"10.1.2.3\"`, `\"startingIp\":\"10.1.2.3\",\"endingIp\":\"10.1.2.1\"`), broker.Malformed},
		{"range of two kinds", T, re(goodIP, `"IP"`, `"IPRANGE"`, `\"fixedIp\":\"10.1.2.3\"`, `\"startingIp\":\"10.1.2.3\",\"endingIp\":\"::1\"`), broker.Malformed},
		{"state as flag", T, re(goodIP, `"state":"true"`, `"state":true`), broker.Malformed},
		{"id as array", T, re(goodIP, `"id":7`, `"id":[7]`), broker.Malformed},
		{"id broken", T, re(goodIP, `"id":7`, `"id":7.5`), broker.Malformed},
		{"subscription", T, re(goodIP, `"IP"`, `"SUBSCRIPTION"`), broker.Unknown},
		{"template no base64", N, re(add, `"event":"`, `"event":"!`), broker.Malformed},
		{"template of nothing", N, re(add, `"eyJrZXlUZW1wbGF0ZSI6IiR1c2VySWQ6JGFwaUNvbnRleHQifQ=="`, `"e30="`), broker.Malformed},
		{"template null", N, re(add, `"eyJrZXlUZW1wbGF0ZSI6IiR1c2VySWQ6JGFwaUNvbnRleHQifQ=="`, `"bnVsbA=="`), broker.Malformed},
		{"template half updated", N, re(add, "CUSTOM_POLICY_ADD", "CUSTOM_POLICY_UPDATE"), broker.Malformed},
	} {
		m, err := broker.Parse(secret, tt.topic, []byte(tt.text))
		if err == nil {
			t.Errorf("%s: read %+v", tt.name, m)
			continue
		}
		if got := kindOf(t, err); got != tt.want {
			t.Errorf("%s: %v (%v), want %v", tt.name, err, got, tt.want)
		}
		if len(err.Error()) > 200 || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%s: an error that is no short line: %q", tt.name, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	d := decision()
	text := broker.AppendDecision(nil, secret, &d)
	if _, err := broker.ParseDecision(broker.NewSecret([]byte("another")), text); kindOf(t, err) != broker.Unsigned {
		t.Errorf("another secret: %v", err)
	}
	if _, err := broker.ParseDecision(broker.NewSecret(nil), text); kindOf(t, err) != broker.Unsigned {
		t.Errorf("no secret: %v", err)
	}
	// What is said without a secret is believed by nobody, not even without one.
	text = broker.AppendDecision(nil, broker.Secret{}, &d)
	for _, s := range []broker.Secret{{}, secret} {
		if _, err := broker.ParseDecision(s, text); kindOf(t, err) != broker.Unsigned {
			t.Errorf("not signed: %v", err)
		}
	}
}

// A time between two milliseconds is told as the later, and texts that no message
// can carry as texts that it can.
func TestTold(t *testing.T) {
	d := decision()
	d.Ends, d.Text, d.Issued = d.Ends.Add(1), "a\xffb", d.Issued.Add(999)
	got, err := broker.ParseDecision(secret, broker.AppendDecision(nil, secret, &d))
	want := decision()
	want.Ends, want.Text = want.Ends.Add(time.Millisecond), "a\uFFFDb"
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	off := deny(policy.DenyUser, "alice")
	off.Deny.Off = true
	m, err := broker.Parse(secret, broker.ThrottleData, broker.AppendDeny(nil, secret, off))
	if err != nil || !m.Deny.Remove || m.Deny.Deny.Off {
		t.Errorf("got %+v, %v, want a deny policy that is removed", m.Deny, err)
	}
}

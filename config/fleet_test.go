package config

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weir-project/weir/broker"
)

func parse(t *testing.T, r Role, text string) Config {
	t.Helper()
	c, err := ParseOf(r, r.file(), []byte(text), noEnv)
	if err != nil {
		t.Fatalf("%s:\n%s\n%v", r, text, err)
	}
	return c
}

// brokers returns brokers as people see them, with their passwords.
func brokers(all []broker.URL) []string {
	var texts []string
	for _, b := range all {
		text := b.String() + " " + b.Password
		for _, one := range b.Brokers {
			if one.TLS {
				text += " tls"
				break
			}
		}
		texts = append(texts, text)
	}
	return texts
}

func TestUplink(t *testing.T) {
	on := "[throttlingConfig]\nenabledGlobalTMEventPublishing = true\n"
	tests := []struct {
		name string
		role Role
		text string
		want *Uplink
		at   []string // brokers
	}{
		{"nothing is said", Microgateway, "", nil, nil},
		{"switched on", Microgateway, on, &Uplink{
			Groups: []Group{{URLs: []string{"https://localhost:9443/endpoints"}}}, Login: Login{"admin", "admin"}, Denies: true,
			Data: []DataSource{{"https://localhost:9443/internal/data/v1", Login{"admin", "admin"}}},
		}, []string{"nats://admin@localhost:4222 admin"}},
		{"elsewhere", Microgateway, on + `
throttleEndpointUrl = "https://tm:9443/endpoints/"
throttleEndpointbase64Header = "Z2F0ZXdheTpzM2NyZXQ="
jmsConnectionProviderUrl = "amqp://guest:guest@carbon/carbon?brokerlist='tcp://mq:5672?retries='5'&connectdelay='50';tcp://mq2:5672'"
jmsConnectionUsername = "weir"
jmsConnectionPassword = "hop"
[throttlingConfig.dataRetriever]
serverUrl = "https://cp:9443/internal/data/v1"
username = "data"
password = "d4ta"
`, &Uplink{
			Groups: []Group{{URLs: []string{"https://tm:9443/endpoints"}}}, Login: Login{"gateway", "s3cret"}, Denies: true,
			Data: []DataSource{{"https://cp:9443/internal/data/v1", Login{"data", "d4ta"}}},
		}, []string{"amqp://weir@mq:5672,mq2:5672/carbon hop"}},
		{"binary", Microgateway, on + `
[throttlingConfig.binary]
enabled = true
username = "g"
password = "s3cret"
[[throttlingConfig.binary.URLGroup]]
receiverURL = "tcp://a:9611,tcp://b:9612"
authURL = "ssl://a:9711,ssl://b:9712"
type = "failover"
`, &Uplink{
			Groups: []Group{{URLs: []string{"https://a:9443/endpoints", "https://b:9444/endpoints"}, FailOver: true}}, Login: Login{"g", "s3cret"}, Denies: true,
			Data: []DataSource{{"https://a:9443/internal/data/v1", Login{"g", "s3cret"}}, {"https://b:9444/internal/data/v1", Login{"g", "s3cret"}}},
		}, []string{"nats://g@a:4222 s3cret", "nats://g@b:4222 s3cret"}},
		{"a gateway without traffic managers", Gateway, "", nil, nil},
		{"all in one", All, "", &Uplink{Login: Login{"admin", "admin"}, Denies: true}, nil},
		{"groups", Gateway, `
[apim.throttling]
username = "u"
password = "p4ss"
enable_blacklist_condition = false
throttle_decision_endpoints = ["tcp://a:5672", "nats://b", "amqps://x:y2@c"]
jms.ssl = true
[[apim.throttling.url_group]]
traffic_manager_urls = ["tcp://a:9611", "tcp://b:9611"]
traffic_manager_auth_urls = ["ssl://a:9711", "ssl://b:9711"]
type = "loadbalance"
[[apim.throttling.url_group]]
traffic_manager_urls = ["https://c"]
type = "failover"
[apim.event_hub]
service_url = "https://cp:9443/services/"
username = "hub"
password = "hu8"
event_listening_endpoints = ["tcp://cp:5672", "amqp://hub:hu8@cp"]
`, &Uplink{
			Groups: []Group{{URLs: []string{"https://a:9443/endpoints", "https://b:9443/endpoints"}}, {URLs: []string{"https://c/endpoints"}, FailOver: true}},
			Login:  Login{"u", "p4ss"},
			Data:   []DataSource{{"https://cp:9443/internal/data/v1", Login{"hub", "hu8"}}},
		}, []string{"amqp://u@a:5672 p4ss tls", "nats://u@b:4222 p4ss", "amqp://x@c:5671 y2 tls", "amqp://hub@cp:5672 hu8"}},
		{"groups in one text", Gateway, `
[broker]
type = "nats"
url = ["nats://n1,n2"]
[apim.throttling]
receiver_username = "r"
receiver_password = "p4ss"
receiver_url = "{tcp://a:9611,tcp://b:9611},{tcp://c:9611|tcp://d:9613}"
`, &Uplink{
			Groups: []Group{
				{URLs: []string{"https://a:9443/endpoints", "https://b:9443/endpoints"}},
				{URLs: []string{"https://c:9443/endpoints", "https://d:9445/endpoints"}, FailOver: true},
			},
			Login: Login{"r", "p4ss"}, Denies: true,
			Data: []DataSource{
				{"https://a:9443/internal/data/v1", Login{"r", "p4ss"}},
				{"https://b:9443/internal/data/v1", Login{"r", "p4ss"}},
				{"https://c:9443/internal/data/v1", Login{"r", "p4ss"}},
				{"https://d:9445/internal/data/v1", Login{"r", "p4ss"}},
			},
		}, []string{"nats://r@n1:4222,n2:4222 p4ss"}},
		{"switched off", Gateway, "[apim.throttling]\nenable_data_publishing = false\n[[apim.throttling.url_group]]\ntraffic_manager_urls = \"tcp://a\"\n", nil, nil},
		{"not listening", Gateway, "[apim.throttling]\nenable_decision_connection = false\nurl_group = [{traffic_manager_urls = \"tcp://localhost\"}]\n", &Uplink{
			Groups: []Group{{URLs: []string{"https://localhost:9443/endpoints"}}}, Login: Login{"admin", "admin"}, Denies: true,
			Data: []DataSource{{"https://localhost:9443/internal/data/v1", Login{"admin", "admin"}}},
		}, nil},
	}
	for _, tt := range tests {
		c := parse(t, tt.role, tt.text)
		got := c.Uplink()
		if (got == nil) != (tt.want == nil) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
		if got == nil || tt.want == nil {
			continue
		}
		if at := brokers(got.Brokers); !reflect.DeepEqual(at, tt.at) {
			t.Errorf("%s: got the brokers %q, want %q", tt.name, at, tt.at)
		}
		got.Brokers = nil
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestTopic(t *testing.T) {
	tests := []struct {
		name, text string
		role       Role
		embedded   string
		memory     bool
		at         []string
	}{
		{"alone", "", TrafficManager, "127.0.0.1:4222", false, nil},
		{"with a password", "[apim.throttling]\npassword = \"s3cret\"\n", TrafficManager, "0.0.0.0:4222", false, nil},
		{"with a password for the broker", "[broker]\nuser = \"b\"\npassword = \"s3cret\"\n", TrafficManager, "0.0.0.0:4222", false, nil},
		{"elsewhere", "[broker]\nlisten = \"localhost:0\"\n", TrafficManager, "localhost:0", false, nil},
		{"all in one", "", All, "", true, nil},
		{"all in one, and others listen", "[broker]\ntype = \"embedded-nats\"\n", All, "127.0.0.1:4222", true, nil},
		{
			"apart", "[broker]\ntype = \"amqp\"\nurl = \"amqp://localhost\"\nuser = \"u\"\npassword = \"p\"\n[apim.throttling]\nevent_duplicate_url = [\"tcp://127.0.0.1\"]\n", TrafficManager, "", false,
			[]string{"amqp://u@localhost:5672 p", "amqp://u@127.0.0.1:5672 p"},
		},
	}
	for _, tt := range tests {
		c := parse(t, tt.role, tt.text)
		got := c.Topic()
		if got.Embedded != tt.embedded || got.Memory != tt.memory || !reflect.DeepEqual(brokers(got.Brokers), tt.at) {
			t.Errorf("%s: got %+v, %q", tt.name, got, brokers(got.Brokers))
		}
	}
	for text, want := range map[string]string{
		"[broker]\ntype = \"memory\"\n":                               "broker.type: is memory",
		"[broker]\ntype = \"nats\"\n":                                 "broker.url: is missing",
		"[broker]\ntype = \"nats\"\nurl = \"amqp://localhost\"\n":     "broker.url: names a broker of amqp",
		"[broker]\nlisten = \"4222\"\n":                               "broker.listen: must be an address and a port",
		"[broker]\nlisten = \"0.0.0.0:4222\"\n":                       "broker.listen: is not on loopback",
		"[apim.throttling]\nevent_duplicate_url = \"tcp://b:5672\"\n": "event_duplicate_url: has a password that anybody knows",
	} {
		_, err := ParseOf(TrafficManager, "deployment.toml", []byte(text), noEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestFleetSecret shows that the nodes of a fleet have a secret in common as soon as
// they have the credentials of events in common.
func TestFleetSecret(t *testing.T) {
	manager := parse(t, TrafficManager, "[apim.throttling]\nusername = \"u\"\npassword = \"s3cret\"\n")
	micro := parse(t, Microgateway, "[throttlingConfig]\nenabledGlobalTMEventPublishing = true\nthrottleEndpointbase64Header = \"u:s3cret\"\n")
	group := "url_group = [{traffic_manager_urls = \"tcp://a\"}]\n"
	gateway := parse(t, Gateway, "[apim.throttling]\nreceiver_username = \"u\"\nreceiver_password = \"s3cret\"\n"+group)
	other := parse(t, Gateway, "[apim.throttling]\nusername = \"u\"\npassword = \"s3cret2\"\n"+group)
	own := parse(t, Gateway, "[node]\nsecret = \"0123456789abcdef\"\n[apim.throttling]\nusername = \"u\"\npassword = \"s3cret\"\n"+group)
	for name, c := range map[string]*Config{"a microgateway": &micro, "a gateway": &gateway} {
		if !bytes.Equal(c.FleetSecret(), manager.FleetSecret()) {
			t.Errorf("%s has another secret than its traffic manager", name)
		}
	}
	// Gateways that only share counters have the store's credentials in common.
	share := "[apim.distributed_throttling]\nenable = true\n[apim.distributed_throttling.keyvalue_store]\nhost = \"kv\"\nuser = \"u\"\n"
	one, two := parse(t, Gateway, share+"password = \"s3cret\"\n"), parse(t, Microgateway, share+"password = \"s3cret\"\n")
	third := parse(t, Gateway, share+"password = \"s3cret2\"\n")
	if !bytes.Equal(one.FleetSecret(), two.FleetSecret()) {
		t.Error("gateways with the same store have different secrets")
	}
	if bytes.Equal(one.FleetSecret(), third.FleetSecret()) || bytes.Equal(one.FleetSecret(), manager.FleetSecret()) {
		t.Error("gateways with different stores have the same secret")
	}
	for name, c := range map[string]*Config{"another password": &other, "a secret of its own": &own} {
		if bytes.Equal(c.FleetSecret(), manager.FleetSecret()) {
			t.Errorf("%s: the secret is the same", name)
		}
	}
}

func TestHTTPSAddress(t *testing.T) {
	for _, tt := range []struct {
		role Role
		text string
		host string
		open bool
	}{
		{All, "", "127.0.0.1", true},
		{TrafficManager, "[apim.throttling]\npassword = \"s3cret\"\n", "0.0.0.0", true},
		{TrafficManager, "[management]\nhttps_host = \"::1\"\n", "::1", true},
		{Gateway, "", "127.0.0.1", false},
	} {
		c := parse(t, tt.role, tt.text)
		if host, _, open := c.HTTPSAddress(); host != tt.host || open != tt.open {
			t.Errorf("%s %q: got %s, %t", tt.role, tt.text, host, open)
		}
	}
}

func TestSecretsInFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "from a file\r\n", "b.txt": "from a variable's file\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "deployment.toml")
	text := []byte("[apim.throttling]\npassword_file = \"a.txt\"\n[broker]\npassword = \"x\"\n")
	env := []string{"WEIR_BROKER_PASSWORD_FILE", filepath.Join(dir, "b.txt")}
	c, err := ParseOf(TrafficManager, file, text, environment(env...))
	if err != nil || c.APIM.Password != "from a file" || c.Broker.Password != "from a variable's file" {
		t.Errorf("got %q, %q, %v", string(c.APIM.Password), string(c.Broker.Password), err)
	}
	_, err = ParseOf(TrafficManager, file, text, environment(append(env, "WEIR_BROKER_PASSWORD", "y")...))
	if err == nil || !strings.Contains(err.Error(), "is there as WEIR_BROKER_PASSWORD and as WEIR_BROKER_PASSWORD_FILE") {
		t.Errorf("both variables: got %v", err)
	}
	_, err = ParseOf(TrafficManager, file, text, environment("WEIR_NODE_SECRET_FILE", filepath.Join(dir, "none.txt")))
	if err == nil || !strings.HasPrefix(err.Error(), "WEIR_NODE_SECRET_FILE: node.secret: cannot be read") {
		t.Errorf("no file: got %v", err)
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	c := parse(t, TrafficManager, "[apim.throttling]\npassword = \"hop-and-hide\"\n[node]\nsecret = \"hop-and-hide-as-well\"\n")
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("configuration", "config", c)
	slog.New(slog.NewTextHandler(&b, nil)).Info("configuration", "config", c)
	fmt.Fprintf(&b, "%v %+v %#v %s", c, c, c, c.APIM.Password)
	if strings.Contains(b.String(), "hop-and-hide") {
		t.Errorf("a secret shows:\n%s", b.String())
	}
}

func TestNotes(t *testing.T) {
	c := parse(t, Microgateway, `
[throttlingConfig]
enableHeaderConditions = true
[throttlingConfig.nodeLocal]
cleanUpFrequency = 3600
[throttlingConfig.binary]
enabled = false
agent.queueSize = 32768
[apim.eventHub]
enable = false
`)
	got := c.Notes.Error()
	want := `micro-gw.conf:3: throttlingConfig.enableHeaderConditions: has no effect: what the policies look at is sent to traffic managers, and nothing else
micro-gw.conf:5: throttlingConfig.nodeLocal.cleanUpFrequency: has no effect: counters of windows that have ended are removed by themselves
micro-gw.conf:8: throttlingConfig.binary.agent.queueSize: has no effect: events.queue_bytes and events.queue_age bound what waits`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestForeignKeys keeps WSO2's keys apart from those that mean something here.
func TestForeignKeys(t *testing.T) {
	c := Default()
	mine := map[string]bool{}
	for _, s := range c.sections() {
		for _, k := range s.keysOf(s.sample()) {
			mine[k.String()] = true
		}
	}
	for _, f := range foreign() {
		for _, name := range f.names() {
			full := f.section + "." + name
			if mine[full] {
				t.Errorf("%s stands there twice", full)
			}
			mine[full] = true
		}
		if f.reason == "" {
			t.Errorf("%s %s has no reason", f.section, f.keys)
		}
	}
}

func TestChanged(t *testing.T) {
	was := parse(t, All, "[apim.throttling]\npassword = \"a-b-c\"\n")
	is := parse(t, All, "[apim.throttling]\npassword = \"a-b-d\"\n[log]\nlevel = \"warn\"\n[limits]\nstreams = 2\n")
	if got := Changed(&was, &is); !reflect.DeepEqual(got, []string{"limits", "apim.throttling"}) {
		t.Errorf("got %v", got)
	}
	if got := Changed(&was, &was); len(got) > 0 {
		t.Errorf("got %v of a configuration that is the same", got)
	}
}

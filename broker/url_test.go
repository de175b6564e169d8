package broker_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/broker"
)

func TestURL(t *testing.T) {
	list := func(b ...broker.Broker) []broker.Broker { return b }
	tcp := func(address string) broker.Broker { return broker.Broker{Address: address} }
	tls := func(address string) broker.Broker { return broker.Broker{Address: address, TLS: true} }
	two := list(broker.Broker{Address: "a:5672", Retries: 5, ConnectDelay: 50 * time.Millisecond}, tcp("b:5672"))
	full := broker.URL{Scheme: broker.AMQP, User: "user", Password: "pass", ClientID: "client", VHost: "vhost", Brokers: two}
	for _, tt := range []struct {
		s    string
		want broker.URL
	}{
		{"amqp://admin:admin@carbon/carbon?brokerlist='tcp://localhost:5672'", broker.URL{Scheme: broker.AMQP, User: "admin", Password: "admin", ClientID: "carbon", VHost: "carbon", Brokers: list(tcp("localhost:5672"))}},
		{"amqp://user:pass@client/vhost?brokerlist='tcp://a:5672?retries='5'&connectdelay='50';tcp://b:5672'", full},
		{"amqp://user:pass@client/vhost?brokerlist='tcp://a:5672?retries='5'%26connectdelay='50';tcp://b:5672'", full},
		{"amqp://user:pass@client/vhost?brokerlist='tcp://a:5672?retries='5'&amp;connectdelay='50';tcp://b:5672'", full},
		{"amqp://user:pass@client/vhost?brokerlist=%27tcp://a:5672?retries=%275%27%26connectdelay=%2750%27%3Btcp://b:5672%27", full},
		{" amqp://user:pass@client/vhost?failover='roundrobin'%26cyclecount='2'%26brokerlist='tcp://a:5672?retries='5'%26connectdelay='50';tcp://b:5672'\n", full},
		{"amqp://user:pass@client/vhost?failover='roundrobin?cyclecount='2''&brokerlist='a:5672?connectdelay='50'&retries='5';b/;'", full},
		{"amqp://user:pass@client/?failover='singlebroker'&brokerlist='tcp://a;tcp://b'", broker.URL{Scheme: broker.AMQP, User: "user", Password: "pass", ClientID: "client", VHost: "/", Brokers: list(tcp("a:5672"))}},
		{"amqp://user:pass@?brokerlist='tcp://a?ssl='true'&connecttimeout='1500';tcp://b'", broker.URL{Scheme: broker.AMQP, User: "user", Password: "pass", VHost: "/", Brokers: list(broker.Broker{Address: "a:5671", TLS: true, ConnectTimeout: 1500 * time.Millisecond}, tcp("b:5672"))}},
		{"amqp:///carbon?ssl='true'&brokerlist='tcp://a;tcp://b?ssl='false''", broker.URL{Scheme: broker.AMQP, VHost: "carbon", Brokers: list(tls("a:5671"), tcp("b:5672"))}},
		{"amqps://user:pass@client/a%2Fb?brokerlist='tcp://[2001:db8::1]:5671'", broker.URL{Scheme: broker.AMQP, User: "user", Password: "pass", ClientID: "client", VHost: "a/b", Brokers: list(tls("[2001:db8::1]:5671"))}},
		{"amqp://user:p%40%2f%3a%25@host:5673/v", broker.URL{Scheme: broker.AMQP, User: "user", Password: "p@/:%", VHost: "v", Brokers: list(tcp("host:5673"))}},
		{"amqp://us%3aer:p:a@ss@host", broker.URL{Scheme: broker.AMQP, User: "us:er", Password: "p:a@ss", VHost: "/", Brokers: list(tcp("host:5672"))}},
		{"amqp://host/%2f", broker.URL{Scheme: broker.AMQP, VHost: "/", Brokers: list(tcp("host:5672"))}},
		{"amqps://host", broker.URL{Scheme: broker.AMQP, VHost: "/", Brokers: list(tls("host:5671"))}},
		{"amqp://host?ssl='true'", broker.URL{Scheme: broker.AMQP, VHost: "/", Brokers: list(tls("host:5671"))}},
		{"nats://localhost", broker.URL{Scheme: broker.NATS, Brokers: list(tcp("localhost:4222"))}},
		{"nats://user:pass@a:4223,b,nats://c,tls://[::1]:5/", broker.URL{Scheme: broker.NATS, User: "user", Password: "pass", Brokers: list(tcp("a:4223"), tcp("b:4222"), tcp("c:4222"), tls("[::1]:5"))}},
		{"tls://user@a", broker.URL{Scheme: broker.NATS, User: "user", Brokers: list(tls("a:4222"))}},
	} {
		got, err := broker.ParseURL(tt.s)
		if err != nil {
			t.Errorf("%s: %v", tt.s, err)
		} else if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", tt.s, plain(got), plain(tt.want))
		}
	}
}

// plain shows all fields.
func plain(u broker.URL) any {
	type fields broker.URL
	return fields(u)
}

// Each fault says where it is and what would be right, and shows no password.
func TestURLFaults(t *testing.T) {
	for s, want := range map[string]string{
		"":                                             "amqp://",
		"http://user:s3cr3t@host":                      "amqps://",
		"user:s3cr3t@c/v?brokerlist='tcp://a'":         "amqp://",
		"s3cr3t://user@host":                           "nats://",
		"amqp://user:s3cr3t@":                          "host:port",
		"amqp://:s3cr3t@host":                          "user:password@",
		"amqp://user:s3cr3t%@host":                     "%25",
		"amqp://user:s3cr3t/@host":                     "%2F",
		"amqp://user:s3cr3t/x@host:5672/":              "%2F",
		"amqp://user:s3cr3t?x='@host":                  "%3F",
		"amqp://user:s3cr3t":                           "port",
		"amqp://user:s3cr3t/vhost":                     "port",
		"amqp://user:s3 cr3t@host":                     "byte 15 is a blank",
		"amqp://user:s3cr3t@host:0":                    "from 1 to 65535",
		"amqp://user:s3cr3t@host:65536":                "from 1 to 65535",
		"amqp://user:s3cr3t@ho$t":                      "letters",
		"amqp://user:s3cr3t@[::1":                      "IPv6",
		"amqp://user:s3cr3t@[10.0.0.1]":                "IPv6",
		"amqp://user:s3cr3t@::1":                       "[ ]",
		"amqp://user:s3cr3t@host/%zz":                  "virtual host",
		"amqp://user:s3cr3t@host?retries='5'":          "option retries: it is not known; known are brokerlist",
		"amqp://user:s3cr3t@c/v?brokerlist=''":         "option brokerlist: it is empty",
		"amqp://user:s3cr3t@c/v?brokerlist=tcp://a":    "option brokerlist: its value stands in single quotes",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a":   "option brokerlist: its value stands in single quotes",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a'x": "option brokerlist: behind its closing quote",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a'&brokerlist='tcp://b'":         "option brokerlist: it stands twice",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a'&maxprefetch='1'":              "option maxprefetch: it is not known",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a'&":                             "",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a'&&ssl='true'":                  "option 2: an option is name='value'",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a;tcp://b?retrys='1''":           "broker 2 of the brokerlist: option retrys: it is not known; known are retries, connectdelay",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a?retries='-1''":                 "broker 1 of the brokerlist: option retries: it is a number from 0 to 1000",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a?connectdelay='1s''":            "option connectdelay: it is a number of milliseconds",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a?connecttimeout='99999999999''": "option connecttimeout: it is a number of milliseconds",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a?ssl='yes''":                    "option ssl: it is 'true' or 'false'",
		"amqp://user:s3cr3t@c/v?brokerlist='vm://a'":                               "broker 1 of the brokerlist: it begins with tcp://",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a:x'":                            "broker 1 of the brokerlist: the port",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://x:s3cr3t@a'":                     "once, before the first host",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a'&failover='onetime'":           "option failover: it is 'roundrobin'",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a'&failover='roundrobin?x='1''":  "option failover: option x: it is not known; cyclecount is",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a'&cyclecount='many'":            "option cyclecount: it is a number",
		"amqp://user:s3cr3t@c/v?brokerlist='tcp://a%'":                             "%25",
		"amqp://user:s3cr3t@c:1/v?brokerlist='tcp://a'":                            "client ID",
		"nats://user:s3cr3t@a,":                                                    "broker 2: the address",
		"nats://user:s3cr3t@a,u:s3cr3t@b":                                          "",
		"nats://user:s3cr3t@a/x":                                                   "address",
		"nats://user:s3cr3t@a?x=1":                                                 "address",
		"nats://user:s3cr3t@a,nats://user:s3cr3t@b":                                "once, before the first host",
		"nats://" + strings.Repeat("a,", 40) + "a":                                 "more than 32",
		"nats://" + strings.Repeat("a", 5000):                                      "4096",
	} {
		u, err := broker.ParseURL(s)
		if want == "" {
			continue // right or wrong, but no password
		}
		if err == nil {
			t.Errorf("%s: got %v", s, plain(u))
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", s, err, want)
		}
		if strings.Contains(err.Error(), "s3cr3t") || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// However a URL or a Secret is written, what is secret is not in it.
func TestNothingSecretInText(t *testing.T) {
	u, err := broker.ParseURL("amqp://user:s3cr3t@c/v?brokerlist='tcp://a;tcp://b'")
	if err != nil {
		t.Fatal(err)
	}
	const want = "amqp://user@a:5672,b:5672/v"
	if got := u.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	type both struct {
		U broker.URL
		S broker.Secret
	}
	v := both{u, broker.NewSecret([]byte("s3cr3t"))}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "u", u, "v", v, "s", v.S)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "u", u, "v", v, "s", v.S)
	shown := string(text) + log.String() + fmt.Sprintf("%v %+v %#v %s %q %v %#v", v, v, v, v, v, &v, v.S)
	if strings.Contains(shown, "s3cr3t") || strings.Contains(shown, "7333637233") {
		t.Error(shown)
	}
}

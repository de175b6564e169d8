package config

import "time"

// A Secret is a text that must not be shown: it shows itself as (secret).
type Secret string

// String returns a text that tells nothing of the secret.
func (Secret) String() string { return "(secret)" }

// GoString returns the same as String.
func (Secret) GoString() string { return "(secret)" }

// MarshalText returns the same as String.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Node is the section node.
type Node struct {
	Name   string `toml:"name" doc:"The node's name in logs, events and decisions. Empty is the name of the host."`
	Secret Secret `toml:"secret" doc:"What all gateways and traffic managers of a fleet have in common, 16 characters at least: it signs decisions, and keys are hashed with it. Empty, it follows from user and password of events, which all of them have in common too; of gateways that only share counters, from those of the store."`
	Data   string `toml:"data" kind:"file" doc:"Folder of what the node makes for itself and keeps: its certificate."`
}

// GatewayRole is the section gateway.
type GatewayRole struct {
	Artifact string `toml:"artifact" kind:"file" doc:"What 'weir build' made of the project that the gateway serves."`
}

// TrafficRole is the section traffic_manager.
type TrafficRole struct {
	Artifact string        `toml:"artifact" kind:"file" doc:"What 'weir build' made of the project whose limits the traffic manager counts: as a rule the one that the gateways serve. With 'weir serve --role all', empty is that of the gateway."`
	Grace    time.Duration `toml:"grace" min:"0s" max:"10m" doc:"How late events may come. An older one is not counted, but shown as late."`
}

// Events is the section events.
type Events struct {
	Flush      time.Duration `toml:"flush" min:"1ms" max:"1s" doc:"How long events are collected, and equal ones merged, before they are sent."`
	MaxEvents  int           `toml:"max_events" min:"1" max:"10000" doc:"Different events after which they are sent at once."`
	QueueBytes Size          `toml:"queue_bytes" min:"64KiB" max:"16GiB" doc:"Events that wait while a traffic manager is away; beyond it the oldest are dropped, and counted."`
	QueueAge   time.Duration `toml:"queue_age" min:"1s" max:"10m" doc:"How long they wait."`
	Ledger     Size          `toml:"ledger" min:"64KiB" max:"16GiB" doc:"Memory for what was sent of windows that are open, which a traffic manager that was restarted is told again. Beyond it, what was sent longest ago can't be."`
	CAFile     string        `toml:"ca_file" kind:"file" doc:"Certificate authorities for traffic managers in PEM, or the certificates that these made for themselves (server.pem in node.data, there). Empty means the authorities of the system; on loopback any certificate is then taken."`
	CertFile   string        `toml:"cert_file" kind:"file" doc:"Certificate with which the gateway shows itself to traffic managers, in PEM."`
	KeyFile    string        `toml:"key_file" kind:"file" doc:"Private key of cert_file in PEM."`
}

// The types of broker.
const (
	EmbeddedNATS = "embedded-nats"
	NATS         = "nats"
	AMQP         = "amqp"
	Memory       = "memory"
)

// Broker is the section broker.
type Broker struct {
	Type     string   `toml:"type" oneof:",embedded-nats,nats,amqp,memory" doc:"What carries the topic: a NATS server inside of the traffic manager; a NATS server or a broker of AMQP 0-9-1 (RabbitMQ, for one) that runs apart; or memory, where all is one process. Empty is memory for 'weir serve --role all', and otherwise embedded-nats."`
	URL      []string `toml:"url" doc:"Where a broker is that runs apart: nats://host:4222 or amqp://host:5672/vhost, a cluster of NATS in one text, nats://a:4222,b:4222. Of several, a traffic manager tells each, and a gateway listens to each on its own. A gateway looks here if nothing else names a broker; with nothing here either, it looks for NATS at port 4222 of each traffic manager."`
	Listen   string   `toml:"listen" doc:"Address and port of embedded-nats. Empty is port 4222, on every interface if there is a password other than the default, and otherwise on loopback."`
	User     string   `toml:"user" doc:"User at the broker, and whom embedded-nats lets in; empty is that of events, as is the password."`
	Password Secret   `toml:"password" doc:"Password of user."`
	CAFile   string   `toml:"ca_file" kind:"file" doc:"Certificate authorities for brokers that are reached by TLS (amqps, tls) in PEM; empty means those of the system."`
	CertFile string   `toml:"cert_file" kind:"file" doc:"Certificate of embedded-nats in PEM; without it there is no TLS."`
	KeyFile  string   `toml:"key_file" kind:"file" doc:"Private key of cert_file in PEM."`
	Queue    int      `toml:"queue" min:"16" max:"10000000" doc:"Decisions that wait for the topic; beyond it the oldest are dropped, and counted. Gateways hear of them elsewhere."`
}

// Management is the section management.
type Management struct {
	Host      string `toml:"host" doc:"Address or name of the interface for HTTP."`
	Port      int    `toml:"port" min:"-1" max:"65535" doc:"Port for HTTP, with health, readiness, metrics and, where counters are shared, /sharing for weir top. It has no access control: keep it where only operators reach it. 0 takes any that is free, -1 opens none."`
	HTTPSHost string `toml:"https_host" doc:"Address or name of the interface for HTTPS. Empty is every one if there is a password other than the default for events, and otherwise loopback."`
	HTTPSPort int    `toml:"https_port" min:"-1" max:"65535" doc:"Port for HTTPS, on which a traffic manager takes events and says what is in force; 0 takes any that is free, -1 opens none."`
	CertFile  string `toml:"cert_file" kind:"file" doc:"Certificate for HTTPS in PEM, with its chain. Without it the node makes one, and logs its fingerprint."`
	KeyFile   string `toml:"key_file" kind:"file" doc:"Private key of cert_file in PEM."`
	ClientCA  string `toml:"client_ca_file" kind:"file" doc:"Certificate authorities in PEM. Whoever shows a certificate of theirs needs no user and password."`
}

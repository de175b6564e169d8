// Package config is the configuration of a process: one [Config], its defaults,
// and how it is read from deployment.toml or micro-gw.conf, overridden by
// environment variables and checked as a whole.
//
// Sections and keys that WSO2's products have are spelled as there; those that only
// Weir has are in lower case with underscores. An unknown key is an error, and every
// error says where it stands and what is allowed there. A key of WSO2's that means
// nothing here is a note, or an error if what it asks for is not done.
package config

import (
	"net/netip"
	"time"
)

// A Config is everything about a process that is not in its artifacts. [Default]
// has the value of every key that nobody sets; the zero Config is not valid.
//
// The tags are what the reader, the checks and the reference of the keys are
// made from: doc is the meaning; min, max and oneof are what is allowed; "file"
// as kind makes a relative path start at the configuration's folder. Of a section,
// only names the file that may have it, and quoted allows numbers in quotes; put
// says what to write in place of a placeholder.
type Config struct {
	// Role is what the configuration was read for. It is in no file.
	Role Role
	// Notes are the keys in the file that have no effect, and why. They are no
	// error.
	Notes Faults

	Node           Node        `toml:"node" doc:"The process among the others of its fleet."`
	Gateway        GatewayRole `toml:"gateway" only:"deployment.toml" doc:"What the gateway of 'weir serve' serves."`
	TrafficManager TrafficRole `toml:"traffic_manager" only:"deployment.toml" doc:"What the traffic manager of 'weir serve' counts."`

	Listener      Listener      `toml:"listenerConfig" doc:"Where clients reach the gateway."`
	ClientAddress ClientAddress `toml:"client_address" doc:"How the address of a client is found: limits, conditions and deny policies use it."`
	APIKey        APIKey        `toml:"apikey" doc:"Where requests carry an API key."`
	JWT           []JWT         `toml:"jwtTokenConfig" doc:"A party whose tokens are believed. The section may stand several times; without it no token is accepted."`
	Limits        Limits        `toml:"limits" doc:"How large requests may be, and how many connections there may be."`
	Timeouts      Timeouts      `toml:"timeouts" doc:"How slow clients may be."`
	Backend       Backend       `toml:"backend" doc:"How backends are reached."`
	Limiter       Limiter       `toml:"limiter" doc:"The counters."`
	Management    Management    `toml:"management" doc:"The listeners for those who are no clients of APIs."`
	Log           Log           `toml:"log" doc:"The log, which goes to standard error."`
	Shutdown      Shutdown      `toml:"shutdown" doc:"How the process stops."`

	Events Events `toml:"events" doc:"How a gateway tells traffic managers of the calls that it let pass."`
	Broker Broker `toml:"broker" doc:"The topic over which traffic managers tell gateways what they decide."`

	Throttling    Throttling    `toml:"throttlingConfig" only:"micro-gw.conf" quoted:"yes" doc:"Throttling together with other gateways, as WSO2's Microgateway has it."`
	DataRetriever DataRetriever `toml:"throttlingConfig.dataRetriever" only:"micro-gw.conf" quoted:"yes" doc:"Where deny policies and key templates of custom rules are, which a gateway gets when it starts."`
	Binary        Binary        `toml:"throttlingConfig.binary" only:"micro-gw.conf" quoted:"yes" doc:"Several traffic managers, as WSO2's Microgateway has them. What is sent is HTTPS all the same."`
	BinaryGroups  []BinaryGroup `toml:"throttlingConfig.binary.URLGroup" only:"micro-gw.conf" quoted:"yes" doc:"A group of traffic managers. The section may stand several times: every group gets every event."`

	APIM        APIM        `toml:"apim.throttling" only:"deployment.toml" quoted:"yes" doc:"Throttling together with others, as WSO2's API Manager has it."`
	URLGroups   []URLGroup  `toml:"apim.throttling.url_group" only:"deployment.toml" quoted:"yes" doc:"A group of traffic managers to which the gateway tells what it let pass. The section may stand several times: every group gets every event."`
	APIMJMS     APIMJMS     `toml:"apim.throttling.jms" only:"deployment.toml" quoted:"yes" doc:"How throttle_decision_endpoints are reached."`
	EventHub    EventHub    `toml:"apim.event_hub" only:"deployment.toml" quoted:"yes" doc:"A control plane from which the gateway gets deny policies and key templates, instead of the traffic managers."`
	EventHubJMS EventHubJMS `toml:"apim.event_hub.jms" only:"deployment.toml" quoted:"yes" doc:"How event_listening_endpoints are reached."`

	Distributed        Distributed        `toml:"apim.distributed_throttling" quoted:"yes" doc:"Counters that nodes share through Redis or Valkey: traffic managers all of theirs, gateways those of limits that are bounded or exact (see accuracy)."`
	KeyValueStore      KeyValueStore      `toml:"apim.distributed_throttling.keyvalue_store" quoted:"yes" doc:"The Redis or Valkey of apim.distributed_throttling. Without host and sentinel_master it is that of apim.redis_config, and the other keys here have no effect."`
	Redis              Redis              `toml:"apim.redis_config" quoted:"yes" doc:"The Redis or Valkey of throttle_properties, through which gateways share. Without host and sentinel_master it is that of apim.distributed_throttling.keyvalue_store."`
	RedisPool          Pool               `toml:"apim.redis_config.pool_options" quoted:"yes" doc:"Connections to apim.redis_config."`
	ThrottleProperties ThrottleProperties `toml:"throttle_properties" quoted:"yes" doc:"Counters that gateways share."`
	Accuracy           Accuracy           `toml:"accuracy" doc:"How closely a fleet of gateways keeps the limits that do not say so themselves, by the level at which they hold. eventual: by events and the decisions of traffic managers; bounded: by counters that gateways share in a store; exact: by rights that a gateway is granted there before it spends them, so that the fleet never exceeds the limit. Whatever it is, one gateway alone never exceeds a limit."`
}

// Off is the port of a listener that is not opened.
const Off = -1

// Listener is the section listenerConfig.
type Listener struct {
	Host      string `toml:"host" doc:"Address or name of the interface; 0.0.0.0 is every one, over IPv4 and IPv6."`
	HTTPPort  int    `toml:"httpPort" min:"-1" max:"65535" doc:"Port for HTTP; 0 takes any that is free, -1 opens none."`
	HTTPSPort int    `toml:"httpsPort" min:"-1" max:"65535" doc:"Port for HTTPS, opened once there is a certificate; 0 takes any that is free, -1 opens none."`
	CertFile  string `toml:"certFile" kind:"file" doc:"Certificate for HTTPS in PEM, with its chain. It is read again when it changes. Without it there is no HTTPS: no certificate is made up."`
	KeyFile   string `toml:"keyFile" kind:"file" doc:"Private key of the certificate in PEM."`
	HTTP2     bool   `toml:"http2" doc:"Whether HTTP/2 (and so gRPC) is spoken: by ALPN on HTTPS, with prior knowledge on HTTP."`
}

// TLS reports whether HTTPS is to be served.
func (l *Listener) TLS() bool { return l.HTTPSPort != Off && l.CertFile != "" }

// ClientAddress is the section client_address.
type ClientAddress struct {
	TrustedProxies []netip.Prefix `toml:"trusted_proxies" doc:"Addresses and networks of proxies whose X-Forwarded-For is believed: the client is the right-most address that none of them has. With none, the client is the peer."`
	IPv6Bits       int            `toml:"ipv6_bits" min:"1" max:"128" doc:"Length of the network by which IPv6 addresses count where an address is counted; one customer has a whole /64."`
}

// APIKey is the section apikey.
type APIKey struct {
	Header string `toml:"header" doc:"Header that carries the key; empty accepts none in headers."`
	Query  string `toml:"query" doc:"Query parameter that carries the key, in these letters or in small ones; empty accepts none in queries. It is not passed on to backends."`
}

// JWT is one section jwtTokenConfig: an issuer of tokens.
type JWT struct {
	Issuer        string        `toml:"issuer" doc:"What the issuer's tokens have in iss, to the letter."`
	Audience      []string      `toml:"audience" doc:"Values of which a token must have one in aud; none means that aud is not looked at."`
	JWKSURL       string        `toml:"jwksURL" doc:"Where the issuer's public keys are: https, or http on loopback. Either this or jwks_file."`
	JWKSFile      string        `toml:"jwks_file" kind:"file" doc:"File with the issuer's public keys: a JSON Web Key Set, or PEM."`
	AllowHTTP     bool          `toml:"allow_http" doc:"Accepts a jwksURL that is not https: whoever is on the way could then make tokens."`
	Refresh       time.Duration `toml:"refresh" min:"10s" max:"24h" doc:"How often jwksURL is asked for keys."`
	Algorithms    []string      `toml:"algorithms" oneof:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" doc:"Signatures to accept; none means all of them."`
	Leeway        time.Duration `toml:"leeway" min:"0s" max:"10m" doc:"How far the issuer's clock may be off."`
	AllowNoExpiry bool          `toml:"allow_no_expiry" doc:"Accepts tokens without exp, which then hold until their key is removed."`
	ClientsOnly   bool          `toml:"clients_only" doc:"Looks for the application only by the token's client, which must be in applications.yaml. Otherwise a token may name its application, tier and subscriptions itself, as WSO2's do."`
	UserClaim     string        `toml:"user_claim" doc:"Claim that holds the end user."`
	FoldUser      bool          `toml:"fold_user" doc:"Puts users' names in lower case, for issuers with which Alice and alice are one."`
}

// Limits is the section limits.
type Limits struct {
	HeaderBytes      Size `toml:"header_bytes" min:"1KiB" max:"1MiB" doc:"Size of a request's head; more is answered with 431."`
	HeaderFields     int  `toml:"header_fields" min:"8" max:"10000" doc:"Number of header fields of a request; more is answered with 431."`
	BodyBytes        Size `toml:"body_bytes" min:"0" doc:"Size of a request's body; more is answered with 413. 0 is no limit. Bodies are streamed, so a large limit costs no memory."`
	Connections      int  `toml:"connections" min:"1" max:"10000000" doc:"Open connections of clients."`
	ConnectionsPerIP int  `toml:"connections_per_ip" min:"0" max:"10000000" doc:"Open connections from one address, trusted proxies excepted; 0 is no limit."`
	Streams          int  `toml:"streams" min:"1" max:"10000" doc:"Requests at a time on one HTTP/2 connection."`
}

// Timeouts is the section timeouts.
type Timeouts struct {
	Header   time.Duration `toml:"header" min:"100ms" max:"10m" doc:"From the first byte of a request to the end of its head; then it is answered with 408."`
	BodyIdle time.Duration `toml:"body_idle" min:"100ms" max:"1h" doc:"Silence of a client within a body that it sends."`
	Write    time.Duration `toml:"write" min:"100ms" max:"1h" doc:"For how long a client may take nothing of its answer."`
	Idle     time.Duration `toml:"idle" min:"1s" max:"24h" doc:"For how long a connection without a request is kept."`
	Stream   time.Duration `toml:"stream" min:"1s" max:"24h" doc:"Silence in both directions on a WebSocket or an event stream."`
}

// Backend is the section backend.
type Backend struct {
	ConnectTimeout  time.Duration  `toml:"connect_timeout" min:"10ms" max:"5m" doc:"One attempt to connect, with name look-up and TLS handshake."`
	ResponseTimeout time.Duration  `toml:"response_timeout" min:"10ms" max:"1h" doc:"Up to the head of an answer, where the API says nothing; then the client gets 504."`
	IdleTimeout     time.Duration  `toml:"idle_timeout" min:"100ms" max:"1h" doc:"Silence of a backend within an answer."`
	KeepAlive       time.Duration  `toml:"keep_alive" min:"1s" max:"1h" doc:"For how long an unused connection is kept: less than the time after which backends close it."`
	MaxIdle         int            `toml:"max_idle" min:"1" max:"100000" doc:"Unused connections that are kept for each backend."`
	MaxBackoff      time.Duration  `toml:"max_backoff" min:"250ms" max:"1h" doc:"The longest time for which a backend that failed is avoided."`
	CAFile          string         `toml:"ca_file" kind:"file" doc:"Certificate authorities for https backends in PEM; empty means those of the system."`
	CertFile        string         `toml:"cert_file" kind:"file" doc:"Certificate with which the gateway shows itself to https backends, in PEM."`
	KeyFile         string         `toml:"key_file" kind:"file" doc:"Private key of cert_file in PEM."`
	Deny            []netip.Prefix `toml:"deny" doc:"Networks to which no connection is made, whatever a URL or a name server says: 169.254.169.254, for example, answers with secrets in many clouds."`
}

// Limiter is the section limiter.
type Limiter struct {
	MaxKeys int `toml:"max_keys" min:"1024" max:"1000000000" doc:"Counters that are held at a time, each about 64 bytes. Beyond it the flood of new keys is held to limits, not the keys in use."`
}

// Log is the section log.
type Log struct {
	Level  string `toml:"level" oneof:"debug,info,warn,error" doc:"The least important lines that are written."`
	Format string `toml:"format" oneof:"text,json" doc:"How lines are written."`
}

// Shutdown is the section shutdown.
type Shutdown struct {
	Grace time.Duration `toml:"grace" min:"0s" max:"1h" doc:"How long calls that are being answered may take when the process stops."`
}

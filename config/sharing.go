package config

// Distributed is the section apim.distributed_throttling.
type Distributed struct {
	Enable       bool   `toml:"enable" doc:"Whether the process shares counters. Gateways do so too if throttle_properties says it."`
	Type         string `toml:"type" oneof:"redis,valkey" doc:"What keeps them. Redis from 6.2 on, Valkey from 7.2 on; with replicas or without, but no sharded cluster."`
	SyncInterval int    `toml:"sync_interval" min:"1" max:"60000" doc:"Milliseconds for which what was spent may wait until other nodes are told. Near a limit's end they are told earlier."`
	CorePoolSize int    `toml:"core_pool_size" min:"1" max:"10000" doc:"Batches that are under way at a time, as far as max_total has connections for them."`
}

// A Server is what two sections say of where a store is.
type Server struct {
	Host              string   `toml:"host" put:"the name or address of the Redis or Valkey" doc:"Name or address of the server, or of the primary if there are replicas."`
	Port              int      `toml:"port" min:"0" max:"65535" put:"the port of the Redis or Valkey, 6379 as a rule" doc:"Its port; 0 is 6379."`
	User              string   `toml:"user" put:"the user there, or leave the key out if there is only a password" doc:"User of its access control list; empty is the one that has no name there."`
	Password          Secret   `toml:"password" put:"the password there, or leave the key out if there is none" doc:"Password of user."`
	Database          int      `toml:"database_id" min:"0" max:"65535" doc:"Number of the database."`
	TLS               bool     `toml:"ssl" doc:"Whether it and its Sentinels are reached by TLS."`
	CAFile            string   `toml:"ca_file" kind:"file" doc:"Certificate authorities for it in PEM; empty means those of the system."`
	CertFile          string   `toml:"cert_file" kind:"file" doc:"Certificate with which the node shows itself there, in PEM."`
	KeyFile           string   `toml:"key_file" kind:"file" doc:"Private key of cert_file in PEM."`
	ServerName        string   `toml:"server_name" doc:"Name that its certificate has; empty is the name or address that is connected to."`
	ConnectionTimeout int      `toml:"connection_timeout" min:"1" max:"600000" doc:"Milliseconds for connecting, TLS and login included. No request waits for it."`
	SocketTimeout     int      `toml:"socket_timeout" min:"5" max:"600000" doc:"Milliseconds for a round of sharing, until it counts as failed. The longer, the later it is noticed that the store is away."`
	SentinelMaster    string   `toml:"sentinel_master" put:"the name that the Sentinels have for the primary" doc:"Name of the primary for which Sentinels are asked, instead of host."`
	SentinelAddresses []string `toml:"sentinel_addresses" put:"the Sentinels, each as host:port" doc:"The Sentinels, each as host:port or as host, which is port 26379."`
	SentinelUser      string   `toml:"sentinel_user" put:"the user at the Sentinels, or leave the key out" doc:"User at the Sentinels."`
	SentinelPassword  Secret   `toml:"sentinel_password" put:"the password at the Sentinels, or leave the key out" doc:"Password at the Sentinels. They have their own: it is not that of the store."`
}

// A Pool is what two sections say of connections to a store.
type Pool struct {
	MaxTotal         int  `toml:"max_total" min:"1" max:"10000" doc:"Connections at a time."`
	MaxIdle          int  `toml:"max_idle" min:"-1" max:"10000" doc:"Unused connections that are kept at most; -1 is as many as max_total. Not 0: each round of sharing would have to connect."`
	MinIdle          int  `toml:"min_idle" min:"0" max:"10000" doc:"Unused connections that are kept at least."`
	MaxWait          int  `toml:"max_wait_millis" min:"1" max:"60000" doc:"Milliseconds to wait for a connection when all are in use."`
	Block            bool `toml:"block_when_exhausted" doc:"Whether to wait when all connections are in use. Otherwise the round of sharing counts as failed."`
	TestOnBorrow     bool `toml:"test_on_borrow" doc:"Whether a connection is tried out before it is used, which costs a round trip each time."`
	TestOnReturn     bool `toml:"test_on_return" doc:"Whether a connection is tried out after it was used, likewise."`
	TestWhileIdle    bool `toml:"test_while_idle" doc:"Whether unused connections are tried out, and closed if the server does not answer."`
	MinEvictableIdle int  `toml:"min_evictable_idle_time_millis" min:"1" max:"86400000" doc:"Milliseconds after which an unused connection beyond min_idle is closed."`
	EvictionRuns     int  `toml:"time_between_eviction_runs_millis" min:"1" max:"86400000" doc:"Milliseconds between two looks at unused connections."`
}

// KeyValueStore is the section apim.distributed_throttling.keyvalue_store.
type KeyValueStore struct {
	Server
	Pool
}

// Redis is the section apim.redis_config.
type Redis struct {
	Server
	MinGatewayCount int `toml:"min_gateway_count" min:"1" max:"100000" doc:"Gateways that are assumed to share where fewer are known: while the store is away, each holds its part of a limit."`
}

// ThrottleProperties is the section throttle_properties.
type ThrottleProperties struct {
	CounterType string `toml:"throttling.distributed.counter.type" oneof:"hazelcast,redis,valkey" doc:"What gateways share counters through: redis or valkey is apim.redis_config. With hazelcast, the default, they share what apim.distributed_throttling says, and without that each gateway counts alone: there is no Hazelcast here."`
	Frequency   int    `toml:"throttling.replication.frequency" min:"1" max:"60000" doc:"Milliseconds for which what a gateway spent may wait until the others are told."`
	PoolSize    int    `toml:"throttling.pool.size" min:"1" max:"10000" doc:"Batches that are under way at a time, as far as max_total has connections for them."`
}

// noCounters is the type of counters that are not shared.
const noCounters = "hazelcast"

// The accuracies of limits.
const (
	Eventual = "eventual"
	Bounded  = "bounded"
	Exact    = "exact"
)

// Accuracy is the section accuracy.
type Accuracy struct {
	API          string `toml:"api" oneof:"eventual,bounded,exact" doc:"Limits of whole APIs."`
	Resource     string `toml:"resource" oneof:"eventual,bounded,exact" doc:"Limits of resources."`
	Subscription string `toml:"subscription" oneof:"eventual,bounded,exact" doc:"Quotas of subscriptions."`
	Application  string `toml:"application" oneof:"eventual,bounded,exact" doc:"Quotas of applications."`
	Custom       string `toml:"custom" oneof:"eventual,bounded,exact" doc:"Custom rules."`
	Burst        string `toml:"burst" oneof:"eventual,bounded,exact" doc:"Burst limits of subscriptions and applications. Traffic managers do not count them: without a store, and if it is eventual, each gateway holds them alone."`
	Backend      string `toml:"backend" oneof:"eventual,bounded,exact" doc:"Maximum throughput of backends; otherwise as burst."`
}

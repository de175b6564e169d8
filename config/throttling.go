package config

// Throttling is the section throttlingConfig.
type Throttling struct {
	Enable      bool   `toml:"enabledGlobalTMEventPublishing" doc:"Whether the gateway tells traffic managers what it lets pass, and refuses what they decide. Without it the gateway holds limits alone. The keys of throttlingConfig and below mean nothing then."`
	Endpoint    string `toml:"throttleEndpointUrl" doc:"Where the traffic manager takes events: https, or http on loopback."`
	Credentials Secret `toml:"throttleEndpointbase64Header" doc:"User and password for events, as user:password or as base64 of that. Those of the default are taken for a traffic manager on loopback only."`
	BrokerURL   string `toml:"jmsConnectionProviderUrl" doc:"Where decisions are told: amqp://user:password@client/vhost?brokerlist='tcp://host:5672', amqp://host:5672 or nats://host:4222. Empty is NATS at port 4222 of the traffic manager, which is where Weir's has it."`
	BrokerUser  string `toml:"jmsConnectionUsername" doc:"User at the broker; empty is that of the URL or, where that has none, that of events."`
	BrokerPass  Secret `toml:"jmsConnectionPassword" doc:"Password of jmsConnectionUsername."`
}

// DataRetriever is the section throttlingConfig.dataRetriever.
type DataRetriever struct {
	URL      string `toml:"serverUrl" doc:"The internal data API, https://host:9443/internal/data/v1; empty is the traffic manager's."`
	User     string `toml:"username" doc:"User for it; empty is that of events, as is the password."`
	Password Secret `toml:"password" doc:"Password of username."`
}

// Binary is the section throttlingConfig.binary.
type Binary struct {
	Enable   bool   `toml:"enabled" doc:"Whether events go to the groups of throttlingConfig.binary.URLGroup instead of throttleEndpointUrl."`
	User     string `toml:"username" doc:"User for events to them; empty is that of throttleEndpointbase64Header, as is the password."`
	Password Secret `toml:"password" doc:"Password of username."`
}

// BinaryGroup is one section throttlingConfig.binary.URLGroup.
type BinaryGroup struct {
	Receivers []string `toml:"receiverURL" doc:"The traffic managers, as in traffic_manager_urls of apim.throttling.url_group."`
	AuthURLs  []string `toml:"authURL" doc:"Needed by WSO2's binary protocol. If there are any, they are as many as in receiverURL."`
	Type      string   `toml:"type" oneof:"loadbalance,failover" doc:"Whether an event goes to any traffic manager of the group, or to the first that answers."`
}

// The types of a group of traffic managers.
const (
	LoadBalance = "loadbalance"
	FailOver    = "failover"
)

// URLGroup is one section apim.throttling.url_group.
type URLGroup struct {
	URLs     []string `toml:"traffic_manager_urls" doc:"The traffic managers: https://host:9443/endpoints or, in the form of WSO2's binary protocol, tcp://host:9611, which stands for port 9443 of that host (and 9612 for 9444, and so on)."`
	AuthURLs []string `toml:"traffic_manager_auth_urls" doc:"Needed by WSO2's binary protocol. If there are any, they are as many as in traffic_manager_urls."`
	Type     string   `toml:"type" oneof:"loadbalance,failover" doc:"Whether an event goes to any traffic manager of the group, or to the first that answers. Where they do not share counters, it goes to each of them."`
}

// APIM is the section apim.throttling.
type APIM struct {
	User             string   `toml:"username" doc:"User for events: whom a traffic manager lets in, and as whom a gateway asks."`
	Password         Secret   `toml:"password" doc:"Password of username. The default is believed on loopback only."`
	Publish          bool     `toml:"enable_data_publishing" doc:"Whether the gateway tells traffic managers what it lets pass: those of apim.throttling.url_group or, with 'weir serve --role all', that of its own process. Without it the gateway holds limits alone."`
	ReceiverUser     string   `toml:"receiver_username" doc:"User as whom the gateway sends events; empty is username, as is the password."`
	ReceiverPassword Secret   `toml:"receiver_password" doc:"Password of receiver_username."`
	Receivers        string   `toml:"receiver_url" doc:"Groups of traffic managers in one text, instead of apim.throttling.url_group: {tcp://a:9611,tcp://b:9611},{tcp://c:9611|tcp://d:9611}. A comma balances load, | fails over."`
	Denies           bool     `toml:"enable_blacklist_condition" doc:"Whether the gateway enforces deny policies that come from traffic managers or a control plane."`
	Decisions        bool     `toml:"enable_decision_connection" doc:"Whether the gateway listens to the topic. Without it, it hears of decisions only when a traffic manager answers events."`
	Endpoints        []string `toml:"throttle_decision_endpoints" doc:"Brokers whose topic the gateway listens to, to each on its own: tcp://host:5672 (AMQP, or NATS if that is the type of broker), amqp://host:5672, nats://host:4222."`
	Duplicates       []string `toml:"event_duplicate_url" doc:"Further brokers to which the traffic manager tells its decisions, written as in throttle_decision_endpoints."`
}

// APIMJMS is the section apim.throttling.jms.
type APIMJMS struct {
	User     string `toml:"username" doc:"User at the brokers; empty is that of the URL or, where that has none, that of events."`
	Password Secret `toml:"password" doc:"Password of username."`
	TLS      bool   `toml:"ssl" doc:"Whether what is written as tcp:// is reached by TLS."`
	Factory  string `toml:"topic_connection_factory" doc:"A whole URL, amqp://user:password@client/vhost?brokerlist='…', instead of throttle_decision_endpoints."`
}

// EventHub is the section apim.event_hub.
type EventHub struct {
	Enable    bool     `toml:"enable" doc:"Whether what the section names is asked and listened to."`
	Service   string   `toml:"service_url" doc:"The control plane, https://host:9443/services/ for one: its /internal/data/v1 is asked for deny policies and key templates. Empty asks the traffic managers."`
	User      string   `toml:"username" doc:"User there; empty is that of events, as is the password."`
	Password  Secret   `toml:"password" doc:"Password of username."`
	Endpoints []string `toml:"event_listening_endpoints" doc:"Brokers of the control plane, which the gateway listens to besides; written as in throttle_decision_endpoints."`
}

// EventHubJMS is the section apim.event_hub.jms.
type EventHubJMS struct {
	User     string `toml:"username" doc:"User at the brokers; empty is that of the URL or, where that has none, that of apim.event_hub."`
	Password Secret `toml:"password" doc:"Password of username."`
	TLS      bool   `toml:"ssl" doc:"Whether what is written as tcp:// is reached by TLS."`
}

// Distributed is the section apim.distributed_throttling.
type Distributed struct {
	Enable       bool   `toml:"enable" doc:"Whether traffic managers share counters. Not built yet: it is refused."`
	Type         string `toml:"type" oneof:"redis,valkey" doc:"What shares them."`
	SyncInterval int    `toml:"sync_interval" min:"1" max:"60000" doc:"Milliseconds between two rounds of sharing."`
	CorePoolSize int    `toml:"core_pool_size" min:"1" max:"10000" doc:"Batches under way at a time."`
}

// KeyValueStore is the section apim.distributed_throttling.keyvalue_store.
type KeyValueStore struct {
	Host              string `toml:"host" doc:"Its address or name."`
	Port              int    `toml:"port" min:"0" max:"65535" doc:"Its port; 0 is 6379."`
	User              string `toml:"user" doc:"User there."`
	Password          Secret `toml:"password" doc:"Password of user."`
	Database          int    `toml:"database_id" min:"0" max:"65535" doc:"Number of the database."`
	TLS               bool   `toml:"ssl" doc:"Whether it is reached by TLS."`
	ConnectionTimeout int    `toml:"connection_timeout" min:"1" max:"600000" doc:"Milliseconds for connecting."`
	SocketTimeout     int    `toml:"socket_timeout" min:"1" max:"600000" doc:"Milliseconds for an answer."`
	MaxTotal          int    `toml:"max_total" min:"1" max:"10000" doc:"Connections at a time."`
	MaxIdle           int    `toml:"max_idle" min:"0" max:"10000" doc:"Unused connections that are kept at most."`
	MinIdle           int    `toml:"min_idle" min:"0" max:"10000" doc:"Unused connections that are kept at least."`
	MaxWait           int    `toml:"max_wait_millis" min:"1" max:"60000" doc:"Milliseconds to wait for a connection when all are in use."`
	Block             bool   `toml:"block_when_exhausted" doc:"Whether to wait when all connections are in use."`
	TestWhileIdle     bool   `toml:"test_while_idle" doc:"Whether unused connections are tried out."`
	MinEvictableIdle  int    `toml:"min_evictable_idle_time_millis" min:"1" max:"86400000" doc:"Milliseconds for which an unused connection is kept."`
	EvictionRuns      int    `toml:"time_between_eviction_runs_millis" min:"1" max:"86400000" doc:"Milliseconds between two looks at unused connections."`
}

// Redis is the section apim.redis_config.
type Redis struct {
	Host              string `toml:"host" doc:"Its address or name."`
	Port              int    `toml:"port" min:"0" max:"65535" doc:"Its port; 0 is 6379."`
	User              string `toml:"user" doc:"User there."`
	Password          Secret `toml:"password" doc:"Password of user."`
	Database          int    `toml:"database_id" min:"0" max:"65535" doc:"Number of the database."`
	TLS               bool   `toml:"ssl" doc:"Whether it is reached by TLS."`
	ConnectionTimeout int    `toml:"connection_timeout" min:"1" max:"600000" doc:"Milliseconds for connecting."`
	SocketTimeout     int    `toml:"socket_timeout" min:"1" max:"600000" doc:"Milliseconds for an answer."`
	GatewayID         string `toml:"gateway_id" doc:"Name of the gateway there; empty is node.name."`
	MinGatewayCount   int    `toml:"min_gateway_count" min:"1" max:"100000" doc:"Gateways that share at least."`
	KeyLockTimeout    int    `toml:"key_lock_retrieval_timeout" min:"1" max:"60000" doc:"Milliseconds to wait for a lock of a key."`
}

// RedisPool is the section apim.redis_config.pool_options.
type RedisPool struct {
	MaxTotal         int  `toml:"max_total" min:"1" max:"10000" doc:"Connections at a time."`
	MaxIdle          int  `toml:"max_idle" min:"0" max:"10000" doc:"Unused connections that are kept at most."`
	MinIdle          int  `toml:"min_idle" min:"0" max:"10000" doc:"Unused connections that are kept at least."`
	MaxWait          int  `toml:"max_wait_millis" min:"1" max:"60000" doc:"Milliseconds to wait for a connection when all are in use."`
	Block            bool `toml:"block_when_exhausted" doc:"Whether to wait when all connections are in use."`
	TestOnBorrow     bool `toml:"test_on_borrow" doc:"Whether a connection is tried out before it is used."`
	TestOnReturn     bool `toml:"test_on_return" doc:"Whether a connection is tried out after it was used."`
	TestWhileIdle    bool `toml:"test_while_idle" doc:"Whether unused connections are tried out."`
	MinEvictableIdle int  `toml:"min_evictable_idle_time_millis" min:"1" max:"86400000" doc:"Milliseconds for which an unused connection is kept."`
	EvictionRuns     int  `toml:"time_between_eviction_runs_millis" min:"1" max:"86400000" doc:"Milliseconds between two looks at unused connections."`
}

// ThrottleProperties is the section throttle_properties.
type ThrottleProperties struct {
	CounterType string `toml:"throttling.distributed.counter.type" oneof:"hazelcast,redis" doc:"What gateways share burst and backend limits through. With hazelcast, the default, each gateway holds them alone: there is no Hazelcast here. Redis is not built yet: it is refused."`
}

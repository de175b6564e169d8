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

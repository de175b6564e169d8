package config

import (
	"fmt"
	"strings"
)

// foreigners are WSO2's keys that have no counterpart here, so that files which have
// them can be used as they are.
type foreigners struct {
	section string
	keys    string // names, with blanks between; one that ends in .* is all that begin so
	// reason is why they have no effect.
	reason string
	// only, if not empty, is the one value that they may have: what any other
	// asks for is not done.
	only string
	// refused tells that they must not be there.
	refused bool
}

// foreign returns all foreign keys.
func foreign() []foreigners {
	const (
		pools    = "there are no pools of threads to be tuned"
		perEvent = "each batch carries its credentials"
		asNeeded = "what the policies look at is sent to traffic managers, and nothing else"
		queue    = "events.queue_bytes and events.queue_age bound what waits"
		https    = "events go over HTTPS"
		artifact = "policies come from traffic_manager.artifact"
		retries  = "a lost connection is made again by itself, at the latest after some seconds"
		shared   = "counters are not shared that way"
		local    = "counters of windows that have ended are removed by themselves"
		together = "counts and windows are told together, in one way"
	)
	return []foreigners{
		{section: "throttlingConfig", keys: "jmsConnectioninitialContextFactory", reason: "the URL says what broker it is"},
		{section: "throttlingConfig", keys: "enableHeaderConditions enableQueryParamConditions enableJwtClaimConditions", reason: asNeeded},
		{section: "throttlingConfig.nodeLocal", keys: "processThreadPoolCoreSize processThreadPoolMaximumSize processThreadPoolKeepAliveTime", reason: pools},
		{section: "throttlingConfig.nodeLocal", keys: "cleanUpFrequency", reason: local},
		{section: "throttlingConfig.binary.publisherPool", keys: "maxIdle initIdleCapacity", reason: pools},
		{section: "throttlingConfig.binary.publisherThreadPool", keys: "corePoolSize maxPoolSize keepAliveTime", reason: pools},
		{section: "throttlingConfig.binary.agent", keys: "queueSize", reason: queue},
		{section: "throttlingConfig.binary.agent", keys: "batchSize", reason: "events.max_events bounds a batch"},
		{section: "throttlingConfig.binary.agent", keys: "corePoolSize maxPoolSize keepAliveTimeInPool maxTransportPoolSize maxIdleConnections evictionTimePeriod " +
			"minIdleTimeInPool secureMaxTransportPoolSize secureMaxIdleConnections secureEvictionTimePeriod secureMinIdleTimeInPool", reason: pools},
		{section: "throttlingConfig.binary.agent", keys: "socketTimeoutMS reconnectionInterval", reason: retries},
		{section: "throttlingConfig.binary.agent", keys: "sslEnabledProtocols ciphers", reason: "TLS 1.2 or 1.3 with sound ciphers is spoken"},
		{section: "apim.eventHub", keys: "enable", only: "false", reason: "a control plane is not built yet; traffic managers tell of deny policies and key templates"},
		{section: "apim.eventHub", keys: "serviceUrl internalDataContext username password eventListeningEndpoints", reason: "apim.eventHub is not switched on"},

		{section: "apim.throttling", keys: "enable_advanced_throttling", only: "true", reason: "there is no other throttling"},
		{section: "apim.throttling", keys: "event_type", reason: https},
		{section: "apim.throttling", keys: "receiver_auth_url", reason: perEvent},
		{section: "apim.throttling", keys: "enable_policy_deploy enable_policy_deployment enable_policy_recreation_on_startup skip_redeploying_policies", reason: artifact},
		{section: "apim.throttling.policy_deploy", keys: "username password tenant_loading.enable tenant_loading.tenants", reason: artifact},
		{section: "apim.throttling", keys: "service_url", reason: artifact},
		{section: "apim.throttling.blacklist_condition", keys: "start_delay period", reason: "deny policies are asked for at the start and after each lost connection"},
		{section: "apim.throttling", keys: "sequential_failover_from_beginning", reason: "all brokers are listened to at the same time"},
		{section: "apim.throttling", keys: "enable_unlimited_tier", only: "true", reason: "policies are what the artifact has"},
		{section: "apim.throttling", keys: "enable_header_based_throttling enable_jwt_claim_based_throttling enable_query_param_based_throttling", reason: asNeeded},
		{section: "apim.throttling", keys: "enable_persistence", reason: "gateways tell a traffic manager that was restarted what they counted"},
		{section: "apim.throttling.event_sync", keys: "hostName port", reason: shared},
		{section: "apim.throttling.event_management", keys: "hostName port", reason: shared},
		{section: "apim.throttling.publisher", keys: "max_idle init_idle_size pool_size max_pool_size keep_alive_time", reason: pools},
		{section: "apim.throttling.jms", keys: "start_delay", reason: "the topic is listened to from the start"},
		{section: "apim.throttling.jms", keys: "conn_jndi_name java_naming_factory_initial", reason: "the URL says what broker it is"},
		{section: "apim.throttling.jms", keys: "destination_type", only: "topic", reason: "decisions are for all gateways, and come over a topic"},
		{section: "apim.throttling.jms", keys: "min_thread_pool_size max_thread_pool_size keep_alive_time_in_millis job_queue_size", reason: pools},

		{section: "apim.event_hub", keys: "init_delay", reason: "what it tells of is asked for at once, and again after each lost connection"},
		{section: "apim.event_hub", keys: "event_type event_waiting_time", reason: https},
		{section: "apim.event_hub.listener", keys: "min_thread_pool_size max_thread_pool_size keep_alive_time_in_millis job_queue_size", reason: pools},

		{section: "transport.receiver", keys: "type worker_threads session_timeout tcp_port ssl_port tcp_receiver_thread_pool_size ssl_receiver_thread_pool_size " +
			"ssl_enabled_protocols ciphers max_event_buffer_capacity", reason: "traffic managers take events over HTTPS; management.https_port is the port"},
		{section: "transport.thrift.agent", keys: "queue_size batch_size max_transport_pool_size secure_max_transport_pool_size", reason: queue},

		{section: "throttle_properties", keys: "throttling.keys.to.replicate", reason: "each batch takes all that has changed"},
		{section: "throttle_properties", keys: "throttlingWindowReplicator.pool.size throttlingWindowReplicator.replication.frequency", reason: together},
		{section: "throttle_properties", keys: "throttling.context.cleanup.frequency throttling.context.distributed.cleanup.task.enabled " +
			"throttling.context.distributed.cleanup.frequency throttling.context.distributed.expired.instance.time " +
			"throttling.context.distributed.cleanup.expired.instance.time throttling.context.distributed.cleanup.pool.size " +
			"throttling.context.distributed.cleanup.amount stale.counter.references", reason: local},
		{
			section: "throttle_properties", keys: "throttling.sync-async_hybrid_mode.enable", only: "false",
			reason: "for limits that gateways never exceed together, set burst and backend in [accuracy] to exact",
		},
		{section: "throttle_properties", keys: "throttling.hybrid_throttle_processor_window.type throttling.local_quota_buffer_percentage", reason: "there is no hybrid mode, but [accuracy]"},
		{section: "throttle_properties", keys: "throttling.unified_replicator.enable", reason: together},
		{
			section: "throttle_properties", keys: "throttling.distributed.counter.configurations.*", refused: true,
			reason: "is meant for a counter manager of one's own, which cannot be put in here: counters are shared through Redis or Valkey",
		},
		{section: "apim.redis_config", keys: "gateway_id", reason: "each run of a gateway has a number of its own there, and node.name elsewhere"},
		{section: "apim.redis_config", keys: "key_lock_retrieval_timeout", reason: "no key is locked there"},
	}
}

// names returns the keys one by one.
func (f *foreigners) names() []string { return strings.Fields(f.keys) }

// judge returns what there is to say of a key with that value, and whether it is
// a fault.
func (f *foreigners) judge(value string) (message string, fault bool) {
	if f.refused {
		return f.reason, true
	}
	switch f.only {
	case "":
		return "has no effect: " + f.reason, false
	case value:
		return "", false
	}
	return fmt.Sprintf("must be %s: %s", f.only, f.reason), true
}

// microgateway reports in which file the keys may stand.
func (f *foreigners) microgateway() bool {
	return strings.HasPrefix(f.section, "throttlingConfig") || f.section == "apim.eventHub"
}

package config

import "time"

// Default returns the configuration of a lone gateway in which nobody has set a
// key: [DefaultOf] of Microgateway.
func Default() Config { return DefaultOf(Microgateway) }

// DefaultOf returns the configuration of a role in which nobody has set a key.
func DefaultOf(r Role) Config {
	c := Config{
		Role:           r,
		Node:           Node{Data: defaultData},
		TrafficManager: TrafficRole{Grace: 30 * time.Second},
		Listener:       Listener{Host: "0.0.0.0", HTTPPort: 8280, HTTPSPort: 8243, HTTP2: true},
		ClientAddress:  ClientAddress{IPv6Bits: 64},
		APIKey:         APIKey{Header: "ApiKey", Query: "ApiKey"},
		Limits: Limits{
			HeaderBytes: 32 << 10, HeaderFields: 100, BodyBytes: 100 << 20,
			Connections: 100_000, ConnectionsPerIP: 1000, Streams: 100,
		},
		Timeouts: Timeouts{
			Header: 10 * time.Second, BodyIdle: 30 * time.Second, Write: 30 * time.Second,
			Idle: time.Minute, Stream: 15 * time.Minute,
		},
		Backend: Backend{
			ConnectTimeout: 2 * time.Second, ResponseTimeout: 30 * time.Second, IdleTimeout: time.Minute,
			KeepAlive: 50 * time.Second, MaxIdle: 256, MaxBackoff: 30 * time.Second,
		},
		Limiter:    Limiter{MaxKeys: 1 << 20},
		Management: Management{Host: "127.0.0.1", Port: 9764, HTTPSPort: Off},
		Log:        Log{Level: "info", Format: "text"},
		Shutdown:   Shutdown{Grace: 10 * time.Second},
		Events: Events{
			Flush: 10 * time.Millisecond, MaxEvents: 512,
			QueueBytes: 64 << 20, QueueAge: time.Minute, Ledger: 32 << 20,
		},
		Broker: Broker{Queue: 1 << 16},
		Throttling: Throttling{
			Endpoint: "https://localhost:9443/endpoints", Credentials: defaultPassword + ":" + defaultPassword,
		},
		APIM: APIM{
			User: defaultPassword, Password: defaultPassword,
			Publish: true, Denies: true, Decisions: true,
		},
		EventHub:      EventHub{Enable: true},
		Distributed:   Distributed{Type: "redis", SyncInterval: 10, CorePoolSize: 4},
		KeyValueStore: KeyValueStore{Server: defaultServer(), Pool: defaultPool()},
		Redis:         Redis{Server: defaultServer(), MinGatewayCount: 1},
		RedisPool:     defaultPool(),
		ThrottleProperties: ThrottleProperties{
			CounterType: noCounters, Frequency: 10, PoolSize: 4,
		},
		Accuracy: Accuracy{
			API: Eventual, Resource: Eventual, Subscription: Eventual, Application: Eventual, Custom: Eventual,
			Burst: Bounded, Backend: Bounded,
		},
	}
	switch {
	case r == Microgateway:
		c.Listener.HTTPPort, c.Listener.HTTPSPort = 9090, 9095
	case r != Gateway:
		c.Management.Port, c.Management.HTTPSPort = 9763, 9443
	}
	return c
}

// defaultPassword is the user and the password that everybody knows: they are
// believed on loopback only.
const defaultPassword = "admin"

// defaultData is the folder of the node's own files, beside the configuration.
const defaultData = "data"

func defaultServer() Server { return Server{ConnectionTimeout: 2000, SocketTimeout: 80} }

func defaultPool() Pool {
	return Pool{
		MaxTotal: 8, MaxIdle: -1, MaxWait: 1000,
		Block: true, TestWhileIdle: true, MinEvictableIdle: 60_000, EvictionRuns: 30_000,
	}
}

// setDefaults makes a section jwtTokenConfig one in which nobody has set a key.
func (j *JWT) setDefaults() { j.Refresh, j.UserClaim = 5*time.Minute, "sub" }

func (g *URLGroup) setDefaults() { g.Type = LoadBalance }

func (g *BinaryGroup) setDefaults() { g.Type = LoadBalance }

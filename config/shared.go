package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// A Shared is how the counters of a role are shared with other nodes.
type Shared struct {
	// Interval is for how long what was spent may wait until others are told.
	Interval time.Duration
	// Lanes is how many batches are under way at most.
	Lanes int
	// MinNodes is how many nodes are assumed where fewer are known.
	MinNodes int
	Store    Store
}

// A Store is the Redis or Valkey in which counters are shared.
type Store struct {
	// Kind is redis or valkey, as the configuration calls it.
	Kind string
	// Section is that of the configuration which says where it is.
	Section string
	// Addresses are, as host:port, the one of the server or, if there is a Master, those
	// of the Sentinels that know where the primary of that name is.
	Addresses []string
	Master    string
	Login     Login // both are empty where there is none
	Sentinel  Login // at the Sentinels
	Database  int
	// TLS tells whether it is reached by TLS; the rest is for that.
	TLS               bool
	CAFile            string // empty: the authorities of the system
	CertFile, KeyFile string // empty: the node shows no certificate
	ServerName        string // empty: what is connected to

	ConnectTimeout time.Duration
	Timeout        time.Duration // of one round of sharing

	MaxTotal, MaxIdle, MinIdle int // connections
	// Wait is for how long a connection is waited for when all are in use; zero: not at all.
	Wait time.Duration
	// MaxIdleTime is after which time a connection that is not used is closed, as long as
	// MinIdle remain.
	MaxIdleTime time.Duration
	// LookEvery is the time between two looks at unused connections.
	LookEvery time.Duration
	// TestIdle has connections tried out when they are looked at, TestOnBorrow before and
	// TestOnReturn after they are used.
	TestIdle, TestOnBorrow, TestOnReturn bool
}

// String names the store for people: redis at kv:6379.
func (s *Store) String() string {
	at := strings.Join(s.Addresses, ", ")
	if s.Master != "" {
		return s.Kind + " " + s.Master + " by the Sentinels at " + at
	}
	return s.Kind + " at " + at
}

// Ports where nothing else is said.
const (
	storePort    = "6379"
	sentinelPort = "26379"
)

const (
	distributedSection = "apim.distributed_throttling"
	storeSection       = "apim.distributed_throttling.keyvalue_store"
	redisSection       = "apim.redis_config"
	poolSection        = "apim.redis_config.pool_options"
	propertiesSection  = "throttle_properties"
)

// Shared returns how the counters of a role in the process are shared, nil if they
// are not. The role is [Gateway], which [Microgateway] is too, or [TrafficManager].
// Gateways share by throttle_properties or, if that says nothing of it, as all roles
// do by apim.distributed_throttling.
func (c *Config) Shared(r Role) *Shared {
	d, t := &c.Distributed, &c.ThrottleProperties
	gateway := r == Gateway || r == Microgateway
	s := &Shared{MinNodes: 1}
	var pool *Pool
	switch {
	case gateway && !c.Role.HasGateway(), !gateway && !c.Role.HasTrafficManager():
		return nil
	case gateway && t.sharing():
		s.Store, pool = c.store(t.CounterType, redisSection, storeSection)
		s.Interval, s.Lanes = milliseconds(t.Frequency), t.PoolSize
	case d.Enable:
		s.Store, pool = c.store(d.Type, storeSection, redisSection)
		s.Interval, s.Lanes = milliseconds(d.SyncInterval), d.CorePoolSize
	default:
		return nil
	}
	if gateway {
		s.MinNodes = c.Redis.MinGatewayCount
	}
	s.Lanes = min(s.Lanes, pool.MaxTotal)
	return s
}

// sharing reports whether gateways share through apim.redis_config.
func (t *ThrottleProperties) sharing() bool { return t.CounterType != noCounters }

// server returns what a section says of a store.
func (c *Config) server(section string) (*Server, *Pool) {
	if section == redisSection {
		return &c.Redis.Server, &c.RedisPool
	}
	return &c.KeyValueStore.Server, &c.KeyValueStore.Pool
}

// isThere reports whether s says where a store is.
func (s *Server) isThere() bool { return s.Host != "" || s.SentinelMaster != "" }

// store returns the store that the first of the sections names, with what is said of
// connections to it.
func (c *Config) store(kind, section, otherwise string) (Store, *Pool) {
	s, p := c.server(section)
	if !s.isThere() {
		section = otherwise
		s, p = c.server(section)
	}
	out := Store{
		Kind: kind, Section: section, Master: s.SentinelMaster,
		Login: Login{s.User, s.Password}, Sentinel: Login{s.SentinelUser, s.SentinelPassword}, Database: s.Database,
		TLS: s.TLS, CAFile: s.CAFile, CertFile: s.CertFile, KeyFile: s.KeyFile, ServerName: s.ServerName,
		ConnectTimeout: milliseconds(s.ConnectionTimeout), Timeout: milliseconds(s.SocketTimeout),
		MaxTotal: p.MaxTotal, MaxIdle: p.maxIdle(), MinIdle: p.MinIdle,
		MaxIdleTime: milliseconds(p.MinEvictableIdle), LookEvery: milliseconds(p.EvictionRuns),
		TestIdle: p.TestWhileIdle, TestOnBorrow: p.TestOnBorrow, TestOnReturn: p.TestOnReturn,
	}
	if p.Block {
		out.Wait = milliseconds(p.MaxWait)
	}
	if out.Master == "" {
		port := storePort
		if s.Port != 0 {
			port = strconv.Itoa(s.Port)
		}
		out.Addresses = []string{net.JoinHostPort(s.Host, port)}
		return out, p
	}
	for _, text := range split(s.SentinelAddresses) {
		if at, ok := sentinelAddress(text); ok {
			out.Addresses = append(out.Addresses, at)
		}
	}
	return out, p
}

// maxIdle returns how many unused connections are kept at most.
func (p *Pool) maxIdle() int {
	if p.MaxIdle < 0 {
		return p.MaxTotal
	}
	return p.MaxIdle
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// sentinelAddress returns host:port of what stands in a file, and whether it can be one.
func sentinelAddress(text string) (string, bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), sentinelPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return net.JoinHostPort(host, port), err == nil && n > 0 && isHost(host)
}

// isHost reports whether text is an address or can be a name, without a port.
func isHost(text string) bool {
	return text != "" && !strings.ContainsAny(text, " /[]@") && (!strings.Contains(text, ":") || isAddress(text))
}

// Accuracies returns the accuracy, level by level, of limits that do not say which they
// have. Without a store, those that traffic managers do not count either are
// eventual: each gateway holds them alone.
func (c *Config) Accuracies() Accuracy {
	a := c.Accuracy
	if c.Shared(Gateway) == nil {
		a.Burst, a.Backend = Eventual, Eventual
	}
	return a
}

// Sharing says for people what is shared, and how closely limits are kept: nothing if
// the process shares no counters.
func (c *Config) Sharing() []string {
	var texts []string
	for _, r := range []Role{TrafficManager, Gateway} {
		if s := c.Shared(r); s != nil {
			texts = append(texts, fmt.Sprintf("%s: counters are shared through %s, every %v, in up to %d batches at a time",
				strings.ReplaceAll(string(r), "-", " "), &s.Store, s.Interval, s.Lanes))
		}
	}
	if c.Shared(Gateway) != nil {
		var levels []string
		for _, l := range c.Accuracy.levels() {
			levels = append(levels, l.name+" "+l.value)
		}
		texts = append(texts, "limits that do not say how closely they are kept: "+strings.Join(levels, ", "))
	}
	return texts
}

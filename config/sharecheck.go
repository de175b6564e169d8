package config

import "slices"

// checkShared reports what is wrong with how counters are shared.
func (c *Config) checkShared(add adder) {
	c.KeyValueStore.Server.check(storeSection, add)
	c.KeyValueStore.Pool.check(storeSection, add)
	c.Redis.Server.check(redisSection, add)
	c.RedisPool.check(poolSection, add)
	d, t := &c.Distributed, &c.ThrottleProperties
	if !c.KeyValueStore.isThere() && !c.Redis.isThere() {
		if d.Enable {
			add(distributedSection, 0, "enable", "is true, and no store is named: put its host into [%s], or into [%s]", storeSection, redisSection)
		}
		if t.sharing() {
			add(propertiesSection, 0, "throttling.distributed.counter.type", "is %s, and no store is named: put its host into [%s]", t.CounterType, redisSection)
		}
	}
	if c.Role.HasGateway() && c.Shared(Gateway) == nil {
		for _, l := range c.Accuracy.levels() {
			if l.value != Eventual && (l.value != Bounded || !l.own) {
				add("accuracy", 0, l.name, "is %s, and this gateway shares no counters: enable [%s], or set 'throttling.distributed.counter.type' in [%s]",
					l.value, distributedSection, propertiesSection)
			}
		}
	}
}

// check reports what is wrong with where the store of a section is.
func (s *Server) check(section string, add adder) {
	if s.Host != "" && !isHost(s.Host) {
		add(section, 0, "host", "must be an address or a name without a port, which has a key of its own, not %q", withoutLogin(s.Host))
	}
	if s.User != "" && s.Password == "" {
		add(section, 0, "password", "is missing: there is a user")
	}
	if s.SentinelUser != "" && s.SentinelPassword == "" {
		add(section, 0, "sentinel_password", "is missing: there is a sentinel_user")
	}
	s.checkSentinels(section, add)
	for _, k := range []struct{ name, value string }{
		{"ca_file", s.CAFile}, {"cert_file", s.CertFile}, {"key_file", s.KeyFile}, {"server_name", s.ServerName},
	} {
		if k.value != "" && !s.TLS {
			add(section, 0, k.name, "means nothing without ssl = true")
		}
	}
}

func (s *Server) checkSentinels(section string, add adder) {
	all := split(s.SentinelAddresses)
	if s.SentinelMaster == "" {
		for _, k := range []struct {
			name  string
			there bool
		}{
			{"sentinel_addresses", len(all) > 0},
			{"sentinel_user", s.SentinelUser != ""},
			{"sentinel_password", s.SentinelPassword != ""},
		} {
			if k.there {
				add(section, 0, k.name, "means nothing without sentinel_master: the name that the Sentinels have for the primary")
			}
		}
		return
	}
	if s.Host != "" {
		add(section, 0, "host", "and sentinel_master are both there: the Sentinels say where the primary is, so leave host out")
	}
	if s.Port != 0 {
		add(section, 0, "port", "and sentinel_master are both there: the Sentinels say where the primary is, so leave port out")
	}
	if len(all) == 0 {
		add(section, 0, "sentinel_addresses", "is missing: where the Sentinels are that know of %s", s.SentinelMaster)
	}
	for i, text := range all {
		at, ok := sentinelAddress(text)
		if !ok {
			add(section, 0, "sentinel_addresses", "must be host:port, not %q", withoutLogin(text))
		} else if slices.ContainsFunc(all[:i], func(earlier string) bool { was, _ := sentinelAddress(earlier); return was == at }) {
			add(section, 0, "sentinel_addresses", "has %s twice", at)
		}
	}
}

// check reports connections that cannot be.
func (p *Pool) check(section string, add adder) {
	switch {
	case p.MaxIdle == 0:
		add(section, 0, "max_idle", "must be at least 1, or -1 for as many as max_total: each round of sharing would have to connect")
	case p.MaxIdle > p.MaxTotal:
		add(section, 0, "max_idle", "is %d, and max_total only %d: no more connections can be unused than there are", p.MaxIdle, p.MaxTotal)
	case p.MinIdle > p.maxIdle() && p.MaxIdle < 0:
		add(section, 0, "min_idle", "is %d, and max_total only %d: no more connections can be unused than there are", p.MinIdle, p.MaxTotal)
	case p.MinIdle > p.maxIdle():
		add(section, 0, "min_idle", "is %d, and max_idle only %d", p.MinIdle, p.MaxIdle)
	}
}

// A levelAccuracy is the accuracy of one level's limits. Own tells that traffic
// managers do not count them.
type levelAccuracy struct {
	name, value string
	own         bool
}

// levels returns what a says level by level.
func (a *Accuracy) levels() []levelAccuracy {
	return []levelAccuracy{
		{"api", a.API, false},
		{"resource", a.Resource, false},
		{"subscription", a.Subscription, false},
		{"application", a.Application, false},
		{"custom", a.Custom, false},
		{"burst", a.Burst, true},
		{"backend", a.Backend, true},
	}
}

package redis

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// info asks the server about itself.
func (c *checkup) info(ctx context.Context, pool *redis.Client) error {
	text, err := pool.Info(ctx).Result()
	if err != nil {
		return err
	}
	c.fields = make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			c.fields[name] = value
		}
	}
	if c.fields["redis_version"] == "" || c.fields["role"] == "" {
		return fmt.Errorf("%w: its INFO tells no version", errNoRedis)
	}
	return nil
}

func (c *checkup) version() {
	name, version, least := "Redis", c.fields["redis_version"], [2]int{6, 2}
	if v := c.fields["valkey_version"]; v != "" {
		name, version, least = "Valkey", v, [2]int{7, 2}
	}
	text := fmt.Sprintf("%s %.20s", name, version)
	parts := strings.SplitN(version, ".", 3)
	major, err := strconv.Atoi(parts[0])
	minor := 0
	if len(parts) > 1 {
		minor, _ = strconv.Atoi(parts[1])
	}
	switch {
	case err != nil:
		c.add(Warning, text+" is a version that is not known", "use Redis 6.2 or Valkey 7.2, or newer")
	case major < least[0] || major == least[0] && minor < least[1]:
		c.add(Fault, text+" is too old", fmt.Sprintf("use %s %d.%d or newer", name, least[0], least[1]))
	default:
		c.add(OK, text, "")
	}
}

func (c *checkup) cluster() {
	if c.fields["cluster_enabled"] == "1" || c.fields["redis_mode"] == "cluster" {
		c.add(Fault, "the server is part of a sharded cluster (cluster_enabled:1), which is not supported",
			"use a server of its own, with replicas and Sentinels")
	}
}

func (c *checkup) role() {
	if c.fields["role"] == "master" {
		c.add(OK, "the server is a primary", "")
		return
	}
	primary := net.JoinHostPort(c.fields["master_host"], c.fields["master_port"])
	text := "the server is a replica of " + primary
	if c.fields["master_link_status"] != "up" {
		text += ", which it cannot reach"
	}
	c.add(Fault, text, "give the address "+primary+", or Sentinels")
}

// memory looks at what the server does when its memory is full.
func (c *checkup) memory() {
	policy, limit := c.fields["maxmemory_policy"], c.number("maxmemory")
	switch {
	case policy == "":
		c.add(Info, "the server does not tell what it does when its memory is full", "set maxmemory-policy to noeviction")
	case policy != "noeviction":
		c.add(Warning, fmt.Sprintf("maxmemory-policy is %s: when its memory is full, the server forgets counters, and nobody notices", policy),
			"set maxmemory-policy to noeviction")
	case limit == 0:
		c.add(OK, "nothing is evicted (maxmemory-policy noeviction, no maxmemory)", "")
	default:
		used := c.number("used_memory")
		text := fmt.Sprintf("nothing is evicted (maxmemory-policy noeviction); %d %% of maxmemory are used", used*100/limit)
		if used > limit/10*9 {
			c.add(Warning, text, "raise maxmemory: when it is full, counters are not shared")
			return
		}
		c.add(OK, text, "")
	}
}

func (c *checkup) persistence() {
	switch {
	case c.fields["loading"] == "1":
		c.add(Warning, "the server is loading its data", "wait until it has")
	case c.fields["rdb_last_bgsave_status"] == "err" || c.fields["aof_last_write_status"] == "err":
		c.add(Warning, "the server cannot save its data", "make room on its disk, or mend it")
	case c.fields["aof_enabled"] == "1":
		c.add(OK, "the server saves its data as it changes (AOF)", "")
	default:
		c.add(Info, "the server does not save its data as it changes (no AOF): after a restart nodes tell again what they have, and what others had that are gone is lost",
			"long limits, such as of a month, are safer with appendonly yes")
	}
}

func (c *checkup) replicas() {
	if c.fields["role"] != "master" {
		return
	}
	online := 0
	for i := range c.number("connected_slaves") {
		if strings.Contains(c.fields[fmt.Sprintf("slave%d", i)], "state=online") {
			online++
		}
	}
	if online == 0 {
		c.add(Info, "the server has no replica: when it is lost, so is what it had granted", "add a replica and Sentinels, if exact limits must survive that")
		return
	}
	c.add(OK, fmt.Sprintf("%d replicas are connected", online), "")
	if _, set := c.fields["min_slaves_good_slaves"]; !set {
		c.add(Info, "min-replicas-to-write is not set: a primary that is cut off goes on taking counters that will be lost",
			"set min-replicas-to-write 1, if it is better then that nodes count by themselves")
	}
}

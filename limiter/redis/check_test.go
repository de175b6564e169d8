package redis_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/limiter/redis"
	"github.com/weir-project/weir/limiter/redis/redistest"
	"github.com/weir-project/weir/test/realserver"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	server.Do(t, acl...)
	primary := redistest.Start(t, redistest.Options{Args: []string{"--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb", "--appendonly", "yes"}})
	replica := redistest.Start(t, redistest.Options{Of: primary})
	primary.AwaitReplicas(t, 1)
	cluster := redistest.Start(t, redistest.Options{Args: []string{"--cluster-enabled", "yes"}})
	n := realserver.NewNetwork(t, server.Addr)
	n.Worse("latency", "downstream", map[string]any{"latency": 8})
	for _, test := range []struct {
		name    string
		options redis.Options
		want    []string // level and what the text begins with
		never   redis.Level
	}{
		{"all is well", redis.Options{Addr: server.Addr, User: "weir", Password: "s3cret"}, []string{
			"ok Redis 7", "ok the server is a primary", "ok nothing is evicted", "info the server does not save its data", "info the server has no replica",
			"ok the server's clock and this one are", "ok a round trip takes", "ok counters can be shared",
		}, redis.Warning},
		{"with a replica", redis.Options{Addr: primary.Addr}, []string{
			"warning maxmemory-policy is allkeys-lru", "ok the server saves its data", "ok 1 replicas are connected", "info min-replicas-to-write is not set",
		}, redis.Fault},
		{"a replica", redis.Options{Addr: replica.Addr}, []string{"fault the server is a replica of 127.0.0.1:" + primary.Port(), "fault counters cannot be shared"}, 4},
		{"a cluster", redis.Options{Addr: cluster.Addr}, []string{"fault the server is part of a sharded cluster (cluster_enabled:1)"}, 4},
		{"a slow network", redis.Options{Addr: n.Addr}, []string{"warning a round trip takes"}, redis.Fault},
		{"not enough rights", redis.Options{Addr: server.Addr, User: "weir", Password: "s3cret", Prefix: "other:"}, []string{"fault counters cannot be shared: "}, 4},
		{"a wrong password", redis.Options{Addr: server.Addr, User: "weir", Password: "guess"}, []string{"fault the server cannot be used: the server does not know this user"}, 4},
		{"nobody there", redis.Options{Addr: "127.0.0.1:1"}, []string{"fault the server cannot be used: dial tcp"}, 4},
		{"no Redis", redis.Options{Addr: startLiar(t, "HTTP/1.1 400 Bad Request\r\n", false)}, []string{"fault the server cannot be used: what answers is no Redis"}, 4},
		{"no INFO", redis.Options{Addr: startLiar(t, "$5\r\nhello\r\n", false)}, []string{"fault the server cannot be used: what answers is no Redis"}, 4},
		{"no answer", redis.Options{Addr: startLiar(t, "", false), Timeout: 100 * time.Millisecond}, []string{"fault the server cannot be used: no answer in time"}, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := open(t, test.options).Check(context.Background())
			for _, want := range test.want {
				if !slices.ContainsFunc(found, func(f redis.Finding) bool { return strings.HasPrefix(f.Level.String()+" "+f.Text, want) }) {
					t.Errorf("found %+v, want %q among it", found, want)
				}
			}
			for _, f := range found {
				if f.Level >= test.never {
					t.Errorf("found %+v", f)
				}
				if strings.ContainsAny(f.Text+f.Advice, "\r\n") || f.Level > redis.Info && f.Advice == "" && f.Level < redis.Fault {
					t.Errorf("found %+v, want one line, and what to do", f)
				}
			}
		})
	}
	// It does not count as a node, and leaves nothing that stays.
	if text := server.Do(t, "ZCARD", "weir:nodes"); text != int64(0) {
		t.Errorf("%v nodes live", text)
	}
	if left := server.Eternal(t); len(left) > 0 {
		t.Error(left)
	}
}

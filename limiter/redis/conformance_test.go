package redis_test

import (
	"testing"

	"github.com/weir-project/weir/limiter/limitertest"
	"github.com/weir-project/weir/limiter/redis"
	"github.com/weir-project/weir/limiter/redis/redistest"
)

// ACL is what a store's user needs, as the package comment says it.
var acl = []any{
	"ACL", "SETUSER", "weir", "on", ">s3cret", "resetkeys", "~weir:*", "resetchannels", "-@all",
	"+evalsha", "+script|load", "+wait", "+time", "+info", "+ping", "+select", "+hello", "+auth", "+client|setname",
	"+get", "+set", "+hmget", "+hset", "+hdel", "+hscan", "+unlink", "+pttl", "+pexpire", "+pexpireat",
	"+zadd", "+zcard", "+zrangebyscore", "+zrem", "+zremrangebyscore",
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		server  redistest.Options
		options redis.Options
	}{
		{"Redis", redistest.Options{}, redis.Options{}},
		{"Redis, TLS, a user with few rights, database 3", redistest.Options{TLS: true}, redis.Options{
			User: "weir", Password: "s3cret", Database: 3, ClientName: "weir-test", TestOnBorrow: true, TestOnReturn: true,
		}},
		{"Valkey", redistest.Options{Valkey: true}, redis.Options{}},
		{"Valkey, a user with few rights", redistest.Options{Valkey: true}, redis.Options{User: "weir", Password: "s3cret"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, test.server)
			server.Do(t, acl...)
			flush := func(t testing.TB) { server.Do(t, "FLUSHALL") }
			o := test.options
			o.Addr, o.TLS = server.Addr, server.TLS
			limitertest.Run(t, func(t *testing.T) limitertest.Backend {
				flush(t)
				return limitertest.Backend{Store: open(t, o), Flush: flush, Eternal: server.Eternal}
			})
		})
	}
}

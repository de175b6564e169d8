package redis_test

import (
	"strings"
	"testing"

	"github.com/weir-project/weir/limiter/redis"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	addr := "127.0.0.1:6379"
	for _, test := range []struct {
		name    string
		options redis.Options
		want    string // in the error; empty: there is none
	}{
		{"an address", redis.Options{Addr: addr}, ""},
		{"a name and a port", redis.Options{Addr: "redis.example:6379"}, ""},
		{"IPv6", redis.Options{Addr: "[::1]:6379"}, ""},
		{"Sentinels", redis.Options{SentinelMaster: "m", SentinelAddresses: []string{addr}}, ""},
		{"waits for no connection", redis.Options{Addr: addr, PoolWait: -1}, ""},
		{"nothing", redis.Options{}, "neither Addr nor SentinelMaster"},
		{"both", redis.Options{Addr: addr, SentinelMaster: "m", SentinelAddresses: []string{addr}}, "only one says"},
		{"a name without Sentinels", redis.Options{SentinelMaster: "m"}, "without SentinelAddresses"},
		{"Sentinels without a name", redis.Options{SentinelAddresses: []string{addr}}, "without SentinelMaster"},
		{"no port", redis.Options{Addr: "redis.example"}, "want host:port"},
		{"no host", redis.Options{Addr: ":6379"}, "want host:port"},
		{"port zero", redis.Options{Addr: "a:0"}, "want host:port"},
		{"a large port", redis.Options{Addr: "a:65536"}, "want host:port"},
		{"a URL", redis.Options{Addr: "redis://a:6379"}, "want host:port"},
		{"a Sentinel without a port", redis.Options{SentinelMaster: "m", SentinelAddresses: []string{addr, "b"}}, `"b"`},
		{"a database below zero", redis.Options{Addr: addr, Database: -1}, "Database is -1"},
		{"a time below zero", redis.Options{Addr: addr, Timeout: -1}, "not negative"},
		{"a pool below zero", redis.Options{Addr: addr, PoolSize: -1}, "from 0 to 32767"},
		{"a name with blanks", redis.Options{Addr: addr, ClientName: "a b"}, "has blanks"},
	} {
		s, err := redis.New(test.options)
		switch {
		case test.want == "":
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			} else if err := s.Close(); err != nil {
				t.Errorf("%s: close: %v", test.name, err)
			}
		case err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "redis: "):
			t.Errorf("%s: got error %v, want one with %q", test.name, err, test.want)
		}
	}
}

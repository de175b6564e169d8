package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestDocuments reads the documents' examples: word for word, where each placeholder
// is a fault that says what to put there; and with their placeholders filled in.
func TestDocuments(t *testing.T) {
	fill := strings.NewReplacer(
		"<kvstore_host>", "kv.example.com", "<kvstore_port>", "6379",
		"<Redis-host>", "kv.example.com", "<Redis-port>", "6379", "<Redis-username>", "username", "<Redis-password>", "password",
		", ...", "", "tm1_url", "tcp://127.0.0.1:9611", "tm2_url", "tcp://127.0.0.1:9612",
		"tm1_auth_url", "ssl://127.0.0.1:9711", "tm2_auth_url", "ssl://127.0.0.1:9712",
	)
	tests := []struct {
		file  string
		roles []Role
		want  string // as it stands there; empty: nothing is wrong
	}{
		{"microgateway.conf", []Role{Microgateway}, ""},
		{"gateway.toml", []Role{Gateway, All}, `gateway.toml:3: has "...", which stands for more of the kind: write what is meant, or leave it out`},
		{"traffic-manager.toml", []Role{TrafficManager, All, Gateway, Microgateway}, `traffic-manager.toml:10: apim.distributed_throttling.keyvalue_store.host: is still a placeholder: write the name or address of the Redis or Valkey
traffic-manager.toml:11: apim.distributed_throttling.keyvalue_store.port: is still a placeholder: write the port of the Redis or Valkey, 6379 as a rule`},
		{"gateway-cluster.toml", []Role{Gateway, All, TrafficManager, Microgateway}, `gateway-cluster.toml:3: apim.redis_config.host: is still a placeholder: write the name or address of the Redis or Valkey
gateway-cluster.toml:4: apim.redis_config.port: is still a placeholder: write the port of the Redis or Valkey, 6379 as a rule
gateway-cluster.toml:5: apim.redis_config.user: is still a placeholder: write the user there, or leave the key out if there is only a password
gateway-cluster.toml:6: apim.redis_config.password: is still a placeholder: write the password there, or leave the key out if there is none`},
	}
	for _, tt := range tests {
		text, err := os.ReadFile(filepath.Join("testdata", "documents", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range tt.roles {
			got := ""
			if _, err := ParseOf(r, tt.file, text, noEnv); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%s, %s, as it stands there: got\n%s\nwant\n%s", tt.file, r, got, tt.want)
			}
			c, err := ParseOf(r, tt.file, []byte(fill.Replace(string(text))), noEnv)
			if err != nil || len(c.Notes) > 0 {
				t.Errorf("%s, %s, filled in: got %v, and the notes %v", tt.file, r, err, c.Notes)
			}
		}
	}
}

// usual is the store at kv:6379 of which nothing else is said.
func usual(section string) Store {
	return Store{
		Kind: "redis", Section: section, Addresses: []string{"kv:6379"},
		ConnectTimeout: 2 * time.Second, Timeout: 80 * time.Millisecond,
		MaxTotal: 8, MaxIdle: 8, Wait: time.Second, MaxIdleTime: time.Minute, LookEvery: 30 * time.Second, TestIdle: true,
	}
}

// TestShared shows for each role what comes of the sections, together and each alone.
func TestShared(t *testing.T) {
	distributed := "[apim.distributed_throttling]\nenable = true\n"
	store := "[apim.distributed_throttling.keyvalue_store]\nhost = \"kv\"\n"
	redis := "[apim.redis_config]\nhost = \"kv\"\nmin_gateway_count = 3\n"
	counters := "[throttle_properties]\n'throttling.distributed.counter.type' = \"redis\"\n"
	usually := func(section string, min int) *Shared {
		return &Shared{Interval: 10 * time.Millisecond, Lanes: 4, MinNodes: min, Store: usual(section)}
	}
	tests := []struct {
		name, text       string
		gateway, manager *Shared
	}{
		{"nothing", "", nil, nil},
		{"stores that nobody uses", store + redis, nil, nil},
		{"switched off", "[apim.distributed_throttling]\nenable = false\n" + store, nil, nil},
		{"all roles share", distributed + store, usually(storeSection, 1), usually(storeSection, 1)},
		{"all roles share by the other section", distributed + redis, usually(redisSection, 3), usually(redisSection, 1)},
		{"gateways share", counters + redis, usually(redisSection, 3), nil},
		{"gateways share by the other section", counters + store, usually(storeSection, 1), nil},
		{"each has its own", counters + redis + distributed + store, usually(redisSection, 3), usually(storeSection, 1)},
		{
			"a pace of their own", counters + "throttling.replication.frequency = 50\nthrottling.pool.size = 1\n" + redis + distributed + "sync_interval = 1\ncore_pool_size = 5\n" + store,
			&Shared{Interval: 50 * time.Millisecond, Lanes: 1, MinNodes: 3, Store: usual(redisSection)},
			&Shared{Interval: time.Millisecond, Lanes: 5, MinNodes: 1, Store: usual(storeSection)},
		},
		{
			"no more lanes than connections", distributed + "core_pool_size = 200\n" + store,
			&Shared{Interval: 10 * time.Millisecond, Lanes: 8, MinNodes: 1, Store: usual(storeSection)},
			&Shared{Interval: 10 * time.Millisecond, Lanes: 8, MinNodes: 1, Store: usual(storeSection)},
		},
	}
	for _, tt := range tests {
		for _, r := range roles() {
			c := parse(t, r, tt.text)
			gateway, manager := tt.gateway, tt.manager
			if !r.HasGateway() {
				gateway = nil
			}
			if !r.HasTrafficManager() {
				manager = nil
			}
			if got := c.Shared(Gateway); !reflect.DeepEqual(got, gateway) {
				t.Errorf("%s, %s: gateway: got %+v, want %+v", tt.name, r, got, gateway)
			}
			if got := c.Shared(TrafficManager); !reflect.DeepEqual(got, manager) {
				t.Errorf("%s, %s: traffic manager: got %+v, want %+v", tt.name, r, got, manager)
			}
		}
	}
}

// TestStoreKeys sets every key of a store, in both sections, as numbers and in quotes.
func TestStoreKeys(t *testing.T) {
	server := `
port = "6380"
user = "weir"
password_file = "store.secret"
database_id = 3
ssl = true
ca_file = "ca.pem"
cert_file = "c.pem"
key_file = "k.pem"
server_name = "store"
connection_timeout = 500
socket_timeout = "70"
`
	pool := `
max_total = 20
max_idle = "10"
min_idle = 4
max_wait_millis = 30
block_when_exhausted = true
test_while_idle = "false"
test_on_borrow = true
test_on_return = "true"
min_evictable_idle_time_millis = 3000
time_between_eviction_runs_millis = 1200
`
	want := Store{
		Kind: "redis", Addresses: []string{"10.0.0.1:6380"}, Login: Login{"weir", "s3cret"}, Database: 3,
		TLS: true, CAFile: filepath.Join("testdata", "ca.pem"), CertFile: filepath.Join("testdata", "c.pem"), KeyFile: filepath.Join("testdata", "k.pem"), ServerName: "store",
		ConnectTimeout: 500 * time.Millisecond, Timeout: 70 * time.Millisecond,
		MaxTotal: 20, MaxIdle: 10, MinIdle: 4, Wait: 30 * time.Millisecond,
		MaxIdleTime: 3 * time.Second, LookEvery: 1200 * time.Millisecond, TestOnBorrow: true, TestOnReturn: true,
	}
	tests := []struct{ name, text, section string }{
		{"keyvalue_store", "[apim.distributed_throttling]\nenable = \"true\"\ntype = \"valkey\"\n[apim.distributed_throttling.keyvalue_store]\nhost = \"10.0.0.1\"" + server + pool, storeSection},
		{"redis_config", "[throttle_properties]\n'throttling.distributed.counter.type' = \"valkey\"\n[apim.redis_config]\nhost = \"10.0.0.1\"" + server + "[apim.redis_config.pool_options]" + pool, redisSection},
	}
	for _, tt := range tests {
		c, err := ParseOf(Gateway, filepath.Join("testdata", "deployment.toml"), []byte(tt.text), noEnv)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want.Kind, want.Section = "valkey", tt.section
		if got := c.Shared(Gateway); got == nil || !reflect.DeepEqual(got.Store, want) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
	// What is said by variables holds as well.
	c, err := ParseOf(TrafficManager, "", nil, environment(
		"WEIR_APIM_DISTRIBUTED_THROTTLING_ENABLE", "true",
		"WEIR_APIM_DISTRIBUTED_THROTTLING_KEYVALUE_STORE_HOST", "kv",
		"WEIR_APIM_DISTRIBUTED_THROTTLING_KEYVALUE_STORE_PASSWORD_FILE", filepath.Join("testdata", "store.secret"),
		"WEIR_APIM_DISTRIBUTED_THROTTLING_KEYVALUE_STORE_BLOCK_WHEN_EXHAUSTED", "false",
	))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Shared(TrafficManager).Store; got.Addresses[0] != "kv:6379" || got.Login.Password != "s3cret" || got.Wait != 0 {
		t.Errorf("by variables: got %+v", got)
	}
}

func TestSentinels(t *testing.T) {
	c := parse(t, TrafficManager, `
[apim.distributed_throttling]
enable = true
[apim.distributed_throttling.keyvalue_store]
sentinel_master = "counters"
sentinel_addresses = ["s1", "s2:26380", "[2001:db8::1]:26379", "2001:db8::2"]
sentinel_user = "watch"
sentinel_password = "w4tch"
password = "s3cret"
`)
	got := c.Shared(TrafficManager).Store
	want := []string{"s1:26379", "s2:26380", "[2001:db8::1]:26379", "[2001:db8::2]:26379"}
	if !reflect.DeepEqual(got.Addresses, want) || got.Master != "counters" || got.Sentinel != (Login{"watch", "w4tch"}) || got.Login != (Login{"", "s3cret"}) {
		t.Errorf("got %+v", got)
	}
	if text := "redis counters by the Sentinels at s1:26379, s2:26380, [2001:db8::1]:26379, [2001:db8::2]:26379"; got.String() != text {
		t.Errorf("got %s, want %s", &got, text)
	}
	one := usual(storeSection)
	if text := "redis at kv:6379"; one.String() != text {
		t.Errorf("got %s, want %s", &one, text)
	}
}

// TestSharedNotes finds keys of which nobody would see that they do nothing.
func TestSharedNotes(t *testing.T) {
	c := parse(t, All, `[apim.distributed_throttling]
enable = true
[apim.distributed_throttling.keyvalue_store]
max_total = 20
password = "x"
[apim.redis_config]
host = "kv"
gateway_id = "gw1"
key_lock_retrieval_timeout = 50
[throttle_properties]
throttling.unified_replicator.enable = true
`)
	const want = `deployment.toml:4: apim.distributed_throttling.keyvalue_store.max_total: has no effect: no host stands there, and so the store is that of apim.redis_config
deployment.toml:5: apim.distributed_throttling.keyvalue_store.password: has no effect: no host stands there, and so the store is that of apim.redis_config
deployment.toml:8: apim.redis_config.gateway_id: has no effect: each run of a gateway has a number of its own there, and node.name elsewhere
deployment.toml:9: apim.redis_config.key_lock_retrieval_timeout: has no effect: no key is locked there
deployment.toml:11: throttle_properties.throttling.unified_replicator.enable: has no effect: counts and windows are told together, in one way`
	if got := c.Notes.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	c = parse(t, Gateway, `[throttle_properties]
throttling.distributed.counter.type = "redis"
[apim.redis_config]
min_gateway_count = 2
pool_options.max_total = 3
[apim.distributed_throttling.keyvalue_store]
host = "kv"
`)
	if got, want := c.Notes.Error(), "deployment.toml:5: apim.redis_config.pool_options.max_total: has no effect: no host stands there, and so the store is that of apim.distributed_throttling.keyvalue_store"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := c.Shared(Gateway); got.MinNodes != 2 || got.Store.MaxTotal != 8 {
		t.Errorf("got %+v", got)
	}
}

func TestAccuracy(t *testing.T) {
	store := "[apim.distributed_throttling]\nenable = true\nkeyvalue_store.host = \"kv\"\n"
	for _, r := range []Role{Microgateway, Gateway, All} {
		c := parse(t, r, "")
		if got, want := c.Accuracies(), (Accuracy{Eventual, Eventual, Eventual, Eventual, Eventual, Eventual, Eventual}); got != want {
			t.Errorf("%s, without a store: got %+v, want %+v", r, got, want)
		}
		c = parse(t, r, store)
		if got, want := c.Accuracies(), (Accuracy{Eventual, Eventual, Eventual, Eventual, Eventual, Bounded, Bounded}); got != want {
			t.Errorf("%s, with a store: got %+v, want %+v", r, got, want)
		}
		c = parse(t, r, store+"[accuracy]\napi = \"bounded\"\nburst = \"exact\"\nbackend = \"eventual\"\n")
		if got, want := c.Accuracies(), (Accuracy{Bounded, Eventual, Eventual, Eventual, Eventual, Exact, Eventual}); got != want {
			t.Errorf("%s, as it is said: got %+v, want %+v", r, got, want)
		}
	}
	// A traffic manager need not share because the gateways of the same file do.
	parse(t, TrafficManager, "[accuracy]\nburst = \"exact\"\n")
}

func TestSharing(t *testing.T) {
	c := parse(t, All, "[apim.distributed_throttling]\nenable = true\ntype = \"valkey\"\nkeyvalue_store.host = \"kv\"\n[accuracy]\nburst = \"exact\"\n")
	want := []string{
		"traffic manager: counters are shared through valkey at kv:6379, every 10ms, in up to 4 batches at a time",
		"gateway: counters are shared through valkey at kv:6379, every 10ms, in up to 4 batches at a time",
		"limits that do not say how closely they are kept: api eventual, resource eventual, subscription eventual, application eventual, custom eventual, burst exact, backend bounded",
	}
	if got := c.Sharing(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if c = parse(t, All, ""); c.Sharing() != nil {
		t.Errorf("nothing is shared: got %q", c.Sharing())
	}
}

package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/configuration.md and the golden files")

// noEnv is an environment without variables.
func noEnv(string) string { return "" }

// environment returns a getenv of pairs of names and values.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// faults returns the faults that err is made of.
func faults(t *testing.T, err error) Faults {
	t.Helper()
	f, ok := errors.AsType[Faults](err)
	if err != nil && !ok {
		t.Fatalf("got an error that is no Faults: %v", err)
	}
	return f
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
	got, err := Parse("empty.conf", nil, noEnv)
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("an empty file: got %+v, %v; want the defaults", got, err)
	}
	if got, err := Load("", noEnv); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("no file: got %+v, %v; want the defaults", got, err)
	}
}

func TestLoadFull(t *testing.T) {
	got, err := Load(filepath.Join("testdata", "full.conf"), environment("GATEWAY_HOST", "192.0.2.7", "ISSUER", "accounts"))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Node.Data = filepath.Join("testdata", "data")
	want.Listener = Listener{
		Host: "192.0.2.7", HTTPPort: 8280, HTTPSPort: 8243, HTTP2: false,
		CertFile: filepath.Join("testdata", "tls", "server.pem"), KeyFile: "/etc/weir/server.key",
	}
	want.ClientAddress = ClientAddress{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")},
		IPv6Bits:       56,
	}
	want.APIKey = APIKey{Header: "X-Key"}
	want.JWT = []JWT{
		{
			Issuer: "https://accounts.example.com/token", Audience: []string{"shop"}, JWKSURL: "https://accounts.example.com/jwks",
			Refresh: time.Minute, Algorithms: []string{"RS256", "EdDSA"}, Leeway: 30 * time.Second, UserClaim: "email", FoldUser: true,
		},
		{
			Issuer: "internal", Audience: []string{"a", "b"}, JWKSFile: filepath.Join("testdata", "jwks.json"),
			Refresh: 5 * time.Minute, UserClaim: "sub", AllowNoExpiry: true, ClientsOnly: true,
		},
	}
	want.Limits = Limits{HeaderBytes: 16 << 10, HeaderFields: 50, BodyBytes: 1 << 20, Connections: 5000, ConnectionsPerIP: 20, Streams: 32}
	want.Backend.Deny = []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")}
	want.Backend.ConnectTimeout = 750 * time.Millisecond
	want.Limiter.MaxKeys = 65536
	want.Log = Log{Level: "debug", Format: "json"}
	want.Shutdown.Grace = 90 * time.Second
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	text := "[listenerConfig]\nhttpPort = 1\n[log]\nlevel = \"warn\"\n"
	got, err := Parse("g.conf", []byte(text), environment(
		"WEIR_LISTENER_CONFIG_HTTP_PORT", "8000",
		"WEIR_LISTENER_CONFIG_HTTP2", "false",
		"WEIR_CLIENT_ADDRESS_TRUSTED_PROXIES", "10.1.0.0/16, 192.0.2.1",
		"WEIR_LIMITS_BODY_BYTES", "5MiB",
		"WEIR_TIMEOUTS_IDLE", "20s",
		"WEIR_BACKEND_CA_FILE", "ca.pem",
		"WEIR_LOG_LEVEL", "",
	))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Listener.HTTPPort, want.Listener.HTTP2 = 8000, false
	want.ClientAddress.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("192.0.2.1/32")}
	want.Limits.BodyBytes, want.Timeouts.Idle, want.Backend.CAFile, want.Log.Level = 5<<20, 20*time.Second, "ca.pem", "warn"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEnvironmentFaults(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"WEIR_LISTENER_CONFIG_HTTP_PORT", "many", "WEIR_LISTENER_CONFIG_HTTP_PORT: listenerConfig.httpPort: must be a whole number"},
		{"WEIR_LISTENER_CONFIG_HTTP_PORT", "65536", "WEIR_LISTENER_CONFIG_HTTP_PORT: listenerConfig.httpPort: must be from -1 to 65535, not 65536"},
		{"WEIR_LISTENER_CONFIG_HTTP2", "yes", "WEIR_LISTENER_CONFIG_HTTP2: listenerConfig.http2: must be true or false"},
		{"WEIR_TIMEOUTS_IDLE", "20", `WEIR_TIMEOUTS_IDLE: timeouts.idle: must be a duration like "500ms", "30s" or "5m"`},
		{"WEIR_CLIENT_ADDRESS_TRUSTED_PROXIES", "10.0.0.1,proxy", `WEIR_CLIENT_ADDRESS_TRUSTED_PROXIES: client_address.trusted_proxies: "proxy" must be an address or a network like "10.0.0.0/8"`},
		{"WEIR_LOG_FORMAT", "xml", `WEIR_LOG_FORMAT: log.format: must be one of text, json, not "xml"`},
	}
	for _, tt := range tests {
		_, err := Parse("g.conf", nil, environment(tt.name, tt.value))
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s=%s: got %v, want %s", tt.name, tt.value, err, tt.want)
		}
	}
}

// TestFaults reads every file of testdata/faults. What must come of it stands
// beside it, a line for each fault.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.*")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, file := range files {
		role, ok := map[string]Role{".conf": Microgateway, ".toml": All}[filepath.Ext(file)]
		if !ok {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := LoadOf(role, file, environment("SET", "value"))
			if err == nil {
				t.Fatal("got no error")
			}
			got := strings.ReplaceAll(err.Error(), filepath.ToSlash(file)+":", "") + "\n"
			golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".txt"
			if role == All {
				golden = file + ".txt"
			}
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || got != string(want) {
				t.Errorf("got:\n%swant (%v):\n%s", got, err, want)
			}
		})
	}
}

func TestFaultsHaveTheirPlace(t *testing.T) {
	_, err := Parse("conf/g.conf", []byte("\n[log]\n\nlevel = \"loud\"\n"), noEnv)
	got := faults(t, err)
	if len(got) != 1 || got[0].File != "conf/g.conf" || got[0].Line != 4 || got[0].Key != "log.level" {
		t.Errorf("got %+v, want one fault of log.level in conf/g.conf, line 4", got)
	}
	var one *Fault
	if !errors.As(err, &one) || one != got[0] {
		t.Errorf("errors.As found %v, want %v", one, got[0])
	}
}

func TestValidateWithoutAFile(t *testing.T) {
	c := Default()
	c.Listener.HTTPPort = -2
	c.Log.Level = "x"
	err := c.Validate()
	want := "listenerConfig.httpPort: must be from -1 to 65535, not -2\nlog.level: must be one of debug, info, warn, error, not \"x\""
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if n := len(faults(t, err)); n != 2 {
		t.Errorf("got %d faults, want 2", n)
	}
}

func TestLoadRefusesWhatIsNoFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.conf"), noEnv); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such file: got %v", err)
	}
	if _, err := Load(t.TempDir(), noEnv); err == nil {
		t.Error("a folder: got no error")
	}
	large := filepath.Join(t.TempDir(), "large.conf")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large, noEnv); err == nil || !strings.Contains(err.Error(), "larger than 1MiB") {
		t.Errorf("a large file: got %v", err)
	}
}

func TestTLS(t *testing.T) {
	tests := []struct {
		l    Listener
		want bool
	}{
		{Listener{HTTPSPort: 9095}, false},
		{Listener{HTTPSPort: 9095, CertFile: "c.pem"}, true},
		{Listener{HTTPSPort: 0, CertFile: "c.pem"}, true},
		{Listener{HTTPSPort: Off, CertFile: "c.pem"}, false},
	}
	for _, tt := range tests {
		if got := tt.l.TLS(); got != tt.want {
			t.Errorf("%+v: got %t, want %t", tt.l, got, tt.want)
		}
	}
}

func TestSize(t *testing.T) {
	tests := []struct {
		text string
		want Size
		back string
	}{
		{"0", 0, "0"},
		{"1", 1, "1"},
		{"1023", 1023, "1023"},
		{"1024", 1024, "1KiB"},
		{"32KiB", 32 << 10, "32KiB"},
		{"1536 B", 1536, "1536"},
		{"100 MiB", 100 << 20, "100MiB"},
		{"2GiB", 2 << 30, "2GiB"},
		{"1024KiB", 1 << 20, "1MiB"},
	}
	for _, tt := range tests {
		got, err := parseSize(tt.text)
		if err != nil || got != tt.want || got.String() != tt.back {
			t.Errorf("%q: got %d (%s), %v; want %d (%s)", tt.text, got, got, err, tt.want, tt.back)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1.5MiB", "1KB", "1TiB", "9223372036854775807KiB", "9999999999999999999999", "0x10"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestEnvNames(t *testing.T) {
	tests := []struct{ section, name, want string }{
		{"listenerConfig", "httpPort", "WEIR_LISTENER_CONFIG_HTTP_PORT"},
		{"listenerConfig", "http2", "WEIR_LISTENER_CONFIG_HTTP2"},
		{"listenerConfig", "certFile", "WEIR_LISTENER_CONFIG_CERT_FILE"},
		{"client_address", "ipv6_bits", "WEIR_CLIENT_ADDRESS_IPV6_BITS"},
		{"apikey", "header", "WEIR_APIKEY_HEADER"},
		{"jwtTokenConfig", "jwksURL", "WEIR_JWT_TOKEN_CONFIG_JWKS_URL"},
	}
	for _, tt := range tests {
		if got := (key{section: tt.section, name: tt.name}).env(); got != tt.want {
			t.Errorf("%s.%s: got %s, want %s", tt.section, tt.name, got, tt.want)
		}
	}
}

// TestKeysAreDescribed keeps the tags complete, and the names of variables apart.
func TestKeysAreDescribed(t *testing.T) {
	c := Default()
	seen := map[string]bool{}
	for _, s := range c.sections() {
		if s.name == "" || s.field.Tag.Get("doc") == "" {
			t.Errorf("section %s has no name or no meaning", s.field.Name)
		}
		if s.repeated() {
			s.add()
		}
		for _, v := range s.structs() {
			for _, k := range s.keysOf(v) {
				if k.name == "" || !strings.HasSuffix(k.field.Tag.Get("doc"), ".") {
					t.Errorf("key %s of %s has no name, or a meaning that is no sentence", k.field.Name, s.name)
				}
				if seen[k.env()] {
					t.Errorf("%s is the variable of two keys", k.env())
				}
				seen[k.env()] = true
				if n := k.value.Kind(); (n == reflect.Int || n == reflect.Int64) && k.field.Tag.Get("min") == "" {
					t.Errorf("key %s has no least value", k)
				}
			}
		}
	}
}

// TestReference finds a docs/configuration.md that is not what the code says.
func TestReference(t *testing.T) {
	const file = "../docs/configuration.md"
	if *update {
		if err := os.WriteFile(file, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != Reference() {
		t.Errorf("%s is stale (%v): run 'go generate ./config'", file, err)
	}
}

// TestReferenceDefaults reads every default that the reference names as a value
// of its key.
func TestReferenceDefaults(t *testing.T) {
	for _, r := range roles() {
		c := DefaultOf(r)
		var text strings.Builder
		for _, s := range c.sections() {
			if s.repeated() || s.only() != "" && s.only() != r.file() {
				continue
			}
			text.WriteString("[" + s.name + "]\n")
			for _, k := range s.keysOf(s.value) {
				text.WriteString(k.name + " = " + valueText(k.value) + "\n")
			}
		}
		got, err := ParseOf(r, "", []byte(text.String()), noEnv)
		if err != nil {
			t.Fatal(err)
		}
		if changed := Changed(&c, emptied(&got)); len(changed) > 0 {
			t.Errorf("%s: the defaults of %v are not what the reference says", r, changed)
		}
	}
}

func roles() []Role { return []Role{Microgateway, Gateway, TrafficManager, ControlPlane, All} }

// emptied returns c with no lists in place of empty ones.
func emptied(c *Config) *Config {
	for _, s := range c.sections() {
		for _, v := range s.structs() {
			for _, k := range s.keysOf(v) {
				if k.value.Kind() == reflect.Slice && k.value.Len() == 0 {
					k.value.SetZero()
				}
			}
		}
	}
	return c
}

func TestNearest(t *testing.T) {
	known := []string{"httpPort", "httpsPort", "host", "keyFile"}
	tests := []struct{ text, want string }{
		{"htpPort", "httpPort"},
		{"http_port", "httpPort"},
		{"httpport", "httpPort"},
		{"hots", "host"},
		{"throttlingConfig", ""},
		{"zzzz", ""},
		{"keyStore", "keyFile"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := nearest(tt.text, known); got != tt.want && !(tt.text == "keyStore" && got == "") {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/faults/*.conf", "testdata/faults/*.toml", "testdata/documents/*", "testdata/full.conf"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range []Role{Microgateway, All} {
			c, err := ParseOf(r, "fuzz", []byte(text), environment("SET", "value"))
			if err != nil {
				if err.Error() == "" {
					t.Error("an error without a text")
				}
				continue
			}
			if err := c.Validate(); err != nil {
				t.Errorf("accepted, but not valid: %v", err)
			}
			c.Uplink()
			c.Topic()
			for _, role := range []Role{Gateway, TrafficManager} {
				if s := c.Shared(role); s != nil && (len(s.Store.Addresses) == 0 || s.Lanes < 1 || s.Interval <= 0) {
					t.Errorf("accepted, but nothing can be shared: %+v", s)
				}
			}
		}
	})
}

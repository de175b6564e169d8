package app

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-project/weir/config"
)

// ask returns the status with which a call would be answered, 0 if it would be
// forwarded.
func ask(t *testing.T, c config.Config, call Call, perDay int64) (status int, client netip.Addr) {
	t.Helper()
	d, key := pets(t, "http://127.0.0.1:9", perDay)
	call.Method, call.Path = "GET", "/pets/1/all"
	if !call.Peer.IsValid() {
		call.Peer = netip.MustParseAddr("192.0.2.1")
	}
	for i, f := range call.Header {
		if f.Value == "KEY" {
			call.Header[i].Value = key
		}
	}
	if call.Query == "KEY" {
		call.Query = "ApiKey=" + key
	}
	x, err := Explain(t.Context(), c, d, call, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return x.Status, x.Request.ClientIP
}

// TestAPIKeyConfiguration shows that keys are taken where the configuration wants
// them and nowhere else.
func TestAPIKeyConfiguration(t *testing.T) {
	header := func(name string) Call { return Call{Header: []HeaderField{{name, "KEY"}}} }
	query := Call{Query: "KEY"}
	tests := []struct {
		name   string
		conf   config.APIKey
		call   Call
		status int
	}{
		{"usual header", config.Default().APIKey, header("ApiKey"), 0},
		{"usual parameter", config.Default().APIKey, query, 0},
		{"another header", config.APIKey{Header: "X-Key", Query: "ApiKey"}, header("X-Key"), 0},
		{"not the usual header", config.APIKey{Header: "X-Key", Query: "ApiKey"}, header("ApiKey"), 401},
		{"no header", config.APIKey{Query: "ApiKey"}, header("ApiKey"), 401},
		{"no header, but a parameter", config.APIKey{Query: "ApiKey"}, query, 0},
		{"no parameter", config.APIKey{Header: "ApiKey"}, query, 401},
		{"none at all", config.APIKey{}, header("-"), 401},
	}
	for _, tt := range tests {
		c := config.Default()
		c.APIKey = tt.conf
		if got, _ := ask(t, c, tt.call, 5); got != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.status)
		}
	}
}

func TestTrustedProxiesConfiguration(t *testing.T) {
	forwarded := Call{
		Header: []HeaderField{{"ApiKey", "KEY"}, {"X-Forwarded-For", "198.51.100.9, 203.0.113.5"}},
		Peer:   netip.MustParseAddr("10.0.0.1"),
	}
	for _, tt := range []struct {
		trusted []netip.Prefix
		want    string
	}{
		{nil, "10.0.0.1"},
		{[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "203.0.113.5"},
		{[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("203.0.113.5/32")}, "198.51.100.9"},
	} {
		c := config.Default()
		c.ClientAddress.TrustedProxies = tt.trusted
		if _, got := ask(t, c, forwarded, 5); got.String() != tt.want {
			t.Errorf("trusting %v: got %v, want %s", tt.trusted, got, tt.want)
		}
	}
}

// TestIssuersConfiguration shows that a token is asked for its issuer's keys, and
// that an issuer which cannot be reached is named.
func TestIssuersConfiguration(t *testing.T) {
	c := config.Default()
	c.JWT = []config.JWT{{Issuer: "https://issuer.example", JWKSURL: "http://127.0.0.1:9/jwks", Refresh: time.Minute}}
	d, _ := pets(t, "http://127.0.0.1:9", 5)
	call := Call{Method: "GET", Path: "/pets/1/all", Token: "e30.e30.e30", Peer: netip.MustParseAddr("192.0.2.1")}
	if _, err := Explain(t.Context(), c, d, call, time.Now()); err == nil {
		t.Error("no word of an issuer that cannot be reached")
	}
	call.Token = ""
	if _, err := Explain(t.Context(), c, d, call, time.Now()); err != nil {
		t.Errorf("without a token nobody needs the issuer: %v", err)
	}
}

func TestBackendConfiguration(t *testing.T) {
	certFile, keyFile, _ := writeCertificate(t)
	c := config.Default().Backend
	c.CAFile, c.CertFile, c.KeyFile, c.MaxIdle = certFile, certFile, keyFile, 7
	targets, err := newTargets(&c)
	if err != nil {
		t.Fatal(err)
	}
	o := targets.Options()
	if o.TLS == nil || o.TLS.RootCAs == nil || len(o.TLS.Certificates) != 1 || o.MaxIdle != 7 || o.ConnectTimeout != c.ConnectTimeout {
		t.Errorf("got %+v", o)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.CAFile = empty
	if _, err := newTargets(&c); err == nil {
		t.Error("took a file without certificates for certificate authorities")
	}
}

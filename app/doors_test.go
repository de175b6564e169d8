package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway"
)

// writeCertificate makes a certificate for 127.0.0.1 and returns its files and
// what trusts it.
func writeCertificate(t *testing.T) (certFile, keyFile string, trust *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "weir test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	trust = x509.NewCertPool()
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		text := pem.EncodeToMemory(block)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		trust.AppendCertsFromPEM(text)
	}
	return certFile, keyFile, trust
}

// TestDoors shows that one limit holds over all protocols together.
func TestDoors(t *testing.T) {
	c := config.Default()
	var trust *x509.CertPool
	c.Listener.CertFile, c.Listener.KeyFile, trust = writeCertificate(t)
	d, key := pets(t, backend(t), 4)
	p := start(t, Options{Config: c, Gateway: Source{Read: func() (gateway.Definition, error) { return d, nil }}})

	client := func(set func(*http.Protocols)) *http.Client {
		tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: trust}}
		set(tr.Protocols)
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	one := client(func(p *http.Protocols) { p.SetHTTP1(true) })
	two := client(func(p *http.Protocols) { p.SetHTTP2(true) })
	h2c := client(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	tests := []struct {
		name   string
		client *http.Client
		origin string
		major  int
		status int
	}{
		{"HTTP/1.1", one, "http://" + p.HTTP.String(), 1, 200},
		{"HTTP/2 in the clear", h2c, "http://" + p.HTTP.String(), 2, 200},
		{"HTTP/1.1 over TLS", one, "https://" + p.HTTPS.String(), 1, 200},
		{"HTTP/2 over TLS", two, "https://" + p.HTTPS.String(), 2, 200},
		{"HTTP/1.1, once too often", one, "http://" + p.HTTP.String(), 1, 429},
		{"HTTP/2, once too often", two, "https://" + p.HTTPS.String(), 2, 429},
	}
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), "GET", tt.origin+"/pets/1/all", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("ApiKey", key)
		w, err := tt.client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		body, _ := io.ReadAll(w.Body)
		w.Body.Close()
		if w.StatusCode != tt.status || w.ProtoMajor != tt.major {
			t.Errorf("%s: got %d over HTTP/%d %s, want %d", tt.name, w.StatusCode, w.ProtoMajor, body, tt.status)
		}
	}
}

func TestDoorsRefuseABadCertificate(t *testing.T) {
	c := config.Default()
	c.Listener.Host, c.Listener.HTTPPort, c.Management.Port = "127.0.0.1", 0, config.Off
	c.Listener.CertFile, c.Listener.KeyFile = "missing.pem", "missing.key"
	d, _ := pets(t, "http://127.0.0.1:1", 1)
	a, err := New(Options{Config: c, Log: io.Discard, Gateway: Source{Read: func() (gateway.Definition, error) { return d, nil }}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "missing.pem") {
		t.Errorf("got %v, want the name of the file", err)
	}
}

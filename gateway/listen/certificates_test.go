package listen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// writePair writes a new certificate for the name, with its key.
func writePair(t *testing.T, dir, name string) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{SerialNumber: serial, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := Pair{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	for file, block := range map[string]*pem.Block{p.Certificate: {Type: "CERTIFICATE", Bytes: der}, p.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// shown connects by TLS and returns the connection's state and its greeting.
func shown(t *testing.T, l *Listener, config *tls.Config) (tls.ConnectionState, string, error) {
	t.Helper()
	config.InsecureSkipVerify = true
	tc := tls.Client(connect(t, l), config)
	if err := tc.Handshake(); err != nil {
		return tls.ConnectionState{}, "", err
	}
	text := greeting(tc)
	return tc.ConnectionState(), text, nil
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certificates, err := LoadCertificates(writePair(t, dir, "a.test"), writePair(t, dir, "b.test"))
	if err != nil {
		t.Fatal(err)
	}
	l, _ := start(t, Options{TLS: certificates, HTTP2: &namedServer{name: "http2"}, HandshakeTimeout: 200 * time.Millisecond})
	for _, r := range []struct {
		config       *tls.Config
		server, name string
		ok           bool
	}{
		{&tls.Config{ServerName: "a.test"}, "http1", "a.test", true},
		{&tls.Config{ServerName: "b.test", NextProtos: []string{"http/1.1"}}, "http1", "b.test", true},
		{&tls.Config{ServerName: "b.test", NextProtos: []string{"h2", "http/1.1"}}, "http2", "b.test", true},
		{&tls.Config{ServerName: "other.test"}, "http1", "a.test", true},
		{&tls.Config{ServerName: "a.test", NextProtos: []string{"spdy/1"}}, "", "", false},
		{&tls.Config{ServerName: "a.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "", "", false},
	} {
		state, server, err := shown(t, l, r.config)
		if (err == nil) != r.ok {
			t.Errorf("%s %v: got %v", r.config.ServerName, r.config.NextProtos, err)
			continue
		}
		if r.ok && (server != r.server || state.PeerCertificates[0].DNSNames[0] != r.name) {
			t.Errorf("%s %v: got %s, %s; want %s, %s", r.config.ServerName, r.config.NextProtos,
				server, state.PeerCertificates[0].DNSNames[0], r.server, r.name)
		}
	}
	if _, err := connect(t, l).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a client that never begins a handshake: got %v, want %v", err, io.EOF)
	}
	plain, _ := start(t, Options{TLS: certificates})
	if _, server, err := shown(t, plain, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}); err != nil || server != "http1" {
		t.Errorf("without HTTP/2: got %s, %v; want http1", server, err)
	}
}

// Certificates change under a running listener; a bad file changes nothing.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	pair := writePair(t, dir, "a.test")
	c, err := LoadCertificates(pair)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := start(t, Options{TLS: c})
	serial := func() string {
		state, _, err := shown(t, l, &tls.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	if c.changed() {
		t.Error("changed before anything was")
	}
	if err := os.WriteFile(pair.Key, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !c.changed() {
		t.Error("a change is not seen")
	}
	if err := c.Reload(); err == nil || !strings.Contains(err.Error(), pair.Key) {
		t.Errorf("a bad key: got %v", err)
	}
	if c.changed() {
		t.Error("a bad file is tried again and again")
	}
	if got := serial(); got != first {
		t.Error("a bad key changed the certificate")
	}
	writePair(t, dir, "a.test")
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got == first {
		t.Error("the certificate is the old one")
	}
	if err := os.Remove(pair.Certificate); err != nil {
		t.Fatal(err)
	}
	if !c.changed() || c.Reload() == nil {
		t.Error("a missing file is not seen")
	}
	if _, err := LoadCertificates(); err == nil {
		t.Error("no certificate: no error")
	}
	if _, err := LoadCertificates(pair); err == nil {
		t.Error("a missing certificate: no error")
	}
}

// Run sees changes by itself, and says what it thinks of them.
func TestCertificatesRun(t *testing.T) {
	dir := t.TempDir()
	pair := writePair(t, dir, "a.test")
	synctest.Test(t, func(t *testing.T) {
		c, err := LoadCertificates(pair)
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx, slog.New(slog.NewTextHandler(&log, nil))) }()
		first := (*c.current.Load())[0].Leaf.SerialNumber
		pass := func() {
			time.Sleep(checkEvery)
			synctest.Wait()
		}
		pass()
		if err := os.WriteFile(pair.Key, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		pass()
		pass()
		if got := (*c.current.Load())[0].Leaf.SerialNumber; got != first || strings.Count(log.String(), "stay as they are") != 1 {
			t.Errorf("a bad key: got serial %v, log %s", got, log.String())
		}
		writePair(t, dir, "a.test")
		pass()
		if got := (*c.current.Load())[0].Leaf.SerialNumber; got.Cmp(first) == 0 || !strings.Contains(log.String(), "reloaded") {
			t.Errorf("a new pair: got serial %v, log %s", got, log.String())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

package app

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var quietly = slog.New(slog.DiscardHandler)

func TestOwnCertificate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	log := &logbook{}
	l := slog.New(slog.NewTextHandler(log, nil))
	now := time.Now()
	certFile, keyFile, err := ownCertificate(dir, []string{"localhost", "127.0.0.1", "tm.example.com"}, now, l)
	if err != nil {
		t.Fatal(err)
	}
	first, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if log.count("made a certificate") != 1 || !strings.Contains(log.String(), fingerprint(first.Certificate[0])) {
		t.Errorf("logged %s", log)
	}
	if info, err := os.Stat(keyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is readable to others: %v, %v", info.Mode(), err)
	}
	// Whoever takes it as an authority of its own can verify it by every name.
	trust := x509.NewCertPool()
	trust.AddCert(first.Leaf)
	for _, name := range []string{"localhost", "127.0.0.1", "tm.example.com"} {
		if _, err := first.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: trust}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	// It is kept for as long as it is good.
	if _, _, err := ownCertificate(dir, nil, now.Add(validity/2), l); err != nil {
		t.Fatal(err)
	}
	if again, _ := tls.LoadX509KeyPair(certFile, keyFile); sha256.Sum256(again.Certificate[0]) != sha256.Sum256(first.Certificate[0]) {
		t.Error("another one was made although it is good")
	}
	if _, _, err := ownCertificate(dir, []string{"localhost"}, now.Add(validity-renewBefore+time.Hour), l); err != nil {
		t.Fatal(err)
	}
	if again, _ := tls.LoadX509KeyPair(certFile, keyFile); sha256.Sum256(again.Certificate[0]) == sha256.Sum256(first.Certificate[0]) {
		t.Error("it is kept although it is nearly over")
	}

	// What is there and can't be read is somebody's: it is not overwritten.
	if err := os.WriteFile(certFile, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ownCertificate(dir, nil, now, l); err == nil || !strings.Contains(err.Error(), "a new one is made") {
		t.Errorf("a file that is no certificate: got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPairReloads(t *testing.T) {
	certFile, keyFile, _ := writeCertificate(t)
	p, err := loadPair("key", certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	was := p.certificate()
	if err := os.WriteFile(certFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.reload(); err == nil || !strings.HasPrefix(err.Error(), "key: certificate ") || p.certificate() != was {
		t.Errorf("a broken file: got %v", err)
	}
	other, otherKey, _ := writeCertificate(t)
	for from, to := range map[string]string{other: certFile, otherKey: keyFile} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.reload(); err != nil || p.certificate() == was {
		t.Errorf("another certificate: got %v", err)
	}
	if _, err := loadPair("key", filepath.Join(t.TempDir(), "none"), keyFile); err == nil {
		t.Error("no file: got no error")
	}
	if _, err := loadCAs("broker.ca_file", keyFile); err == nil || !strings.HasPrefix(err.Error(), "broker.ca_file: ") {
		t.Errorf("no certificate in the file: got %v", err)
	}
}

// TestOwnCertificateTogether: processes that begin at the same time end up with one
// certificate, also after one that ended while it made one.
func TestOwnCertificateTogether(t *testing.T) {
	dir := t.TempDir()
	lock := filepath.Join(dir, lockFile)
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(lock, old, old); err != nil {
		t.Fatal(err)
	}
	log := &logbook{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			certFile, keyFile, err := ownCertificate(dir, []string{"localhost"}, time.Now(), logTo(log))
			if err == nil {
				_, err = tls.LoadX509KeyPair(certFile, keyFile)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made := log.count("made a certificate"); made != 1 {
		t.Errorf("%d were made, want 1", made)
	}
	if _, err := os.Stat(lock); err == nil {
		t.Error("the lock is left behind")
	}
}

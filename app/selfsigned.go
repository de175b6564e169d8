package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/weir-project/weir/config"
)

const (
	// validity is for how long a node's own certificate is good. Whoever takes it
	// as its own authority has to be told of the next one, so it is long.
	validity = 10 * 365 * 24 * time.Hour
	// renewBefore is how long before its end it is made anew, at a start.
	renewBefore = 30 * 24 * time.Hour
)

// certificateNames returns the names and addresses by which others may call this
// machine.
func certificateNames(c *config.Config) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	add := func(name string) {
		if name != "" && name != "0.0.0.0" && name != "::" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if host, err := os.Hostname(); err == nil {
		add(host)
	}
	add(c.Management.HTTPSHost)
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return names // those that are known will do
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			add(n.IP.String())
		}
	}
	return names
}

// makeCertificate writes a certificate for names, signed by its own key, and that key
// into files. It returns the certificate.
func makeCertificate(certFile, keyFile string, names []string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Weir", OrganizationalUnit: []string{"made by the node itself"}},
		NotBefore:    now.Add(-24 * time.Hour), // clocks differ
		NotAfter:     now.Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(keyFile, "PRIVATE KEY", private, 0o600); err != nil {
		return nil, err
	}
	return der, writePEM(certFile, "CERTIFICATE", der, 0o644)
}

// writePEM writes a file as a whole or not at all.
func writePEM(name, kind string, content []byte, mode os.FileMode) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone once it has its name
	_, err = f.Write(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Chmod(f.Name(), mode)
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return err
}

const (
	lockFile = "server.lock"
	// A lock is waited for, and taken from somebody who has had it for too long: who
	// ended on the way.
	lockWait, lockLife = 5 * time.Second, 3 * time.Second
)

// locked calls f while no other process does so in the same folder, which it makes if
// need be.
func locked(dir string, f func() error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := filepath.Join(dir, lockFile)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		lock, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			defer os.Remove(name)
			_ = lock.Close() // nothing is in it
			return f()
		}
		if !errors.Is(err, fs.ErrExist) || time.Since(began) > lockWait {
			return err
		}
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > lockLife {
			_ = os.Remove(name) // if another was faster, so much the better
		}
	}
}

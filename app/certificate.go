package app

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/config"
)

// A pair is a certificate in files, which is read again when they change. It is
// safe for concurrent use.
type pair struct {
	key               string // of the configuration, for errors
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	seen              [2]stamp
}

// loadPair reads a certificate and its key.
func loadPair(key, certFile, keyFile string) (*pair, error) {
	p := &pair{key: key, certFile: certFile, keyFile: keyFile}
	return p, p.reload()
}

func (p *pair) stamps() [2]stamp { return [2]stamp{stampOf(p.certFile), stampOf(p.keyFile)} }

// reload reads the files; if they are no good, all stays as it was.
func (p *pair) reload() error {
	p.seen = p.stamps() // before reading: a later change is then seen as one
	c, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return fmt.Errorf("%s: certificate %s with key %s: %w", p.key, p.certFile, p.keyFile, err)
	}
	p.current.Store(&c)
	return nil
}

// certificate returns what is shown to others.
func (p *pair) certificate() *tls.Certificate { return p.current.Load() }

// checkFiles is how often certificates are looked at.
const checkFiles = 5 * time.Second

// run reads the files again when they have changed, until ctx is done.
func (p *pair) run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(checkFiles)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p.stamps() == p.seen {
			continue
		}
		if err := p.reload(); err != nil {
			log.Error("certificate stays as it is", "error", err)
			continue
		}
		log.Info("certificate reloaded", "file", p.certFile)
	}
}

// ownCertificates are those of a management port.
type ownCertificates struct {
	pair   *pair
	config *tls.Config
}

// openCertificates reads the certificates of the management port or, where the
// configuration names none, makes one.
func openCertificates(c *config.Config, log *slog.Logger) (*ownCertificates, error) {
	m := &c.Management
	certFile, keyFile := m.CertFile, m.KeyFile
	if certFile == "" {
		var err error
		if certFile, keyFile, err = ownCertificate(c.Node.Data, certificateNames(c), time.Now(), log); err != nil {
			return nil, err
		}
	}
	p, err := loadPair("management.cert_file", certFile, keyFile)
	if err != nil {
		return nil, err
	}
	o := &ownCertificates{pair: p, config: &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return p.certificate(), nil
		},
	}}
	if m.ClientCA != "" {
		if o.config.ClientCAs, err = loadCAs("management.client_ca_file", m.ClientCA); err != nil {
			return nil, err
		}
		o.config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return o, nil
}

// Run reads changed certificates again until ctx is done.
func (o *ownCertificates) Run(ctx context.Context, log *slog.Logger) error {
	o.pair.run(ctx, log)
	return nil
}

// loadCAs reads certificate authorities; key is what the configuration calls them.
func loadCAs(key, file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %s has no certificate in PEM", key, file)
	}
	return pool, nil
}

// The files of a certificate that a node makes for itself.
const (
	ownCertFile = "server.pem"
	ownKeyFile  = "server.key"
)

// ownCertificate returns the files of the node's own certificate in a folder. One
// that is there is used for as long as it is good; else one is made. Several processes
// may do so at the same time.
func ownCertificate(dir string, names []string, now time.Time, log *slog.Logger) (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(dir, ownCertFile), filepath.Join(dir, ownKeyFile)
	good := func() ([]byte, error) {
		c, err := tls.LoadX509KeyPair(certFile, keyFile)
		switch {
		case err == nil && now.Before(c.Leaf.NotAfter.Add(-renewBefore)):
			return c.Certificate[0], nil
		case err == nil || errors.Is(err, os.ErrNotExist):
			return nil, nil
		}
		return nil, err
	}
	der, err := good()
	made := false
	if der == nil {
		// Another process may be at it: then this one takes what that one makes.
		err = locked(dir, func() (err error) {
			if der, err = good(); der == nil && err == nil {
				made = true
				der, err = makeCertificate(certFile, keyFile, names, now)
			}
			return err
		})
	}
	switch {
	case err != nil:
		return "", "", fmt.Errorf("certificate of the management port, in node.data: %w; without %s and %s a new one is made", err, ownCertFile, ownKeyFile)
	case made:
		log.Info("made a certificate, as management.cert_file names none: gateways on other machines take the file as events.ca_file",
			"file", certFile, "fingerprint", fingerprint(der))
	default:
		log.Info("using the certificate that the node made for itself", "file", certFile, "fingerprint", fingerprint(der))
	}
	return certFile, keyFile, nil
}

// fingerprint returns the SHA-256 of a certificate as tools show it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = hex.EncodeToString([]byte{b})
	}
	return "sha256:" + strings.Join(pairs, ":")
}

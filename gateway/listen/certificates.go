package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Pair names the files of a certificate (with its chain) and its key, in PEM.
type Pair struct{ Certificate, Key string }

// Certificates are the certificates that a Listener shows, by the name that the
// client asks for; the first pair is for all other names. They can change while
// connections are open. It is safe for concurrent use.
type Certificates struct {
	pairs   []Pair
	current atomic.Pointer[[]tls.Certificate]

	mu   sync.Mutex // one Reload at a time
	seen []stamp    // the files as they were when they were last loaded
}

// A stamp tells one state of a file from another.
type stamp struct {
	size     int64
	modified time.Time
}

// LoadCertificates reads the pairs. It returns an error if any is no good.
func LoadCertificates(pairs ...Pair) (*Certificates, error) {
	if len(pairs) == 0 {
		return nil, errors.New("no certificate")
	}
	c := &Certificates{pairs: pairs}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. If any is no good, the error says which, and the
// certificates stay as they are. Connections that are open keep theirs.
func (c *Certificates) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.stamps() // before reading: a later change is then seen as one
	all := make([]tls.Certificate, 0, len(c.pairs))
	for _, p := range c.pairs {
		one, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
		if err != nil {
			c.seen = seen // not to be tried again before it changes
			return fmt.Errorf("certificate %s with key %s: %w", p.Certificate, p.Key, err)
		}
		all = append(all, one)
	}
	c.seen = seen
	c.current.Store(&all)
	return nil
}

// checkEvery is how often Run looks at the files.
const checkEvery = 5 * time.Second

// Run reloads the files when they have changed, until ctx is done. It tells log,
// unless that is nil, what came of it.
func (c *Certificates) Run(ctx context.Context, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !c.changed() {
			continue
		}
		if err := c.Reload(); err != nil {
			log.Error("listen: certificates stay as they are", "error", err)
			continue
		}
		log.Info("listen: certificates reloaded")
	}
}

// changed reports whether any file is not as it was.
func (c *Certificates) changed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, now := range c.stamps() {
		if now != c.seen[i] {
			return true
		}
	}
	return false
}

// stamps returns the present state of the files, zero for those that are missing.
func (c *Certificates) stamps() []stamp {
	all := make([]stamp, 0, 2*len(c.pairs))
	for _, p := range c.pairs {
		for _, name := range []string{p.Certificate, p.Key} {
			var s stamp
			if info, err := os.Stat(name); err == nil {
				s = stamp{info.Size(), info.ModTime()}
			}
			all = append(all, s)
		}
	}
	return all
}

// config returns the configuration of a TLS server that shows the certificates.
func (c *Certificates) config(http2 bool) *tls.Config {
	protocols := []string{"http/1.1"}
	if http2 {
		protocols = []string{"h2", "http/1.1"}
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     protocols,
		GetCertificate: c.choose,
	}
}

// choose returns the certificate for a client.
func (c *Certificates) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	all := *c.current.Load()
	for i := range all {
		if len(all) > 1 && hello.SupportsCertificate(&all[i]) == nil {
			return &all[i], nil
		}
	}
	return &all[0], nil
}

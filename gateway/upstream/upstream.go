// Package upstream chooses the backend for a call: spread over several, or the
// next one when the first fails; it remembers which of them failed, and it keeps
// connections to them for the calls to come.
//
// A [Registry] has one [Target] for each backend URL, for as long as the process
// lives, so that health and connections outlast a reload. A [Group] is what one
// API may choose from. The front doors pick a target, use one of its connections
// (or their own way to reach it, by [Registry.DialContext]) and report what came
// of it with [Target.Failed] and [Target.Succeeded].
package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Options say how backends are reached. Zero values mean the defaults.
type Options struct {
	// ConnectTimeout bounds one attempt to connect, with name look-up and TLS
	// handshake; 2 s.
	ConnectTimeout time.Duration
	// ResponseTimeout bounds the wait for the head of an answer where the API
	// says nothing; 30 s.
	ResponseTimeout time.Duration
	// IdleTimeout bounds the silence of a backend within an answer; 60 s.
	// Event streams and WebSockets have a limit of their own.
	IdleTimeout time.Duration
	// KeepAlive is for how long an unused connection is kept; 50 s. It should
	// be less than the time after which backends close it.
	KeepAlive time.Duration
	// MaxAge is for how long a connection is used at all, so that backends that
	// joined or moved get their share; 10 min.
	MaxAge time.Duration
	// MaxIdle is how many unused connections are kept for a target; 256.
	MaxIdle int
	// MaxBackoff is the longest time for which a failed target is avoided; 30 s.
	MaxBackoff time.Duration
	// TLS is the configuration for https backends: RootCAs, ServerName,
	// Certificates. Nil means the system's roots and the URL's name.
	TLS *tls.Config
	// Deny are networks to which no connection is made, whatever a URL or a
	// name server says.
	Deny []netip.Prefix
}

var defaults = Options{
	ConnectTimeout:  2 * time.Second,
	ResponseTimeout: 30 * time.Second,
	IdleTimeout:     60 * time.Second,
	KeepAlive:       50 * time.Second,
	MaxAge:          10 * time.Minute,
	MaxIdle:         256,
	MaxBackoff:      30 * time.Second,
}

// complete returns o with its defaults, or what is wrong with it.
func (o Options) complete() (Options, error) {
	for _, d := range []struct {
		name string
		at   *time.Duration
		zero time.Duration
	}{
		{"ConnectTimeout", &o.ConnectTimeout, defaults.ConnectTimeout},
		{"ResponseTimeout", &o.ResponseTimeout, defaults.ResponseTimeout},
		{"IdleTimeout", &o.IdleTimeout, defaults.IdleTimeout},
		{"KeepAlive", &o.KeepAlive, defaults.KeepAlive},
		{"MaxAge", &o.MaxAge, defaults.MaxAge},
		{"MaxBackoff", &o.MaxBackoff, defaults.MaxBackoff},
	} {
		switch {
		case *d.at < 0:
			return o, fmt.Errorf("upstream: %s is negative: %v", d.name, *d.at)
		case *d.at == 0:
			*d.at = d.zero
		}
	}
	if o.MaxIdle < 0 {
		return o, fmt.Errorf("upstream: MaxIdle is negative: %d", o.MaxIdle)
	}
	if o.MaxIdle == 0 {
		o.MaxIdle = defaults.MaxIdle
	}
	return o, nil
}

// A Registry holds the targets of a process. The zero value is ready for use,
// with default Options. It is safe for concurrent use.
type Registry struct {
	once    sync.Once
	options Options
	tls     *tls.Config

	mu      sync.Mutex
	targets map[string]*Target
}

// New returns a Registry without targets. It starts nothing.
func New(o Options) (*Registry, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	return &Registry{options: o}, nil
}

// setUp completes a zero Registry.
func (r *Registry) setUp() {
	r.once.Do(func() {
		r.options, _ = r.options.complete() // New has checked it; zero is valid
		if r.options.TLS != nil {
			r.tls = r.options.TLS.Clone()
		} else {
			r.tls = &tls.Config{}
		}
		r.tls.MinVersion = max(r.tls.MinVersion, tls.VersionTLS12)
		if r.tls.ClientSessionCache == nil {
			r.tls.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		}
		r.targets = map[string]*Target{}
	})
}

// Options returns the options in force, defaults filled in.
func (r *Registry) Options() Options {
	r.setUp()
	return r.options
}

// TLSConfig returns a copy of the configuration for https backends, for those who
// dial by themselves.
func (r *Registry) TLSConfig() *tls.Config {
	r.setUp()
	return r.tls.Clone()
}

// Group returns a group of the URLs' targets, at most 63. The error names the
// URL at fault.
func (r *Registry) Group(urls []string, failover bool) (*Group, error) {
	r.setUp()
	if len(urls) == 0 {
		return nil, errors.New("no backend URL")
	}
	if len(urls) > maxTargets {
		return nil, fmt.Errorf("%d backend URLs, at most %d are possible", len(urls), maxTargets)
	}
	g := &Group{failover: failover, targets: make([]*Target, 0, len(urls))}
	for _, u := range urls {
		t, err := r.target(u)
		if err != nil {
			return nil, fmt.Errorf("backend URL %q: %w", u, err)
		}
		g.targets = append(g.targets, t)
	}
	return g, nil
}

// target returns the one target of the URL.
func (r *Registry) target(text string) (*Target, error) {
	t, err := parseTarget(text)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := t.Scheme + "://" + t.Host + t.Path
	if known := r.targets[key]; known != nil {
		return known, nil
	}
	t.registry = r
	r.targets[key] = t
	return t, nil
}

// Run closes connections that have been unused for too long, until ctx is done;
// then it closes all that are unused.
func (r *Registry) Run(ctx context.Context) error {
	r.setUp()
	every := max(r.options.KeepAlive/4, 10*time.Millisecond)
	for {
		pause, cancel := context.WithTimeout(ctx, every)
		<-pause.Done()
		cancel()
		if ctx.Err() != nil {
			r.expire(time.Time{})
			return nil
		}
		now, _ := pause.Deadline()
		r.expire(now.Add(-r.options.KeepAlive))
	}
}

// expire closes the connections that have been unused since before; zero means all.
func (r *Registry) expire(before time.Time) {
	r.mu.Lock()
	all := make([]*Target, 0, len(r.targets))
	for _, t := range r.targets {
		all = append(all, t)
	}
	r.mu.Unlock()
	for _, t := range all {
		t.idle.expire(before)
	}
}

// LoadCAs returns the certificate authorities of a PEM file, for Options.TLS.
func LoadCAs(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificate authorities: %s has no PEM certificate", file)
	}
	return pool, nil
}

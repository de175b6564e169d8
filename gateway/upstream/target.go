package upstream

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Target is one backend, shared by every API that names its URL and kept over
// reloads, with the connections to it. It is safe for concurrent use.
type Target struct {
	Scheme string // http or https
	Host   string // host:port
	Path   string // canonical, without a trailing slash; "" for the root
	// Authority is what stands in a Host field: Host without the scheme's own port.
	Authority string

	registry *Registry
	idle     pool
	down     atomic.Bool // mirrors health.failures > 0
	health   health
}

// health is what is known of a target that failed.
type health struct {
	mu       sync.Mutex
	failures int       // in a row, at most one for each time it was tried again
	until    time.Time // avoided till then
	probing  time.Time // somebody tries it, and has until then to say how it went
}

// firstBackoff is for how long a target is avoided after one failure. It is
// short, so that a blip costs little; it doubles with each further failure.
const firstBackoff = 250 * time.Millisecond

// Failed notes that t could not be reached or did not answer. It is then avoided
// for a time that grows with each failure, jittered so that gateways don't return
// together. Failures while it is avoided don't count.
func (t *Target) Failed(now time.Time) {
	h := &t.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures > 0 && h.probing.IsZero() && now.Before(h.until) {
		return
	}
	h.failures = min(h.failures+1, 16)
	wait := min(firstBackoff<<(h.failures-1), t.Options().MaxBackoff)
	h.until = now.Add(wait*3/4 + rand.N(wait/4+1))
	h.probing = time.Time{}
	t.down.Store(true)
}

// Succeeded notes that t answered: it is no longer avoided.
func (t *Target) Succeeded() {
	if !t.down.Load() {
		return
	}
	h := &t.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures, h.until, h.probing = 0, time.Time{}, time.Time{}
	t.down.Store(false)
}

// Down reports whether t failed and has not answered since.
func (t *Target) Down() bool { return t.down.Load() }

// available reports whether t may be tried. For a target that failed this is true
// once its time is over, and for one caller only: the others go on avoiding it
// until that one has reported, or had the time to.
func (t *Target) available(now time.Time) bool {
	if !t.down.Load() {
		return true
	}
	h := &t.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Before(h.until) || now.Before(h.probing) {
		return false
	}
	h.probing = now.Add(t.Options().ConnectTimeout + time.Second)
	return true
}

// retryAt returns when t may be tried again.
func (t *Target) retryAt() time.Time {
	t.health.mu.Lock()
	defer t.health.mu.Unlock()
	return t.health.until
}

// Options returns the options of the registry that t belongs to; the defaults for
// a Target that was made by hand. They must not be changed.
func (t *Target) Options() *Options {
	if t.registry == nil {
		return &defaults
	}
	return &t.registry.options
}

var (
	errScheme = errors.New("the scheme must be http or https")
	errUser   = errors.New("credentials don't belong into it")
	errHost   = errors.New("no host")
	errPort   = errors.New("the port must be a number from 1 to 65535")
	errSuffix = errors.New("query and fragment don't belong into it")
	errPath   = errors.New("the path must be canonical: no empty, dot or encoded segments")
)

// parseTarget returns the target that text stands for, canonical.
func parseTarget(text string) (*Target, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	switch {
	case port == "":
		return nil, errScheme
	case u.User != nil:
		return nil, errUser
	case u.Hostname() == "" || !validHost(u.Hostname()):
		return nil, errHost
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return nil, errSuffix
	case !canonicalPath(u.EscapedPath()):
		return nil, errPath
	}
	t := &Target{Scheme: u.Scheme, Path: strings.TrimSuffix(u.EscapedPath(), "/")}
	host := strings.ToLower(u.Hostname())
	t.Authority = host
	if strings.Contains(host, ":") {
		t.Authority = "[" + host + "]"
	}
	if p := u.Port(); p != "" && p != port {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, errPort
		}
		port = p
		t.Authority += ":" + p
	} else if strings.HasSuffix(u.Host, ":") {
		return nil, errPort
	}
	t.Host = net.JoinHostPort(host, port)
	return t, nil
}

// validHost reports whether host is a name or an address that can stand in a
// Host field as it is.
func validHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == ':':
		default:
			return false
		}
	}
	return true
}

// canonicalPath reports whether path can stand before a canonical one.
func canonicalPath(path string) bool {
	if path == "" || path == "/" {
		return true
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(path[1:], "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
		for i := range len(segment) {
			if c := segment[i]; c <= ' ' || c >= 0x7f || c == '%' || c == '\\' || c == ';' {
				return false
			}
		}
	}
	return path[0] == '/'
}

package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/limiter/redis"
	"github.com/weir-project/weir/policy"
)

// A sharing is how a role shares its counters with the other nodes of that role, by a
// store.
type sharing struct {
	role     string // in the log
	how      *config.Shared
	store    *redis.Store
	sharer   *limiter.Sharer
	standing *standing // what is told of it
	client   *pair     // the certificate that is shown to the store; nil: none
	log      *slog.Logger
	fault    atomic.Pointer[error] // of the last call that failed
	// checked tells that the store has been looked at; only run changes it.
	checked bool
}

// newLimiter returns the limiter of a role, whose counters are shared as much as kind says
// if how is not nil.
func newLimiter(c *config.Config, how *config.Shared, kind limiter.Sharing) *limiter.Limiter {
	if how == nil {
		kind = limiter.Alone
	}
	return limiter.New(limiter.Options{MaxKeys: c.Limiter.MaxKeys, Sharing: kind})
}

// newSharing returns how a role shares the counters of l, nil if how is. answered, if not
// nil, is told what the store answers. Nothing is started.
func newSharing(c *config.Config, r config.Role, how *config.Shared, l *limiter.Limiter, answered func(time.Time, limiter.Key, *limiter.Limit, int64), log *slog.Logger) (*sharing, error) {
	if how == nil {
		return nil, nil
	}
	s := &sharing{role: string(r), how: how, log: log}
	o, err := s.options(c)
	if err != nil {
		return nil, err
	}
	if s.store, err = redis.New(o); err != nil {
		return nil, fmt.Errorf("%s: %w", how.Store.Section, err)
	}
	node := randomNumber()
	s.sharer = limiter.NewSharer(l, s, limiter.SharerOptions{
		Node: node, Interval: how.Interval, Lanes: how.Lanes, Timeout: how.Store.Timeout, MinNodes: how.MinNodes,
		Answered: answered,
	})
	s.standing = &standing{node: node, sharer: s.sharer}
	return s, nil
}

// options returns how the store is spoken to.
func (s *sharing) options(c *config.Config) (redis.Options, error) {
	at := &s.how.Store
	o := redis.Options{
		SentinelMaster: at.Master, SentinelUser: at.Sentinel.User, SentinelPassword: string(at.Sentinel.Password),
		User: at.Login.User, Password: string(at.Login.Password), Database: at.Database,
		DialTimeout: at.ConnectTimeout, Timeout: at.Timeout,
		PoolSize: at.MaxTotal, MaxIdle: at.MaxIdle, MinIdle: at.MinIdle, PoolWait: at.Wait,
		IdleTime: at.MaxIdleTime, IdleCheck: at.LookEvery,
		TestWhileIdle: at.TestIdle, TestOnBorrow: at.TestOnBorrow, TestOnReturn: at.TestOnReturn,
		Prefix: storePrefix(c, s.role), ClientName: clientName(s.role, nodeName(c)),
	}
	if at.Wait == 0 {
		o.PoolWait = -1
	}
	if at.Master == "" {
		o.Addr = at.Addresses[0]
	} else {
		o.SentinelAddresses = at.Addresses
	}
	if !at.TLS {
		return o, nil
	}
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: at.ServerName}
	var err error
	if at.CAFile != "" {
		if o.TLS.RootCAs, err = loadCAs(at.Section+".ca_file", at.CAFile); err != nil {
			return o, err
		}
	}
	if at.CertFile != "" {
		if s.client, err = loadPair(at.Section+".cert_file", at.CertFile, at.KeyFile); err != nil {
			return o, err
		}
		o.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.client.certificate(), nil }
	}
	return o, nil
}

// storePrefix returns how the keys of a role begin: those of another fleet, and those of
// other roles, are others.
func storePrefix(c *config.Config, role string) string {
	m := hmac.New(sha256.New, c.FleetSecret())
	m.Write([]byte("weir store prefix v1"))
	return "weir:" + hex.EncodeToString(m.Sum(nil)[:4]) + ":" + role[:1] + ":"
}

// clientName is how a node is called in the store's list of clients.
func clientName(role, node string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '-'
	}, node)
	return "weir-" + role + "-" + plain[:min(len(plain), 100)]
}

// sharesName names the store of a traffic manager for gateways: managers that say the same
// have the same counters. An address of this machine is another one elsewhere.
func sharesName(c *config.Config, how *config.Shared) string {
	if how == nil {
		return ""
	}
	at := slices.Sorted(slices.Values(how.Store.Addresses))
	for i, a := range at {
		if host, _, _ := net.SplitHostPort(a); isLoopback(host) {
			name, _ := os.Hostname()
			at[i] = name + "/" + a
		}
	}
	name := strings.Join(append(at, how.Store.Master, strconv.Itoa(how.Store.Database)), " ") + " " + storePrefix(c, string(config.TrafficManager))
	if len(name) > 200 {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:])
	}
	return name
}

// tells has the role say of each limit where it comes from, and how many requests it has
// counted.
func (s *sharing) tells(source func(*limiter.Limit) *policy.Source, requests func() uint64) {
	if s != nil {
		s.standing.source, s.standing.requests = source, requests
	}
}

// state returns what is told of the sharing, nil if nothing is shared.
func (s *sharing) state() func(time.Time) *event.Sharing {
	if s == nil {
		return nil
	}
	return s.standing.state
}

// now returns the time that counters are counted by: the store's, if they are shared.
func (s *sharing) now() time.Time {
	if s == nil {
		return time.Now()
	}
	return s.sharer.Time(time.Now())
}

// ahead returns by how much that time is ahead of this machine's.
func (s *sharing) ahead() time.Duration {
	if s == nil {
		return 0
	}
	now := time.Now()
	return s.sharer.Time(now).Sub(now)
}

// Share implements limiter.Store: it remembers what is wrong with the one that there is.
func (s *sharing) Share(ctx context.Context, b *limiter.Batch) error {
	err := s.store.Share(ctx, b)
	if err != nil {
		s.fault.Store(&err)
	}
	return err
}

// services returns what runs. They begin before the role counts and end after it, so
// that others are told what it counted last.
func (s *sharing) services() []service {
	if s == nil {
		return nil
	}
	last := 2*s.how.Store.Timeout + stopGrace
	all := []service{{"connections to the store of the " + s.role, s.connections, stopGrace}}
	if s.client != nil {
		all = append(all, service{"certificate for the store", func(ctx context.Context) error {
			s.client.run(ctx, s.log)
			return nil
		}, stopGrace})
	}
	return append(all,
		service{"state of the store of the " + s.role, s.watch, stopGrace},
		service{"sharing of the " + s.role, func(ctx context.Context) error { return s.sharer.Run(ctx, time.Now) }, last},
	)
}

// connections looks after the connections until ctx is done, and then closes them.
func (s *sharing) connections(ctx context.Context) error {
	err := s.store.Run(ctx)
	if closing := s.store.Close(); err == nil {
		err = closing
	}
	return err
}

package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// dial makes a connection to the server. It never fails: see [failed].
func (s *Store) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	address := s.options.Addr
	if s.options.SentinelMaster != "" {
		var err error
		if address, err = s.primary(ctx); err != nil {
			return failed{err: err}, nil
		}
	}
	return s.connect(ctx, address, s.conns), nil
}

// connect makes a connection to a server or a Sentinel, which is one of p.
func (s *Store) connect(ctx context.Context, address string, p *conns) net.Conn {
	d := net.Dialer{}
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return failed{err: err}
	}
	c := &conn{Conn: raw, address: address, pool: p, test: s.options.TestWhileIdle, idle: s.options.IdleTime}
	if s.options.TLS == nil {
		p.add(c)
		return plainConn{c, raw.(*net.TCPConn)}
	}
	if c.Conn, err = secure(ctx, raw, s.options.TLS, address); err != nil {
		_ = raw.Close() // err says why
		return failed{err: err}
	}
	p.add(c)
	return c
}

// secure makes TLS of a connection.
func secure(ctx context.Context, raw net.Conn, config *tls.Config, address string) (net.Conn, error) {
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(address) // which it is: it was dialed
	}
	c := tls.Client(raw, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS with %s: %w", address, err)
	}
	return c, nil
}

// primary asks the Sentinels where the primary is, all at once, and takes the first
// answer.
func (s *Store) primary(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.DialTimeout)
	defer cancel()
	type answer struct {
		address string
		err     error
	}
	answers := make(chan answer, len(s.options.SentinelAddresses))
	for _, sentinel := range s.options.SentinelAddresses {
		go func() {
			address, err := s.ask(ctx, sentinel)
			answers <- answer{address, err}
		}()
	}
	var errs []error
	for range s.options.SentinelAddresses {
		a := <-answers // each ends with ctx
		if a.err == nil {
			return a.address, nil
		}
		errs = append(errs, a.err)
	}
	return "", fmt.Errorf("no Sentinel says where %q is: %w", s.options.SentinelMaster, errors.Join(errs...))
}

// ask asks one Sentinel where the primary is.
func (s *Store) ask(ctx context.Context, sentinel string) (string, error) {
	c := s.sentinel(ctx, sentinel)
	defer c.Close()
	at, err := c.GetMasterAddrByName(ctx, s.options.SentinelMaster).Result()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // with which the connection was closed
	}
	switch {
	case errors.Is(err, redis.Nil):
		return "", fmt.Errorf("sentinel %s knows no primary of that name", sentinel)
	case err != nil:
		return "", fmt.Errorf("sentinel %s: %w", sentinel, explain(err))
	case len(at) != 2:
		return "", fmt.Errorf("sentinel %s: %w: it says %.40q", sentinel, errNoRedis, at)
	}
	address := net.JoinHostPort(at[0], at[1])
	if validateAddress(address) != nil {
		return "", fmt.Errorf("sentinel %s: %w: it says %.40q", sentinel, errNoRedis, at)
	}
	return address, nil
}

// sentinel returns a client of a Sentinel, for a single use: its connections end
// with ctx.
func (s *Store) sentinel(ctx context.Context, address string) *redis.SentinelClient {
	return redis.NewSentinelClient(&redis.Options{
		Dialer: func(dial context.Context, _, _ string) (net.Conn, error) {
			c := s.connect(dial, address, newConns())
			context.AfterFunc(ctx, func() { _ = c.Close() })
			return c, nil
		},
		Addr: address, Protocol: 2, DisableIdentity: true,
		Username: s.options.SentinelUser, Password: s.options.SentinelPassword, ClientName: s.options.ClientName,
		MaxRetries: -1, DialTimeout: s.options.DialTimeout, DialerRetries: 1,
		ReadTimeout: s.options.DialTimeout, WriteTimeout: s.options.DialTimeout, ContextTimeoutEnabled: true,
		PoolSize: 2, PipelinePoolSize: -1, ReadBufferSize: 4096, WriteBufferSize: 4096,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

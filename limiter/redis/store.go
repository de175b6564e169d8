package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/weir-project/weir/limiter"
)

// A Store keeps registers in a Redis or Valkey server. It is for many goroutines
// at once.
type Store struct {
	options  Options
	sha      string // by which the server knows the script
	conns    *conns
	requests sync.Pool // of *request

	// waits tells that a replica is connected and has acknowledged when it was last
	// asked to: so it is asked in the same round trip.
	waits atomic.Bool

	mu     sync.Mutex
	client *redis.Client // nil until it is used: it may begin to connect at once
	closed bool
}

var _ limiter.Store = (*Store)(nil)

// New returns a Store. It starts nothing and connects to nothing.
func New(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum([]byte(script)) // a name, no protection
	return &Store{
		options:  o,
		sha:      hex.EncodeToString(sum[:]),
		conns:    newConns(),
		requests: sync.Pool{New: func() any { return new(request) }},
	}, nil
}

// Close closes all connections. Calls that are under way fail, and so do later ones.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.client == nil {
		return nil
	}
	c := s.client
	s.client = nil
	return c.Close()
}

// pool returns the client, which connects when it is used.
func (s *Store) pool() (*redis.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, redis.ErrClosed
	}
	if s.client == nil {
		s.client = redis.NewClient(s.clientOptions())
	}
	return s.client, nil
}

func (s *Store) clientOptions() *redis.Options {
	o := s.options
	wait := o.PoolWait
	if wait == 0 {
		wait = o.Timeout
	}
	idle := o.IdleTime
	if idle == 0 {
		idle = -1
	}
	return &redis.Options{
		Dialer: s.dial, Addr: "server", // which is for its messages only
		Protocol: 2, DisableIdentity: true,
		Username: o.User, Password: o.Password, DB: o.Database, ClientName: o.ClientName,
		MaxRetries: -1, DialTimeout: o.DialTimeout, DialerRetries: 1,
		ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, ContextTimeoutEnabled: true,
		PoolFIFO: true, PoolSize: o.PoolSize, MaxActiveConns: o.PoolSize, PipelinePoolSize: -1,
		PoolTimeout: wait, MinIdleConns: o.MinIdle, MaxIdleConns: o.MaxIdle, ConnMaxIdleTime: idle,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// followEach is how often the Sentinels are asked whether the primary is still the same.
const followEach = time.Second

// Run looks after the connections until ctx is done: see [Options.IdleCheck] and
// [Options.SentinelMaster]. Without it Share works; but a primary that was replaced, and
// can still be reached, is only noticed when it knows itself. It returns nil.
func (s *Store) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	if s.options.IdleCheck > 0 {
		all.Go(func() { every(ctx, s.options.IdleCheck, s.lookAtIdle) })
	}
	if s.options.SentinelMaster != "" {
		all.Go(func() { every(ctx, followEach, s.follow) })
	}
	<-ctx.Done()
	return nil
}

// every calls f about each interval until ctx is done.
func every(ctx context.Context, interval time.Duration, f func(context.Context)) {
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		f(ctx)
		timer.Reset(interval + rand.N(interval/8+1)) // many nodes don't do it at once
	}
}

// follow gives up connections to a primary that is none any longer.
func (s *Store) follow(ctx context.Context) {
	if address, err := s.primary(ctx); err == nil {
		s.conns.keep(address)
	}
}

// lookAtIdle says something on each connection that is idle now. Those that fail are
// closed by the pool.
func (s *Store) lookAtIdle(ctx context.Context) {
	pool, err := s.pool()
	if err != nil {
		return
	}
	// The pool hands out the one that was used longest ago, so these are all.
	for range max(pool.PoolStats().IdleConns, uint32(min(s.options.MinIdle, 1))) {
		if ctx.Err() != nil {
			return
		}
		s.look(ctx, pool)
	}
}

func (s *Store) look(ctx context.Context, pool *redis.Client) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	_ = pool.Do(ctx, "ping", "idle").Err() // if it fails, the connection is closed, which is what it is for
}

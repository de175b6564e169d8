package redis

import (
	"context"
	"errors"

	"github.com/weir-project/weir/limiter"
)

// A Store keeps registers in a Redis or Valkey server. It is for many goroutines
// at once.
type Store struct {
	options Options
}

var _ limiter.Store = (*Store)(nil)

// New returns a Store. It starts nothing and connects to nothing.
func New(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Store{options: o}, nil
}

// Run looks after the connections until ctx is done: see [Options.IdleCheck] and
// [Options.SentinelMaster]. It returns nil.
func (s *Store) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Share implements [limiter.Store].
func (s *Store) Share(context.Context, *limiter.Batch) error { return errors.New("redis: not yet") }

// Close closes all connections. Calls that are under way fail.
func (s *Store) Close() error { return nil }

package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/weir-project/weir/limiter"
)

// Share implements [limiter.Store]. It takes one round trip, and one more where the
// server does not know the script yet, or where a replica has come; and the replica's round trip
// where something was granted.
//
// More than 256 assertions are carried out 256 by 256, each at a moment of its own; Now
// is the last of them.
//
// It returns no later than ctx's deadline and Options.Timeout; that ctx is
// canceled it notices when it begins.
func (s *Store) Share(ctx context.Context, b *limiter.Batch) error {
	err := check(b)
	if err == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.options.Timeout)
		defer cancel()
		err = s.share(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("redis: share %d counters: %w", len(b.Assertions), explain(err))
	}
	return nil
}

// A part is a part of a batch, on its way.
type part struct {
	request *request
	cmd     *redis.Cmd
}

func (s *Store) share(ctx context.Context, b *limiter.Batch) error {
	parts, wants := s.parts(b)
	defer func() {
		for _, p := range parts {
			s.requests.Put(p.request)
		}
	}()
	c, err := s.borrow(ctx)
	if err != nil {
		return err
	}
	defer s.giveBack(ctx, c)
	acknowledged, err := s.run(ctx, c, parts, wants && s.waits.Load())
	if err != nil {
		return err
	}
	v, err := merge(parts, b)
	if err != nil {
		return err
	}
	b.Now, b.Epoch, b.Fenced, b.Nodes = v.now, v.epoch, v.fenced, v.node
	b.Durable = !v.granted || !v.replicated || acknowledged > 0
	if !b.Durable && acknowledged < 0 && v.replicas > 0 {
		if acknowledged, err = wait(ctx, c).Result(); err != nil {
			return err
		}
		b.Durable = acknowledged > 0
	}
	s.waits.Store(v.replicas > 0 && acknowledged != 0)
	return nil
}

// parts returns the requests that a batch takes, at least one, and whether any of
// them wants grants.
func (s *Store) parts(b *limiter.Batch) (parts []part, wants bool) {
	epoch := rand.Uint64() | 1 // of whatever epoch begins with this batch
	for first := 0; first == 0 || first < len(b.Assertions); first += batchSize {
		r := s.requests.Get().(*request)
		r.write(b, first, epoch)
		wants = wants || r.wants
		parts = append(parts, part{request: r})
	}
	return parts, wants
}

// run has the server carry out the parts. It returns how many replicas have
// acknowledged them, if it is to wait for one, else -1.
func (s *Store) run(ctx context.Context, c *redis.Conn, parts []part, waits bool) (acknowledged int64, err error) {
	acks, err := s.send(ctx, c, parts, waits)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		if err := c.ScriptLoad(ctx, script).Err(); err != nil {
			return 0, fmt.Errorf("load the script: %w", err)
		}
		acks, err = s.send(ctx, c, parts, waits)
	}
	if err != nil || acks == nil {
		return -1, err
	}
	return acks.Result()
}

// send sends the parts that have no answer yet, and a wait for a replica if that is
// asked for. It returns the first error that there was.
func (s *Store) send(ctx context.Context, c *redis.Conn, parts []part, waits bool) (acks *redis.IntCmd, first error) {
	pipe := c.Pipeline()
	for i := range parts {
		if p := &parts[i]; p.cmd == nil || p.cmd.Err() != nil {
			p.cmd = pipe.EvalSha(ctx, s.sha, nil, s.options.Prefix, p.request.text)
		}
	}
	if waits {
		acks = wait(ctx, pipe)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err // of the first that failed, or of the connection
	}
	return acks, nil
}

// merge reads the answers into b, and returns what they say together.
func merge(parts []part, b *limiter.Batch) (all verdict, err error) {
	for i, p := range parts {
		text, err := p.cmd.Text()
		if err != nil {
			return verdict{}, fmt.Errorf("%w: %w", errAnswer, err)
		}
		v, err := p.request.read(text, b)
		if err != nil {
			return verdict{}, err
		}
		if i > 0 {
			if v.epoch != all.epoch {
				return verdict{}, fmt.Errorf("the epoch changed while %d parts were shared", len(parts))
			}
			v.fenced = v.fenced || all.fenced
			v.granted = v.granted || all.granted
			v.node = all.node // the first part has told
		}
		all = v
	}
	return all, nil
}

// maxWait is how long a replica is waited for.
const maxWait = 100 * time.Millisecond

// A sender is a connection, or what is collected to be sent on one.
type sender interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

// wait asks for how many replicas have all that the connection has written, and to
// wait for one, at most for half of the time that ctx has left.
func wait(ctx context.Context, c sender) *redis.IntCmd {
	d := maxWait
	if deadline, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(deadline)/2)
	}
	cmd := redis.NewIntCmd(ctx, "wait", 1, max(d.Milliseconds(), 1))
	_ = c.Process(ctx, cmd) // cmd has the error
	return cmd
}

// borrow takes a connection.
func (s *Store) borrow(ctx context.Context) (*redis.Conn, error) {
	pool, err := s.pool()
	if err != nil {
		return nil, err
	}
	for tries := s.options.PoolSize; ; tries-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c := pool.Conn()
		if !s.options.TestOnBorrow {
			return c, nil
		}
		// One that fails is closed, so that another one comes next; at last a new one.
		if err = c.Ping(ctx).Err(); err == nil {
			return c, nil
		}
		s.giveBack(ctx, c)
		if tries == 0 || isAnswer(err) {
			return nil, fmt.Errorf("test a connection: %w", err)
		}
	}
}

// giveBack gives a connection back.
func (s *Store) giveBack(ctx context.Context, c *redis.Conn) {
	if s.options.TestOnReturn {
		_ = c.Ping(ctx).Err() // if it fails, the connection is closed, which is what it is for
	}
	_ = c.Close() // it belongs to the pool
}

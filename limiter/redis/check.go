package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/weir-project/weir/limiter"
)

// A Level says how bad a [Finding] is.
type Level uint8

// The levels.
const (
	OK      Level = iota // as it should be
	Info                 // worth knowing
	Warning              // it works, and may let down one day
	Fault                // it does not work
)

// String returns the level in words.
func (l Level) String() string {
	return [...]string{"ok", "info", "warning", "fault"}[min(l, Fault)]
}

// A Finding is one line of what [Store.Check] found.
type Finding struct {
	Level Level
	// Text says what was found, in one line without a full stop.
	Text string
	// Advice says what to do, empty if there is nothing to be done.
	Advice string
}

// Check looks at the server and at what stands between it and here, with a connection of its own. It
// writes a few keys, below Prefix and "check:", that expire within a day. It takes a
// few round trips, and is over when ctx is, or after ten times Timeout. The findings are in the
// order in which they were made, at least one.
func (s *Store) Check(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, 10*s.options.Timeout)
	defer cancel()
	c := &checkup{Store: s}
	if s.options.SentinelMaster != "" {
		c.sentinels(ctx)
	}
	o := s.options
	o.Prefix += "check:"
	o.PoolSize, o.MinIdle, o.MaxIdle, o.IdleCheck, o.PoolWait = 1, 0, 1, 0, 0
	own, err := New(o)
	if err != nil {
		c.add(Fault, err.Error(), "")
		return c.findings
	}
	defer own.Close()
	pool, err := own.pool()
	if err == nil {
		err = c.info(ctx, pool)
	}
	if err != nil {
		c.add(Fault, "the server cannot be used: "+explain(err).Error(), adviceFor(err))
		return c.findings
	}
	c.version()
	c.cluster()
	c.role()
	c.memory()
	c.persistence()
	c.replicas()
	c.clock(ctx, pool)
	c.latency(ctx, pool)
	c.script(ctx, own)
	return c.findings
}

// A checkup is a [Store.Check] on its way.
type checkup struct {
	*Store
	findings []Finding
	fields   map[string]string // of INFO
}

func (c *checkup) add(l Level, text, advice string) {
	c.findings = append(c.findings, Finding{l, text, advice})
}

// sentinels asks each Sentinel.
func (c *checkup) sentinels(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.options.DialTimeout)
	defer cancel()
	type answer struct {
		at  string
		err error
	}
	n := len(c.options.SentinelAddresses)
	answers := make(chan answer, n)
	for _, sentinel := range c.options.SentinelAddresses {
		go func() {
			at, err := c.ask(ctx, sentinel)
			answers <- answer{at, err}
		}()
	}
	var at []string
	for range n {
		a := <-answers // each ends with ctx
		if a.err != nil {
			c.add(Warning, a.err.Error(), "start it, or correct its address, or the name of the primary")
		} else if !slices.Contains(at, a.at) {
			at = append(at, a.at)
		}
	}
	switch {
	case len(at) == 0:
		c.add(Fault, fmt.Sprintf("no Sentinel says where %q is", c.options.SentinelMaster), "see above")
	case len(at) > 1:
		c.add(Warning, fmt.Sprintf("the Sentinels don't agree where %q is: %s", c.options.SentinelMaster, strings.Join(at, ", ")),
			"wait until they do; if they never do, they watch different primaries under that name")
	default:
		c.add(OK, fmt.Sprintf("Sentinel: %q is at %s", c.options.SentinelMaster, at[0]), "")
	}
	if n < 3 {
		c.add(Warning, fmt.Sprintf("%d Sentinels are named", n), "name at least three: fewer cannot agree when one is lost")
	}
}

// script has the server carry out a batch, with all that a batch can ask for.
func (c *checkup) script(ctx context.Context, s *Store) {
	now := time.Now().UnixNano()
	b := &limiter.Batch{Node: rand.Uint64() | 1, Beat: true}
	for i := range 2 { // the second one finds keys
		b.Assertions = []limiter.Assertion{
			{Seq: uint64(i + 1), Register: 1, Begin: now - int64(time.Minute), End: now + int64(time.Minute), Keep: int64(time.Minute), Before: 1},
			{Seq: uint64(i + 1), Register: 1, Rate: 1, Period: int64(time.Second)},
		}
		if err := s.Share(ctx, b); err != nil {
			c.add(Fault, "counters cannot be shared: "+err.Error(), adviceFor(err))
			return
		}
	}
	c.add(OK, "counters can be shared", "")
}

// latency measures some round trips.
func (c *checkup) latency(ctx context.Context, pool *redis.Client) {
	const pings = 20
	var took []time.Duration
	for range pings {
		began := time.Now()
		if err := pool.Ping(ctx).Err(); err != nil {
			c.add(Fault, "the server stopped to answer: "+explain(err).Error(), "")
			return
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	middle, worst := took[pings/2], took[pings-1]
	text := fmt.Sprintf("a round trip takes %v, at worst %v", middle.Round(time.Microsecond), worst.Round(time.Microsecond))
	if middle > 5*time.Millisecond {
		c.add(Warning, text, "bring the server nearer: exact limits wait for it near their end")
		return
	}
	c.add(OK, text, "")
}

// clock compares the server's clock to this one.
func (c *checkup) clock(ctx context.Context, pool *redis.Client) {
	began := time.Now()
	at, err := pool.Time(ctx).Result()
	if err != nil {
		c.add(Fault, "the server does not tell the time: "+explain(err).Error(), adviceFor(err))
		return
	}
	trip := time.Since(began)
	apart := at.Sub(began.Add(trip / 2))
	text := fmt.Sprintf("the server's clock and this one are %v apart", apart.Abs().Round(time.Millisecond))
	if apart.Abs() > time.Second+trip {
		c.add(Warning, text, "set both by NTP: shared windows begin and end by the server's clock")
		return
	}
	c.add(OK, text, "")
}

// adviceFor says what to do about an error.
func adviceFor(err error) string {
	var said *serverError
	errors.As(explain(err), &said)
	var dial *net.OpError
	switch {
	case said != nil:
		return said.advice
	case errors.Is(err, errNoRedis):
		return "correct the address, or whether it is with TLS"
	case errors.As(err, &dial):
		return "start the server, or correct its address"
	}
	return ""
}

// number returns a field of INFO that is a number, zero if it is none.
func (c *checkup) number(field string) int {
	n, _ := strconv.Atoi(c.fields[field])
	return n
}

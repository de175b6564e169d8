package link

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/weir-project/weir/broker"
)

// A Circle is a list of brokers, one of which is connected to at a time. It is for
// one user.
type Circle struct {
	brokers []broker.Broker
	at      int
}

// NewCircle returns the circle of brokers, of which there must be one at least.
func NewCircle(brokers []broker.Broker) *Circle { return &Circle{brokers: brokers} }

// Connect calls dial for the broker of last time, as often more as its Retries say,
// and then for each of the others, until one succeeds, each has failed, or ctx is
// done. A broker that refuses is not asked again. If all have failed, Connect returns
// the last error, or that of a broker that refused. It calls failed with every error
// that it does not return.
func (c *Circle) Connect(ctx context.Context, dial func(context.Context, broker.Broker) error, failed func(error)) error {
	var last error
	say := func(err error) {
		switch {
		case last == nil:
			last = err
		case IsRefused(last) && !IsRefused(err):
			failed(err)
		default:
			failed(last)
			last = err
		}
	}
	for range c.brokers {
		b := c.brokers[c.at]
		for try := 0; try <= b.Retries; try++ {
			if try > 0 && !sleep(ctx, jittered(b.ConnectDelay)) || ctx.Err() != nil {
				return ctx.Err()
			}
			err := dial(ctx, b)
			if err == nil {
				if last != nil {
					failed(last)
				}
				return nil
			}
			say(At(b.Address, err))
			if IsRefused(err) {
				break
			}
		}
		c.at = (c.at + 1) % len(c.brokers)
	}
	return last
}

// jittered returns about d, or about MaxPause if that is less. No delay is a short
// one: others try as well.
func jittered(d time.Duration) time.Duration {
	d = max(min(d, MaxPause), 10*time.Millisecond)
	return d - d/4 + rand.N(d/2)
}

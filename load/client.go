package load

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/gateway/listen/socket"
)

// A client sends one request at a time over a connection that it keeps.
type client struct {
	options *Options
	target  *target

	nc      net.Conn // nil: none
	probe   socket.Probe
	current atomic.Pointer[net.Conn] // nc, for whoever stops the client
	reader  *answerReader
	answer  answer
	memo    refusalMemo
	timer   *time.Timer
}

// newClients returns the clients, those of the targets in turn.
func (l *Load) newClients() []*client {
	clients := make([]*client, l.options.Clients)
	for i := range clients {
		clients[i] = &client{options: &l.options, target: l.targets[i%len(l.targets)], reader: newAnswerReader()}
	}
	return clients
}

// overtime is how long after the end what was due before is still sent: a machine
// that is busy for a moment then costs no request.
const overtime = 100 * time.Millisecond

// run sends requests when they are due, until the load's end.
func (c *client) run(ctx context.Context, t *tally) {
	stop := context.AfterFunc(ctx, c.interrupt)
	defer stop()
	c.timer = time.NewTimer(0)
	defer c.timer.Stop()
	end := t.start.Add(c.options.Duration)
	for {
		begun, ok := c.await(ctx, t, end)
		if !ok || !c.request(ctx, t, begun) {
			return
		}
	}
}

// await waits until a request is due and returns when its latency begins: when it
// was due, if no client was free then, and otherwise now. There is none when ctx
// is done, nor after the end.
func (c *client) await(ctx context.Context, t *tally, end time.Time) (begun time.Time, ok bool) {
	now := time.Now()
	if c.options.Rate == 0 {
		return now, now.Before(end) && ctx.Err() == nil
	}
	after, ok := c.target.schedule.next()
	if !ok {
		return now, false
	}
	due := t.start.Add(after)
	if now.Before(due) {
		now, ok = c.sleep(ctx, due.Sub(now))
		begun = now
	} else {
		begun, ok = due, now.Before(end.Add(overtime)) && ctx.Err() == nil
	}
	if ok {
		t.lag(now.Sub(due))
	}
	return begun, ok
}

// sleep waits for d and returns the time then; it is not ok if ctx is done.
func (c *client) sleep(ctx context.Context, d time.Duration) (now time.Time, ok bool) {
	c.timer.Reset(d)
	select {
	case <-c.timer.C:
		return time.Now(), true
	case <-ctx.Done():
		return time.Time{}, false
	}
}

// request sends a request and counts what becomes of it. It reports whether the
// client is to go on.
func (c *client) request(ctx context.Context, t *tally, begun time.Time) bool {
	o := Observation{Target: c.target.index, Sent: time.Now()}
	err := c.exchange(ctx, o.Sent)
	o.Done = time.Now()
	switch {
	case err != nil && ctx.Err() != nil:
		t.abandoned.Add(1)
		return false
	case err != nil:
		c.drop()
		o.Outcome = Failed
		t.fault(err)
	default:
		o.Status, o.Outcome = c.answer.status, c.outcome(t)
	}
	t.observe(&o, begun)
	if c.options.Observe != nil {
		c.options.Observe(o)
	}
	if err != nil && c.options.Rate == 0 { // or a server that is down were asked as fast as it goes
		_, ok := c.sleep(ctx, 50*time.Millisecond+rand.N(100*time.Millisecond))
		return ok
	}
	return true
}

// outcome returns the outcome of a request that was answered, and counts refusals
// by their reason.
func (c *client) outcome(t *tally) Outcome {
	a := &c.answer
	switch {
	case a.status < 300:
		return Admitted
	case a.status < 400:
		return Other
	}
	if !c.memo.knows(a.status, a.body) {
		var counter *refusalCounter
		if r, ok := refusal(a.status, a.body); ok {
			counter = t.refusal(r)
		}
		c.memo.keep(a.status, a.body, counter)
	}
	if c.memo.as == nil {
		return Other
	}
	c.memo.as.n.Add(1)
	return Refused
}

// exchange sends a request at now and reads its answer.
func (c *client) exchange(ctx context.Context, now time.Time) error {
	deadline := now.Add(c.options.Timeout)
	if !c.connected() {
		dctx, cancel := context.WithDeadline(ctx, deadline)
		err := c.revive(dctx)
		cancel()
		if err != nil {
			return err
		}
	}
	if err := c.nc.SetDeadline(deadline); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // the interruption may have come before the deadline
		return err
	}
	if _, err := c.nc.Write(c.target.request); err != nil {
		return err
	}
	if err := c.reader.next(c.target.method, &c.answer); err != nil {
		return err
	}
	if !c.answer.again {
		c.drop()
	}
	return nil
}

// connected reports whether there is a connection that the server did not end,
// and on which it says nothing that nobody asked for.
func (c *client) connected() bool {
	return c.nc != nil && c.probe.Look() == socket.Quiet && c.reader.br.Buffered() == 0
}

// revive makes the client's connection, unless it has a good one.
func (c *client) revive(ctx context.Context) error {
	if c.connected() {
		return nil
	}
	c.drop()
	nc, err := c.options.dial(ctx, "tcp", c.target.address)
	if err != nil {
		return dialError{err}
	}
	if c.target.tls != nil {
		secure := tls.Client(nc, c.target.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close() // what matters is the handshake
			return handshakeError{err}
		}
		nc = secure
	}
	c.nc = nc
	c.current.Store(&nc)
	c.probe.Attach(nc)
	c.reader.br.Reset(nc)
	return nil
}

// drop closes the connection.
func (c *client) drop() {
	if c.nc == nil {
		return
	}
	_ = c.nc.Close() // there is nothing that could be lost
	c.nc = nil
	c.current.Store(nil)
	c.probe.Detach()
}

// close ends the client. It must not run.
func (c *client) close() { c.drop() }

// interrupt ends the exchange under way. It is safe for concurrent use.
func (c *client) interrupt() {
	if nc := c.current.Load(); nc != nil {
		_ = (*nc).SetDeadline(time.Unix(1, 0)) // a connection that is closed needs none
	}
}

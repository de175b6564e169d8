package doctor

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/app"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/config"
)

// topicChecks look at the brokers that run apart: a gateway listens to them, a traffic
// manager publishes.
func topicChecks(c *config.Config) []*check {
	var all []*check
	var publishes []broker.URL
	if c.Role.HasTrafficManager() {
		publishes = c.Topic().Brokers
		for _, u := range publishes {
			all = append(all, &check{name: "topic on " + u.String(), run: func(ctx context.Context, k *check) { k.topic(ctx, c, u, true) }})
		}
	}
	if u := c.Uplink(); u != nil {
		for _, at := range u.Brokers {
			if !hasBroker(publishes, at) {
				all = append(all, &check{name: "topic on " + at.String(), run: func(ctx context.Context, k *check) { k.topic(ctx, c, at, false) }})
			}
		}
	}
	return all
}

func hasBroker(all []broker.URL, u broker.URL) bool {
	for _, o := range all {
		if o.String() == u.String() {
			return true
		}
	}
	return false
}

// overhear is for how long it is listened to what others say.
const overhear = 1500 * time.Millisecond

// topic listens to a broker, and publishes there if that is to be possible.
func (k *check) topic(ctx context.Context, c *config.Config, u broker.URL, publishes bool) {
	t, err := app.NewTopic(u, c)
	if err != nil {
		k.add(Fault, "correct the section broker", "%v", err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	e := newEar()
	ended := make(chan error, 2)
	group.Go(func() { ended <- broker.Listen(ctx, t, broker.NewSecret(c.FleetSecret()), e) })
	if publishes {
		group.Go(func() {
			if err := t.Run(ctx); err != nil {
				ended <- err
			}
		})
	}
	select {
	case <-e.connected:
		k.add(OK, "", "it can be listened to")
	case err := <-ended:
		k.add(Fault, "correct the address, user and password of the broker", "%v", cmp.Or(err, e.why()))
		return
	case <-e.failed:
		k.add(Fault, "start the broker, or correct its address", "it cannot be listened to: %v", e.why())
		return
	case <-ctx.Done():
		k.add(Fault, "see whether it hangs, and whether a firewall is between", "it does not answer in time")
		return
	}
	if publishes {
		k.publish(ctx, t, e)
	}
	k.overhear(ctx, e)
}

// publish says something that means nothing to anybody, and waits until it is heard.
func (k *check) publish(ctx context.Context, t *app.Topic, e *ear) {
	message := fmt.Appendf(nil, `{"event":{"payloadData":{"eventType":%q}}}`, e.nonce)
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for t.Err() != nil { // it connects
		select {
		case <-tick.C:
		case <-ctx.Done():
			k.add(Fault, "let the user publish on the topics "+broker.ThrottleData+" and "+broker.Notification, "nothing can be published: %v", t.Err())
			return
		}
	}
	if err := t.Publish(ctx, broker.Notification, message); err != nil {
		k.add(Fault, "let the user publish on the topics "+broker.ThrottleData+" and "+broker.Notification, "%v", err)
		return
	}
	select {
	case <-e.own:
		k.add(OK, "", "what is published is heard, after %v", time.Since(began).Round(100*time.Microsecond))
	case <-ctx.Done():
		k.add(Fault, "let the user publish on the topics "+broker.ThrottleData+" and "+broker.Notification, "what is published is not heard")
	}
}

// overhear says whether what others say is signed with the secret of this node.
func (k *check) overhear(ctx context.Context, e *ear) {
	timer := time.NewTimer(overhear)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.wrong > 0:
		k.add(Fault, "give all nodes the same [node] secret or, without one, the same user and password for events",
			"%d of %d messages are not signed with the secret of this node", e.wrong, e.wrong+e.right)
	case e.right > 0:
		k.add(OK, "", "all of %d messages are signed with the secret of this node", e.right)
	default:
		k.add(Info, "", "nothing was said meanwhile: whether others have the same secret is not known")
	}
}

// An ear hears what is said on the topics. It implements [broker.Listener].
type ear struct {
	nonce string // in what was published here

	// These are closed when it is connected, could not be, and has heard what was
	// published here.
	connected, failed, own chan struct{}
	once                   [3]sync.Once

	mu           sync.Mutex
	err          error // why it is not connected
	right, wrong int   // messages of others, by whether they are signed
}

func newEar() *ear {
	return &ear{
		nonce:     "WEIR_DOCTOR_" + rand.Text(),
		connected: make(chan struct{}), failed: make(chan struct{}), own: make(chan struct{}),
	}
}

// Connected implements [broker.Listener].
func (e *ear) Connected() { e.once[0].Do(func() { close(e.connected) }) }

// Lost implements [broker.Listener].
func (e *ear) Lost(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
	e.once[1].Do(func() { close(e.failed) })
}

// why returns why there is no connection.
func (e *ear) why() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		return errors.New("there is no answer")
	}
	return e.err
}

func (e *ear) signed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.right++
}

// Decision implements [broker.Listener].
func (e *ear) Decision(weir.Decision) { e.signed() }

// Deny implements [broker.Listener].
func (e *ear) Deny(broker.Deny) { e.signed() }

// KeyTemplate implements [broker.Listener].
func (e *ear) KeyTemplate(broker.KeyTemplate) { e.signed() }

// PolicyChange implements [broker.Listener].
func (e *ear) PolicyChange(broker.PolicyChange) { e.signed() }

// Ignored implements [broker.Listener].
func (e *ear) Ignored(kind broker.FaultKind, err error) {
	if f, ok := errors.AsType[*broker.Fault](err); ok && kind == broker.Unknown && strings.Contains(f.Reason, e.nonce) {
		e.once[2].Do(func() { close(e.own) })
		return
	}
	if kind == broker.Unsigned {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.wrong++
	}
}

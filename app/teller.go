package app

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
)

// A tellers is what a traffic manager tells all gateways by: each broker on its own,
// so that one which is away delays no other. It is a trafficmanager.Publisher.
type tellers []*teller

// Publish takes a decision to tell. It does not wait.
func (all tellers) Publish(d *weir.Decision) {
	for _, t := range all {
		t.push(message{decision: d})
	}
}

// deny takes a deny policy to tell.
func (all tellers) deny(d *broker.Deny) {
	for _, t := range all {
		t.push(message{deny: d})
	}
}

// template takes a key template to tell.
func (all tellers) template(k *broker.KeyTemplate) {
	for _, t := range all {
		t.push(message{template: k})
	}
}

// A message is one of these.
type message struct {
	decision *weir.Decision
	deny     *broker.Deny
	template *broker.KeyTemplate
}

// A teller tells one broker what it is given, in order. What waits is bounded: the
// oldest is dropped. While the broker is away nothing is kept, since all that is then
// in force is told when it is back.
type teller struct {
	carrier   *carrier
	publisher *broker.Publisher
	log       *slog.Logger
	// again gives all that is in force anew.
	again func()
	wake  chan struct{} // something waits; holds one

	told, failed, dropped atomic.Uint64
	faults                rarely

	mu      sync.Mutex
	waiting []message // a ring, from head on
	head, n int
}

// newTeller returns a teller that keeps at most size messages.
func newTeller(c *carrier, s broker.Secret, size int, log *slog.Logger) (*teller, error) {
	p, err := broker.NewPublisher(c, s)
	if err != nil {
		return nil, err
	}
	return &teller{
		carrier: c, publisher: p, log: log.With("broker", c.name),
		wake: make(chan struct{}, 1), waiting: make([]message, size),
	}, nil
}

func (t *teller) push(m message) {
	t.mu.Lock()
	if t.n == len(t.waiting) {
		t.head = (t.head + 1) % len(t.waiting)
		t.n--
		t.dropped.Add(1)
	}
	t.waiting[(t.head+t.n)%len(t.waiting)] = m
	t.n++
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *teller) pop() (message, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == 0 {
		return message{}, false
	}
	m := t.waiting[t.head]
	t.waiting[t.head] = message{}
	t.head = (t.head + 1) % len(t.waiting)
	t.n--
	return m, true
}

// length returns how many messages wait.
func (t *teller) length() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

const (
	// tellTimeout is how long a broker may take to accept a message.
	tellTimeout = 2 * time.Second
	// lastWords is how long what still waits at the end may take.
	lastWords = time.Second
)

// run tells what it is given until ctx is done, and then what still waits if the
// broker is there.
func (t *teller) run(ctx context.Context) error {
	if !t.await(ctx) {
		return nil
	}
	for ctx.Err() == nil {
		m, ok := t.pop()
		if !ok {
			select {
			case <-ctx.Done():
			case <-t.wake:
			}
			continue
		}
		if err := t.tell(context.WithoutCancel(ctx), m); err != nil && !t.recover(ctx, err) {
			return nil
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	for m, ok := t.pop(); ok && t.tell(last, m) == nil; {
		m, ok = t.pop()
	}
	return nil
}

// tell tells one message.
func (t *teller) tell(ctx context.Context, m message) error {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	var err error
	switch {
	case m.decision != nil:
		err = t.publisher.PublishDecision(ctx, m.decision)
	case m.deny != nil:
		err = t.publisher.PublishDeny(ctx, m.deny)
	case m.template != nil:
		err = t.publisher.PublishKeyTemplate(ctx, m.template)
	}
	if err != nil {
		t.failed.Add(1)
		return err
	}
	t.told.Add(1)
	return nil
}

// recover does what is to be done when a message could not be told. It reports false
// if ctx is done before the broker is back.
func (t *teller) recover(ctx context.Context, err error) bool {
	if t.carrier.err() == nil {
		if n := t.faults.add(time.Now()); n > 0 {
			t.log.Warn("decisions could not be told", "decisions", n, "error", err)
		}
		return true
	}
	if !t.await(ctx) {
		return false
	}
	for _, ok := t.pop(); ok; _, ok = t.pop() {
		continue // what is in force is told anew
	}
	if t.again != nil {
		t.again()
	}
	return true
}

const (
	// lookEvery is about how often it is looked whether a broker is back.
	lookEvery = 200 * time.Millisecond
	// patience is how long nothing is said of a broker that is away.
	patience = time.Second
)

// await waits until the broker is there, and reports false if ctx is done before.
func (t *teller) await(ctx context.Context) bool {
	began, said := time.Now(), false
	for err := t.carrier.err(); err != nil; err = t.carrier.err() {
		if !said && time.Since(began) > patience {
			said = true
			t.log.Warn("topic is away; gateways hear of decisions when they tell events", "error", oneLine(err))
		}
		if !sleep(ctx, lookEvery/2+rand.N(lookEvery)) {
			return false
		}
	}
	if said {
		t.log.Info("topic is there; all that is in force is told", "after", time.Since(began).Round(time.Millisecond))
	}
	return true
}

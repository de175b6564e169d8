package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weir-project/weir/broker"
)

// A topic carries messages between nodes, with the faults that are asked of it.
type topic struct {
	mu     sync.Mutex
	faults topicFaults
	random *rand.Rand
	up     chan struct{} // closed while the broker is there
	ears   map[chan []byte]string
}

// topicFaults is what a broker does to messages.
type topicFaults struct {
	lose    bool
	double  bool
	shuffle bool
	late    time.Duration
}

var _ broker.Transport = (*topic)(nil)

func newTopic() *topic {
	t := &topic{random: rand.New(rand.NewPCG(1, 2)), up: make(chan struct{}), ears: map[chan []byte]string{}}
	close(t.up)
	return t
}

// set switches the broker on or off, and its faults.
func (t *topic) set(up bool, f topicFaults) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = f
	switch was := isClosed(t.up); {
	case was && !up:
		t.up = make(chan struct{})
		for ear := range t.ears {
			close(ear)
		}
		clear(t.ears)
	case !was && up:
		close(t.up)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

var errAway = errors.New("the broker is away")

// Publish implements [broker.Transport].
func (t *topic) Publish(_ context.Context, name string, message []byte) error {
	t.mu.Lock()
	f, up := t.faults, isClosed(t.up)
	t.mu.Unlock()
	if !up {
		return errAway
	}
	times := 1
	if f.double {
		times = 2
	}
	if f.lose {
		times = 0
	}
	message = append([]byte(nil), message...)
	for range times {
		late := f.late
		if f.shuffle {
			t.mu.Lock()
			late += time.Duration(t.random.Int64N(int64(200 * time.Millisecond)))
			t.mu.Unlock()
		}
		time.AfterFunc(late, func() { t.deliver(name, message) })
	}
	return nil
}

func (t *topic) deliver(name string, message []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ear, listens := range t.ears {
		if listens != name {
			continue
		}
		select {
		case ear <- message:
		default: // a subscriber that slow has lost it
		}
	}
}

// Subscribe implements [broker.Transport].
func (t *topic) Subscribe(ctx context.Context, name string, s broker.Subscriber) error {
	for {
		t.mu.Lock()
		up := t.up
		t.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-up:
		}
		t.mu.Lock()
		ear := make(chan []byte, 4096)
		t.ears[ear] = name
		t.mu.Unlock()
		s.Connected()
		if !hear(ctx, ear, s) {
			t.mu.Lock()
			delete(t.ears, ear)
			t.mu.Unlock()
			return nil
		}
		s.Lost(errAway)
		time.Sleep(100 * time.Millisecond)
	}
}

// hear hands messages to s until the broker is away, or returns false once ctx is
// done.
func hear(ctx context.Context, ear <-chan []byte, s broker.Subscriber) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case m, ok := <-ear:
			if !ok {
				return true
			}
			s.Message(m)
		}
	}
}

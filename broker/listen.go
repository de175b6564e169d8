package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/weir-project/weir"
)

// A Listener hears what is told on all topics, one call at a time.
type Listener interface {
	// Connected is called when every topic is subscribed to: all that is said from
	// now on is heard. What was said before must be had from elsewhere.
	Connected()
	// Lost is called when something was or will be missed, and why; once for every
	// failed attempt to connect, so there may be many in a row. Connected follows
	// when it has passed.
	Lost(err error)
	// These are called with what is told. It may be older than what was told
	// before, and told before.
	Decision(d weir.Decision)
	Deny(d Deny)
	KeyTemplate(k KeyTemplate)
	PolicyChange(c PolicyChange)
	// Ignored is called for each message that has no effect.
	Ignored(kind FaultKind, err error)
}

// Listen tells l what is said on all topics, until ctx is done; then it returns
// nil once no call is left. Its other errors are those of [Transport.Subscribe].
func Listen(ctx context.Context, t Transport, s Secret, l Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := &ear{secret: s, listener: l}
	var topics sync.WaitGroup
	var errs [2]error
	for i, topic := range [...]string{ThrottleData, Notification} {
		topics.Go(func() {
			if err := t.Subscribe(ctx, topic, &side{ear: e, topic: topic}); err != nil {
				errs[i] = fmt.Errorf("listen on %s: %w", topic, err)
				cancel()
			}
		})
	}
	topics.Wait()
	return errors.Join(errs[:]...)
}

// An ear is one Listener and both of the topics that it listens to.
type ear struct {
	secret Secret

	mu        sync.Mutex // held while the listener is called
	listener  Listener
	connected int // topics that are
}

// A side is one topic of an ear.
type side struct {
	ear       *ear
	topic     string
	connected bool // under the ear's mutex
}

// Connected implements [Subscriber].
func (s *side) Connected() {
	s.ear.mu.Lock()
	defer s.ear.mu.Unlock()
	s.set(true)
	if s.ear.connected == 2 {
		s.ear.listener.Connected()
	}
}

// Lost implements [Subscriber].
func (s *side) Lost(err error) {
	s.ear.mu.Lock()
	defer s.ear.mu.Unlock()
	s.set(false)
	s.ear.listener.Lost(fmt.Errorf("topic %s: %w", s.topic, err))
}

// set notes whether s is connected.
func (s *side) set(connected bool) {
	if s.connected != connected {
		s.connected = connected
		if connected {
			s.ear.connected++
		} else {
			s.ear.connected--
		}
	}
}

// Message implements [Subscriber].
func (s *side) Message(message []byte) {
	m, err := Parse(s.ear.secret, s.topic, message)
	s.ear.mu.Lock()
	defer s.ear.mu.Unlock()
	l := s.ear.listener
	switch {
	case err != nil:
		f, _ := errors.AsType[*Fault](err)
		l.Ignored(f.Kind, err)
	case m.Decision != nil:
		l.Decision(*m.Decision)
	case m.Deny != nil:
		l.Deny(*m.Deny)
	case m.KeyTemplate != nil:
		l.KeyTemplate(*m.KeyTemplate)
	case m.PolicyChange != nil:
		l.PolicyChange(*m.PolicyChange)
	}
}

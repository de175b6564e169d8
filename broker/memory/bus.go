// Package memory carries the broker's messages within one process.
package memory

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/link"
)

var _ broker.Transport = (*Bus)(nil)

// Options are the options of a Bus. The zero value is fine.
type Options struct {
	// Queue is how many bytes of messages wait for each subscriber; the oldest are
	// dropped if there are more. Zero: 8 MiB.
	Queue int
}

// A Bus is a [broker.Transport] in memory, which is always connected. A subscriber
// that is slow delays neither publishers nor others.
type Bus struct {
	options Options
	dropped atomic.Uint64

	mu     sync.RWMutex
	topics map[string]map[*link.Inbox]bool
}

// New returns a Bus.
func New(o Options) *Bus {
	return &Bus{options: o, topics: make(map[string]map[*link.Inbox]bool)}
}

// Publish implements [broker.Transport]. It does not wait.
func (b *Bus) Publish(ctx context.Context, topic string, message []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := broker.CheckMessage(topic, message); err != nil {
		return err
	}
	message = bytes.Clone(message)
	b.mu.RLock()
	defer b.mu.RUnlock()
	for in := range b.topics[topic] {
		in.Message(message)
	}
	return nil
}

// Subscribe implements [broker.Transport].
func (b *Bus) Subscribe(ctx context.Context, topic string, s broker.Subscriber) error {
	if err := broker.CheckTopic(topic); err != nil {
		return err
	}
	in := link.NewInbox(b.options.Queue, &b.dropped)
	in.Connected()
	b.mu.Lock()
	if b.topics[topic] == nil {
		b.topics[topic] = make(map[*link.Inbox]bool)
	}
	b.topics[topic][in] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.topics[topic], in)
	}()
	in.Run(ctx, s)
	return nil
}

// Dropped returns how many messages were dropped because subscribers were slow.
func (b *Bus) Dropped() uint64 { return b.dropped.Load() }

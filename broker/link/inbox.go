package link

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weir-project/weir/broker"
)

// DefaultQueue is how many bytes wait for a slow subscriber if nothing is said.
const DefaultQueue = 8 << 20

// overhead is what an item takes besides its message.
const overhead = 64

// An Inbox stands between a connection, which must never wait, and a subscriber,
// which may be slow. What waits is bounded; when it is full, the oldest is dropped,
// and the subscriber is told so. It is safe for concurrent use.
type Inbox struct {
	limit   int
	dropped *atomic.Uint64
	wake    chan struct{} // has room for one

	mu     sync.Mutex
	items  []item
	head   int  // items before it are taken
	bytes  int  // of the items that wait
	missed int  // messages that were dropped since the subscriber was told
	state  item // the last of Connected and Lost before the head
}

// An item is one thing that waits: a message, or that a connection was made or lost.
type item struct {
	kind    kind
	message []byte
	err     error
}

type kind uint8

const (
	isMessage kind = iota
	isConnected
	isLost
)

// NewInbox returns an Inbox in which up to limit bytes wait, DefaultQueue if it is
// zero. It adds the messages that it drops to dropped.
func NewInbox(limit int, dropped *atomic.Uint64) *Inbox {
	if limit <= 0 {
		limit = DefaultQueue
	}
	return &Inbox{limit: limit, dropped: dropped, wake: make(chan struct{}, 1)}
}

// Connected says that there is a connection.
func (in *Inbox) Connected() { in.put(item{kind: isConnected}) }

// Lost says that there is none, and why.
func (in *Inbox) Lost(err error) { in.put(item{kind: isLost, err: err}) }

// Message says what came. It keeps message.
func (in *Inbox) Message(message []byte) { in.put(item{message: message}) }

func (in *Inbox) put(it item) {
	in.mu.Lock()
	in.items = append(in.items, it)
	in.bytes += it.size()
	for in.bytes > in.limit && len(in.items)-in.head > 1 {
		if dropped := in.next(); dropped.kind == isMessage {
			in.missed++
			in.dropped.Add(1)
		}
	}
	in.mu.Unlock()
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

func (it *item) size() int { return overhead + len(it.message) }

// next takes the oldest item, of which there is one.
func (in *Inbox) next() item {
	it := in.items[in.head]
	in.items[in.head] = item{}
	in.head++
	in.bytes -= it.size()
	if it.kind != isMessage {
		in.state = it
	}
	if in.head == len(in.items) {
		in.items, in.head = in.items[:0], 0
	} else if in.head >= 1024 && in.head > len(in.items)/2 {
		in.items, in.head = slices.Delete(in.items, 0, in.head), 0
	}
	return it
}

// take returns the next item, if there is one. If messages were dropped before it,
// it returns how many, and the state after them, instead.
func (in *Inbox) take() (it item, missed int, ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if missed, in.missed = in.missed, 0; missed > 0 && in.state.kind != isMessage {
		return in.state, missed, true
	}
	if in.head == len(in.items) {
		return item{}, 0, false
	}
	return in.next(), 0, true
}

// Run tells s what came, one thing at a time, until ctx is done.
func (in *Inbox) Run(ctx context.Context, s broker.Subscriber) {
	for ctx.Err() == nil {
		it, missed, ok := in.take()
		if !ok {
			select {
			case <-in.wake:
			case <-ctx.Done():
			}
			continue
		}
		switch {
		case missed > 0 && it.kind == isConnected:
			s.Lost(fmt.Errorf("%d messages were dropped because they were not taken in time", missed))
			s.Connected()
		case it.kind == isConnected:
			s.Connected()
		case it.kind == isLost:
			s.Lost(it.err)
		default:
			s.Message(it.message)
		}
	}
}

// Subscribe tells s what comes through in, while listen makes one connection after
// the other as [Keep] says. It returns when ctx is done or Keep gives up, and
// neither s nor listen is running any more.
func (in *Inbox) Subscribe(ctx context.Context, s broker.Subscriber, listen func(ctx context.Context, up func()) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kept := make(chan error, 1)
	go func() {
		defer cancel()
		kept <- Keep(ctx, listen, in.Lost)
	}()
	in.Run(ctx, s)
	return <-kept
}

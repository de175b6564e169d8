// Package memory is a [limiter.Store] in the memory of this process: for tests, for
// simulations, and for nodes that live in one process. It is also the reference of what
// a store answers; package limiter/limitertest compares others with it.
//
// Its core, [Store.Apply], has no clock: the same calls with the same times give
// the same answers, whatever the machine.
package memory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weir-project/weir/limiter"
)

var _ limiter.Store = (*Store)(nil)

// Options are the options of a [Store]. The zero value is fine.
type Options struct {
	// Now is the clock that [Store.Share] reads; nil: time.Now.
	Now func() time.Time
	// ID stands for the replication id of a primary, from which epochs are derived: see
	// [Store.NewEpoch]. Zero: a random one.
	ID uint64
}

// A Store keeps registers in memory. It is for many goroutines at once: each
// batch happens at one moment between its call and its return.
//
// Memory is bounded by what is still to be kept: each assertion also looks at two
// records and forgets those that are over.
type Store struct {
	clock func() time.Time

	mu       sync.Mutex
	counters map[limiter.Counter]*counter
	order    []*record // all records, in an order that depends on the calls alone
	next     int       // the one in order that is looked at next
	free     []*record // for use again
	nodes    []beat
	primary  primary
}

// New returns a Store without data. It starts nothing.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	for o.ID == 0 {
		o.ID = rand.Uint64()
	}
	return &Store{
		clock:    o.Now,
		counters: make(map[limiter.Counter]*counter),
		primary:  primary{id: o.ID},
	}
}

// Share implements [limiter.Store]. It does not wait, but for those batches that
// came before. It refuses a batch of which nothing can be made, and writes nothing then.
func (s *Store) Share(ctx context.Context, b *limiter.Batch) error {
	if err := check(b); err != nil {
		return fmt.Errorf("share %d counters: %w", len(b.Assertions), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("share %d counters: %w", len(b.Assertions), err)
	}
	s.apply(s.clock().UnixNano(), b)
	return nil
}

// Apply is [Store.Share] at a given time, in nanoseconds since the Unix epoch. It
// allocates only where it makes records. What Share refuses, it must not be given.
func (s *Store) Apply(now int64, b *limiter.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(now, b)
}

func (s *Store) apply(now int64, b *limiter.Batch) {
	s.primary.enter(now)
	b.Now = now
	b.Epoch = s.primary.epoch
	b.Fenced = now-s.primary.since < int64(limiter.Fence)
	b.Nodes = 0
	if b.Beat {
		b.Nodes = s.beat(now, b.Node)
	}
	granted := false
	for i := range b.Assertions {
		a := &b.Assertions[i]
		a.Status, a.Sum, a.Past, a.Granted = 0, 0, 0, 0
		if isBucket(a) {
			s.bucket(now, b, a)
		} else {
			s.window(now, b, a)
		}
		granted = granted || a.Granted > 0
	}
	b.Durable = !granted || s.primary.durable()
	s.sweep(now, 2*len(b.Assertions)+1)
}

func isBucket(a *limiter.Assertion) bool { return a.Begin == 0 && a.End == 0 }

// What can be wrong with a batch.
var (
	errNode   = errors.New("the node is zero")
	errWindow = errors.New("the window does not end after it begins")
	errRate   = errors.New("nothing flows into the bucket")
	errSeq    = errors.New("its number is too large")
)

// check returns an error if nothing can be made of a batch.
func check(b *limiter.Batch) error {
	if b.Node == 0 {
		return errNode
	}
	for i := range b.Assertions {
		a := &b.Assertions[i]
		switch {
		case a.Seq > limiter.MaxSeq:
			return fmt.Errorf("assertion %d: %w", i, errSeq)
		case isBucket(a):
			if a.Rate < 1 || a.Period < 1 {
				return fmt.Errorf("assertion %d: %w", i, errRate)
			}
		case a.Begin < 0 || a.End <= a.Begin:
			return fmt.Errorf("assertion %d: %w", i, errWindow)
		}
	}
	return nil
}

// A beat is the last one of a node.
type beat struct {
	node uint64
	at   int64
}

// beat takes note that node lives, and returns how many do.
func (s *Store) beat(now int64, node uint64) int {
	kept := s.nodes[:0]
	for _, n := range s.nodes {
		if n.node != node && now-n.at < int64(limiter.NodeLife) {
			kept = append(kept, n)
		}
	}
	s.nodes = append(kept, beat{node, now})
	return len(s.nodes)
}

// Len returns the number of windows and buckets that are held, those included that are
// over and not yet forgotten.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order)
}

// Sweep forgets all that is over at now. A store works without: it is for those who
// want memory back though nobody calls.
func (s *Store) Sweep(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = 0
	s.sweep(now, len(s.order))
}

// Window returns the sum and the registers, by node, of the window of a counter that ends at
// end, and false if it has none. Registers are a copy.
func (s *Store) Window(c limiter.Counter, end int64) (sum int64, registers map[uint64]int64, ok bool) {
	return s.read(c, end)
}

// Bucket returns what was missing in the bucket of a counter, and the registers, by node,
// when last something was asserted of it, and false if there is none. Registers are
// a copy.
func (s *Store) Bucket(c limiter.Counter) (missing int64, registers map[uint64]int64, ok bool) {
	return s.read(c, 0)
}

func (s *Store) read(name limiter.Counter, end int64) (sum int64, registers map[uint64]int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counters[name]
	i, ok := c.search(end)
	if !ok {
		return 0, nil, false
	}
	r := c.records[i]
	registers = make(map[uint64]int64, len(r.registers))
	for i := range r.registers {
		registers[r.registers[i].node] = r.registers[i].value
	}
	return r.sum, registers, true
}

package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/load"
)

// A node decides about requests. It is for many goroutines at once.
type node interface {
	// try decides about a request that comes now, if it can without waiting. If not, it
	// returns what waits and decides, and when that was: what the window is found by.
	try(s *subject, now time.Time) (passed bool, later func(context.Context) (passed bool, at time.Time, err error))
}

// A stream is the requests for one key that come over one node, at random times; and
// what became of them.
type stream struct {
	mean   float64 // nanoseconds between two; zero: none come
	next   time.Time
	random *rand.Rand

	mu     sync.Mutex
	events []event
}

func newStream(rate float64, key, node uint64) *stream {
	s := &stream{random: rand.New(rand.NewPCG(key, node))}
	if rate > 0 {
		s.mean = 1e9 / rate
	}
	return s
}

// advance sets when the next request comes.
func (s *stream) advance() {
	s.next = s.next.Add(time.Duration(s.random.ExpFloat64() * s.mean))
}

// An event is a request that was decided about.
type event struct {
	at     int64 // nanoseconds since the Unix epoch
	passed bool
}

func (s *stream) note(at time.Time, passed bool) {
	s.mu.Lock()
	s.events = append(s.events, event{at.UnixNano(), passed})
	s.mu.Unlock()
}

const (
	tick     = time.Millisecond      // how often a node looks for what has come
	tooLate  = 10 * time.Millisecond // after which a request's time is not what it should be
	mostWait = 2000                  // requests that a node has waiting at most
	giveUp   = 10 * time.Second      // for one request
)

// A drive is how a pack was driven.
type drive struct {
	waits  []load.Histogram // by cell
	cells  map[*cell]int
	late   atomic.Int64
	errors atomic.Int64
	fault  atomic.Pointer[error] // the first
}

// drivePack sends the subjects' requests to nodes from begin to end, and returns when
// all were decided about.
func drivePack(ctx context.Context, nodes []node, p *pack, subjects []*subject, begin, end time.Time) *drive {
	d := &drive{waits: make([]load.Histogram, len(p.Cells)), cells: map[*cell]int{}}
	for i := range p.Cells {
		d.cells[&p.Cells[i]] = i
	}
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() { d.drive(ctx, n, i, subjects, begin, end) })
	}
	all.Wait()
	return d
}

// drive sends what comes over one node.
func (d *drive) drive(ctx context.Context, n node, index int, subjects []*subject, begin, end time.Time) {
	var waiting sync.WaitGroup
	defer waiting.Wait()
	places := make(chan struct{}, mostWait)
	var mine []*subject
	for _, s := range subjects {
		if st := s.streams[index]; st.mean > 0 {
			st.next = begin
			st.advance()
			mine = append(mine, s)
		}
	}
	time.Sleep(time.Until(begin))
	for ctx.Err() == nil {
		now := time.Now()
		if !now.Before(end) {
			return
		}
		for _, s := range mine {
			for st := s.streams[index]; !st.next.After(now); st.advance() {
				at := time.Now()
				if at.Sub(st.next) > tooLate {
					d.late.Add(1)
				}
				passed, later := n.try(s, at)
				if later == nil {
					st.note(at, passed)
					continue
				}
				places <- struct{}{}
				waiting.Go(func() {
					d.await(ctx, s, st, at, later)
					<-places
				})
			}
		}
		time.Sleep(tick)
	}
}

// await decides about a request that has to wait.
func (d *drive) await(ctx context.Context, s *subject, st *stream, since time.Time, later func(context.Context) (bool, time.Time, error)) {
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	passed, at, err := later(ctx)
	d.waits[d.cells[s.cell]].Record(time.Since(since))
	if err != nil {
		d.errors.Add(1)
		d.fault.CompareAndSwap(nil, &err)
		return
	}
	st.note(at, passed)
}

package limiter

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Sharing says which counters of a [Limiter] are shared with other nodes, once a
// [Sharer] does so.
type Sharing uint8

const (
	// Alone shares nothing.
	Alone Sharing = iota
	// Checks shares the counters of limits that are [Bounded] or [Exact]: for nodes
	// that take before something happens. Exact limits let pass only what the
	// node was granted.
	Checks
	// Records shares all counters, whatever their limits' accuracy, as what has
	// happened already: for nodes that [Limiter.Record]. Nothing is granted.
	Records
)

// SharerOptions say how a [Sharer] works. Node is required.
type SharerOptions struct {
	// Node is this run of this node: a random number that no other has, not zero.
	Node uint64
	// Interval is how long what was spent may wait until it is told; zero: 10 ms.
	// It is told earlier where a limit's end is near.
	Interval time.Duration
	// Lanes is how many batches are under way at most; zero: 4. Each key has its lane.
	Lanes int
	// Timeout bounds one call of the store; zero: 80 ms. After two in a row that
	// failed the store is lost.
	Timeout time.Duration
	// MinNodes is the number of nodes that is assumed where fewer are known, as
	// before the store has ever been reached; zero: one.
	MinNodes int
	// Answered, if not nil, is called when the store has answered about a counter,
	// with what the limit then leaves: not above zero if it is spent. It is called by
	// the lanes, at the store's time now, and must not wait.
	Answered func(now time.Time, key Key, limit *Limit, left int64)
}

const (
	defaultInterval = 10 * time.Millisecond
	defaultLanes    = 4
	defaultTimeout  = 80 * time.Millisecond
	beatInterval    = int64(500 * time.Millisecond)
	batchSize       = 256
)

// A Sharer shares the counters of a [Limiter] with other nodes, through a [Store].
// See [Sharing] for which.
//
// It is a state machine, which [Sharer.Run] drives: each lane asks Next for a batch,
// has the store carry it out and hands it to Done. Whoever wants to be master of
// time does that themselves and calls no Run.
//
// A store that fails twice in a row is lost: limits then do as their OnStoreLoss
// says, nobody waits for it, and it is tried again and again, ever more seldom, at
// least twice a second. Nothing that was counted meanwhile is lost with it: the next
// assertion tells it.
type Sharer struct {
	limiter *Limiter
	store   Store
	o       SharerOptions
	clock   storeClock
	lanes   []*lane
	waits   waits
	stats   sharerStats

	epoch   atomic.Uint64 // the last that was told; zero: none
	epochs  atomic.Int64  // how often it changed
	closing atomic.Bool
	trip    atomic.Int64 // of a call and its answer, of late

	mu       sync.Mutex // guards what follows
	random   *rand.Rand
	failed   int   // calls in a row
	lastBeat int64 // local time
}

// NewSharer returns a Sharer of l's counters, the only one that l may have: l was
// made with another [Sharing] than Alone. It starts nothing.
func NewSharer(l *Limiter, store Store, o SharerOptions) *Sharer {
	if l.fleet == nil {
		panic("limiter: a Sharer of a Limiter that shares nothing")
	}
	if o.Node == 0 {
		panic("limiter: a Sharer without a node")
	}
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Lanes <= 0 {
		o.Lanes = defaultLanes
	}
	o.MinNodes = max(o.MinNodes, 1)
	s := &Sharer{limiter: l, store: store, o: o, random: rand.New(rand.NewPCG(o.Node, 0))}
	s.lastBeat = -beatInterval
	for i := range o.Lanes {
		s.lanes = append(s.lanes, newLane(s, i))
	}
	l.fleet.nodes.Store(int64(o.MinNodes))
	l.fleet.sharer.Store(s)
	return s
}

// Lanes returns the number of lanes.
func (s *Sharer) Lanes() int { return len(s.lanes) }

func (s *Sharer) lane(key Key) *lane {
	return s.lanes[int(key.hash()>>32)%len(s.lanes)]
}

// Time returns the time by the store's clock, as far as this node knows it: never
// before the store's own. Windows that are shared are those of the store's clock, so
// all times that the Limiter is given must come from here. Of now only the monotonic
// reading counts, where it has one: a wall clock that is set does not matter.
func (s *Sharer) Time(now time.Time) time.Time {
	return time.Unix(0, s.clock.at(s.clock.local(now)))
}

// Lost reports whether the store is away: see [OnStoreLoss].
func (s *Sharer) Lost() bool { return s.limiter.fleet.lost.Load() }

// Next returns what a lane has to tell the store, nil if there is nothing yet. now
// is the node's own clock, as for [Sharer.Time]. After a batch it must not be called
// again before Done.
func (s *Sharer) Next(lane int, now time.Time) *Batch {
	local := s.clock.local(now)
	return s.lanes[lane].next(local, s.clock.at(local))
}

// Wait returns for how long Next has nothing for a lane, unless [Sharer.Wake] says
// otherwise.
func (s *Sharer) Wait(lane int, now time.Time) time.Duration {
	return s.lanes[lane].wait(s.clock.local(now))
}

// Wake returns a channel that receives when there is something new for a lane.
func (s *Sharer) Wake(lane int) <-chan struct{} { return s.lanes[lane].wake }

// Done takes the answers of the batch that Next returned, which came at now, or err.
func (s *Sharer) Done(lane int, now time.Time, b *Batch, err error) {
	local := s.clock.local(now)
	ln := s.lanes[lane]
	if err != nil {
		s.stats.errors.Add(1)
		s.fail()
		ln.failed(local)
		return
	}
	s.stats.calls.Add(1)
	s.stats.assertions.Add(uint64(len(b.Assertions)))
	slack := s.clock.learn(b.Now, ln.sent, local)
	s.trip.Store((3*s.trip.Load() + local - ln.sent) / 4)
	if b.Beat {
		s.limiter.fleet.nodes.Store(int64(max(b.Nodes, s.o.MinNodes)))
	}
	if was := s.epoch.Swap(b.Epoch); was != b.Epoch && was != 0 {
		s.epochs.Add(1)
		s.wakeAll()
	}
	if s.succeed() {
		s.wakeAll()
	}
	ln.now = local
	ln.done(b, s.clock.at(local), slack)
}

// wakeAll has all lanes look what they have to do.
func (s *Sharer) wakeAll() {
	for _, ln := range s.lanes {
		ln.signal()
	}
}

// mostFails is how many calls in a row fail before the store is lost.
const mostFails = 2

// fail notes that a call failed.
func (s *Sharer) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed++
	if s.failed >= mostFails && !s.limiter.fleet.lost.Swap(true) {
		s.stats.losses.Add(1)
		s.waits.all()
	}
}

// succeed notes that a call did not fail, and reports whether the store was lost.
func (s *Sharer) succeed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = 0
	return s.limiter.fleet.lost.Swap(false)
}

// beat reports whether a batch of the first lane is to be a beat.
func (s *Sharer) beat(local int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if local-s.lastBeat < beatInterval {
		return false
	}
	s.lastBeat = local
	return true
}

// jitter returns a time from half of d to d.
func (s *Sharer) jitter(d int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d/2 + s.random.Int64N(d/2+1)
}

// nextBeat returns the local time of the next beat.
func (s *Sharer) nextBeat() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastBeat + beatInterval
}

package http2

import (
	"sync"
	"time"
)

const (
	// crowd is how many streams more than it may have open a client may have spent
	// on resets and left without an answer, before the next are waited with.
	crowd = 50
	// paceTimeout is for how long.
	paceTimeout = 200 * time.Millisecond
)

// A pending knows the streams that have neither been answered nor reset. What a
// client makes us reset counts when we say so, and that comes late: while one
// batch of frames is on its way out, net/http opens as many streams as there may
// be, again. Only by the streams that are pending can a flood be seen in time.
//
// Its methods may be called concurrently, but begun and wait by one goroutine.
type pending struct {
	mu    sync.Mutex
	open  map[uint32]time.Time // since when
	last  uint32               // highest stream begun
	fresh bool                 // streams have begun since the last wait
	ended chan struct{}        // tells that some have ended
}

func newPending() pending {
	return pending{open: map[uint32]time.Time{}, ended: make(chan struct{}, 1)}
}

// begun notes the head of a request; that of its end, if it has one, is none.
func (p *pending) begun(stream uint32) {
	if stream <= p.last {
		return
	}
	p.last, p.fresh = stream, true
	p.mu.Lock()
	p.open[stream] = time.Now()
	p.mu.Unlock()
}

// end notes that a stream was answered or reset, and returns for how long it was
// pending. It may be told more than once; then that is zero.
func (p *pending) end(stream uint32) time.Duration {
	p.mu.Lock()
	since, open := p.open[stream]
	delete(p.open, stream)
	p.mu.Unlock()
	if !open {
		return 0
	}
	select {
	case p.ended <- struct{}{}:
	default:
	}
	return time.Since(since)
}

func (p *pending) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// wait returns once the streams are no longer too many, which crowded tells, if
// any has begun since the last time; in any case after a while, or when closed is.
func (p *pending) wait(crowded func(pending int) bool, closed <-chan struct{}) {
	if !p.fresh {
		return
	}
	p.fresh = false
	if !crowded(p.count()) {
		return
	}
	timeout := time.NewTimer(paceTimeout)
	defer timeout.Stop()
	for {
		select {
		case <-p.ended:
			if !crowded(p.count()) {
				return
			}
		case <-closed:
			return
		case <-timeout.C:
			return
		}
	}
}

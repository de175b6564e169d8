package limiter

import (
	"context"
	"sync"
	"time"
)

// maxWaits bounds how many takes wait for rights at a time. More than that are
// answered as if there were none: they would only wait longer.
const maxWaits = 10_000

// A waits has those who wait for what the store will answer about a key.
type waits struct {
	mu    sync.Mutex
	byKey map[Key]chan struct{} // closed when there is an answer
	n     int
}

// of returns a channel that is closed when the store has answered about key; nil if too
// many wait. Whoever has it calls left afterwards.
func (w *waits) of(key Key) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n >= maxWaits {
		return nil
	}
	w.n++
	c := w.byKey[key]
	if c == nil {
		if w.byKey == nil {
			w.byKey = map[Key]chan struct{}{}
		}
		c = make(chan struct{})
		w.byKey[key] = c
	}
	return c
}

func (w *waits) left() {
	w.mu.Lock()
	w.n--
	w.mu.Unlock()
}

// answer lets those go who wait for key.
func (w *waits) answer(key Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.byKey[key]; c != nil {
		close(c)
		delete(w.byKey, key)
	}
}

// all lets everybody go.
func (w *waits) all() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.byKey {
		close(c)
	}
	clear(w.byKey)
}

// Await waits until the store has said something new about the first of checks that
// a Take at now left [Check.Short], or until ctx is done. It reports whether another
// Take may pass: if not, the limit's answer is the one of the last. It does not wait
// while the store is away, nor where too many wait already.
func (s *Sharer) Await(ctx context.Context, now time.Time, checks []Check) bool {
	for i := range checks {
		if k := &checks[i]; k.Short {
			return s.await(ctx, nanos(now), k)
		}
	}
	return false
}

func (s *Sharer) await(ctx context.Context, ns int64, k *Check) bool {
	answered := s.waits.of(k.Key)
	if answered == nil {
		return false
	}
	defer s.waits.left()
	switch s.prospect(ns, k) {
	case hopeless:
		return false
	case ready:
		return true
	}
	if s.Lost() {
		return true // the next Take does as OnStoreLoss says
	}
	s.stats.waited.Add(1)
	select {
	case <-answered:
		return true
	case <-ctx.Done():
		return false
	}
}

// What may come of waiting.
const (
	hopeless = iota // there is no use
	ready           // rights have come already
	asked           // the store has been asked
)

// prospect tells what has become of a check since its Take.
func (s *Sharer) prospect(ns int64, k *Check) int {
	one := [1]Check{*k}
	var c [1]counter
	s.limiter.acquire(ns, one[:], c[:])
	sh, found := c[0].share, asked
	c[0].roll(k.Limit, ns)
	switch {
	case sh == nil || !over(k.Limit, k.N, c[0].leftShared(k.Limit, ns)):
		found = ready
	case ns < sh.dry:
		found = hopeless
	case sh.state&dirty == 0: // there was an answer, and others were quicker
		sh.short = addSat(sh.short, k.lacks())
		sh.state |= dirty | urgent
		c[0].news = dirty | urgent
	}
	c[0].release()
	c[0].tell(k)
	return found
}

// Ask has the store asked soon what all nodes have of the counter of key, at the store's
// time now: for who has reason to think that others gave something back. It does nothing
// if the counter is not held, or not shared.
func (s *Sharer) Ask(now time.Time, l *Limit, key Key) {
	checks := [1]Check{{Limit: l, Key: key}}
	var c [1]counter
	for attempt := 0; ; attempt++ {
		switch s.limiter.tryAcquire(checks[:], c[:]) {
		case absent:
			return
		case acquired:
			if sh := c[0].share; sh != nil {
				c[0].news = (dirty | stale) &^ sh.state
				sh.state |= dirty | stale
			}
			c[0].release()
			c[0].tell(&checks[0])
			return
		}
		pause(attempt)
	}
}

package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-project/weir/limiter"
)

// startRecords starts nodes that let pass what they know of no reason to refuse, and
// record at the interval what they let pass, as traffic managers record what
// gateways tell them: Weir's eventual limits, without the way of events and decisions.
func startRecords(ctx context.Context, e *environment, subjects []*subject) (fleet, error) {
	ctx, cancel := context.WithCancel(ctx)
	f := &weirFleet{subs: subjects, meter: newMeter(subjects), cancel: cancel}
	for range e.nodes {
		n := &recordingNode{books: make([]book, len(subjects)), byKey: map[limiter.Key]*book{}}
		for _, s := range subjects {
			n.byKey[s.key] = &n.books[s.index]
		}
		var err error
		if n.limiter, n.sharer, err = f.join(ctx, e, limiter.Records, n.answered); err != nil {
			return nil, errors.Join(err, f.stop())
		}
		f.all = append(f.all, n)
		f.runs.Go(func() { every(ctx, e.interval, func() { n.record(subjects) }) })
	}
	return f, nil
}

// A recordingNode decides by what was recorded.
type recordingNode struct {
	limiter *limiter.Limiter
	sharer  *limiter.Sharer
	books   []book // by subject
	byKey   map[limiter.Key]*book
}

// answered hears what all nodes together leave of a limit.
func (n *recordingNode) answered(now time.Time, key limiter.Key, l *limiter.Limit, left int64) {
	if b := n.byKey[key]; b != nil && left <= 0 {
		b.until.Store((now.UnixNano()/int64(l.Window.Length) + 1) * int64(l.Window.Length))
	}
}

// A book is what passed of one subject and was not recorded yet, and until when
// nothing passes.
type book struct {
	mu     sync.Mutex
	window int64 // of passed
	passed int64
	since  time.Time    // when the first of passed came
	until  atomic.Int64 // nanoseconds since the Unix epoch
}

func (n *recordingNode) try(s *subject, at time.Time) (bool, func(context.Context) (bool, time.Time, error)) {
	now := n.sharer.Time(at)
	b := &n.books[s.index]
	if now.UnixNano() < b.until.Load() {
		return false, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := now.UnixNano() / int64(s.limit.Window.Length); w != b.window {
		n.write(s, b)
		b.window = w
	}
	if b.passed == 0 {
		b.since = now
	}
	b.passed++
	return true, nil
}

// record records what passed of all subjects.
func (n *recordingNode) record(subjects []*subject) {
	for _, s := range subjects {
		b := &n.books[s.index]
		b.mu.Lock()
		n.write(s, b)
		b.mu.Unlock()
	}
}

// write records what is in a book, as of when it came, and finds out whether anything is left.
func (n *recordingNode) write(s *subject, b *book) {
	if b.passed == 0 {
		return
	}
	checks := [1]limiter.Check{{Limit: s.limit, Key: s.key, N: b.passed}}
	n.limiter.Record(b.since, checks[:])
	b.passed = 0
	if checks[0].Over {
		n.answered(b.since, s.key, s.limit, 0)
	}
}

// every calls f at an interval until ctx is done.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

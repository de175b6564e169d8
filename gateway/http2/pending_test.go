package http2

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPending(t *testing.T) {
	p := newPending()
	for _, tt := range []struct {
		what string
		do   func()
		want int
	}{
		{"three requests", func() { p.begun(1); p.begun(3); p.begun(9) }, 3},
		{"the end of one, with trailers", func() { p.begun(3) }, 3},
		{"a stream that never was", func() { p.end(5) }, 3},
		{"an answer", func() { p.end(3) }, 2},
		{"its trailers, and a reset", func() { p.end(3); p.end(3) }, 2},
		{"a number that is not higher", func() { p.begun(5) }, 2},
		{"the others", func() { p.end(9); p.end(1) }, 0},
	} {
		if tt.do(); p.count() != tt.want {
			t.Errorf("%s: %d are pending, want %d", tt.what, p.count(), tt.want)
		}
	}
}

func TestPendingWait(t *testing.T) {
	more := func(n int) func(int) bool { return func(pending int) bool { return pending > n } }
	for _, tt := range []struct {
		name   string
		begun  uint32
		before func(p *pending) // the wait
		during func(p *pending, closed chan struct{})
		want   time.Duration
	}{
		{name: "few", begun: 2, want: 0},
		{name: "no answer", begun: 5, want: paceTimeout},
		{name: "no news", begun: 5, before: func(p *pending) { p.fresh = false }, want: 0},
		{name: "too few answers", begun: 5, during: func(p *pending, _ chan struct{}) { p.end(1); p.end(3) }, want: paceTimeout},
		{name: "answers", begun: 5, during: func(p *pending, _ chan struct{}) {
			for i := range uint32(3) {
				p.end(2*i + 1)
			}
		}, want: time.Millisecond},
		{name: "the connection's end", begun: 5, during: func(_ *pending, closed chan struct{}) { close(closed) }, want: time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, closed := newPending(), make(chan struct{})
				for i := range tt.begun {
					p.begun(2*i + 1)
				}
				if tt.before != nil {
					tt.before(&p)
				}
				if tt.during != nil {
					go func() {
						time.Sleep(time.Millisecond)
						tt.during(&p, closed)
					}()
				}
				start := time.Now()
				p.wait(more(2), closed)
				if got := time.Since(start); got != tt.want {
					t.Errorf("waited %v, want %v", got, tt.want)
				}
				start = time.Now()
				if p.wait(more(0), closed); time.Since(start) != 0 {
					t.Error("waited twice for the same streams")
				}
			})
		})
	}
}

func TestPendingAllocatesNothing(t *testing.T) {
	p := newPending()
	if n := testing.AllocsPerRun(1000, func() {
		p.begun(p.last + 2)
		p.wait(func(int) bool { return false }, nil)
		p.end(p.last)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestGuardCrowded wants streams that are pending to count as if they were reset,
// beyond those that a client may have open.
func TestGuardCrowded(t *testing.T) {
	g, _ := pipeGuard(t)
	for _, tt := range []struct {
		resets, faults int32 // spent
		pending        int
		want           bool
	}{
		{0, 0, 0, false},
		{0, 0, 100, false},
		{50, 0, 100, false},
		{51, 0, 100, true},
		{20, 31, 100, true},
		{20, 30, 100, false},
		{0, 0, 151, true},
		{100, 100, 0, false}, // nothing to wait for
		{100, 100, 1, true},
	} {
		g.budget = newBudget(time.Now().Add(time.Minute)) // time pays for nothing
		g.budget.left[resets] -= tt.resets
		g.budget.faults.Store(tt.faults)
		if got := g.crowded(tt.pending); got != tt.want {
			t.Errorf("with %d resets, %d faults, %d pending: crowded %v, want %v", tt.resets, tt.faults, tt.pending, got, tt.want)
		}
	}
}
